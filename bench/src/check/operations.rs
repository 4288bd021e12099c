//! What publishers asked for and were told: one row for each operation, with the first answer it got.

use std::collections::HashMap;

use crate::history::{Change, Channel, Column, History, Op, Person, Record};

/// What an operation asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// A publish whose content has this mark.
    Publish { mark: u64 },
    /// A registration or withdrawal, or an approval and its end.
    Membership { person: Person, change: Change },
    /// A row that the host platform wrote, with this mark.
    Row { mark: u64 },
    /// Points to add to a sheet.
    Sheet { grader: Person, column: Column, points: i64 },
}

/// A positive answer. That of a membership or a sheet carries no seq and no instant, and no id when nothing changed.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When it arrived.
    pub at_us: u64,
    /// The event that it caused.
    pub id: Option<u64>,
    /// The event's place in its channel.
    pub seq: Option<u64>,
    /// The event's instant.
    pub recorded_at_ms: Option<i64>,
}

/// One publish or membership change.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// When the first attempt left.
    pub sent_at_us: u64,
    /// The channel published to, or the course whose membership changes.
    pub channel: Channel,
    /// What it asked for.
    pub asked: Asked,
    /// The first positive answer.
    pub answer: Option<Answer>,
    /// Refused for good, or rolled back.
    pub refused: bool,
}

/// All operations by number.
pub struct Operations {
    rows: Vec<Option<Operation>>,
    by_mark: HashMap<u64, Op>,
}

// === impl Answer ===

impl Answer {
    /// Whether two answers to one operation say the same.
    pub fn agrees(&self, other: &Answer) -> bool {
        (self.id, self.seq, self.recorded_at_ms) == (other.id, other.seq, other.recorded_at_ms)
    }
}

// === impl Operation ===

impl Operation {
    /// Neither answered nor refused: it may or may not have happened.
    pub fn is_unknown(&self) -> bool {
        self.answer.is_none() && !self.refused && !self.is_row()
    }

    /// Whether it is a row of the host platform, whose fate its own database told.
    pub fn is_row(&self) -> bool {
        matches!(self.asked, Asked::Row { .. })
    }
}

// === impl Operations ===

impl Operations {
    /// Reads them out of the records.
    pub fn new(history: &History) -> Self {
        let mut operations = Self { rows: Vec::new(), by_mark: HashMap::new() };
        for record in &history.records {
            match *record {
                Record::PublishSent { at_us, op, channel, mark } => {
                    operations.by_mark.insert(mark, op);
                    operations.send(op, at_us, channel, Asked::Publish { mark });
                }
                Record::MemberSent { at_us, op, person, channel, change } => {
                    operations.send(op, at_us, channel, Asked::Membership { person, change });
                }
                Record::RowWritten { at_us, op, channel, mark, committed } => {
                    operations.by_mark.insert(mark, op);
                    operations.send(op, at_us, channel, Asked::Row { mark });
                    operations.rows[op as usize].iter_mut().for_each(|row| row.refused = !committed);
                }
                Record::SheetSent { at_us, op, person, channel, column, points } => {
                    operations.send(op, at_us, channel, Asked::Sheet { grader: person, column, points });
                }
                Record::PublishRefused { op, .. } | Record::SheetRefused { op, .. } => {
                    operations.rows[op as usize].iter_mut().for_each(|row| row.refused = true);
                }
                _ => {
                    if let Some((op, answer)) = answer(record) {
                        operations.rows[op as usize].iter_mut().for_each(|row| {
                            row.answer.get_or_insert(answer);
                        });
                    }
                }
            }
        }
        operations
    }

    fn send(&mut self, op: Op, sent_at_us: u64, channel: Channel, asked: Asked) {
        let index = op as usize;
        if self.rows.len() <= index {
            self.rows.resize(index + 1, None);
        }
        self.rows[index] = Some(Operation { sent_at_us, channel, asked, answer: None, refused: false });
    }

    /// The operation of a number.
    pub fn get(&self, op: Op) -> Option<&Operation> {
        self.rows.get(op as usize)?.as_ref()
    }

    /// The publish or row whose content has this mark.
    pub fn by_mark(&self, mark: u64) -> Option<Op> {
        self.by_mark.get(&mark).copied()
    }

    /// All of them with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Op, &Operation)> {
        let numbered = self.rows.iter().zip(0..);
        numbered.filter_map(|(row, op)| row.as_ref().map(|row| (op, row)))
    }
}

/// The positive answer that a record is, if it is one.
pub fn answer(record: &Record) -> Option<(Op, Answer)> {
    match *record {
        Record::PublishAcked { at_us, op, id, seq, recorded_at_ms } => {
            Some((op, Answer { at_us, id: Some(id), seq: Some(seq), recorded_at_ms: Some(recorded_at_ms) }))
        }
        Record::MemberAcked { at_us, op, id } => Some((op, Answer { at_us, id, seq: None, recorded_at_ms: None })),
        Record::SheetAcked { at_us, op, id, .. } => Some((op, Answer { at_us, id: Some(id), seq: None, recorded_at_ms: None })),
        _ => None,
    }
}
