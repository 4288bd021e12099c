//! The log as a whole: ids without holes, seq without holes in each channel, instants that never run backwards, one event an operation.

use std::collections::HashMap;

use super::report::Tallies;
use super::rules::Rule;
use super::truth::{Known, Truth};
use crate::history::{Channel, Op};

/// Judges the table of known ids.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    let ids = one_id_an_operation(truth, tallies);
    let fillers = fillers(truth, &ids);
    ids_dense(truth, fillers.values().sum(), tallies);
    seq_dense(truth, &fillers, tallies);
    recorded_at(truth, tallies);
}

/// The id of each operation that has one; a second id means that it was stored twice, or that its publisher was told a wrong one.
fn one_id_an_operation(truth: &Truth, tallies: &mut Tallies) -> HashMap<Op, u64> {
    let told = truth.operations.iter().filter_map(|(op, operation)| Some((op, operation.answer?.id?)));
    let mut ids: HashMap<Op, u64> = told.collect();
    for known in &truth.log {
        let Some(op) = known.op else { continue };
        let first = *ids.entry(op).or_insert(known.id);
        if first != known.id && !known.acked {
            tallies.violation(Rule::IdempotentRepeat, || {
                format!("operation {op} has id {first} and was delivered as {} too", known.id)
            });
            tallies.violation(Rule::OneIdOneContent, || {
                format!("operation {op} was told id {first}, readers saw it as {}", known.id)
            });
        }
    }
    ids
}

/// How many events of each channel may exist without a record: operations that were neither answered nor seen.
fn fillers(truth: &Truth, ids: &HashMap<Op, u64>) -> HashMap<Channel, u64> {
    let mut fillers = HashMap::new();
    for (op, operation) in truth.operations.iter() {
        if operation.is_unknown() && !ids.contains_key(&op) {
            *fillers.entry(truth.event_channel(operation)).or_insert(0) += 1;
        }
    }
    fillers
}

fn ids_dense(truth: &Truth, mut fillers: u64, tallies: &mut Tallies) {
    tallies.chances(Rule::IdsDense, truth.log.len() as u64);
    let mut previous = truth.history.first_head;
    for known in &truth.log {
        let missing = known.id - previous - 1;
        let filled = missing.min(fillers);
        fillers -= filled;
        tallies
            .violations(Rule::IdsDense, missing - filled, || format!("nothing is known between {previous} and {}", known.id));
        previous = known.id;
    }
    for clash in &truth.clashes {
        let (first, second) = clash.ops;
        tallies.violation(Rule::IdsDense, || format!("id {} was told to operations {first} and {second}", clash.id));
    }
}

/// The last seq seen in a channel, and the events since whose seq nobody knows.
#[derive(Clone, Copy, Default)]
struct Tail {
    id: u64,
    seq: Option<u64>,
    unnumbered: u64,
}

fn seq_dense(truth: &Truth, fillers: &HashMap<Channel, u64>, tallies: &mut Tallies) {
    let mut tails = vec![Tail::default(); truth.due.len()];
    let mut fillers = fillers.clone();
    for known in &truth.log {
        let Some(channel) = known.channel else { continue };
        let tail = &mut tails[channel as usize];
        let Some(seq) = known.seq else {
            tail.unnumbered += 1;
            continue;
        };
        if let Some(previous) = tail.seq {
            let fillers = fillers.entry(channel).or_insert(0);
            next_seq(truth, (previous, *tail), (seq, known), fillers, tallies);
        }
        *tail = Tail { id: known.id, seq: Some(seq), unnumbered: 0 };
    }
}

fn next_seq(
    truth: &Truth,
    (previous, tail): (u64, Tail),
    (seq, known): (u64, &Known),
    fillers: &mut u64,
    tallies: &mut Tallies,
) {
    tallies.chances(Rule::SeqDense, 1);
    let expected = previous.saturating_add(tail.unnumbered).saturating_add(1);
    let surplus = seq.saturating_sub(expected);
    let filled = surplus.min(*fillers);
    *fillers -= filled;
    if seq < expected || surplus > filled {
        let channel = known.channel.map_or_else(String::new, |channel| truth.channel_name(channel));
        tallies.violation(Rule::SeqDense, || {
            format!("{channel}: seq {previous} at id {} is followed by seq {seq} at id {}", tail.id, known.id)
        });
    }
}

fn recorded_at(truth: &Truth, tallies: &mut Tallies) {
    let mut stamped = truth.log.iter().filter_map(|known| Some((known.id, known.recorded_at_ms?)));
    let Some((mut before, mut latest)) = stamped.next() else { return };
    for (id, recorded_at_ms) in stamped {
        tallies.chances(Rule::RecordedAtNeverBackwards, 1);
        if recorded_at_ms < latest {
            tallies.violation(Rule::RecordedAtNeverBackwards, || {
                format!("id {id} was recorded at {recorded_at_ms}, id {before} at {latest}")
            });
        } else {
            (before, latest) = (id, recorded_at_ms);
        }
    }
}
