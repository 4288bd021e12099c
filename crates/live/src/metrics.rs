//! Counters of delivery, cheap enough for the hot path; the server renders them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the transports of PROTOCOL.md")]
pub enum Transport {
    Ws,
    Sse,
    Poll,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Ws, Self::Sse, Self::Poll];

    /// As labels and logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }
}

/// Upper bounds of the publish-to-socket histogram, in milliseconds.
pub const LATENCY_BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 10_000];

/// Everything that delivery counts.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each becomes a metric of the same name, described where it is rendered")]
pub struct Metrics {
    connections: [AtomicI64; 3],
    delivered: [AtomicU64; 3],
    pub connects: AtomicU64,
    pub connects_refused: AtomicU64,
    pub messages_received: AtomicU64,
    pub fell_behind: AtomicU64,
    pub gaps: AtomicU64,
    pub replays: AtomicU64,
    pub pages_from_tail: AtomicU64,
    pub pages_from_store: AtomicU64,
    pub store_errors: AtomicU64,
    pub position: AtomicU64,
    latency: [AtomicU64; LATENCY_BOUNDS_MS.len() + 1],
    latency_sum_ms: AtomicU64,
}

impl Metrics {
    pub(crate) fn opened(&self, transport: Transport) {
        self.connections[transport as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, transport: Transport) {
        self.connections[transport as usize].fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, counter: impl Fn(&Self) -> &AtomicU64) {
        counter(self).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts events handed to a socket, and how long the way from the commit's instant took.
    pub(crate) fn delivered(&self, transport: Transport, recorded_at_ms: i64, now_ms: i64) {
        self.delivered[transport as usize].fetch_add(1, Ordering::Relaxed);
        let took_ms = u64::try_from(now_ms - recorded_at_ms).unwrap_or(0);
        let bucket = LATENCY_BOUNDS_MS.iter().position(|bound| took_ms <= *bound).unwrap_or(LATENCY_BOUNDS_MS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_sum_ms.fetch_add(took_ms, Ordering::Relaxed);
    }

    /// Open connections of a transport.
    pub fn connections(&self, transport: Transport) -> i64 {
        self.connections[transport as usize].load(Ordering::Relaxed)
    }

    /// Events handed to sockets of a transport.
    pub fn delivered_total(&self, transport: Transport) -> u64 {
        self.delivered[transport as usize].load(Ordering::Relaxed)
    }

    /// The histogram: counts by bucket (not cumulative; the last is beyond every bound) and the sum in milliseconds.
    pub fn latency_ms(&self) -> (Vec<u64>, u64) {
        let counts = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        (counts, self.latency_sum_ms.load(Ordering::Relaxed))
    }
}
