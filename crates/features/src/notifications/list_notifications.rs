//! `list_notifications`: what the caller was notified of, from the oldest on.

use super::permission;
use campanile_contract::{Asked, Caller, JournalError, PageLimit, Query, Reader, Refusal, Row, Timestamp, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for one's own notifications, a page at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListNotifications {
    /// Only those that are not read yet, or only those that are.
    pub unread: Option<Asked<bool>>,
    /// `next` of the page before; none is the first page.
    pub after: Option<Asked<u64>>,
    /// Notifications on a page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct OwnNotifications {
    /// By their numbers.
    notifications: Vec<OwnNotification>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<u64>,
}

/// One notification, as its event told it.
#[derive(Serialize, JsonSchema)]
pub struct OwnNotification {
    id: u64,
    message: String,
    #[serde(rename = "type")]
    kind: String,
    is_read: bool,
    created_at: Timestamp,
}

const PAGE: &str = "SELECT notification_id, message, type, is_read, created_at_ms FROM notification \
     WHERE user_id = $1 AND notification_id > $2 AND ($3 IS NULL OR is_read <> $3) ORDER BY notification_id LIMIT $4";

impl Query for ListNotifications {
    const NAME: &'static str = "list_notifications";
    type Answer = OwnNotifications;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::own(caller).map(drop)
    }

    async fn read(&self, caller: &Caller, reader: &mut Reader) -> Result<OwnNotifications, UnitError> {
        let user_id = permission::own(caller)?;
        let after = self.after.map_or(0, |Asked(after)| after);
        let unread = self.unread.map(|Asked(unread)| unread);
        let values = [user_id.as_str().into(), after.into(), unread.into(), self.limit.rows().into()];
        let rows = reader.fetch(PAGE, &values).await?;
        let notifications = rows.iter().map(notification_of).collect::<Result<Vec<_>, _>>()?;
        let next = notifications.last().filter(|_| self.limit.is_full(notifications.len())).map(|last| last.id);
        Ok(OwnNotifications { notifications, next })
    }
}

fn notification_of(row: &Row) -> Result<OwnNotification, JournalError> {
    Ok(OwnNotification {
        id: row.count("notification_id")?,
        message: row.text("message")?,
        kind: row.text("type")?,
        is_read: row.bool("is_read")?,
        created_at: Timestamp::at_second(row.int("created_at_ms")?),
    })
}
