//! `[limits]`: what an operator may set; docs/limits.md lists all.

use campanile_journal::JournalLimits;
use campanile_live::LiveLimits;
use serde::Deserialize;

/// Limits that an operator may set; docs/limits.md lists all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are those of LiveLimits, where each is described")]
pub struct Limits {
    pub connects_per_second: u32,
    pub connections_per_user: usize,
    pub connections_per_address: usize,
    pub messages_per_second: u32,
    pub publishes_per_second: u32,
    pub rest_per_hour_anonymous: u32,
    pub rest_per_hour_signed_in: u32,
    pub tickets_per_minute: u32,
    pub body_bytes: usize,
    pub mailbox_bytes: usize,
    pub tail_bytes: usize,
    pub heartbeat_ms: u64,
    pub sse_heartbeat_ms: u64,
    pub pong_ms: u64,
    pub stalled_ms: u64,
    pub auth_ms: u64,
    pub drain_ms: u64,
    pub reconnect_spread_ms: u64,
    pub command_ms: u64,
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
