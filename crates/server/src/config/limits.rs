//! `[limits]`: what an operator may set; docs/limits.md lists all.

use campanile_journal::JournalLimits;
use campanile_live::LiveLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits that an operator may set; docs/limits.md lists all.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections admitted a second, with a burst of as many.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-reload" = true))]
    pub connects_per_second: u32,
    /// Connections of one person, all transports together.
    #[schemars(range(min = 1, max = 100_000), extend("x-reload" = true))]
    pub connections_per_user: usize,
    /// Connections of one address: high, because a school is one address.
    #[schemars(range(min = 1, max = 10_000_000), extend("x-reload" = true))]
    pub connections_per_address: usize,
    /// Messages a second on one connection; twice as many at once.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-reload" = true))]
    pub messages_per_second: u32,
    /// Requests a second of an API key that names no rate of its own.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-reload" = true))]
    pub publishes_per_second: u32,
    /// REST requests an hour without a valid credential, for each address.
    #[schemars(range(min = 1, max = 100_000_000), extend("x-reload" = true))]
    pub rest_per_hour_anonymous: u32,
    /// REST requests an hour of one person.
    #[schemars(range(min = 1, max = 100_000_000), extend("x-reload" = true))]
    pub rest_per_hour_signed_in: u32,
    /// Tickets a minute for each person.
    #[schemars(range(min = 1, max = 1_000_000), extend("x-reload" = true))]
    pub tickets_per_minute: u32,
    /// The longest body of a request.
    #[schemars(range(min = 256, max = 1_073_741_824), extend("x-reload" = true))]
    pub body_bytes: usize,
    /// Bytes of events of one connection that wait in memory; beyond it the connection reads the log.
    #[schemars(range(min = 1_024, max = 67_108_864), extend("x-reload" = true))]
    pub mailbox_bytes: usize,
    /// Bytes of recent events kept in memory for returning clients; 0 reads all history from the store.
    #[schemars(range(min = 0, max = 68_719_476_736_u64))]
    pub tail_bytes: usize,
    /// Heartbeats and protocol pings of WebSockets.
    #[schemars(range(min = 100, max = 3_600_000), extend("x-reload" = true))]
    pub heartbeat_ms: u64,
    /// Heartbeats of SSE: shorter, because proxies cut silent streams.
    #[schemars(range(min = 100, max = 3_600_000), extend("x-reload" = true))]
    pub sse_heartbeat_ms: u64,
    /// Silence after a ping, after which a connection is gone.
    #[schemars(range(min = 100, max = 3_600_000), extend("x-reload" = true))]
    pub pong_ms: u64,
    /// A connection that takes no byte for so long is closed.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub stalled_ms: u64,
    /// Wait for the first `auth` message.
    #[schemars(range(min = 100, max = 600_000), extend("x-reload" = true))]
    pub auth_ms: u64,
    /// The drain of a stopping server ends inside it.
    #[schemars(range(min = 0, max = 3_600_000), extend("x-reload" = true))]
    pub drain_ms: u64,
    /// Clients that are told to come back do so within this spread.
    #[schemars(range(min = 0, max = 3_600_000), extend("x-reload" = true))]
    pub reconnect_spread_ms: u64,
    /// How long a command may run inside its transaction.
    #[schemars(range(min = 10, max = 600_000))]
    pub command_ms: u64,
    /// Wait for another process's lock, or a free connection to the store.
    #[schemars(range(min = 1, max = 600_000))]
    pub lock_wait_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let (live, journal) = (LiveLimits::default(), JournalLimits::default());
        Self {
            connects_per_second: live.connects_per_second_max,
            connections_per_user: live.connections_per_user_max,
            connections_per_address: live.connections_per_address_max,
            messages_per_second: live.messages_per_second_max,
            publishes_per_second: 10_000,
            rest_per_hour_anonymous: 100,
            rest_per_hour_signed_in: 1_000,
            tickets_per_minute: 60,
            body_bytes: 4 * 1024 * 1024,
            mailbox_bytes: live.mailbox_bytes_max,
            tail_bytes: live.tail_bytes_max,
            heartbeat_ms: live.heartbeat_ms,
            sse_heartbeat_ms: live.sse_heartbeat_ms,
            pong_ms: live.pong_ms_max,
            stalled_ms: live.stalled_ms_max,
            auth_ms: live.auth_ms_max,
            drain_ms: live.drain_ms_max,
            reconnect_spread_ms: live.reconnect_spread_ms,
            command_ms: journal.command_ms_max,
            lock_wait_ms: journal.lock_wait_ms_max,
        }
    }
}

impl Limits {
    /// Delivery's limits.
    pub fn live(&self) -> LiveLimits {
        LiveLimits {
            connects_per_second_max: self.connects_per_second,
            connections_per_user_max: self.connections_per_user,
            connections_per_address_max: self.connections_per_address,
            messages_per_second_max: self.messages_per_second,
            messages_burst: self.messages_per_second.saturating_mul(2),
            mailbox_bytes_max: self.mailbox_bytes,
            tail_bytes_max: self.tail_bytes,
            heartbeat_ms: self.heartbeat_ms,
            sse_heartbeat_ms: self.sse_heartbeat_ms,
            pong_ms_max: self.pong_ms,
            stalled_ms_max: self.stalled_ms,
            auth_ms_max: self.auth_ms,
            drain_ms_max: self.drain_ms,
            reconnect_spread_ms: self.reconnect_spread_ms,
            ..LiveLimits::default()
        }
    }

    /// The store's limits.
    pub fn journal(&self) -> JournalLimits {
        JournalLimits { command_ms_max: self.command_ms, lock_wait_ms_max: self.lock_wait_ms, ..JournalLimits::default() }
    }
}
