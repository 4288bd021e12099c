//! The cadets' sheets, to which several graders add at once: what was acknowledged is in the sum, what was refused is not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::operations::Asked;
use super::report::Tallies;
use super::rules::Rule;
use super::truth::Truth;
use crate::history::{Channel, Column, Op, Person, Record};

/// One column of one sheet.
#[derive(Default)]
struct Sum {
    first: Option<i64>,
    last: Option<i64>,
    acked: i64,
    changes: u64,
    graders: BTreeSet<Person>,
    /// A change whose fate nobody knows leaves the sum open.
    open: bool,
}

/// Judges every sheet.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    for ((channel, column), sum) in &sums(truth) {
        let (Some(first), Some(last)) = (sum.first, sum.last) else { continue };
        // Where one grader works alone, nothing can be lost.
        if sum.graders.len() > 1 && !sum.open {
            tallies.chances(Rule::NoLostUpdate, sum.changes);
        }
        if last - first != sum.acked && !sum.open {
            tallies.violation(Rule::NoLostUpdate, || {
                let channel = truth.channel_name(*channel);
                format!("{column:?} of {channel} went from {first} to {last}, but {} was acknowledged", sum.acked)
            });
        }
    }
    versions(truth, tallies);
}

fn sums(truth: &Truth) -> BTreeMap<(Channel, Column), Sum> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for (_, operation) in truth.operations.iter() {
        let Asked::Sheet { grader, column, points } = operation.asked else { continue };
        let sum = sums.entry((operation.channel, column)).or_default();
        sum.open |= operation.is_unknown();
        if operation.answer.is_some() {
            sum.acked += points;
            sum.changes += 1;
            sum.graders.insert(grader);
        }
    }
    for record in &truth.history.records {
        let Record::SheetRead { channel, column, points, .. } = *record else { continue };
        let sum = sums.entry((channel, column)).or_default();
        sum.first.get_or_insert(points);
        sum.last = Some(points);
    }
    sums
}

/// A version that two changes of one sheet were told means that one of them did not see the other.
fn versions(truth: &Truth, tallies: &mut Tallies) {
    let mut owners: HashMap<(Channel, u64), Op> = HashMap::new();
    for record in &truth.history.records {
        let Record::SheetAcked { op, version, .. } = *record else { continue };
        let Some(operation) = truth.operations.get(op) else { continue };
        let first = *owners.entry((operation.channel, version)).or_insert(op);
        if first != op {
            tallies.violation(Rule::NoLostUpdate, || {
                let channel = truth.channel_name(operation.channel);
                format!("operations {first} and {op} on the sheet of {channel} were both told version {version}")
            });
        }
    }
}
