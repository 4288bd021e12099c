//! `send_notification` and `broadcast_message`: people are notified of something, each by an entry in their list and an event.

use super::event::{self, Notification};
use super::people::recipients;
use super::permission;
use campanile_contract::{Caller, Channel, Command, Ctx, Id, JournalError, Line, Refusal, Text, Timestamp, UnitError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Notifies one person or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendNotification {
    /// Whom, if it is one.
    pub user_id: Option<Id>,
    /// Whom, if they are several: at most 1,000.
    pub user_ids: Option<Vec<Id>>,
    /// What it says.
    pub message: Text<2_000>,
    /// What kind it is.
    #[serde(rename = "type", default = "admin_message")]
    pub kind: Line<64>,
}

/// The producer function `broadcast_message` (seed C): the same, for hosts that publish.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastMessage {
    /// Whom, if it is one.
    pub user_id: Option<Id>,
    /// Whom, if they are several: at most 1,000.
    pub user_ids: Option<Vec<Id>>,
    /// What it says.
    pub message: Text<2_000>,
    /// What kind it is.
    #[serde(rename = "type", default = "admin_message")]
    pub kind: Line<64>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct NotificationsAnswer {
    /// One for each person, by the order of their ids.
    notifications: Vec<SentNotification>,
}

/// What one person was sent.
#[derive(Serialize, JsonSchema)]
pub struct SentNotification {
    user_id: Id,
    notification_id: u64,
}

const INSERT: &str = "INSERT INTO notification (user_id, message, type, is_read, created_at_ms) VALUES ($1, $2, $3, $4, $5) \
     RETURNING notification_id";

impl Command for SendNotification {
    const NAME: &'static str = "send_notification";
    type Answer = NotificationsAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_send(caller, "notifications")
    }

    fn check(&self) -> Result<(), Refusal> {
        recipients(self.user_id.as_ref(), self.user_ids.as_deref()).map(drop)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<NotificationsAnswer, UnitError> {
        let people = recipients(self.user_id.as_ref(), self.user_ids.as_deref())?;
        send(ctx, &people, &self.message, &self.kind).await
    }
}

impl Command for BroadcastMessage {
    const NAME: &'static str = "broadcast_message";
    type Answer = NotificationsAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_send(caller, "publish:notification")
    }

    fn check(&self) -> Result<(), Refusal> {
        recipients(self.user_id.as_ref(), self.user_ids.as_deref()).map(drop)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<NotificationsAnswer, UnitError> {
        let people = recipients(self.user_id.as_ref(), self.user_ids.as_deref())?;
        send(ctx, &people, &self.message, &self.kind).await
    }
}

async fn send(
    ctx: &mut Ctx<'_>,
    people: &[&Id],
    message: &Text<2_000>,
    kind: &Line<64>,
) -> Result<NotificationsAnswer, UnitError> {
    let mut notifications = Vec::with_capacity(people.len());
    for &user_id in people {
        let text = |text: &str| text.into();
        let values = [text(user_id.as_str()), text(message.as_str()), text(kind.as_str()), false.into(), ctx.now_ms().into()];
        let inserted = ctx.fetch(INSERT, &values).await?;
        let number = match inserted.first() {
            Some(row) => row.int("notification_id")?,
            None => return Err(JournalError::Statement("an inserted notification answers its number".into()).into()),
        };
        let broken = |error| JournalError::Statement(format!("a short text is no longer text: {error}"));
        let data = Notification {
            id: Some(Id::from(number)),
            message: Some(Text::new(message.as_str()).map_err(broken)?),
            kind: Some(kind.clone()),
            is_read: Some(false),
            created_at: Some(Timestamp::at_second(ctx.now_ms())),
        };
        ctx.emit(&event::NOTIFICATION, Channel::user(user_id), &data);
        notifications.push(SentNotification { user_id: user_id.clone(), notification_id: number.unsigned_abs() });
    }
    Ok(NotificationsAnswer { notifications })
}

fn admin_message() -> Line<64> {
    Line::new("admin_message").expect("a word is a line")
}
