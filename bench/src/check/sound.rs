//! Whether the records fit together at all; the other rules index by them without looking again.

use std::collections::HashSet;

use super::report::Tallies;
use super::rules::Rule;
use crate::history::{History, Record};

/// Operations and connections are numbered densely from 0, so that tables stay small: a number far above the record count is a fault.
const NUMBERS_PER_RECORD_MAX: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    Publish,
    Membership,
    Sheet,
}

struct Sound<'h> {
    history: &'h History,
    operations: Vec<Seen>,
    connections: Vec<bool>,
    marks: HashSet<u64>,
}

/// True when the history can be judged.
pub fn check(history: &History, tallies: &mut Tallies) -> bool {
    tallies.chances(Rule::RecordsSound, history.records.len() as u64);
    let mut sound = Sound { history, operations: Vec::new(), connections: Vec::new(), marks: HashSet::new() };
    let mut faults = 0_u64;
    let mut tell = |fault: String| {
        faults += 1;
        tallies.violation(Rule::RecordsSound, || fault);
    };
    roster(history).into_iter().for_each(&mut tell);
    for (index, record) in history.records.iter().enumerate() {
        if let Err(fault) = sound.record(record) {
            tell(format!("record {index}: {fault}: {record:?}"));
        }
    }
    faults == 0
}

fn roster(history: &History) -> Option<String> {
    let names: HashSet<&String> = history.channels.iter().collect();
    let people: HashSet<&String> = history.people.iter().collect();
    if names.len() < history.channels.len() || people.len() < history.people.len() {
        return Some("a channel or a person is listed twice".to_owned());
    }
    let lost = history
        .registered
        .iter()
        .find(|(person, channel)| *person as usize >= history.people.len() || *channel as usize >= history.channels.len());
    lost.map(|pair| format!("registration {pair:?} names nobody or nothing"))
}

// === impl Sound ===

impl Sound<'_> {
    fn record(&mut self, record: &Record) -> Result<(), &'static str> {
        match *record {
            Record::PublishSent { op, channel, mark, .. } | Record::RowWritten { op, channel, mark, .. } => {
                self.channel(channel)?;
                self.send(op, Seen::Publish)?;
                ensure(self.marks.insert(mark), "its mark is not unique")
            }
            Record::MemberSent { op, person, channel, .. } => {
                self.channel(channel)?;
                self.person(person)?;
                self.send(op, Seen::Membership)
            }
            Record::PublishAcked { op, .. } | Record::PublishRefused { op, .. } => self.sent(op, Seen::Publish),
            Record::MemberAcked { op, .. } => self.sent(op, Seen::Membership),
            Record::SheetSent { op, person, channel, .. } => {
                self.channel(channel)?;
                self.person(person)?;
                self.send(op, Seen::Sheet)
            }
            Record::SheetAcked { op, .. } | Record::SheetRefused { op, .. } => self.sent(op, Seen::Sheet),
            Record::SheetRead { channel, .. } => self.channel(channel),
            Record::Connect { conn, person, .. } => {
                self.person(person)?;
                self.open(conn)
            }
            Record::Event { conn, channel, .. } => {
                self.channel(channel)?;
                self.opened(conn)
            }
            Record::Established { conn, .. }
            | Record::Rewind { conn, .. }
            | Record::Gap { conn, .. }
            | Record::Cursor { conn, .. }
            | Record::ReplayComplete { conn, .. }
            | Record::Disconnect { conn, .. } => self.opened(conn),
            Record::Killed { .. } | Record::Restarted { .. } => Ok(()),
        }
    }

    fn numbers_max(&self) -> usize {
        self.history.records.len() * NUMBERS_PER_RECORD_MAX
    }

    fn channel(&self, channel: u32) -> Result<(), &'static str> {
        ensure((channel as usize) < self.history.channels.len(), "no such channel")
    }

    fn person(&self, person: u32) -> Result<(), &'static str> {
        ensure((person as usize) < self.history.people.len(), "no such person")
    }

    fn send(&mut self, op: u32, kind: Seen) -> Result<(), &'static str> {
        let op = op as usize;
        ensure(op < self.numbers_max(), "operations are not numbered densely")?;
        if self.operations.len() <= op {
            self.operations.resize(op + 1, Seen::No);
        }
        let earlier = std::mem::replace(&mut self.operations[op], kind);
        ensure(earlier == Seen::No, "this operation was sent before")
    }

    fn sent(&self, op: u32, kind: Seen) -> Result<(), &'static str> {
        ensure(self.operations.get(op as usize) == Some(&kind), "no such operation was sent")
    }

    fn open(&mut self, conn: u32) -> Result<(), &'static str> {
        let conn = conn as usize;
        ensure(conn < self.numbers_max(), "connections are not numbered densely")?;
        if self.connections.len() <= conn {
            self.connections.resize(conn + 1, false);
        }
        ensure(!std::mem::replace(&mut self.connections[conn], true), "this connection was opened before")
    }

    fn opened(&self, conn: u32) -> Result<(), &'static str> {
        ensure(self.connections.get(conn as usize) == Some(&true), "no such connection was opened")
    }
}

fn ensure(holds: bool, fault: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(fault) }
}
