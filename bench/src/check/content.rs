//! What arrived, record by record: the same content under one id everywhere, nothing that nobody published, one epoch.

use super::operations::{Asked, Operation, answer};
use super::report::Tallies;
use super::rules::Rule;
use super::truth::{Kind, Known, Truth};
use crate::history::{Channel, Record, Transport};

/// What a delivered event said.
#[derive(Clone, Copy)]
struct Delivered {
    id: u64,
    channel: Channel,
    seq: u64,
    mark: u64,
    recorded_at_ms: i64,
}

/// The last kill, and how far acknowledgements had come.
#[derive(Clone, Copy)]
struct Kill {
    at_us: u64,
    acked_id: u64,
}

struct Content<'t, 'h> {
    truth: &'t Truth<'h>,
    /// By place in the log table.
    seen: Vec<bool>,
    kill: Option<Kill>,
    tallies: &'t mut Tallies,
}

/// Judges every delivery by itself.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    usage(truth, tallies);
    let mut acked_id = truth.history.first_head;
    let mut content = Content { truth, seen: vec![false; truth.log.len()], kill: None, tallies };
    for record in &truth.history.records {
        match *record {
            Record::Event { id, channel, seq, mark, recorded_at_ms, .. } => {
                content.delivered(Delivered { id, channel, seq, mark, recorded_at_ms });
            }
            Record::Killed { at_us } => content.kill = Some(Kill { at_us, acked_id }),
            _ => {
                let id = answer(record).and_then(|(_, answer)| answer.id);
                acked_id = acked_id.max(id.unwrap_or(0));
            }
        }
    }
}

/// One epoch, and each transport in use.
fn usage(truth: &Truth, tallies: &mut Tallies) {
    let mut transports: Vec<Option<Transport>> = Vec::new();
    let mut delivered = [0_u64; 3];
    let mut epochs = None;
    for record in &truth.history.records {
        match *record {
            Record::Connect { conn, transport, .. } => {
                let conn = conn as usize;
                transports.resize(transports.len().max(conn + 1), None);
                transports[conn] = Some(transport);
            }
            Record::Established { conn, epoch, .. } => {
                tallies.chances(Rule::EpochConstant, 1);
                let first = *epochs.get_or_insert(epoch);
                if epoch != first {
                    tallies.violation(Rule::EpochConstant, || {
                        format!("connection {conn} was told epoch {epoch}, the run began with {first}")
                    });
                }
            }
            Record::Event { conn, .. } => {
                if let Some(transport) = transports[conn as usize] {
                    delivered[transport as usize] += 1;
                }
            }
            _ => {}
        }
    }
    // The least used one is the measure: a rule about all of them had no chance where one stayed silent.
    tallies.chances(Rule::AllTransportsUsed, delivered.into_iter().min().unwrap_or(0));
}

// === impl Content ===

impl<'t> Content<'t, '_> {
    fn delivered(&mut self, event: Delivered) {
        // Below the first head lies the import, of which the bench has no records.
        let Some(index) = self.truth.index(event.id) else { return };
        let known = &self.truth.log[index];
        let seen_before = std::mem::replace(&mut self.seen[index], true);
        if known.acked || seen_before {
            self.tallies.chances(Rule::OneIdOneContent, 1);
        }
        if let Some(difference) = self.difference(known, event) {
            self.tallies.violation(Rule::OneIdOneContent, || difference);
        }
        self.published(known, event);
        self.survived(known, event);
    }

    fn operation(&self, known: &Known) -> Option<&'t Operation> {
        known.op.and_then(|op| self.truth.operations.get(op))
    }

    fn difference(&self, known: &Known, event: Delivered) -> Option<String> {
        let Delivered { id, channel, seq, mark, recorded_at_ms } = event;
        if known.channel != Some(channel) {
            let (elsewhere, here) =
                (known.channel.map(|channel| self.truth.channel_name(channel)), self.truth.channel_name(channel));
            return Some(format!("id {id} is of {} and arrived in {here}", elsewhere.unwrap_or_default()));
        }
        if known.seq.is_some_and(|known| known != seq) {
            return Some(format!("id {id} has seq {:?} and arrived with seq {seq}", known.seq));
        }
        if known.mark.is_some_and(|known| known != mark) {
            return Some(format!("id {id} arrived with other content (mark {mark:x}, not {:x?})", known.mark));
        }
        let other_instant = known.recorded_at_ms.is_some_and(|known| known != recorded_at_ms);
        other_instant.then(|| format!("id {id} was recorded at {:?} and arrived with {recorded_at_ms}", known.recorded_at_ms))
    }

    fn published(&mut self, known: &Known, event: Delivered) {
        let kind = self.truth.kinds[event.channel as usize];
        if kind == Kind::Other {
            return;
        }
        self.tallies.chances(Rule::NothingInvented, 1);
        let own = self
            .operation(known)
            .filter(|operation| matches!(operation.asked, Asked::Publish { mark } | Asked::Row { mark } if mark == event.mark));
        let operation = own.or_else(|| self.truth.operations.get(self.truth.operations.by_mark(event.mark)?));
        match operation {
            Some(operation) if operation.refused => {
                self.tallies
                    .violation(Rule::NothingInvented, || format!("id {} was delivered, but its publish was refused", event.id));
            }
            Some(_) => {}
            None if self.is_membership(known, kind) || self.is_of_sheet(known) => {}
            None => self.tallies.violation(Rule::NothingInvented, || {
                format!(
                    "id {} with mark {:x} in {} was never published",
                    event.id,
                    event.mark,
                    self.truth.channel_name(event.channel)
                )
            }),
        }
    }

    /// A membership change has no mark of its own: it is known by the id that was told, or it may be one that was never answered.
    fn is_membership(&self, known: &Known, kind: Kind) -> bool {
        if self.operation(known).is_some_and(|operation| matches!(operation.asked, Asked::Membership { .. })) {
            return true;
        }
        let Kind::User(Some(owner)) = kind else { return false };
        !known.acked && self.truth.memberships.of(owner).iter().any(|(_, story)| story.is_unsettled())
    }

    /// A change of a sheet has no mark either: only the server knows what the whole sheet says then.
    fn is_of_sheet(&self, known: &Known) -> bool {
        let of_sheet = |operation: &Operation| matches!(operation.asked, Asked::Sheet { .. });
        let unanswered =
            |operation: &Operation| of_sheet(operation) && operation.is_unknown() && Some(operation.channel) == known.channel;
        match self.operation(known) {
            Some(operation) => of_sheet(operation),
            None => self.truth.operations.iter().any(|(_, operation)| unanswered(operation)),
        }
    }

    /// An id that was acknowledged before a kill still means the same after it.
    fn survived(&mut self, known: &Known, event: Delivered) {
        let Some(kill) = self.kill.filter(|kill| known.acked && known.id <= kill.acked_id) else { return };
        let acked_at_us = self.operation(known).and_then(|operation| operation.answer).map(|answer| answer.at_us);
        if acked_at_us.is_none_or(|at_us| at_us > kill.at_us) {
            return;
        }
        self.tallies.chances(Rule::SurvivedKills, 1);
        if known.mark.is_some_and(|mark| mark != event.mark) {
            self.tallies.violation(Rule::SurvivedKills, || {
                format!("id {} was acknowledged before a kill and carries other content after it", event.id)
            });
        }
    }
}
