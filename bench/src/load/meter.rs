//! Counts connections and deliveries, and measures how late they are.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::client::{Cause, Ear, Ended, Heard};

/// How many latencies are kept; a run with more deliveries measures its first ones.
const LATENCIES_MAX: usize = 4_000_000;

/// What all connections of a load run share.
#[derive(Default)]
pub struct Meter {
    connected: AtomicI64,
    delivered: AtomicU64,
    ended: AtomicU64,
    sent: RwLock<HashMap<u64, Instant>>,
    latencies_us: Mutex<Vec<u64>>,
}

/// The ear of one connection.
pub struct MeterEar<'a> {
    meter: &'a Meter,
    pub come_back: Option<Duration>,
    pub established: bool,
}

// === impl Meter ===

impl Meter {
    /// A publish with this mark leaves now.
    pub fn note_sent(&self, mark: u64) {
        self.sent.write().unwrap_or_else(PoisonError::into_inner).insert(mark, Instant::now());
    }

    /// The server ended a connection, or it broke. What breaks the protocol is told.
    pub fn note_end(&self, ended: &Ended) {
        if self.ended.fetch_add(1, Ordering::Relaxed) < 5 || matches!(ended.cause, Cause::Garbage(_)) {
            println!("a connection ended: {ended:?}");
        }
    }

    /// Connections that are established.
    pub fn connected(&self) -> i64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Events that arrived.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Connections that ended against our will.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// All latencies, in microseconds.
    pub fn take_latencies(&self) -> Vec<u64> {
        std::mem::take(&mut *self.latencies_us.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_event(&self, mark: u64) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        let sent = self.sent.read().unwrap_or_else(PoisonError::into_inner).get(&mark).copied();
        let Some(sent) = sent else { return };
        let mut latencies = self.latencies_us.lock().unwrap_or_else(PoisonError::into_inner);
        if latencies.len() < LATENCIES_MAX {
            latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
}

// === impl MeterEar ===

impl<'a> MeterEar<'a> {
    /// For a connection that is about to be asked for.
    pub fn new(meter: &'a Meter) -> Self {
        Self { meter, come_back: None, established: false }
    }
}

impl Ear for MeterEar<'_> {
    fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Established { .. } if !self.established => {
                self.established = true;
                self.meter.connected.fetch_add(1, Ordering::Relaxed);
            }
            Heard::Event { mark, .. } => self.meter.note_event(mark),
            Heard::ComeBack(pause) => self.come_back = Some(pause),
            _ => {}
        }
    }
}

impl Drop for MeterEar<'_> {
    fn drop(&mut self) {
        if self.established {
            self.meter.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
