//! The rows that the host platform wrote: each committed one is one event for everybody who is due it, of the others nothing is heard.

use std::collections::{BTreeSet, HashMap};

use super::membership::Standing;
use super::operations::Asked;
use super::report::Tallies;
use super::rules::Rule;
use super::truth::Truth;
use crate::history::{Change, Channel, Conn, Person, Record};

/// What was heard of one mark.
#[derive(Default)]
struct Heard {
    ids: BTreeSet<u64>,
    times: HashMap<Person, u64>,
}

/// All that was heard, by mark, and from which id on each person listened.
#[derive(Default)]
struct Hearing {
    by_mark: HashMap<u64, Heard>,
    starts: HashMap<Person, u64>,
}

/// Judges every row.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    let rows = || {
        truth.operations.iter().filter_map(|(_, operation)| match operation.asked {
            Asked::Row { mark } => Some((operation, mark)),
            _ => None,
        })
    };
    if rows().next().is_none() {
        return;
    }
    let hearing = Hearing::of(truth);
    let readers = readers(truth);
    for (operation, mark) in rows() {
        let heard = hearing.by_mark.get(&mark);
        if operation.refused {
            tallies.chances(Rule::SyncNoRolledBack, 1);
            if let Some(heard) = heard {
                let channel = truth.channel_name(operation.channel);
                tallies.violation(Rule::SyncNoRolledBack, || {
                    format!("a row of {channel} was rolled back and delivered as {:?}", heard.ids)
                });
            }
            continue;
        }
        let readers = readers.get(&operation.channel).map_or(&[][..], Vec::as_slice);
        one_event(truth, operation.channel, heard, tallies);
        if let Some(heard) = heard {
            readers
                .iter()
                .for_each(|&reader| once(truth, operation.channel, heard, reader, hearing.starts.get(&reader), tallies));
        }
    }
}

fn one_event(truth: &Truth, channel: Channel, heard: Option<&Heard>, tallies: &mut Tallies) {
    tallies.chances(Rule::SyncExactlyOnce, 1);
    let ids = heard.map_or(0, |heard| heard.ids.len());
    if ids != 1 {
        tallies.violation(Rule::SyncExactlyOnce, || {
            let ids = heard.map(|heard| &heard.ids);
            format!(
                "a committed row of {} became {} events: {ids:?}",
                truth.channel_name(channel),
                ids.map_or(0, BTreeSet::len)
            )
        });
    }
}

/// One reader of the row's channel, who listened from `start` on.
fn once(truth: &Truth, channel: Channel, heard: &Heard, person: Person, start: Option<&u64>, tallies: &mut Tallies) {
    let (Some(&start), Some(&id)) = (start, heard.ids.first()) else { return };
    let Some(story) = truth.memberships.story(person, channel) else { return };
    let Standing::Member { later } = story.standing(id) else { return };
    if id <= start {
        return;
    }
    let times = heard.times.get(&person).copied().unwrap_or(0);
    // Whoever was sent away before they heard of it hears of it once they are back, and nobody hears it twice.
    let comes_back = later.last().is_none_or(|change| change.change == Change::Grant);
    let least = u64::from(comes_back && !story.is_unsettled());
    tallies.chances(Rule::SyncExactlyOnce, 1);
    if !(least..=1).contains(&times) {
        tallies.violation(Rule::SyncExactlyOnce, || {
            format!("{} got id {id} of {} {times} times", truth.person_name(person), truth.channel_name(channel))
        });
    }
}

/// Who reads each channel.
fn readers(truth: &Truth) -> HashMap<Channel, Vec<Person>> {
    let mut readers: HashMap<Channel, Vec<Person>> = HashMap::new();
    for &(person, channel) in &truth.history.registered {
        readers.entry(channel).or_default().push(person);
    }
    readers
}

// === impl Hearing ===

impl Hearing {
    fn of(truth: &Truth) -> Self {
        let mut hearing = Self::default();
        let mut owners: HashMap<Conn, Person> = HashMap::new();
        for record in &truth.history.records {
            match *record {
                Record::Connect { conn, person, since, .. } => {
                    owners.insert(conn, person);
                    if let Some(since) = since {
                        hearing.starts.entry(person).or_insert(since);
                    }
                }
                Record::Established { conn, head, .. } => {
                    if let Some(&person) = owners.get(&conn) {
                        hearing.starts.entry(person).or_insert(head);
                    }
                }
                Record::Event { conn, id, mark, .. } => {
                    let heard = hearing.by_mark.entry(mark).or_default();
                    heard.ids.insert(id);
                    if let Some(&person) = owners.get(&conn) {
                        *heard.times.entry(person).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        hearing
    }
}
