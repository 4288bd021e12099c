//! Credentials that ended before their time: written only by the effects of events, in their order, and read when a node starts.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::journal::Journal;
use campanile_wire::{Effect, Event};
use sqlx::SqlStr;

/// One revocation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Everything that was issued to the person before the instant.
    User {
        /// The person's canonical id.
        person: String,
        /// In unix milliseconds.
        revoked_at_ms: i64,
    },
    /// One token.
    Token {
        /// Its id.
        token_id: String,
        /// Only where it is this person's.
        person: Option<String>,
        /// In unix milliseconds.
        revoked_at_ms: i64,
    },
}

/// A later revocation of the same moves the instant, which never goes back: the log's instants do not.
const REVOKE: &str = "INSERT INTO revocation (kind, subject, person, revoked_at_ms) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (kind, subject, person) DO UPDATE SET revoked_at_ms = excluded.revoked_at_ms";

/// Carries out the effects of freshly placed events that end credentials. A connection's end is not kept: it cannot come back.
pub(crate) async fn apply(conn: &mut Conn, events: &[Event]) -> Result<(), JournalError> {
    for event in events {
        for effect in &event.effects {
            let (kind, subject, person) = match effect {
                Effect::SignOut { person } => ("user", person.as_str(), ""),
                Effect::RevokeToken { token_id, person } => {
                    ("token", &**token_id, person.as_ref().map_or("", |id| id.as_str()))
                }
                Effect::Grant { .. } | Effect::Revoke { .. } | Effect::EndSession { .. } => continue,
            };
            let values = [Value::from(kind), subject.into(), person.into(), event.recorded_at_ms.into()];
            conn.execute(SqlStr::from_static(REVOKE), &values).await?;
        }
    }
    Ok(())
}

pub(crate) async fn load(conn: &mut Conn) -> Result<Vec<Revocation>, JournalError> {
    let sql = "SELECT kind, subject, person, revoked_at_ms FROM revocation";
    let rows = conn.fetch(SqlStr::from_static(sql), &[]).await?;
    rows.iter().map(revocation_of).collect()
}

fn revocation_of(row: &Row) -> Result<Revocation, JournalError> {
    let (subject, revoked_at_ms) = (row.text("subject")?, row.int("revoked_at_ms")?);
    Ok(match row.text("kind")?.as_str() {
        "user" => Revocation::User { person: subject, revoked_at_ms },
        _ => {
            let person = Some(row.text("person")?).filter(|person| !person.is_empty());
            Revocation::Token { token_id: subject, person, revoked_at_ms }
        }
    })
}

/// Opaque tokens may have no end, and so their revocations have none.
const FORGET: &str = "DELETE FROM revocation WHERE revoked_at_ms < $1 AND (kind = 'user' OR subject NOT LIKE 'opaque:%')";

impl Journal {
    /// Forgets the revocations of credentials that live at most `life_ms` and so have ended by themselves.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_revocations(&self, life_ms: i64) -> Result<(), JournalError> {
        let before_ms = self.clock().now_ms().saturating_sub(life_ms);
        self.delete_where(FORGET, before_ms).await
    }
}
