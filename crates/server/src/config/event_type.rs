//! `[[event_type]]`: the host's own event types.

use anyhow::{Result, bail};
use campanile_contract::{Class, DataCheck, EventType, Origin, Retention, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A host's own event type.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTypeEntry {
    /// Its name, as publishers and clients write it.
    #[schemars(example = &"quiz_opened")]
    name: String,
    /// The kind of channel that it belongs to: the part before the colon.
    #[schemars(example = &"course")]
    channel_kind: String,
    /// What sort of data it carries.
    #[schemars(example = &"course")]
    class: Class,
    /// Whose data it is.
    #[serde(default = "nobody")]
    subject: Subject,
    /// Days that its events are kept; for good without it.
    #[schemars(range(min = 1, max = 36_500), example = 90)]
    keep_days: Option<u32>,
    /// The newest so many of each channel are kept, instead of `keep_days`.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 1_000)]
    keep_newest: Option<u64>,
    /// A JSON schema for its data; any object without it.
    #[schemars(example = serde_json::json!({ "type": "object", "required": ["title"] }))]
    schema: Option<serde_json::Value>,
}

fn nobody() -> Subject {
    Subject::Nobody
}

impl EventTypeEntry {
    pub(super) fn event_type(&self) -> Result<EventType> {
        let retention = match (self.keep_days, self.keep_newest) {
            (None, None) => Retention::Forever,
            (Some(days), None) => Retention::AgeMs(i64::from(days) * DAY_MS),
            (None, Some(count)) => Retention::Newest(count),
            _ => bail!("event_type {}: give keep_days or keep_newest, not both", self.name),
        };
        let data = match &self.schema {
            None => DataCheck::Any,
            Some(schema) => {
                let validator = jsonschema::validator_for(schema);
                let validator = validator.map_err(|error| anyhow::anyhow!("event_type {}: {error}", self.name))?;
                DataCheck::Schema(Arc::new(validator), schema.clone())
            }
        };
        Ok(EventType {
            name: self.name.clone().into(),
            channel_kind: self.channel_kind.clone().into(),
            class: self.class,
            subject: self.subject,
            origin: Origin::Host,
            retention,
            data,
        })
    }
}

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
