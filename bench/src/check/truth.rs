//! What happened, as far as publishers' and clients' own records prove it: the log by id, and for each channel what was due.

use std::collections::HashMap;

use super::membership::{Memberships, Story};
use super::operations::{Asked, Operation, Operations, answer};
use crate::history::{Channel, History, Op, Person, Record};

/// Whose a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Membership decides.
    Course,
    /// One cadet's: theirs and the staff's, all of it, but for the time in which a person was not approved.
    Cadet,
    /// One person's own; none when the roster does not know them.
    User(Option<Person>),
    /// Not judged: the bench neither grants nor revokes here.
    Other,
}

/// One id of the log and what the first record that named it said.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its place in the total order.
    pub id: u64,
    /// Absent only while the table is built.
    pub channel: Option<Channel>,
    /// The operation that caused it.
    pub op: Option<Op>,
    /// A publisher was told this id.
    pub acked: bool,
    /// Absent for a membership change that nobody received.
    pub seq: Option<u64>,
    /// As published, or as first received.
    pub mark: Option<u64>,
    /// As told to the publisher, or as first received.
    pub recorded_at_ms: Option<i64>,
}

/// An event that readers of its channel must get.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Its id.
    pub id: u64,
    /// A publisher was told so, or the host platform's own database.
    pub acked: bool,
}

/// Two operations that were told the same id.
pub struct Clash {
    /// The id.
    pub id: u64,
    /// Who was told first, and who later.
    pub ops: (Op, Op),
}

/// Everything the rules look up.
pub struct Truth<'h> {
    /// The run.
    pub history: &'h History,
    /// What was asked and answered.
    pub operations: Operations,
    /// Who belonged where.
    pub memberships: Memberships,
    /// Each known id above the first head, rising.
    pub log: Vec<Known>,
    /// Ids that were given out twice.
    pub clashes: Vec<Clash>,
    /// By channel, rising ids.
    pub due: Vec<Vec<Due>>,
    /// By channel.
    pub kinds: Vec<Kind>,
    /// By person; a channel that no record names has a number above the history's own.
    pub user_channels: Vec<Channel>,
    /// No cursor may lie above this: the highest proven id, and one more for each operation whose fate is unknown.
    pub highest_possible: u64,
    /// The ids of all cadets' events, rising.
    pub of_cadets: Vec<u64>,
}

// === impl Truth ===

impl<'h> Truth<'h> {
    /// Reads the truth out of a sound history.
    pub fn new(history: &'h History) -> Self {
        let operations = Operations::new(history);
        let memberships = Memberships::new(history, &operations);
        let (kinds, user_channels) = whose(history);
        let log = known_ids(history);
        let channel_count = user_channels.iter().map(|channel| *channel as usize + 1).max();
        let due = vec![Vec::new(); channel_count.unwrap_or(0).max(history.channels.len())];
        let unknown = operations.iter().filter(|(_, operation)| operation.is_unknown()).count() as u64;
        let highest = log.last().map_or(history.first_head, |known| known.id);
        let highest_possible = highest.saturating_add(unknown);
        let clashes = Vec::new();
        let of_cadets = Vec::new();
        let mut truth =
            Self { history, operations, memberships, log, clashes, due, kinds, user_channels, highest_possible, of_cadets };
        truth.fill_from_answers();
        truth.fill_from_deliveries();
        truth.collect_due();
        truth
    }

    /// When a person was approved, if that ever changed: the story of the cadet's channel that they read.
    pub fn approval(&self, person: Person) -> Option<&Story> {
        let stories = self.memberships.of(person).iter();
        let mut cadets = stories.filter(|(channel, _)| self.kinds[*channel as usize] == Kind::Cadet);
        cadets.find(|(_, story)| story.ever_changed()).map(|(_, story)| story)
    }

    /// Where an id stands in the log table.
    pub fn index(&self, id: u64) -> Option<usize> {
        // Ids are dense unless the server broke that promise, so the guess nearly always hits.
        let guess = usize::try_from(id.checked_sub(self.history.first_head + 1)?).ok()?;
        if self.log.get(guess).is_some_and(|known| known.id == id) {
            return Some(guess);
        }
        self.log.binary_search_by_key(&id, |known| known.id).ok()
    }

    /// How many known events have an id up to this one.
    pub fn rank(&self, id: u64) -> usize {
        self.log.partition_point(|known| known.id <= id)
    }

