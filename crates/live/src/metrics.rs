//! Counters of delivery, cheap enough for the hot path; the server renders them.

use campanile_journal::{COUNT_BOUNDS, Histogram};
use campanile_wire::{CloseReason, ErrorCode};
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

/// Upper bounds of the publish-to-socket histogram, in microseconds. The clock's grain is a millisecond, so it begins there.
const LATENCY_BOUNDS_US: &[u64] =
    &[1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

/// Everything that delivery counts.
#[derive(Debug)]
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
    pub events_applied: AtomicU64,
    /// Events by replay.
    pub replay_events: Histogram,
    /// From the commit's instant to the socket, in microseconds.
    pub publish_to_socket_us: Histogram,
    closes: [AtomicU64; CloseReason::ALL.len()],
    frame_errors: [AtomicU64; ErrorCode::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        let none = || AtomicU64::new(0);
        Self {
            connections: Default::default(),
            delivered: Default::default(),
            connects: none(),
            connects_refused: none(),
            messages_received: none(),
            fell_behind: none(),
            gaps: none(),
            replays: none(),
            pages_from_tail: none(),
            pages_from_store: none(),
            store_errors: none(),
            position: none(),
            events_applied: none(),
            replay_events: Histogram::new(COUNT_BOUNDS),
            publish_to_socket_us: Histogram::new(LATENCY_BOUNDS_US),
            closes: std::array::from_fn(|_| none()),
            frame_errors: std::array::from_fn(|_| none()),
        }
    }
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
        self.publish_to_socket_us.record(u64::try_from(now_ms - recorded_at_ms).unwrap_or(0).saturating_mul(1_000));
    }

    /// Counts a WebSocket that the server closed, by its reason.
    pub fn ended(&self, reason: CloseReason) {
        self.closes[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an error frame.
    pub(crate) fn frame_refused(&self, code: ErrorCode) {
        self.frame_errors[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// WebSockets that the server closed for a reason.
    pub fn closes(&self, reason: CloseReason) -> u64 {
        self.closes[reason as usize].load(Ordering::Relaxed)
    }

    /// Error frames with a code.
    pub fn frame_errors(&self, code: ErrorCode) -> u64 {
        self.frame_errors[code as usize].load(Ordering::Relaxed)
    }

    /// Open connections of a transport.
    pub fn connections(&self, transport: Transport) -> i64 {
        self.connections[transport as usize].load(Ordering::Relaxed)
    }

    /// Events handed to sockets of a transport.
    pub fn delivered_total(&self, transport: Transport) -> u64 {
        self.delivered[transport as usize].load(Ordering::Relaxed)
    }
}
