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
        Kind::User(owner) if owner == Some(person) => own(truth, person, event, tallies),
        Kind::User(_) => foreign(truth, person, event, tallies),
        Kind::Cadet => cadet(truth, person, event, tallies),
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

/// A person's own channel falls silent too while they are not approved; what tells them of the approval itself does not count.
fn own(truth: &Truth, person: Person, event: Arrival, tallies: &mut Tallies) {
    let Some(story) = truth.approval(person) else { return };
    if let Standing::Revoked { by } = story.standing(event.id)
        && !story.is_change(event.id)
        && !story.may_be_granted(event.at_us)
    {
        unapproved(truth, person, event, by.id, tallies);
    }
}

fn cadet(truth: &Truth, person: Person, event: Arrival, tallies: &mut Tallies) {
    let story = truth.memberships.story(person, event.channel);
    match story.map_or(Standing::Never, |story| story.standing(event.id)) {
        Standing::Member { .. } => {}
        _ if story.is_some_and(|story| story.may_be_granted(event.at_us)) => {}
        Standing::Revoked { by } => unapproved(truth, person, event, by.id, tallies),
        Standing::NotYet { .. } | Standing::Never => tallies.violation(Rule::OwnCadetOnly, || {
            let (name, channel) = (truth.person_name(person), truth.channel_name(event.channel));
            format!("{name} got id {} of {channel} on connection {}", event.id, event.conn)
        }),
    }
}

fn unapproved(truth: &Truth, person: Person, event: Arrival, by: u64, tallies: &mut Tallies) {
    tallies.violation(Rule::NothingToUnapproved, || {
        let (name, channel) = (truth.person_name(person), truth.channel_name(event.channel));
        format!("{name} got id {} of {channel} on connection {}, after un-approval {by}", event.id, event.conn)
    });
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
