//! Events: durable facts with an id, and what they change in who may see what.

use crate::channel::Channel;
use crate::id::Id;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The place of an event in its site's one order: 1, 2, 3 … without holes within an epoch.
pub type EventId = u64;

/// A committed event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Place in the site's order.
    pub id: EventId,
    /// The channel whose members it is due to.
    pub channel: Channel,
    /// Dense place within the channel, from 1.
    pub seq: u64,
    /// A registered event type.
    pub kind: Arc<str>,
    /// A JSON value, byte for byte as it was given.
    pub data: Arc<str>,
    /// When it was recorded, in unix milliseconds; never runs backwards along the ids.
    pub recorded_at_ms: i64,
    /// What it changes in the memberships, applied before any session sees the event.
    pub effects: Vec<Effect>,
}

/// A change of who is a member of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// From this event's id on the person is due what the channel gets.
    Grant {
        /// Who.
        person: Id,
        /// What they may see.
        channel: Channel,
    },
    /// From this event's id on nothing of the channel reaches the person.
    Revoke {
        /// Who.
        person: Id,
        /// What they may no longer see.
        channel: Channel,
    },
    /// Every credential of the person that was issued before this event was recorded has ended.
    SignOut {
        /// Who.
        person: Id,
    },
    /// One token has ended, wherever it is shown.
    RevokeToken {
        /// Its `jti`, or the hash that stands for it.
        token_id: Box<str>,
        /// Only where it is this person's, when somebody ends a token of their own.
        person: Option<Id>,
    },
    /// One connection is closed; its token stays good.
    EndSession {
        /// As `connection_established` named it.
        connection: Box<str>,
        /// Only where it is this person's.
        person: Option<Id>,
    },
}

impl Event {
    /// Bytes that this event holds in memory, roughly; bounds are counted in it.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.effects.len() * size_of::<Effect>()
    }
}
