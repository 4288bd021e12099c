//! Whether what arrived was meant for that person: revocations, grant boundaries, foreign channels.

use super::membership::{Standing, revoked_before};
use super::reader::Arrival;
use super::report::Tallies;
use super::rules::Rule;
use super::truth::{Kind, Truth};
use crate::history::Person;

/// Judges one delivery to a person whose rights on this connection were decided at `decided_at_us` (connect, or the latest rewind).
pub fn check(truth: &Truth, person: Person, event: Arrival, decided_at_us: u64, tallies: &mut Tallies) {
    match truth.kinds[event.channel as usize] {
        Kind::Other => {}
        Kind::User(owner) if owner == Some(person) => {}
        Kind::User(_) => foreign(truth, person, event, tallies),
        Kind::Course => course(truth, person, event, decided_at_us, tallies),
    }
}

fn course(truth: &Truth, person: Person, event: Arrival, decided_at_us: u64, tallies: &mut Tallies) {
    let Some(story) = truth.memberships.story(person, event.channel) else {
        return foreign(truth, person, event, tallies);
    };
    let says = |what: String| {
        format!("{} got id {} of {} {what}", truth.person_name(person), event.id, truth.channel_name(event.channel))
    };
    match story.standing(event.id) {
        Standing::Member { later } => {
            if let Some(revoked) = revoked_before(later, decided_at_us) {
                tallies.violation(Rule::GrantBoundary, || {
                    says(format!(
                        "on connection {}, opened or rewound after revocation {} was acknowledged",
                        event.conn, revoked.id
                    ))
                });
            }
        }
        // A grant that was never answered may have let the person in unseen.
        _ if story.may_be_granted(event.at_us) => {}
        Standing::Revoked { by } => {
            tallies.violation(Rule::DeliveriesAfterRevocation, || {
                says(format!("on connection {}, after revocation {}", event.conn, by.id))
            });
        }
        Standing::NotYet { first_grant } => {
            tallies.violation(Rule::GrantBoundary, || {
                says(format!("on connection {}, before the first grant {}", event.conn, first_grant.id))
            });
        }
        Standing::Never => foreign(truth, person, event, tallies),
    }
}

fn foreign(truth: &Truth, person: Person, event: Arrival, tallies: &mut Tallies) {
    tallies.violation(Rule::ForeignDeliveries, || {
        format!(
            "{} got id {} of {} on connection {} and never belonged there",
            truth.person_name(person),
            event.id,
            truth.channel_name(event.channel),
            event.conn
        )
    });
}
