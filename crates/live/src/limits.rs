//! Every limit of delivery, named with its unit. docs/limits.md tells what happens at each.

use std::time::Duration;

/// The limits of one node.
#[derive(Clone, Debug)]
pub struct LiveLimits {
    /// Connections of one person, all transports together.
    pub connections_per_user_max: usize,
    /// Connections of one address: high, because a school is one address.
    pub connections_per_address_max: usize,
    /// Connections admitted a second, with a burst of as many.
    pub connects_per_second_max: u32,
    /// Polls admitted a second, with a burst of as many.
    pub polls_per_second_max: u32,
    /// Events of one connection waiting in memory; beyond it the connection reads the log.
    pub mailbox_events_max: usize,
    /// Bytes of events of one connection waiting in memory; beyond it the connection reads the log.
    pub mailbox_bytes_max: usize,
    /// Signals of one connection waiting; the oldest is dropped.
    pub mailbox_signals_max: usize,
    /// Bytes of signals of one connection waiting; the oldest is dropped.
    pub mailbox_signal_bytes_max: usize,
    /// Bytes of answers of one connection waiting before one more; a client that asks on and does not read is closed.
    pub mailbox_answer_bytes_max: usize,
    /// Life of a signal.
    pub signal_ms_max: i64,
    /// Recent events kept in memory for returning clients.
    pub tail_events_max: usize,
    /// Bytes of recent events kept in memory.
    pub tail_bytes_max: usize,
    /// Events that a session reads from the log at once.
    pub page_events_max: usize,
    /// Events in memory that a session looks through at once, while others wait.
    pub tail_look_events_max: usize,
    /// Bytes of events that a session takes at once.
    pub page_bytes_max: usize,
    /// How often the log is looked at when nothing wakes the follower (promise 8: below 2 s).
    pub log_poll_ms: u64,
    /// How often a changed view is sent at most.
    pub view_interval_ms: u64,
    /// Views that one connection reads.
    pub views_per_connection_max: usize,
    /// Protocol pings and native heartbeats.
    pub heartbeat_ms: u64,
    /// SSE heartbeats: shorter, because proxies cut silent streams.
    pub sse_heartbeat_ms: u64,
    /// Silence after a ping, after which a connection is gone.
    pub pong_ms_max: u64,
    /// A connection that takes no byte for so long is closed.
    pub stalled_ms_max: u64,
    /// After so long a revoked token has ended by itself, and its revocation is forgotten; none where tokens may live for ever.
    pub token_life_ms_max: Option<i64>,
    /// Wait for the first `auth` message.
    pub auth_ms_max: u64,
    /// Messages a second from one connection.
    pub messages_per_second_max: u32,
    /// Messages at once from one connection.
    pub messages_burst: u32,
    /// Messages refused in a row before the connection is closed.
    pub messages_refused_max: u32,
    /// Commands of one connection that run at the same time.
    pub commands_in_flight_max: usize,
    /// Longest wait of a poll.
    pub poll_wait_ms_max: u64,
    /// Events in one poll answer.
    pub poll_events_max: usize,
    /// A drain ends inside it.
    pub drain_ms_max: u64,
    /// Clients told to come back do so within this spread.
    pub reconnect_spread_ms: u64,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            connections_per_user_max: 50,
            connections_per_address_max: 20_000,
            connects_per_second_max: 500,
            polls_per_second_max: 5_000,
            mailbox_events_max: 256,
            mailbox_bytes_max: 64 * 1024,
            mailbox_signals_max: 1_500,
            mailbox_signal_bytes_max: 256 * 1024,
            mailbox_answer_bytes_max: 256 * 1024,
            signal_ms_max: 10_000,
            tail_events_max: 65_536,
            tail_bytes_max: 32 * 1024 * 1024,
            page_events_max: 256,
            page_bytes_max: 256 * 1024,
            tail_look_events_max: 4_096,
            log_poll_ms: 500,
            view_interval_ms: 250,
            views_per_connection_max: 32,
            heartbeat_ms: 25_000,
            sse_heartbeat_ms: 15_000,
            pong_ms_max: 20_000,
            stalled_ms_max: 60_000,
            token_life_ms_max: None,
            auth_ms_max: 5_000,
            messages_per_second_max: 10,
            messages_burst: 20,
            messages_refused_max: 100,
            commands_in_flight_max: 16,
            poll_wait_ms_max: 60_000,
            poll_events_max: 500,
            drain_ms_max: 10_000,
            reconnect_spread_ms: 5_000,
        }
    }
}

impl LiveLimits {
    /// The heartbeat as a duration.
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }
}
