//! Plain publishes: facts from a host platform that need no domain SQL.

use crate::event_type::Origin;
use crate::registry::Registry;
use campanile_journal::NewEvent;
use campanile_wire::{Caller, ErrorCode, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Publishes in one batch.
pub const PUBLISH_EVENTS_MAX: usize = 1_000;
/// Bytes of one event's data.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
/// Levels of nesting in data: deeper data would break readers whose parsers recurse.
pub const DATA_DEPTH_MAX: usize = 64;

/// One publish.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// A registered event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it belongs.
    pub channel: String,
    /// Passes through byte for byte.
    pub data: Box<RawValue>,
}

/// The body of `POST /api/events`: one publish, or a batch.
#[derive(Debug)]
pub struct PublishBody {
    /// What to publish, in order.
    pub events: Vec<Publish>,
    /// Whether the answer is a batch's too.
    pub is_batch: bool,
}

/// Both shapes at once, because an untagged enum would copy the data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    channel: Option<String>,
    data: Option<Box<RawValue>>,
    events: Option<Vec<Publish>>,
}

impl PublishBody {
    /// Reads a body.
    ///
    /// # Errors
    /// `malformed_json`, `invalid_data`, or `message_too_big` for too long a batch.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            let code = if error.is_data() { ErrorCode::InvalidData } else { ErrorCode::MalformedJson };
            Refusal::new(code, error.to_string())
        })?;
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidData, message);
        match body {
            Body { kind: Some(kind), channel: Some(channel), data: Some(data), events: None } => {
                Ok(Self { events: vec![Publish { kind, channel, data }], is_batch: false })
            }
            Body { kind: None, channel: None, data: None, events: Some(events) } => match events.len() {
                0 => Err(invalid("events is an empty list")),
                1..=PUBLISH_EVENTS_MAX => Ok(Self { events, is_batch: true }),
                _ => Err(Refusal::new(ErrorCode::MessageTooBig, format!("a batch has at most {PUBLISH_EVENTS_MAX} events"))),
            },
            _ => Err(invalid("a publish has type, channel and data; a batch has only events")),
        }
    }
}

impl Publish {
    /// Checks in memory whether the caller may publish this, and makes it ready to be committed.
    ///
    /// # Errors
    /// A documented refusal with a sentence for the publisher.
    pub fn check(&self, caller: &Caller, registry: &Registry) -> Result<NewEvent, Refusal> {
        let kind = registry.event_type(&self.kind)?;
        if !caller.has_scope(&format!("publish:{}", kind.name)) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                format!("publishing {} needs an API key with that scope", kind.name),
            ));
        }
        self.fact(registry)
    }

    /// Checks what is published, whoever publishes it.
    ///
    /// # Errors
    /// A documented refusal with a sentence for the publisher.
    pub fn fact(&self, registry: &Registry) -> Result<NewEvent, Refusal> {
        let kind = registry.event_type(&self.kind)?;
        if kind.origin == Origin::Feature {
            let message = format!("{} comes from the commands of its feature alone", kind.name);
            return Err(Refusal::new(ErrorCode::Forbidden, message));
        }
        let channel = registry.channel(&self.channel)?;
        if channel.kind() != kind.channel_kind {
            return Err(Refusal::new(
                ErrorCode::WrongChannelKind,
                format!("{} belongs to a {} channel, not to {channel}", kind.name, kind.channel_kind),
            ));
        }
        let data = self.data.get();
        if data.len() > DATA_BYTES_MAX {
            return Err(Refusal::new(ErrorCode::MessageTooBig, format!("data has at most {DATA_BYTES_MAX} bytes")));
        }
        let invalid = |why: String| Refusal::new(ErrorCode::InvalidData, format!("data of {}: {why}", kind.name));
        if depth(data) > DATA_DEPTH_MAX {
            return Err(invalid(format!("nested deeper than {DATA_DEPTH_MAX} levels")));
        }
        kind.data.check(data).map_err(invalid)?;
        Ok(NewEvent { channel, kind: (&*kind.name).into(), data: single_line(data).into(), effects: Vec::new() })
    }
}

/// The deepest nesting of well-formed JSON.
fn depth(json: &str) -> usize {
    let (mut now, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !in_text => now -= 1,
            _ => {}
        }
    }
    deepest
}

/// Line ends can stand only between tokens (inside texts JSON escapes them); there they are a space as well, and SSE needs one line.
fn single_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
