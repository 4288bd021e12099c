//! The faults that the checker must find in a host platform's run, each with the rule that must find it.

use std::collections::HashMap;

use super::platform::CADETS;
use super::scene::set;
use crate::check::rules::Rule;
use crate::history::{Change, Channel, Column, Conn, History, Person, Record};

/// The fault in words, the rule that must find it, and how it is planted.
type Fault = (&'static str, Rule, fn(&mut History));

/// All of them.
pub const FAULTS: &[Fault] = &[
    ("a committed row becomes two events", Rule::SyncExactlyOnce, |history| {
        let row = row(history, true);
        let staff = deliveries(history, row.0).into_iter().find(|place| place.person >= CADETS).unwrap();
        append_as_new(history, staff);
    }),
    ("a committed row becomes no event", Rule::SyncExactlyOnce, |history| {
        let op = 1 + history.records.iter().filter_map(op_of_row).max().unwrap();
        history.records.push(Record::RowWritten { at_us: u64::MAX, op, channel: 7, mark: 1, committed: true });
    }),
    ("a cadet misses a row that staff get", Rule::SyncExactlyOnce, |history| {
        let row = row(history, true);
        let own = deliveries(history, row.0).into_iter().find(|place| place.person < CADETS).unwrap();
        history.records.remove(own.index);
    }),
    ("one of the staff gets a row twice", Rule::SyncExactlyOnce, |history| {
        let row = row(history, true);
        let staff = deliveries(history, row.0).into_iter().find(|place| place.person >= CADETS).unwrap();
        let again = history.records[staff.index].clone();
        history.records.insert(staff.index + 1, again);
    }),
    ("somebody who came back misses a row from before they were sent away", Rule::SyncExactlyOnce, |history| {
        let (person, sent_away, _) = absence(history);
        let before = |place: &Place| place.person == person && place.channel == person && place.id < sent_away;
        let lost: Vec<u64> = all_rows(history, true).into_iter().map(|row| row.0).collect();
        let lost = lost.into_iter().flat_map(|mark| deliveries(history, mark)).filter(before).max_by_key(|place| place.id);
        history.records.remove(lost.unwrap().index);
    }),
    ("a row that was delivered was rolled back", Rule::SyncNoRolledBack, |history| {
        let (mark, _) = row(history, true);
        for record in &mut history.records {
            if let Record::RowWritten { mark: other, committed, .. } = record {
                *committed &= *other != mark;
            }
        }
    }),
    ("a rolled-back row is delivered at the end", Rule::SyncNoRolledBack, |history| {
        let (mark, channel) = row(history, false);
        let sample = all_rows(history, true).into_iter().find(|row| row.1 == channel).unwrap();
        let own = deliveries(history, sample.0).into_iter().find(|place| place.person < CADETS).unwrap();
        append_as_new(history, own);
        set!(history.records.last_mut().unwrap(), Event { mark = mark });
    }),
    ("a cadet hears another cadet's event live", Rule::OwnCadetOnly, |history| hear_foreign(history, false)),
    ("a cadet hears another cadet's event in a replay", Rule::OwnCadetOnly, |history| hear_foreign(history, true)),
    ("the last acknowledged change is missing from the sheet", Rule::NoLostUpdate, |history| {
        shift_last_reading(history, -1);
    }),
    ("a refused change is in the sheet", Rule::NoLostUpdate, |history| shift_last_reading(history, 3)),
    ("two graders are told the same version", Rule::NoLostUpdate, |history| {
        let channels: HashMap<u32, Channel> = history
            .records
            .iter()
            .filter_map(|record| match *record {
                Record::SheetSent { op, channel, .. } => Some((op, channel)),
                _ => None,
            })
            .collect();
        let mut first = None;
        for record in &mut history.records {
            if let Record::SheetAcked { op, version, .. } = record {
                match first {
                    None => first = Some((*op, *version)),
                    Some((other, told)) if other != *op && channels[&other] == channels[op] => {
                        *version = told;
                        return;
                    }
                    Some(_) => {}
                }
            }
        }
        panic!("no two changes of one sheet");
    }),
    ("an event reaches somebody live after their approval was taken away", Rule::NothingToUnapproved, |history| {
        let (person, after, through) = absence(history);
        let forged = meanwhile(history, person, after, through);
        let owners = owners(history);
        // The connection that the un-approval ended.
        let left = (0..history.records.len()).rev().find(|index| match history.records[*index] {
            Record::Disconnect { conn, .. } => owners[&conn] == person && head_before(history, *index) <= through,
            _ => false,
        });
        let left = left.unwrap();
        let Record::Disconnect { conn, .. } = history.records[left] else { unreachable!() };
        history.records.insert(left, on(forged, conn));
    }),
    ("what was told meanwhile reaches somebody after they are approved again", Rule::NothingToUnapproved, |history| {
        let (person, after, through) = absence(history);
        let forged = meanwhile(history, person, after, through);
        let owners = owners(history);
        let back = history.records.iter().position(
            |record| matches!(*record, Record::Established { conn, head, .. } if owners[&conn] == person && head >= through),
        );
        let back = back.unwrap();
        let Record::Established { conn, .. } = history.records[back] else { unreachable!() };
        history.records.insert(back + 1, on(forged, conn));
    }),
];

#[derive(Clone, Copy)]
struct Place {
    index: usize,
    person: Person,
    channel: Channel,
    id: u64,
}

fn owners(history: &History) -> HashMap<Conn, Person> {
    let connects = history.records.iter().filter_map(|record| match *record {
        Record::Connect { conn, person, .. } => Some((conn, person)),
        _ => None,
    });
    connects.collect()
}

fn op_of_row(record: &Record) -> Option<u32> {
    match *record {
        Record::RowWritten { op, .. } => Some(op),
        _ => None,
    }
}

/// Marks and channels.
fn all_rows(history: &History, wanted: bool) -> Vec<(u64, Channel)> {
    let rows = history.records.iter().filter_map(|record| match *record {
        Record::RowWritten { mark, channel, committed, .. } if committed == wanted => Some((mark, channel)),
        _ => None,
    });
    rows.collect()
}

/// A row from the middle of the run, of a cadet who is never sent away.
fn row(history: &History, committed: bool) -> (u64, Channel) {
    let rows: Vec<_> = all_rows(history, committed).into_iter().filter(|(_, channel)| *channel > 5).collect();
    rows[rows.len() / 2]
}

fn deliveries(history: &History, wanted: u64) -> Vec<Place> {
    let owners = owners(history);
    let places = history.records.iter().enumerate().filter_map(|(index, record)| match *record {
        Record::Event { conn, id, channel, mark, .. } if mark == wanted => {
            Some(Place { index, person: owners[&conn], channel, id })
        }
        _ => None,
    });
    places.collect()
}

/// Delivers a copy once more on the person's last connection, as the newest event of the log.
fn append_as_new(history: &mut History, place: Place) {
    let owners = owners(history);
    let last = history.records.iter().rev().find_map(|record| match *record {
        Record::Cursor { conn, .. } if owners[&conn] == place.person => Some(conn),
        _ => None,
    });
    let highest = highest(&history.records) + 1;
    let mut copy = on(history.records[place.index].clone(), last.unwrap());
    set!(&mut copy, Event { id = highest });
    history.records.push(copy);
}

fn highest(records: &[Record]) -> u64 {
    let told = records.iter().filter_map(|record| match *record {
        Record::Event { id, .. } => Some(id),
        Record::Cursor { cursor, .. } => Some(cursor),
        _ => None,
    });
    told.max().unwrap_or(0)
}

fn head_before(history: &History, index: usize) -> u64 {
    highest(&history.records[..index])
}

fn on(mut record: Record, to: Conn) -> Record {
    set!(&mut record, Event { conn = to });
    record
}

fn hear_foreign(history: &mut History, replayed: bool) {
    let owners = owners(history);
    let resumed: HashMap<Conn, bool> = history
        .records
        .iter()
        .filter_map(|record| match *record {
            Record::Connect { conn, since, .. } => Some((conn, since.is_some())),
            _ => None,
        })
        .collect();
    // Whoever resumes does so after the first quarter; only first connections have no cursor.
    let begin = if replayed { history.records.len() / 4 } else { 0 };
    let heard = (begin..history.records.len()).find_map(|index| match history.records[index] {
        Record::Event { conn, id, channel, .. } if owners[&conn] >= 6 && owners[&conn] < CADETS && channel < CADETS => {
            (resumed[&conn] == replayed).then_some((index, conn, id, channel))
        }
        _ => None,
    });
    let (index, conn, id, channel) = heard.unwrap();
    let foreign = history.records.iter().find_map(|record| match *record {
        Record::Event { id: other, channel: elsewhere, .. } if other > id && elsewhere != channel && elsewhere < CADETS => {
            Some(record.clone())
        }
        _ => None,
    });
    history.records.insert(index + 1, on(foreign.unwrap(), conn));
}

fn shift_last_reading(history: &mut History, by: i64) {
    let reading = history.records.iter_mut().rev().find_map(|record| match record {
        Record::SheetRead { column: Column::FinalScore, points, .. } => Some(points),
        _ => None,
    });
    *reading.unwrap() += by;
}

/// Somebody's un-approval with the approval that follows, with events of theirs in between.
fn absence(history: &History) -> (Person, u64, u64) {
    let mut asked = HashMap::new();
    let mut away: HashMap<Person, u64> = HashMap::new();
    let mut absences = Vec::new();
    for record in &history.records {
        match *record {
            Record::MemberSent { op, person, change, .. } => drop(asked.insert(op, (person, change))),
            Record::MemberAcked { op, id: Some(id), .. } => match asked[&op] {
                (person, Change::Revoke) => drop(away.insert(person, id)),
                (person, Change::Grant) => absences.push((person, away[&person], id)),
            },
            _ => {}
        }
    }
    let told = |(person, after, through): &(Person, u64, u64)| {
        history.records.iter().any(
            |record| matches!(*record, Record::Event { id, channel, .. } if channel == *person && id > *after && id < *through),
        )
    };
    // The last: before it there was something to miss.
    absences.into_iter().rfind(told).unwrap()
}

/// An event of their own sheet that staff got while they were away.
fn meanwhile(history: &History, person: Person, after: u64, through: u64) -> Record {
    let told = history.records.iter().find(
        |record| matches!(**record, Record::Event { id, channel, .. } if channel == person && id > after && id < through),
    );
    told.unwrap().clone()
}
