//! `broadcast_sync_event`: any event that is declared for cadets, with a payload that passes as it was given.

use super::permission;
use super::sheet_update::BroadcastAnswer;
use campanile_contract::{Caller, Channel, Command, Ctx, Id, Publish, Refusal, UnitError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Tells a cadet and the staff something.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastSyncEvent {
    /// An event type that is declared for `cadet` channels, by a feature or by the host.
    pub event_type: String,
    /// Whose.
    pub cadet_id: Id,
    /// The data of the event.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub payload: Box<RawValue>,
}

impl Command for BroadcastSyncEvent {
    const NAME: &'static str = "broadcast_sync_event";
    type Answer = BroadcastAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_broadcast(caller, &self.event_type)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<BroadcastAnswer, UnitError> {
        let channel = Channel::new("cadet", &self.cadet_id).to_string();
        ctx.emit_fact(&Publish { kind: self.event_type.clone(), channel, data: self.payload.clone() })?;
        Ok(BroadcastAnswer { events: 1 })
    }
}
