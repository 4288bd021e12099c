//! Which credentials have ended before their time, at one position of the log: rebuilt from the store at start, then fed every event.

use campanile_journal::Revocation;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Effect, Event};
use std::collections::HashMap;

/// Below so many entries forgetting is not worth the walk.
const SWEEP_MIN: usize = 1_024;
/// Ids of tokens that may have no end begin with it; their revocations have none either.
const ENDLESS_PREFIX: &str = "opaque:";

/// The revocations that count.
pub(crate) struct Revocations {
    /// By person: what was issued before the instant has ended.
    people: HashMap<String, i64>,
    /// By token id, and whose it must be: when it was revoked.
    tokens: HashMap<String, Vec<(Option<String>, i64)>>,
    /// After so long every revoked token has ended by itself; none where tokens may live for ever.
    life_ms: Option<i64>,
    sweep_at: usize,
}

/// Whose connections an event ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Those of one person that show a revoked credential.
    OfPerson(String),
    /// Those of anybody that show this token.
    OfToken(String),
    /// One connection, by its name; only where it is this person's.
    Session(String, Option<String>),
}

impl Revocations {
    pub(crate) fn new(kept: Vec<Revocation>, life_ms: Option<i64>) -> Self {
        let mut revocations = Self { people: HashMap::new(), tokens: HashMap::new(), life_ms, sweep_at: SWEEP_MIN };
        for revocation in kept {
            match revocation {
                Revocation::User { person, revoked_at_ms } => revocations.sign_out(person, revoked_at_ms),
                Revocation::Token { token_id, person, revoked_at_ms } => revocations.revoke(token_id, person, revoked_at_ms),
            }
        }
        revocations
    }

    /// Takes in an event; answers whose connections end with it.
    pub(crate) fn apply(&mut self, event: &Event) -> Vec<Ended> {
        let at_ms = event.recorded_at_ms;
        let mut ended = Vec::new();
        for effect in &event.effects {
            match effect {
                Effect::SignOut { person } => {
                    self.sign_out(person.as_str().to_owned(), at_ms);
                    ended.push(Ended::OfPerson(person.as_str().to_owned()));
                }
                Effect::RevokeToken { token_id, person } => {
                    let person = person.as_ref().map(|person| person.as_str().to_owned());
                    self.revoke(token_id.to_string(), person.clone(), at_ms);
                    ended.push(person.map_or_else(|| Ended::OfToken(token_id.to_string()), Ended::OfPerson));
                }
                Effect::EndSession { connection, person } => {
                    ended
                        .push(Ended::Session(connection.to_string(), person.as_ref().map(|person| person.as_str().to_owned())));
                }
                Effect::Grant { .. } | Effect::Revoke { .. } => {}
            }
        }
        if !ended.is_empty() && self.len() >= self.sweep_at {
            self.forget(at_ms);
        }
        ended
    }

    /// Whether the credential that made this caller has ended. One that does not say when it was issued counts as issued before.
    pub(crate) fn holds(&self, caller: &PersonCaller) -> bool {
        self.is_revoked(caller.id.as_str(), caller.token_id.as_deref(), caller.issued_at_ms)
    }

    pub(crate) fn is_revoked(&self, person: &str, token_id: Option<&str>, issued_at_ms: Option<i64>) -> bool {
        let signed_out =
            self.people.get(person).is_some_and(|at_ms| issued_at_ms.is_none_or(|issued_at_ms| issued_at_ms < *at_ms));
        let owners = token_id.and_then(|token_id| self.tokens.get(token_id));
        signed_out
            || owners.is_some_and(|owners| owners.iter().any(|(owner, _)| owner.as_deref().is_none_or(|owner| owner == person)))
    }

    fn sign_out(&mut self, person: String, at_ms: i64) {
        self.people.insert(person, at_ms);
    }

    fn revoke(&mut self, token_id: String, person: Option<String>, at_ms: i64) {
        let owners = self.tokens.entry(token_id).or_default();
        owners.retain(|(owner, _)| *owner != person);
        owners.push((person, at_ms));
    }

    /// Forgets what no living token can show any more. The walk is paid for by the entries that came since the last one.
    fn forget(&mut self, now_ms: i64) {
        if let Some(life_ms) = self.life_ms {
            let counts = |at_ms: &i64| now_ms.saturating_sub(*at_ms) <= life_ms;
            self.people.retain(|_, at_ms| counts(at_ms));
            self.tokens.retain(|token_id, owners| {
                owners.retain(|(_, at_ms)| token_id.starts_with(ENDLESS_PREFIX) || counts(at_ms));
                !owners.is_empty()
            });
        }
        self.sweep_at = SWEEP_MIN.max(self.len() * 2);
    }

    pub(crate) fn len(&self) -> usize {
        self.people.len() + self.tokens.len()
    }
}
