//! What everyone in a run shares: the server's address, the notebook, the counters, and the phase of the play.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use anyhow::Result;

use crate::{cast::Cast, history::Person, keys::Keys, recorder::Recorder};

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
    /// The host platform of the fourth act.
    pub platform: Option<Platform>,
}

/// A host platform that issues the tokens itself and may take somebody's approval away.
pub struct Platform {
    /// By person.
    pub tokens: Vec<String>,
    /// The WebSocket route that its clients know.
    pub ws_path: &'static str,
    /// Everybody who was ever sent away, and whether they still are.
    sent_away: Mutex<HashMap<Person, bool>>,
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

    /// The token with which the person connects.
    pub fn token(&self, person: Person) -> Result<String> {
        match &self.platform {
            Some(platform) => Ok(platform.tokens[person as usize].clone()),
            None => self.keys.token(&self.cast.people[person as usize]),
        }
    }

    /// How many are connected.
    pub fn connected_now(&self) -> i64 {
        self.connected.load(Ordering::Relaxed)
    }
}

// === impl Platform ===

impl Platform {
    /// Everybody is approved.
    pub fn new(tokens: Vec<String>, ws_path: &'static str) -> Self {
        Self { tokens, ws_path, sent_away: Mutex::new(HashMap::new()) }
    }

    /// From now on the person may be refused; called before the approval is taken away.
    pub fn send_away(&self, person: Person) {
        self.sent_away().insert(person, true);
    }

    /// The person is approved again; called when that is certain.
    pub fn let_in(&self, person: Person) {
        self.sent_away().insert(person, false);
    }

    /// Whether the person is away now.
    pub fn is_away(&self, person: Person) -> bool {
        self.sent_away().get(&person) == Some(&true)
    }

    /// Whether the person was ever sent away, and may hear of it late.
    pub fn was_ever_away(&self, person: Person) -> bool {
        self.sent_away().contains_key(&person)
    }

    fn sent_away(&self) -> MutexGuard<'_, HashMap<Person, bool>> {
        self.sent_away.lock().unwrap_or_else(PoisonError::into_inner)
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
