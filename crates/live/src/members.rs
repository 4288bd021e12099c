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
    people: HashMap<String, Person>,
}

/// What one person may see.
#[derive(Default)]
struct Person {
    channels: HashMap<Channel, Held>,
    /// While it is held, the person is due nothing; while it was, they were not.
    suspension: Held,
}

/// What one person has, or had, of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    /// The latest grant; none while the person is not a member.
    granted_id: Option<EventId>,
    /// The latest revocation.
    revoked_id: EventId,
    /// Intervals in which the person was not a member between two grants, as (after, through); for a suspension, those in which it held.
    intervals: Vec<(EventId, EventId)>,
}

/// A change that the hub must follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Granted(Channel),
    Revoked(Channel),
    Suspended,
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
            let (person, change) = match effect {
                Effect::Grant { person, channel } => (person, self.grant(person.as_str(), channel, event.id)),
                Effect::Revoke { person, channel } => (person, self.revoke(person.as_str(), channel, event.id)),
                Effect::SignOut { .. } | Effect::RevokeToken { .. } | Effect::EndSession { .. } => continue,
            };
            changes.extend(change.map(|change| (person.as_str().to_owned(), change)));
        }
        changes
    }

    fn grant(&mut self, person: &str, channel: &Channel, id: EventId) -> Option<Change> {
        let person = self.people.entry(person.to_owned()).or_default();
        if channel.is_suspension() {
            person.suspension.granted_id.get_or_insert(id);
            return Some(Change::Suspended);
        }
        let held = person.channels.entry(channel.clone()).or_default();
        if held.granted_id.is_some() {
            return None;
        }
        held.granted_id = Some(id);
        if held.revoked_id > 0 {
            held.intervals.push((held.revoked_id, id));
        }
        Some(Change::Granted(channel.clone()))
    }

    fn revoke(&mut self, person: &str, channel: &Channel, id: EventId) -> Option<Change> {
        let person = self.people.get_mut(person)?;
        if channel.is_suspension() {
            let since = person.suspension.granted_id.take()?;
            person.suspension.intervals.push((since, id));
            return None;
        }
        let held = person.channels.get_mut(channel)?;
        held.granted_id.take()?;
        held.revoked_id = id;
        Some(Change::Revoked(channel.clone()))
    }

    /// Whether the person is due nothing at all.
    pub(crate) fn is_suspended(&self, person: &str) -> bool {
        self.people.get(person).is_some_and(Person::is_suspended)
    }

    /// Whether any id above `after` up to `through` could be due to `person` now, by the channel itself or by a role that oversees it.
    pub(crate) fn any_due(&self, person: &str, channel: &Channel, after: EventId, through: EventId) -> bool {
        let Some(person) = self.people.get(person) else { return false };
        let history = self.registry.history(channel.kind());
        let roles = self.registry.overseers(channel.kind());
        let by_role = roles.iter().filter_map(|role| person.channels.get(format!("role:{role}").as_str()));
        person.channels.get(channel).into_iter().chain(by_role).any(|held| person.any_open(held, history, after, through))
    }

    /// As [`Members::any_due`] for a channel that the credential itself gives: only a suspension stands in the way.
    pub(crate) fn any_due_by_credential(&self, person: &str, channel: &Channel, after: EventId, through: EventId) -> bool {
        let Some(person) = self.people.get(person) else { return true };
        let always = Held { granted_id: Some(0), ..Held::default() };
        person.any_open(&always, self.registry.history(channel.kind()), after, through)
    }

    /// Whether the person is a member of the channel, or has a role that oversees it, now.
    pub(crate) fn may_see(&self, person: &str, channel: &Channel) -> bool {
        let Some(person) = self.people.get(person) else { return false };
        !person.is_suspended() && (person.holds(channel.as_str()) || self.oversees_as(person, channel.kind()))
    }

    /// Whether the person has a role to which every channel of this kind is due.
    pub(crate) fn oversees(&self, person: &str, kind: &str) -> bool {
        self.people.get(person).is_some_and(|person| self.oversees_as(person, kind))
    }

    fn oversees_as(&self, person: &Person, kind: &str) -> bool {
        self.registry.overseers(kind).iter().any(|role| person.holds(&format!("role:{role}")))
    }

    /// The kinds of channel that some role oversees, each with these roles' channels.
    pub(crate) fn overseen(&self) -> Vec<(&'static str, Vec<Channel>)> {
        let role = |role: &&str| Channel::parse(&format!("role:{role}")).expect("a declared role is a word");
        self.registry.overseen_kinds().map(|kind| (kind.name, kind.overseers.iter().map(role).collect())).collect()
    }

    /// The channels that the person is a member of now, suspended or not.
    pub(crate) fn channels(&self, person: &str) -> Vec<Channel> {
        let Some(person) = self.people.get(person) else { return Vec::new() };
        person.channels.iter().filter(|(_, held)| held.granted_id.is_some()).map(|(channel, _)| channel.clone()).collect()
    }
}

impl Person {
    fn is_suspended(&self) -> bool {
        self.suspension.granted_id.is_some()
    }

    fn holds(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|held| held.granted_id.is_some())
    }

    /// Whether an id above `after` up to `through` lies where the person was allowed what is held here.
    fn any_open(&self, held: &Held, history: History, after: EventId, through: EventId) -> bool {
        let Some(granted_id) = held.granted_id.filter(|_| !self.is_suspended()) else { return false };
        if history == History::SinceGrant {
            // The end of a suspension is a grant too.
            let reinstated_id = self.suspension.intervals.last().map_or(0, |(_, through)| *through);
            return through > after.max(granted_id).max(reinstated_id);
        }
        // Each list is in order and apart. Walk to the first id that lies in no interval of either.
        let mut barred_to = after;
        loop {
            let intervals = held.intervals.iter().chain(&self.suspension.intervals);
            let next = intervals.filter(|(from, to)| *from <= barred_to && *to > barred_to).map(|(_, to)| *to).max();
            match next {
                Some(to) => barred_to = to,
                None => return through > barred_to,
            }
        }
    }
}
