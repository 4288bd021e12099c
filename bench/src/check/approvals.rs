//! How often the run could have told somebody something while they were not approved.

use super::membership::Standing;
use super::report::Tallies;
use super::rules::Rule;
use super::truth::{Kind, Truth};
use crate::history::Person;

/// Counts the chances; a violation is seen where it is delivered.
pub fn check(truth: &Truth, tallies: &mut Tallies) {
    for person in 0..truth.history.people.len() as Person {
        for (channel, story) in truth.memberships.of(person) {
            if truth.kinds[*channel as usize] != Kind::Cadet || !story.ever_changed() {
                continue;
            }
            let due = truth.due[*channel as usize].iter();
            let withheld = due.filter(|due| matches!(story.standing(due.id), Standing::Revoked { .. })).count();
            tallies.chances(Rule::NothingToUnapproved, withheld as u64);
        }
    }
}
