//! The registry's words: event types and channel kinds.

use crate::command::schema_of;
use crate::read;
use campanile_journal::Retention;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A kind of fact. Declared by a feature, or by the host platform in campanile.toml.
#[derive(Clone)]
pub struct EventType {
    /// `noun_past` as the seeds spell it.
    pub name: Cow<'static, str>,
    /// The kind of channel it belongs to.
    pub channel_kind: Cow<'static, str>,
    /// What sort of data it is.
    pub class: Class,
    /// Whose data it is.
    pub subject: Subject,
    /// Who brings it into the log.
    pub origin: Origin,
    /// How long it is kept.
    pub retention: Retention,
    /// What its data must look like.
    pub data: DataCheck,
}

/// Who may bring events of a type into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The feature's commands alone: what it tells is true only together with the rows and effects of its commit.
    Feature,
    /// The feature, and whoever holds an API key with the scope `publish` or `publish:{type}`.
    Host,
}

/// What sort of data an event carries; later rules (export, erasure, push) go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Marks and scores.
    Grade,
    /// Who was there.
    Attendance,
    /// Who is here now.
    Presence,
    /// What people write to each other.
    Chat,
    /// Points, badges and ranks.
    Gamification,
    /// What happens in a course: announcements, progress, content.
    Course,
    /// The platform's own.
    Technical,
}

/// Whose data an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Nobody's in particular.
    Nobody,
    /// The person whose own channel it belongs to.
    ChannelOwner,
}

/// What a type's data must look like.
#[derive(Clone)]
pub enum DataCheck {
    /// As a Rust type reads it.
    Typed {
        /// Says what is wrong with the data, if anything.
        check: fn(&str) -> Result<(), String>,
        /// The JSON schema.
        schema: fn() -> Schema,
    },
    /// As the host's JSON schema says.
    Schema(Arc<jsonschema::Validator>, serde_json::Value),
    /// Any JSON object.
    Any,
}

impl DataCheck {
    /// Data that reads as `T`.
    pub const fn typed<T: DeserializeOwned + JsonSchema>() -> Self {
        Self::Typed { check: reads_as::<T>, schema: schema_of::<T> }
    }

    /// Says what is wrong with the data.
    ///
    /// # Errors
    /// A sentence for the publisher.
    pub fn check(&self, data: &str) -> Result<(), String> {
        match self {
            Self::Typed { check, .. } => check(data),
            Self::Schema(validator, _) => {
                let value: serde_json::Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
                validator.validate(&value).map_err(|error| format!("{error} at {}", error.instance_path()))
            }
            Self::Any if data.trim_start().starts_with('{') => Ok(()),
            Self::Any => Err("data is an object".into()),
        }
    }
}

fn reads_as<T: DeserializeOwned>(data: &str) -> Result<(), String> {
    read::from_text::<T>(data).map(drop)
}

/// A kind of channel, and which of its history a new member is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelKind {
    /// The part of a channel before the colon.
    pub name: &'static str,
    /// What a member is due of the time before the latest grant.
    pub history: History,
    /// Roles whose members are due what every channel of this kind gets, as training staff every cadet's grades.
    pub overseers: &'static [&'static str],
    /// The name under which the channel's id stands at the top level of a block on `/api/events`, as `cadet_id` in seed C.
    pub id_name: Option<&'static str>,
}

impl ChannelKind {
    /// A kind whose channels are due to their members alone.
    pub const fn new(name: &'static str, history: History) -> Self {
        Self { name, history, overseers: &[], id_name: None }
    }

    /// The same, due to the members of these roles too.
    pub const fn overseen_by(self, roles: &'static [&'static str]) -> Self {
        Self { overseers: roles, ..self }
    }

    /// The same, with its id at the top level of event stream blocks.
    pub const fn named(self, id_name: &'static str) -> Self {
        Self { id_name: Some(id_name), ..self }
    }
}

/// What a member is due of the time before the latest grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing.
    SinceGrant,
    /// Everything, except intervals in which the person was not allowed.
    All,
}
