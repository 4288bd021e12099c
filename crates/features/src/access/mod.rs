//! Ending credentials before their time: of a person, of one token, of one connection. Every node follows, because it is in the log.

pub mod event;
mod http;
mod revoke_access;

#[cfg(test)]
mod tests;

pub use revoke_access::RevokeAccess;

use campanile_contract::{ChannelKind, CommandType, Feature, History};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "access",
    migrations: &[],
    // Nobody is a member: its events carry effects, and there is nothing to read.
    channel_kinds: &[ChannelKind::new("access", History::SinceGrant)],
    events: &[event::SIGNED_OUT, event::TOKEN_REVOKED, event::SESSION_ENDED],
    commands: &[CommandType::of::<RevokeAccess>()],
    routes: http::ROUTES,
    views: &[],
    jobs: &[],
};
