//! `broadcast_notification`: a notification that the host keeps is told to the people whom it concerns, as it was given.

use super::permission;
use super::sheet_update::BroadcastAnswer;
use campanile_contract::{Caller, Channel, Command, Ctx, ErrorCode, Id, Publish, Refusal, UnitError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

/// People whom one broadcast reaches: what one commit holds well.
pub const BROADCAST_PEOPLE_MAX: usize = 1_000;
/// Bytes of the data of all events of one broadcast.
pub const BROADCAST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Notifies one person or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastNotification {
    /// Whom, if it is one.
    pub user_id: Option<Id>,
    /// Whom, if they are several: at most 1,000.
    pub user_ids: Option<Vec<Id>>,
    /// The data of `notification`.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub notification: Box<RawValue>,
}

impl Command for BroadcastNotification {
    const NAME: &'static str = "broadcast_notification";
    type Answer = BroadcastAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_broadcast(caller, "notification")
    }

    fn check(&self) -> Result<(), Refusal> {
        self.people().map(drop)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<BroadcastAnswer, UnitError> {
        let people = self.people()?;
        for person in &people {
            let channel = Channel::user(person).to_string();
            ctx.emit_fact(&Publish { kind: "notification".into(), channel, data: self.notification.clone() })?;
        }
        Ok(BroadcastAnswer { events: people.len() })
    }
}

impl BroadcastNotification {
    /// Whom it reaches, each once.
    fn people(&self) -> Result<Vec<&Id>, Refusal> {
        let given = match (&self.user_id, &self.user_ids) {
            (Some(one), None) => std::slice::from_ref(one),
            (None, Some(several)) if !several.is_empty() => several.as_slice(),
            _ => return Err(Refusal::new(ErrorCode::InvalidData, "either user_id is given, or user_ids with somebody in it")),
        };
        if given.len() > BROADCAST_PEOPLE_MAX {
            let message = format!("a broadcast reaches at most {BROADCAST_PEOPLE_MAX} people, not {}", given.len());
            return Err(Refusal::new(ErrorCode::MessageTooBig, message));
        }
        if given.len() * self.notification.get().len() > BROADCAST_BYTES_MAX {
            let message = format!("the notifications of a broadcast have at most {BROADCAST_BYTES_MAX} bytes together");
            return Err(Refusal::new(ErrorCode::MessageTooBig, message));
        }
        let mut people: Vec<&Id> = given.iter().collect();
        people.sort();
        people.dedup();
        Ok(people)
    }
}
