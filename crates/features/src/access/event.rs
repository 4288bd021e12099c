//! The facts of access. What they end is ended by their effects.

use campanile_contract::{Class, DataCheck, EventType, Id, Line, Origin, Retention, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What counts is kept in a table of its own; the events are there for the nodes that follow the log, and for looking back.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// Everything that a person was issued up to now has ended.
pub const SIGNED_OUT: EventType = EventType {
    name: Cow::Borrowed("signed_out"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Technical,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::AgeMs(KEPT_MS),
    data: DataCheck::typed::<SignedOut>(),
};

/// One token has ended.
pub const TOKEN_REVOKED: EventType = EventType {
    name: Cow::Borrowed("token_revoked"),
    channel_kind: Cow::Borrowed("access"),
    class: Class::Technical,
    subject: Subject::Nobody,
    origin: Origin::Feature,
    retention: Retention::AgeMs(KEPT_MS),
    data: DataCheck::typed::<TokenRevoked>(),
};

/// One connection was closed.
pub const SESSION_ENDED: EventType = EventType {
    name: Cow::Borrowed("session_ended"),
    channel_kind: Cow::Borrowed("access"),
    class: Class::Technical,
    subject: Subject::Nobody,
    origin: Origin::Feature,
    retention: Retention::AgeMs(KEPT_MS),
    data: DataCheck::typed::<SessionEnded>(),
};

/// The data of `signed_out`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedOut {
    /// Who.
    pub user_id: Id,
}

/// The data of `token_revoked`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TokenRevoked {
    /// Its `jti`, or the hash that stands for it.
    pub token_id: Line<255>,
}

/// The data of `session_ended`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnded {
    /// As `connection_established` named it.
    pub connection: Line<64>,
}
