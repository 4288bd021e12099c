//! What is due, told by a model that knows only what was asked for: it judges everything that a client is handed.

use campanile_wire::EventId;
use std::collections::{BTreeSet, HashMap};

/// An event as the one who caused it knows it.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) id: EventId,
    pub(super) channel: String,
    pub(super) pruned: bool,
}

/// An interval of membership: granted, and revoked if it ended.
#[derive(Clone, Copy, Debug)]
struct Interval {
    granted: EventId,
    revoked: Option<EventId>,
}

/// The log and the memberships.
#[derive(Default)]
pub(super) struct Model {
    pub(super) log: Vec<Fact>,
    memberships: HashMap<(i64, String), Vec<Interval>>,
}

/// Whether a client gets an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Due {
    Must,
    /// It was due when it was posted and is not any more (or the other way round): both are right.
    May,
    Never,
}

/// One look of a client: the positions of its node before and after.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) before: EventId,
    pub(super) after: EventId,
}

/// What the model knows of a client.
pub(super) struct Seen {
    pub(super) person: i64,
    /// Where its node stood when it connected or rewound.
    pub(super) began: EventId,
    /// Everything up to here has been judged.
    pub(super) cursor: EventId,
    /// Gaps told since it began reach to here.
    pub(super) gap_to: EventId,
    /// Channels that it left or joined, with the head at that moment, and whether it reads them now.
    pub(super) chosen: HashMap<String, (EventId, bool)>,
    /// Events handed out since it rewound.
    pub(super) handed: u64,
}

impl Model {
    pub(super) fn posted(&mut self, id: EventId, channel: &str) {
        self.log.push(Fact { id, channel: channel.to_owned(), pruned: false });
    }

    pub(super) fn granted(&mut self, id: EventId, person: i64, channel: &str) {
        self.posted(id, &format!("user:{person}"));
        let intervals = self.memberships.entry((person, channel.to_owned())).or_default();
        if intervals.last().is_none_or(|last| last.revoked.is_some()) {
            intervals.push(Interval { granted: id, revoked: None });
        }
    }

    pub(super) fn revoked(&mut self, id: EventId, person: i64, channel: &str) {
        self.posted(id, &format!("user:{person}"));
        if let Some(last) = self.memberships.entry((person, channel.to_owned())).or_default().last_mut() {
            last.revoked.get_or_insert(id);
        }
    }

    pub(super) fn is_member(&self, person: i64, channel: &str) -> bool {
        let intervals = self.memberships.get(&(person, channel.to_owned()));
        intervals.and_then(|intervals| intervals.last()).is_some_and(|last| last.revoked.is_none())
    }

    fn due(&self, seen: &Seen, fact: &Fact, look: Look) -> Due {
        let of_membership = self.due_to_person(seen, fact, look);
        match seen.chosen.get(&fact.channel) {
            Some((at, true)) if fact.id <= *at && of_membership == Due::Must => Due::May,
            Some((at, false)) if fact.id <= *at && of_membership == Due::Must => Due::May,
            Some((at, false)) if fact.id > *at => Due::Never,
            _ => of_membership,
        }
    }

    fn due_to_person(&self, seen: &Seen, fact: &Fact, look: Look) -> Due {
        if fact.channel == format!("user:{}", seen.person) {
            return Due::Must;
        }
        let Some(intervals) = self.memberships.get(&(seen.person, fact.channel.clone())) else { return Due::Never };
        let is_class = fact.channel.starts_with("class");
        let ends = |interval: &Interval| interval.revoked.unwrap_or(EventId::MAX);
        let holds = intervals.iter().find(|interval| interval.granted < fact.id && fact.id < ends(interval));
        let is_old = intervals.first().is_some_and(|first| fact.id < first.granted);
        if holds.is_none() && !(is_class && is_old) {
            return Due::Never;
        }
        // An interval that was open from before the client began until after the look decides; another one may or may not.
        if holds.is_some_and(|interval| ends(interval) > look.after) {
            return Due::Must;
        }
        let is_open = |interval: &Interval| interval.granted <= look.before.min(seen.began) && ends(interval) > look.after;
        if is_class && intervals.iter().any(is_open) { Due::Must } else { Due::May }
    }

    /// Judges a look in which a client was handed `ids` and after which its cursor was `cursor`.
    pub(super) fn judge(&self, seen: &mut Seen, look: Look, ids: &[EventId], cursor: EventId) -> Result<(), String> {
        let mut last = seen.cursor;
        for id in ids {
            if *id <= last {
                return Err(format!("event {id} came after {last}"));
            }
            last = *id;
        }
        if cursor < last {
            return Err(format!("the cursor {cursor} stands before event {last}"));
        }
        let got: BTreeSet<_> = ids.iter().copied().collect();
        for fact in self.log.iter().filter(|fact| fact.id > seen.cursor && fact.id <= cursor) {
            let due = self.due(seen, fact, look);
            let came = got.contains(&fact.id);
            if came && due == Due::Never {
                return Err(format!("{fact:?} was not due"));
            }
            if !came && due == Due::Must && !(fact.pruned && fact.id <= seen.gap_to) {
                return Err(format!("{fact:?} was due and did not come, and the cursor is {cursor}"));
            }
        }
        if let Some(unknown) = ids.iter().find(|id| !self.log.iter().any(|fact| fact.id == **id)) {
            return Err(format!("nobody posted event {unknown}"));
        }
        seen.cursor = cursor;
        seen.handed += ids.len() as u64;
        Ok(())
    }

    /// A retention gap must have a reason: something pruned in a channel that the person ever was in.
    pub(super) fn has_reason(&self, seen: &Seen, from: EventId, to: EventId) -> bool {
        self.log.iter().any(|fact| {
            let ever = self.memberships.contains_key(&(seen.person, fact.channel.clone()));
            fact.pruned && ever && fact.id > from && fact.id <= to
        })
    }

    /// Each channel keeps its newest note: the others are pruned.
    pub(super) fn pruned(&mut self, notes: &[(EventId, String)]) {
        for (id, channel) in notes {
            let is_newest = !notes.iter().any(|(other, of)| of == channel && other > id);
            if !is_newest && let Some(fact) = self.log.iter_mut().find(|fact| fact.id == *id) {
                fact.pruned = true;
            }
        }
    }
}
