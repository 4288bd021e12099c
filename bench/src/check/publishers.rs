//! What publishers can hold the server to on their own: real-time order, repeats, and ids over a kill.

use super::operations::answer;
use super::report::Tallies;
use super::rules::Rule;
use super::truth::Truth;
use crate::history::{Op, Record};

/// At one instant the order below counts: an operation sent in the same microsecond as an answer was not sent after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Restarted,
    Sent(Op),
    Acked(Op, u64),
    Killed,
}

/// What an operation's id must lie above.
#[derive(Clone, Copy, Default)]
struct Floors {
    acked_before: u64,
    acked_before_a_kill: Option<u64>,
}

/// Judges the publishers' records.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    order(truth, tallies);
    repeats(truth, tallies);
}

fn order(truth: &Truth, tallies: &mut Tallies) {
    let mut floors = vec![Floors::default(); truth.operations.iter().map(|(op, _)| op as usize + 1).max().unwrap_or(0)];
    let mut highest = truth.history.first_head;
    let mut at_kill = None;
    let mut survived = None;
    for (_, moment) in timeline(truth) {
        match moment {
            Moment::Killed => at_kill = Some(highest),
            Moment::Restarted => survived = at_kill,
            Moment::Sent(op) => floors[op as usize] = Floors { acked_before: highest, acked_before_a_kill: survived },
            Moment::Acked(op, id) => {
                let floor = floors[op as usize];
                if floor.acked_before > truth.history.first_head {
                    tallies.chances(Rule::OutOfOrder, 1);
                }
                if id <= floor.acked_before {
                    tallies.violation(Rule::OutOfOrder, || {
                        format!("operation {op} got id {id}, but was sent after id {} was acknowledged", floor.acked_before)
                    });
                }
                if let Some(kept) = floor.acked_before_a_kill {
                    tallies.chances(Rule::SurvivedKills, 1);
                    if id <= kept {
                        tallies.violation(Rule::SurvivedKills, || {
                            format!("operation {op} was sent after the restart and got id {id}, but {kept} was acknowledged before the kill")
                        });
                    }
                }
                highest = highest.max(id);
            }
        }
    }
}

fn timeline(truth: &Truth) -> Vec<(u64, Moment)> {
    let mut moments = Vec::new();
    for (op, operation) in truth.operations.iter() {
        moments.push((operation.sent_at_us, Moment::Sent(op)));
        if let Some((id, at_us)) = operation.answer.and_then(|answer| Some((answer.id?, answer.at_us))) {
            moments.push((at_us, Moment::Acked(op, id)));
        }
    }
    moments.extend(truth.history.records.iter().filter_map(|record| match *record {
        Record::Killed { at_us } => Some((at_us, Moment::Killed)),
        Record::Restarted { at_us } => Some((at_us, Moment::Restarted)),
        _ => None,
    }));
    moments.sort_unstable();
    moments
}

fn repeats(truth: &Truth, tallies: &mut Tallies) {
    let mut answered = vec![false; truth.operations.iter().map(|(op, _)| op as usize + 1).max().unwrap_or(0)];
    for (op, told) in truth.history.records.iter().filter_map(answer) {
        let Some(first) = truth.operations.get(op).and_then(|operation| operation.answer) else { continue };
        if !std::mem::replace(&mut answered[op as usize], true) {
            continue;
        }
        tallies.chances(Rule::IdempotentRepeat, 1);
        if !told.agrees(&first) {
            tallies.violation(Rule::IdempotentRepeat, || format!("operation {op} was answered {first:?} and then {told:?}"));
        }
    }
}
