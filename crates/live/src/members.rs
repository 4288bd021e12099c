//! Who is a member of what, at one position of the log: rebuilt from the store at start, then fed every event in order.
//!
//! Invariant: what a session is given is judged by the state at a position that is not behind the event.

use campanile_contract::{History, Registry};
use campanile_journal::Membership;
use campanile_wire::{Channel, Effect, Event, EventId};
use std::collections::HashMap;
use std::sync::Arc;

/// The memberships of everybody.
pub(crate) struct Members {
    registry: Arc<Registry>,
    people: HashMap<String, HashMap<Channel, Held>>,
}

/// What one person has, or had, of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    /// The latest grant; none while the person is not a member.
    granted_id: Option<EventId>,
    /// The latest revocation.
    revoked_id: EventId,
    /// For channels with `history = all`: intervals in which the person was not allowed, as (after, through).
    barred: Vec<(EventId, EventId)>,
}

/// A change that the hub must follow.
pub(crate) enum Change {
    Granted(Channel),
    Revoked(Channel),
}

impl Members {
    pub(crate) fn new(registry: Arc<Registry>, memberships: Vec<Membership>) -> Self {
        let mut members = Self { registry, people: HashMap::new() };
        // In the order of the grants, so that an interval's end lies before the next one's start.
        for membership in memberships {
            let Ok(channel) = Channel::parse(&membership.channel) else { continue };
            members.grant(&membership.person, &channel, membership.granted_id);
            if let Some(revoked_id) = membership.revoked_id {
                members.revoke(&membership.person, &channel, revoked_id);
            }
        }
        members
    }

    /// Takes in an event; answers who gained or lost what.
    pub(crate) fn apply(&mut self, event: &Event) -> Vec<(String, Change)> {
        let mut changes = Vec::new();
        for effect in &event.effects {
            match effect {
                Effect::Grant { person, channel } => {
                    if self.grant(person.as_str(), channel, event.id) {
                        changes.push((person.as_str().to_owned(), Change::Granted(channel.clone())));
                    }
                }
                Effect::Revoke { person, channel } => {
                    if self.revoke(person.as_str(), channel, event.id) {
                        changes.push((person.as_str().to_owned(), Change::Revoked(channel.clone())));
                    }
                }
                Effect::SignOut { .. } | Effect::RevokeToken { .. } | Effect::EndSession { .. } => {}
            }
        }
        changes
    }

    fn grant(&mut self, person: &str, channel: &Channel, id: EventId) -> bool {
        let keeps_all = self.registry.history(channel.kind()) == History::All;
        let channels = self.people.entry(person.to_owned()).or_default();
        let held = channels.entry(channel.clone()).or_insert(Held { granted_id: None, revoked_id: 0, barred: Vec::new() });
        if held.granted_id.is_some() {
            return false;
        }
        held.granted_id = Some(id);
        if keeps_all && held.revoked_id > 0 {
            held.barred.push((held.revoked_id, id));
        }
        true
    }

    fn revoke(&mut self, person: &str, channel: &Channel, id: EventId) -> bool {
        let Some(held) = self.people.get_mut(person).and_then(|channels| channels.get_mut(channel)) else { return false };
        if held.granted_id.take().is_none() {
            return false;
        }
        held.revoked_id = id;
        true
    }

    /// Whether event `id` of `channel` is due to `person` now.
    pub(crate) fn due(&self, person: &str, channel: &Channel, id: EventId) -> bool {
        let Some(held) = self.people.get(person).and_then(|channels| channels.get(channel)) else { return false };
        let Some(granted_id) = held.granted_id else { return false };
        match self.registry.history(channel.kind()) {
            History::SinceGrant => id > granted_id,
            History::All => !held.barred.iter().any(|(after, through)| id > *after && id <= *through),
        }
    }

    /// Whether any id above `after` up to `through` could be due to `person` now.
    pub(crate) fn any_due(&self, person: &str, channel: &Channel, after: EventId, through: EventId) -> bool {
        let Some(held) = self.people.get(person).and_then(|channels| channels.get(channel)) else { return false };
        let Some(granted_id) = held.granted_id else { return false };
        if self.registry.history(channel.kind()) == History::SinceGrant {
            return through > after.max(granted_id);
        }
        // The intervals are in order and apart: walk to the first id that lies in none.
        let mut barred_to = after;
        for (from, to) in &held.barred {
            if *from <= barred_to {
                barred_to = barred_to.max(*to);
            }
        }
        through > barred_to
    }

    /// Whether the person is a member of the channel now.
    pub(crate) fn is_member(&self, person: &str, channel: &Channel) -> bool {
        let held = self.people.get(person).and_then(|channels| channels.get(channel));
        held.is_some_and(|held| held.granted_id.is_some())
    }

    /// The channels that the person is a member of now.
    pub(crate) fn channels(&self, person: &str) -> Vec<Channel> {
        let Some(channels) = self.people.get(person) else { return Vec::new() };
        channels.iter().filter(|(_, held)| held.granted_id.is_some()).map(|(channel, _)| channel.clone()).collect()
    }
}
