//! The way through the records person by person, so that only one person's connections are in memory at a time.

use std::collections::HashMap;

use super::journey::Journey;
use super::membership::Story;
use super::reader::{Arrival, Completed, Desk, Lane, Reader, Span};
use super::report::Tallies;
use super::truth::Truth;
use crate::history::{Conn, History, Person, Record};

static OWN_CHANNEL: Story = Story::always();

/// Judges every person's connections.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    let (order, ends) = by_person(truth.history);
    let mut begin = 0;
    for (person, end) in (0..).zip(ends) {
        let lanes = lanes(truth, person);
        let mut walk = Walk { readers: Vec::new(), by_conn: HashMap::new(), journey: Journey::default() };
        let mut desk = Desk { truth, person, lanes: &lanes, tallies };
        for index in &order[begin..end] {
            walk.record(&mut desk, &truth.history.records[*index as usize]);
        }
        walk.finish(&mut desk);
        begin = end;
    }
}

/// The places of all connection records, grouped by person and otherwise in their order, and where each group ends.
fn by_person(history: &History) -> (Vec<u32>, Vec<usize>) {
    let owners = owners(history);
    let owner = |record: &Record| conn_of(record).map(|conn| owners[conn as usize] as usize);
    let mut ends = vec![0; history.people.len()];
    history.records.iter().filter_map(owner).for_each(|person| ends[person] += 1);
    let mut total = 0;
    let mut next: Vec<usize> = Vec::with_capacity(ends.len());
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    let mut order = vec![0; total];
    for (record, index) in history.records.iter().zip(0..) {
        if let Some(person) = owner(record) {
            order[next[person]] = index;
            next[person] += 1;
        }
    }
    (order, ends)
}

fn owners(history: &History) -> Vec<Person> {
    let mut owners = Vec::new();
    for record in &history.records {
        if let Record::Connect { conn, person, .. } = *record {
            let conn = conn as usize;
            owners.resize(owners.len().max(conn + 1), 0);
            owners[conn] = person;
        }
    }
    owners
}

fn conn_of(record: &Record) -> Option<Conn> {
    match *record {
        Record::Connect { conn, .. }
        | Record::Established { conn, .. }
        | Record::Event { conn, .. }
        | Record::Rewind { conn, .. }
        | Record::Gap { conn, .. }
        | Record::Cursor { conn, .. }
        | Record::ReplayComplete { conn, .. }
        | Record::Disconnect { conn, .. } => Some(conn),
        _ => None,
    }
}

fn lanes<'t>(truth: &'t Truth, person: Person) -> Vec<Lane<'t>> {
    let own = (truth.user_channels[person as usize], truth.approval(person).unwrap_or(&OWN_CHANNEL));
    let courses = truth.memberships.of(person).iter().map(|(channel, story)| (*channel, story));
    let lane = |(channel, story)| Lane { channel, story, due: &truth.due[channel as usize] };
    courses.chain([own]).map(lane).collect()
}

struct Walk {
    /// In the order in which they were opened.
    readers: Vec<Reader>,
    by_conn: HashMap<Conn, usize>,
    journey: Journey,
}

// === impl Walk ===

impl Walk {
    fn record(&mut self, desk: &mut Desk, record: &Record) {
        if let Record::Connect { at_us, conn, since, .. } = *record {
            self.by_conn.insert(conn, self.readers.len());
            self.readers.push(Reader::connect(desk, conn, at_us, since));
            if let Some(since) = since {
                self.journey.starts(conn, since, true, desk.tallies);
            }
            return;
        }
        let Some(conn) = conn_of(record) else { return };
        let Some(reader) = self.by_conn.get(&conn).map(|index| &mut self.readers[*index]) else { return };
        let at_us = match *record {
            Record::Established { at_us, head, .. } => {
                if reader.position().is_none() {
                    self.journey.starts(conn, head, false, desk.tallies);
                }
                reader.established(desk, head);
                at_us
            }
            Record::Event { at_us, id, channel, .. } => {
                self.journey.receives(id);
                reader.event(desk, Arrival { at_us, conn, id, channel });
                at_us
            }
            Record::Rewind { at_us, since, .. } => {
                reader.rewind(at_us, since);
                at_us
            }
            Record::Gap { at_us, from, to, .. } => {
                desk.tallies.gaps_told += 1;
                let told = Span { after: from, through: to };
                self.journey.gap(told, at_us, desk.truth.highest_possible);
                reader.gap(told);
                at_us
            }
            Record::Cursor { at_us, cursor, .. } => {
                reader.cursor(desk, at_us, cursor);
                at_us
            }
            Record::ReplayComplete { at_us, from, to, count, .. } => {
                reader.replay_complete(desk, Completed { at_us, from, to, count });
                at_us
            }
            _ => return,
        };
        if let Some(position) = reader.position() {
            self.journey.reaches(position, at_us);
        }
    }

    fn finish(self, desk: &mut Desk) {
        self.readers.iter().for_each(|reader| reader.finish(desk));
        self.journey.finish(desk, self.readers.last().and_then(Reader::position));
    }
}
