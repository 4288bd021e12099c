//! `read_notifications`: the caller has read some of theirs, or all; their other devices are told.

use super::event::{self, NotificationRead};
use super::permission;
use campanile_contract::{Caller, Channel, Command, Ctx, ErrorCode, Id, Refusal, Row, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers that one request names, and that one event tells: so many fit well into the data of an event.
pub const READ_IDS_MAX: usize = 1_000;
/// Notifications that one request with `all` marks: what one transaction does well within its time limit.
pub const READ_ALL_MAX: u64 = 10_000;

/// Marks notifications as read: those that are named, or all.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadNotifications {
    /// Which, by number: at most 1,000. Those that are read already, or somebody else's, are passed over.
    pub ids: Option<Vec<u64>>,
    /// All there are, the oldest 10,000 at a time.
    #[serde(default)]
    pub all: bool,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct ReadAnswer {
    /// How many are read now that were not.
    read: u64,
    /// Whether `all` has left some for the next request.
    more: bool,
}

const READ_ONE: &str = "UPDATE notification SET is_read = TRUE \
     WHERE notification_id = $1 AND user_id = $2 AND is_read = FALSE RETURNING notification_id";
const READ_ALL: &str = "UPDATE notification SET is_read = TRUE WHERE is_read = FALSE AND notification_id IN \
     (SELECT notification_id FROM notification WHERE user_id = $1 AND is_read = FALSE ORDER BY notification_id LIMIT $2) \
     RETURNING notification_id";

impl Command for ReadNotifications {
    const NAME: &'static str = "read_notifications";
    type Answer = ReadAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::own(caller).map(drop)
    }

    fn check(&self) -> Result<(), Refusal> {
        match (&self.ids, self.all) {
            (Some(ids), false) if ids.len() > READ_IDS_MAX => {
                let message = format!("at most {READ_IDS_MAX} notifications are named at once, not {}", ids.len());
                Err(Refusal::new(ErrorCode::MessageTooBig, message))
            }
            (Some(_), false) | (None, true) => Ok(()),
            _ => Err(Refusal::new(ErrorCode::InvalidData, "either ids is given, or all is true")),
        }
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<ReadAnswer, UnitError> {
        let user_id = permission::own(ctx.caller())?.clone();
        let (mut read, more) = match &self.ids {
            Some(ids) => (read_these(ctx, &user_id, ids).await?, false),
            None => {
                let rows = ctx.fetch(READ_ALL, &[user_id.as_str().into(), READ_ALL_MAX.into()]).await?;
                let read = numbers(&rows)?;
                let more = read.len() as u64 >= READ_ALL_MAX;
                (read, more)
            }
        };
        read.sort_unstable();
        for ids in read.chunks(READ_IDS_MAX) {
            ctx.emit(&event::NOTIFICATION_READ, Channel::user(&user_id), &NotificationRead { ids: ids.to_vec() });
        }
        Ok(ReadAnswer { read: read.len() as u64, more })
    }
}

async fn read_these(ctx: &mut Ctx<'_>, user_id: &Id, ids: &[u64]) -> Result<Vec<u64>, UnitError> {
    // In order, so that two devices at once never wait for each other in a circle.
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut read = Vec::new();
    for id in ids {
        let rows = ctx.fetch(READ_ONE, &[id.into(), user_id.as_str().into()]).await?;
        read.extend(numbers(&rows)?);
    }
    Ok(read)
}

fn numbers(rows: &[Row]) -> Result<Vec<u64>, UnitError> {
    Ok(rows.iter().map(|row| row.count("notification_id")).collect::<Result<_, _>>()?)
}