    /// The channel in which an operation's event appears: a membership change is told to the person.
    pub fn event_channel(&self, operation: &Operation) -> Channel {
        match operation.asked {
            Asked::Publish { .. } | Asked::Row { .. } | Asked::Sheet { .. } => operation.channel,
            Asked::Membership { person, .. } => self.user_channels[person as usize],
        }
    }

    /// A channel's name; an unnamed one is somebody's `user:` channel.
    pub fn channel_name(&self, channel: Channel) -> String {
        let name = self.history.channels.get(channel as usize).cloned();
        name.unwrap_or_else(|| format!("user channel number {channel}"))
    }

    /// A person as the roster spells them.
    pub fn person_name(&self, person: Person) -> &'h str {
        &self.history.people[person as usize]
    }

    fn fill_from_answers(&mut self) {
        let answers = self.history.records.iter().filter_map(answer);
        for (op, answer) in answers {
            let Some(index) = answer.id.and_then(|id| self.index(id)) else { continue };
            let Some(operation) = self.operations.get(op) else { continue };
            let channel = self.event_channel(operation);
            let known = &mut self.log[index];
            match known.op {
                Some(first) if first != op => self.clashes.push(Clash { id: known.id, ops: (first, op) }),
                Some(_) => {}
                None => {
                    known.channel = Some(channel);
                    known.op = Some(op);
                    known.acked = true;
                    known.seq = answer.seq;
                    known.recorded_at_ms = answer.recorded_at_ms;
                    if let Asked::Publish { mark } = operation.asked {
                        known.mark = Some(mark);
                    }
                }
            }
        }
    }

    fn fill_from_deliveries(&mut self) {
        for record in &self.history.records {
            let Record::Event { id, channel, seq, mark, recorded_at_ms, .. } = *record else { continue };
            let Some(index) = self.index(id) else { continue };
            let known = &mut self.log[index];
            if known.channel.is_none() {
                known.channel = Some(channel);
                known.op = self.operations.by_mark(mark);
            }
            if known.channel == Some(channel) {
                known.seq.get_or_insert(seq);
                known.mark.get_or_insert(mark);
                known.recorded_at_ms.get_or_insert(recorded_at_ms);
            }
        }
    }

    /// An event without an answer is due as well once somebody received what was published; a forgery is not.
    fn collect_due(&mut self) {
        for known in &self.log {
            let Some(channel) = known.channel else { continue };
            let operation = known.op.and_then(|op| self.operations.get(op));
            let published = operation.is_some_and(|operation| !operation.refused && operation.channel == channel);
            let row = published && operation.is_some_and(Operation::is_row);
            if known.acked || published {
                self.due[channel as usize].push(Due { id: known.id, acked: known.acked || row });
            }
        }
        let is_of_cadet = |known: &&Known| known.channel.is_some_and(|channel| self.kinds[channel as usize] == Kind::Cadet);
        self.of_cadets = self.log.iter().filter(is_of_cadet).map(|known| known.id).collect();
    }
}

/// Whether a channel is a cadet's.
pub fn is_cadets(channel: &str) -> bool {
    channel.starts_with("cadet:")
}

fn whose(history: &History) -> (Vec<Kind>, Vec<Channel>) {
    let people: HashMap<&str, Person> = history.people.iter().map(String::as_str).zip(0..).collect();
    let kind = |name: &String| match name.split_once(':') {
        Some(("course", _)) => Kind::Course,
        _ if is_cadets(name) => Kind::Cadet,
        Some(("user", person)) => Kind::User(people.get(person).copied()),
        _ => Kind::Other,
    };
    let kinds: Vec<Kind> = history.channels.iter().map(kind).collect();
    let listed = kinds.iter().zip(0..).filter_map(|(kind, channel)| match kind {
        Kind::User(person) => person.map(|person| (person, channel)),
        _ => None,
    });
    let listed: HashMap<Person, Channel> = listed.collect();
    let mut unlisted = (history.channels.len() as Channel)..;
    let own = (0..history.people.len() as Person).map(|person| listed.get(&person).copied().or_else(|| unlisted.next()));
    (kinds, own.flatten().collect())
}

fn known_ids(history: &History) -> Vec<Known> {
    let named = history.records.iter().filter_map(|record| match *record {
        Record::Event { id, .. } => Some(id),
        _ => answer(record).and_then(|(_, answer)| answer.id),
    });
    let mut ids: Vec<u64> = named.filter(|id| *id > history.first_head).collect();
    ids.sort_unstable();
    ids.dedup();
    let blank = |id| Known { id, channel: None, op: None, acked: false, seq: None, mark: None, recorded_at_ms: None };
    ids.into_iter().map(blank).collect()
}
