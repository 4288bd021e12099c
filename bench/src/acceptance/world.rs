//! What everyone in a run shares: the server's address, the notebook, the counters, and the phase of the play.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use crate::{cast::Cast, keys::Keys, recorder::Recorder};

/// How many troubles are kept in words.
const TROUBLES_MAX: usize = 50;

/// Where the play stands; every actor watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The run goes on.
    Run,
    /// Nothing more is published: stay until this id has been passed.
    Finish { last_id: u64 },
    /// Leave at once.
    Stop,
}

/// The run's common ground.
pub struct World {
    pub server: SocketAddr,
    pub keys: Keys,
    pub cast: Cast,
    pub recorder: Recorder,
    pub tally: Tally,
    pub seed: u64,
    /// The head before the first publish.
    pub first_head: u64,
    /// The epoch that was told last: SSE tells none.
    pub epoch: AtomicU64,
    /// Connections that are established now.
    pub connected: AtomicI64,
    /// The highest id that any acknowledgement named.
    pub last_acked_id: AtomicU64,
}

/// Counts by name, and what must never happen in words.
#[derive(Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    troubles: Mutex<Vec<String>>,
}

// === impl World ===

impl World {
    /// An acknowledgement named this id.
    pub fn note_acked(&self, id: u64) {
        self.last_acked_id.fetch_max(id, Ordering::Relaxed);
    }

    /// How many are connected.
    pub fn connected_now(&self) -> i64 {
        self.connected.load(Ordering::Relaxed)
    }
}

// === impl Tally ===

impl Tally {
    /// Counts one.
    pub fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts several.
    pub fn add(&self, what: &'static str, n: u64) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += n;
    }

    /// Something that fails the run whatever the checker says.
    pub fn trouble(&self, what: String) {
        self.count("troubles");
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() < TROUBLES_MAX {
            troubles.push(what);
        }
    }

    /// All counts so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The troubles so far.
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
