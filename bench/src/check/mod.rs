//! The history checker: judges a whole run by the promises of DESIGN section 2, from what publishers and clients wrote down.
//!
//! Invariant: nothing is taken from the server's own state, and a rule that the run gave no chance to fail has failed.

mod approvals;
mod audience;
mod content;
mod journey;
mod membership;
mod numbering;
mod operations;
mod publishers;
mod reader;
mod report;
mod rules;
mod sheets;
mod sound;
mod sync;
mod truth;
mod walk;

#[cfg(test)]
mod tests;

pub use report::Verdict;

use crate::history::History;
use report::Tallies;
use rules::Rule;
use truth::Truth;

/// Judges a run.
///
/// A history whose records contradict each other in form (an event on a connection nobody opened, an index out of range)
/// is judged by [`Rule::RecordsSound`] alone; every other rule then had no chance, so the verdict cannot pass.
#[must_use]
pub fn judge(history: &History) -> Verdict {
    let mut tallies = Tallies::asking(Rule::asked_of(history));
    if sound::check(history, &mut tallies) {
        let truth = Truth::new(history);
        publishers::check(&truth, &mut tallies);
        numbering::check(&truth, &mut tallies);
        content::check(&truth, &mut tallies);
        walk::check(&truth, &mut tallies);
        sync::check(&truth, &mut tallies);
        approvals::check(&truth, &mut tallies);
        sheets::check(&truth, &mut tallies);
    }
    tallies.into_verdict()
}
