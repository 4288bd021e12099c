//! Who belonged to which course when, in the order of the log.

use super::operations::{Asked, Operations};
use crate::history::{Change, Channel, History, Person};

/// One acknowledged change of one person's membership of one channel.
#[derive(Clone, Copy, Debug)]
pub struct ChangeAt {
    /// The change's own id in the log.
    pub id: u64,
    /// Which way.
    pub change: Change,
    /// When it was first asked for: from here on it may act.
    pub sent_at_us: u64,
    /// When its answer arrived: from here on it must act.
    pub acked_at_us: u64,
    /// The earliest sending of this change and all that follow it in the log.
    earliest_sent_at_us: u64,
}

/// The whole story of one person in one channel.
#[derive(Clone, Debug)]
pub struct Story {
    registered: bool,
    /// By id.
    changes: Vec<ChangeAt>,
    /// From here on an operation that was never answered leaves open what is due.
    unsettled_at_us: u64,
    /// From here on a grant that was never answered may have let the person in.
    maybe_granted_at_us: u64,
}

/// Where a person stood when an event took its id.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'s> {
    /// Never belonged.
    Never,
    /// Before the first grant.
    NotYet { first_grant: &'s ChangeAt },
    /// A member; `later` are the changes after the event.
    Member { later: &'s [ChangeAt] },
    /// Between a revocation and the next grant, if one came.
    Revoked { by: &'s ChangeAt },
}

/// For each person the channels with a story, by channel.
pub struct Memberships {
    people: Vec<Vec<(Channel, Story)>>,
}

// === impl Story ===

impl Story {
    /// Of everyone in their own `user:` channel.
    pub const fn always() -> Self {
        Self { registered: true, changes: Vec::new(), unsettled_at_us: u64::MAX, maybe_granted_at_us: u64::MAX }
    }

    fn never() -> Self {
        Self { registered: false, ..Self::always() }
    }

    /// Where the person stood at an id.
    pub fn standing(&self, id: u64) -> Standing<'_> {
        let (before, later) = self.changes.split_at(self.changes.partition_point(|change| change.id < id));
        match before.last() {
            Some(by) if by.change == Change::Revoke => Standing::Revoked { by },
            Some(_) => Standing::Member { later },
            None if self.registered => Standing::Member { later },
            None => match later.iter().find(|change| change.change == Change::Grant) {
                Some(first_grant) => Standing::NotYet { first_grant },
                None => Standing::Never,
            },
        }
    }

    /// Whether the event at `id` must have reached a reader who passed it at `at_us`: a member then, and no change was under way yet.
    pub fn is_firm(&self, id: u64, at_us: u64) -> bool {
        let Standing::Member { later } = self.standing(id) else { return false };
        self.unsettled_at_us > at_us && later.first().is_none_or(|next| next.earliest_sent_at_us > at_us)
    }

    /// Whether a grant without an answer may have let the person in by then.
    pub fn may_be_granted(&self, at_us: u64) -> bool {
        self.maybe_granted_at_us <= at_us
    }

    /// Whether the person's standing changed, or may have, during the run.
    pub fn ever_changed(&self) -> bool {
        !self.changes.is_empty() || self.is_unsettled()
    }

    /// Whether this id is that of a change itself.
    pub fn is_change(&self, id: u64) -> bool {
        self.changes.binary_search_by_key(&id, |change| change.id).is_ok()
    }

    /// Whether some operation of this story was never answered.
    pub fn is_unsettled(&self) -> bool {
        self.unsettled_at_us < u64::MAX
    }

    fn settle(&mut self) {
        self.changes.sort_by_key(|change| change.id);
        let mut earliest = u64::MAX;
        for change in self.changes.iter_mut().rev() {
            earliest = earliest.min(change.sent_at_us);
            change.earliest_sent_at_us = earliest;
        }
    }
}

/// The revocation among later changes that was acknowledged before a reader's right was decided at `decided_at_us`.
pub fn revoked_before(later: &[ChangeAt], decided_at_us: u64) -> Option<&ChangeAt> {
    later.iter().find(|change| change.change == Change::Revoke && change.acked_at_us < decided_at_us)
}

// === impl Memberships ===

impl Memberships {
    /// From the roster and the acknowledged changes.
    pub fn new(history: &History, operations: &Operations) -> Self {
        let mut memberships = Self { people: vec![Vec::new(); history.people.len()] };
        for &(person, channel) in &history.registered {
            memberships.story_mut(person, channel).registered = true;
        }
        for (_, operation) in operations.iter() {
            let Asked::Membership { person, change } = operation.asked else { continue };
            let sent_at_us = operation.sent_at_us;
            let story = memberships.story_mut(person, operation.channel);
            match operation.answer.map(|answer| (answer.id, answer.at_us)) {
                Some((Some(id), acked_at_us)) => {
                    story.changes.push(ChangeAt { id, change, sent_at_us, acked_at_us, earliest_sent_at_us: 0 });
                }
                Some((None, _)) => {}
                None => {
                    story.unsettled_at_us = story.unsettled_at_us.min(sent_at_us);
                    if change == Change::Grant {
                        story.maybe_granted_at_us = story.maybe_granted_at_us.min(sent_at_us);
                    }
                }
            }
        }
        memberships.people.iter_mut().flatten().for_each(|(_, story)| story.settle());
        memberships
    }

    fn story_mut(&mut self, person: Person, channel: Channel) -> &mut Story {
        let stories = &mut self.people[person as usize];
        let index = stories.binary_search_by_key(&channel, |(channel, _)| *channel).unwrap_or_else(|index| {
            stories.insert(index, (channel, Story::never()));
            index
        });
        &mut stories[index].1
    }

    /// The channels in which a person has a story.
    pub fn of(&self, person: Person) -> &[(Channel, Story)] {
        &self.people[person as usize]
    }

    /// One person's story in one channel.
    pub fn story(&self, person: Person, channel: Channel) -> Option<&Story> {
        let stories = self.of(person);
        let index = stories.binary_search_by_key(&channel, |(channel, _)| *channel).ok()?;
        Some(&stories[index].1)
    }
}
