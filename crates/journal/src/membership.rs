//! Who may see which channel, as intervals of event ids; changed only by the effects of events, in their order.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use campanile_wire::{Effect, Event, EventId};
use sqlx::SqlStr;

/// One interval in which a person was or is a member of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The person's canonical id.
    pub person: String,
    /// The channel, canonically.
    pub channel: String,
    /// The event that granted it.
    pub granted_id: EventId,
    /// The event that ended it; none while it lasts.
    pub revoked_id: Option<EventId>,
}

/// A grant to somebody who is a member already changes nothing: the earlier grant stands. One event may grant, revoke and grant
/// again: then its first interval goes on.
const GRANT: &str = "INSERT INTO membership (person, channel, granted_id, revoked_id) \
     SELECT $1, $2, $3, NULL WHERE NOT EXISTS \
     (SELECT 1 FROM membership WHERE person = $1 AND channel = $2 AND revoked_id IS NULL) \
     ON CONFLICT (person, channel, granted_id) DO UPDATE SET revoked_id = NULL";

const REVOKE: &str = "UPDATE membership SET revoked_id = $3 WHERE person = $1 AND channel = $2 AND revoked_id IS NULL";

/// Carries out the effects of freshly placed events, in order.
pub(crate) async fn apply(conn: &mut Conn, events: &[Event]) -> Result<(), JournalError> {
    for event in events {
        for effect in &event.effects {
            let (sql, person, channel) = match effect {
                Effect::Grant { person, channel } => (GRANT, person, channel),
                Effect::Revoke { person, channel } => (REVOKE, person, channel),
                Effect::SignOut { .. } | Effect::RevokeToken { .. } | Effect::EndSession { .. } => continue,
            };
            let values = [Value::from(person.as_str()), channel.as_str().into(), event.id.into()];
            conn.execute(SqlStr::from_static(sql), &values).await?;
        }
    }
    Ok(())
}

/// Every interval, ended ones too: channels that keep their whole history need them.
pub(crate) async fn load(conn: &mut Conn) -> Result<Vec<Membership>, JournalError> {
    let sql = "SELECT person, channel, granted_id, revoked_id FROM membership ORDER BY granted_id";
    let rows = conn.fetch(SqlStr::from_static(sql), &[]).await?;
    rows.iter().map(membership_of).collect()
}

fn membership_of(row: &Row) -> Result<Membership, JournalError> {
    let revoked_id = row.int_or_null("revoked_id")?.map(|id| u64::try_from(id).unwrap_or(0));
    Ok(Membership {
        person: row.text("person")?,
        channel: row.text("channel")?,
        granted_id: row.count("granted_id")?,
        revoked_id,
    })
}
