//! Frames: what clients send, and what the server answers, on the native routes.
//!
//! Events are encoded by [`event_json`] once and shared; the data's bytes pass through untouched.

use crate::channel::Channel;
use crate::event::Event;
use crate::id::Id;
use crate::instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// A frame from a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first message of a connection whose request carried no credential.
    Auth {
        /// A JWT.
        token: String,
    },
    /// A fresh token of the same user.
    Refresh {
        /// A JWT.
        token: String,
    },
    /// Answered at once by `pong` with the same timestamp.
    Ping {
        /// Echoed as given.
        #[serde(default)]
        timestamp: Value,
    },
    /// Rewinds: everything after the cursor follows once, in order, then live goes on.
    ReplayRequest {
        /// An id or an instant; see [`crate::Cursor::from_json`].
        last_event_id: Value,
    },
    /// Adds channels or a view to what this connection reads.
    Subscribe(Selection),
    /// Takes them away again.
    Unsubscribe(Selection),
    /// Runs a command by the same door as HTTP.
    ///
    /// Read by itself, because the fields of a frame that is read by its tag lose the spelling of their numbers.
    #[serde(skip_deserializing)]
    Command(CommandFrame),
    /// An ephemeral message to the members of a channel.
    Signal {
        /// What it is: `typing`, `hand_raised` …
        signal: String,
        /// To whom.
        channel: Channel,
        /// Anything small.
        #[serde(default)]
        data: Value,
    },
}

/// A command and its fields.
#[derive(Debug, Deserialize)]
pub struct CommandFrame {
    /// Echoed in the `reply`.
    #[serde(rename = "ref", default)]
    pub reference: Value,
    /// The command's name.
    pub name: String,
    /// Its fields, as they came.
    #[serde(default = "no_fields")]
    pub data: Box<RawValue>,
    /// As the `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
}

impl ClientFrame {
    /// Reads a frame whose `type` is known already.
    ///
    /// # Errors
    /// When a field is missing or of the wrong type.
    pub fn read(kind: &str, text: &str) -> serde_json::Result<Self> {
        match kind {
            "command" => serde_json::from_str(text).map(Self::Command),
            _ => serde_json::from_str(text),
        }
    }
}

fn no_fields() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// What `subscribe` and `unsubscribe` name: channels, or one view.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Channels that the person is a member of.
    #[serde(default)]
    pub channels: Vec<Channel>,
    /// A view's name.
    pub view: Option<String>,
    /// Which one of the view's instances.
    pub key: Option<Id>,
}

/// A frame to a client, other than an event.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "PROTOCOL.md section 3 documents every field; the golden tests hold them together")]
pub enum ServerFrame<'a> {
    ConnectionEstablished {
        message: &'a str,
        user_id: &'a Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<&'a str>,
        cursor: u64,
        epoch: u64,
        connection: &'a str,
        heartbeat_ms: u64,
        expires_at: String,
        timestamp: String,
    },
    Heartbeat {
        cursor: u64,
        timestamp: String,
    },
    Gap(Gap),
    ReplayComplete {
        from: u64,
        to: u64,
        count: u64,
        gap: bool,
    },
    Pong {
        timestamp: &'a Value,
    },
    Reply(Reply<'a>),
    Refreshed {
        expires_at: String,
    },
    Subscribed {
        channels: &'a [Channel],
    },
    Unsubscribed {
        channels: &'a [Channel],
    },
    Signal {
        signal: &'a str,
        channel: &'a Channel,
        from: &'a Id,
        data: &'a Value,
    },
    View {
        view: &'a str,
        key: &'a Id,
        data: &'a RawValue,
        as_of: u64,
    },
    Reconnect {
        code: &'a str,
        retry_after_ms: u64,
    },
    Error {
        message: &'a str,
        code: &'a str,
    },
}

/// A stretch of the log that this client cannot be given any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The client's cursor.
    pub from: u64,
    /// Up to here events that were due may be missing.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// They were older than their type is kept.
    Retention,
    /// The store was restored from a backup.
    Epoch,
    /// They were erased on request.
    Erased,
    /// The cursor lies beyond the head: the store lost its end.
    CursorAhead,
}

/// The answer to a `command` frame.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "PROTOCOL.md section 3 documents every field")]
pub struct Reply<'a> {
    #[serde(rename = "ref")]
    pub reference: &'a Value,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<&'a Value>,
}

impl ServerFrame<'_> {
    /// The frame as JSON text.
    ///
    /// # Panics
    /// Never in practice: every field serialises.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a frame serialises")
    }
}

/// The native JSON of an event: `{"type","id","channel","seq","data","timestamp"}`.
pub fn event_json(event: &Event) -> String {
    json_of(event, None)
}

/// As [`event_json`], with the channel's id at top level, as seed C's event stream has it (line 214):
/// `{"type","id","channel","seq","cadet_id","data","timestamp"}`. The id is spelled as `data` spells it under the same name; where it
/// does not, a whole number is one.
pub fn event_json_with_id(event: &Event, name: &str) -> String {
    let spelled = serde_json::from_str::<Value>(&event.data).ok().and_then(|data| data.get(name).cloned());
    let known = spelled.filter(|id| Id::from_json(id).is_some_and(|id| id.as_str() == event.channel.id()));
    let id = known.unwrap_or_else(|| match event.channel.id().parse::<i64>() {
        Ok(number) if number.to_string() == event.channel.id() => number.into(),
        _ => event.channel.id().into(),
    });
    json_of(event, Some((name, &id)))
}

fn json_of(event: &Event, id_of_channel: Option<(&str, &Value)>) -> String {
    use std::fmt::Write;
    let mut json = String::with_capacity(event.data.len() + event.kind.len() + event.channel.as_str().len() + 120);
    json.push_str("{\"type\":");
    push_json_text(&mut json, &event.kind);
    let _ = write!(json, ",\"id\":{},\"channel\":", event.id);
    push_json_text(&mut json, event.channel.as_str());
    let _ = write!(json, ",\"seq\":{}", event.seq);
    if let Some((name, id)) = id_of_channel {
        let _ = write!(json, ",\"{name}\":{id}");
    }
    let _ = write!(json, ",\"data\":{}", event.data);
    let _ = write!(json, ",\"timestamp\":\"{}\"}}", instant::format(event.recorded_at_ms));
    json
}

fn push_json_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::to_string(text).expect("text serialises"));
}
