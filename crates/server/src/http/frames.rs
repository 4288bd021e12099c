//! The frames of the native route, other than events: their schemas, each with an example.
//!
//! The types themselves are in the wire crate; tests.rs holds every schema and example against what they really read and write.

use crate::http::schemas::{any_of, count, instant, reference};
use campanile_contract::{CommandType, Registry};
use campanile_wire::CloseReason;
use serde_json::{Map, Value, json};

/// One kind of frame.
pub(crate) struct Frame {
    /// Its `type`.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    /// Its fields besides `type`.
    required: Value,
    optional: Value,
    /// What the fields say of each other.
    rules: Value,
    pub(crate) example: Value,
    /// The server's frame that answers this one of a client.
    pub(crate) answered_by: Option<&'static str>,
}

impl Frame {
    fn new(name: &'static str, summary: &'static str, required: Value, optional: Value, example: Value) -> Self {
        Self { name, summary, required, optional, rules: json!({}), example, answered_by: None }
    }

    fn with(self, rules: Value) -> Self {
        Self { rules, ..self }
    }

    fn answered_by(self, name: &'static str) -> Self {
        Self { answered_by: Some(name), ..self }
    }

    /// The JSON schema.
    pub(crate) fn schema(&self) -> Value {
        let mut required = vec![Value::from("type")];
        let mut properties = Map::from_iter([("type".to_owned(), json!({ "const": self.name }))]);
        for (name, schema) in fields(&self.required) {
            required.push(name.as_str().into());
            properties.insert(name.clone(), schema.clone());
        }
        properties.extend(fields(&self.optional).map(|(name, schema)| (name.clone(), schema.clone())));
        let schema = json!({ "type": "object", "description": self.summary, "required": required, "properties": properties });
        Value::Object(fields(&schema).chain(fields(&self.rules)).map(|(name, rule)| (name.clone(), rule.clone())).collect())
    }
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn channels() -> Value {
    json!({ "type": "array", "items": reference("Channel") })
}

/// What the server sends besides events.
pub(crate) fn server() -> Vec<Frame> {
    let mut frames = standing();
    frames.extend(stream());
    frames.extend(answers());
    frames
}

/// How the connection stands.
fn standing() -> Vec<Frame> {
    let words: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.word()).collect();
    vec![
        Frame::new(
            "connection_established",
            "The first frame. `cursor` is the head, so that a client that has seen nothing yet has a cursor too.",
            json!({
                "message": text(), "user_id": reference("Id"), "cursor": count("the head"), "epoch": count("the log's epoch"),
                "connection": text(), "heartbeat_ms": count("how often a heartbeat comes"),
                "expires_at": instant(), "timestamp": instant(),
            }),
            json!({ "role": text() }),
            json!({
                "type": "connection_established", "message": "WebSocket connection established", "user_id": 1, "role": "cadet",
                "cursor": 120, "epoch": 1, "connection": "c-81", "heartbeat_ms": 25000,
                "expires_at": "2026-01-15T11:30:00.000Z", "timestamp": "2026-01-15T10:30:00.000Z",
            }),
        ),
        Frame::new(
            "heartbeat",
            "Everything due up to `cursor` has been sent.",
            json!({ "cursor": count("resumes here"), "timestamp": instant() }),
            json!({}),
            json!({ "type": "heartbeat", "cursor": 121, "timestamp": "2026-01-15T10:30:00.000Z" }),
        ),
        Frame::new(
            "reconnect",
            "Stands before close 4010 and 4029, and says when to come back.",
            json!({ "code": { "enum": words }, "retry_after_ms": count("come back after so many milliseconds") }),
            json!({}),
            json!({ "type": "reconnect", "code": "server_draining", "retry_after_ms": 2300 }),
        ),
        Frame::new(
            "error",
            "A frame of the client was refused; the connection lives on.",
            json!({ "message": text(), "code": reference("ErrorCode") }),
            json!({}),
            json!({ "type": "error", "message": "expected value at line 1 column 1", "code": "malformed_json" }),
        ),
    ]
}

/// What `/ws/updates/` says in its own words.
pub(crate) fn updates() -> Vec<Frame> {
    vec![
        Frame::new(
            "connection_established",
            "The first frame. `id` is the head: a client that remembers the last `id` it saw has a cursor already.",
            json!({ "message": text(), "user_id": reference("Id"), "id": count("the head"), "timestamp": instant() }),
            json!({ "role": text() }),
            json!({
                "type": "connection_established", "message": "WebSocket connection established", "user_id": 1, "role": "cadet",
                "id": 120, "timestamp": "2026-01-15T10:30:00.000Z",
            }),
        ),
        Frame::new(
            "error",
            "A frame of the client was refused; the sentence begins with the code.",
            json!({ "message": text() }),
            json!({}),
            json!({ "type": "error", "message": "malformed_json: expected value at line 1 column 1" }),
        ),
    ]
}

/// What stands between events.
fn stream() -> Vec<Frame> {
    vec![
        gap(),
        Frame::new(
            "replay_complete",
            "The history has been sent; live goes on.",
            json!({
                "from": count("where the replay began"), "to": count("where live goes on"), "count": count("events sent"),
                "gap": { "type": "boolean", "description": "whether a gap was told" },
            }),
            json!({}),
            json!({ "type": "replay_complete", "from": 3, "to": 121, "count": 31, "gap": true }),
        ),
        Frame::new(
            "signal",
            "An ephemeral message of a member of the channel, never stored.",
            json!({ "signal": text(), "channel": reference("Channel"), "from": reference("Id"), "data": true }),
            json!({}),
            json!({ "type": "signal", "signal": "typing", "channel": "course:7", "from": 1, "data": {} }),
        ),
        Frame::new(
            "view",
            "The newest picture of a view; values in between may be skipped.",
            json!({ "view": text(), "key": reference("Id"), "data": true, "as_of": count("the log's position in it") }),
            json!({}),
            json!({ "type": "view", "view": "course_size", "key": "7", "data": { "registered": 31 }, "as_of": 121 }),
        ),
    ]
}

/// A stretch of the log that this client cannot be given any more; long polls have it in their answer.
pub(crate) fn gap() -> Frame {
    Frame::new(
        "gap",
        "Stands before the jump: events after `from` and up to `to` may be missing. Refetch by REST.",
        json!({
            "from": count("the client's cursor"), "to": count("where the stream goes on"),
            "reason": { "enum": ["retention", "epoch", "erased", "cursor_ahead"] },
        }),
        json!({}),
        json!({ "type": "gap", "from": 3, "to": 90, "reason": "retention" }),
    )
}

/// What answers a frame of the client.
fn answers() -> Vec<Frame> {
    let listed = |name, summary| {
        let example = json!({ "type": name, "channels": ["course:7"] });
        Frame::new(name, summary, json!({ "channels": channels() }), json!({}), example)
    };
    let outcome = json!([
        { "properties": { "ok": { "const": true } }, "required": ["data"] },
        { "properties": { "ok": { "const": false } }, "required": ["code", "message"] },
    ]);
    vec![
        Frame::new(
            "pong",
            "Answers a ping with its timestamp.",
            json!({ "timestamp": true }),
            json!({}),
            json!({ "type": "pong", "timestamp": 1_234_567_890 }),
        ),
        Frame::new(
            "reply",
            "Answers a command. `id` is the last event that it caused, if any; with `stale_version`, `current` is what is true now.",
            json!({ "ref": true, "ok": { "type": "boolean" } }),
            json!({ "data": true, "id": count("an event"), "code": reference("ErrorCode"), "message": text(), "current": true }),
            json!({ "type": "reply", "ref": "a1", "ok": true, "data": { "course_id": 7, "changed": true }, "id": 122 }),
        )
        .with(json!({ "oneOf": outcome })),
        Frame::new(
            "refreshed",
            "The fresh token was taken; the connection ends with it.",
            json!({ "expires_at": instant() }),
            json!({}),
            json!({ "type": "refreshed", "expires_at": "2026-01-15T11:30:00.000Z" }),
        ),
        listed("subscribed", "These channels are read now."),
        listed("unsubscribed", "These channels are not read any more."),
    ]
}

/// What a client may send.
pub(crate) fn client(registry: &Registry) -> Vec<Frame> {
    let mut frames = credentials();
    frames.extend(selections(registry));
    frames.extend(requests(registry));
    frames
}

fn credentials() -> Vec<Frame> {
    let token = || json!({ "token": { "type": "string", "description": "a JWT" } });
    vec![
        Frame::new(
            "auth",
            "Only as the first message, when the request carried no credential.",
            token(),
            json!({}),
            json!({ "type": "auth", "token": "<jwt>" }),
        )
        .answered_by("connection_established"),
        Frame::new(
            "refresh",
            "A fresh token of the same user; the connection then ends with the new `exp`.",
            token(),
            json!({}),
            json!({ "type": "refresh", "token": "<jwt>" }),
        )
        .answered_by("refreshed"),
    ]
}

fn selections(registry: &Registry) -> Vec<Frame> {
    let views: Vec<_> = registry.views().map(|view| view.name).collect();
    let selection = |name, summary, example| {
        let view = json!({ "type": "string", "enum": views });
        let optional = json!({ "channels": channels(), "view": view, "key": reference("Id") });
        Frame::new(name, summary, json!({}), optional, example).with(
            json!({ "additionalProperties": false, "oneOf": [{ "required": ["channels"] }, { "required": ["view", "key"] }] }),
        )
    };
    vec![
        selection(
            "subscribe",
            "Adds channels, or one view, to what this connection reads. A view is answered by its first `view` frame.",
            json!({ "type": "subscribe", "channels": ["course:7"] }),
        )
        .answered_by("subscribed"),
        selection(
            "unsubscribe",
            "Takes channels, or one view, away again.",
            json!({ "type": "unsubscribe", "channels": ["course:7"] }),
        )
        .answered_by("unsubscribed"),
    ]
}

fn requests(registry: &Registry) -> Vec<Frame> {
    let command = |command: &CommandType| {
        let data = reference(&format!("command.{}", command.name));
        json!({ "properties": { "name": { "const": command.name }, "data": data } })
    };
    vec![
        Frame::new(
            "ping",
            "Answered at once.",
            json!({}),
            json!({ "timestamp": true }),
            json!({ "type": "ping", "timestamp": 1_234_567_890 }),
        )
        .answered_by("pong"),
        Frame::new(
            "replay_request",
            "Rewinds: live pauses, everything after the cursor follows once, then live goes on. 0 is the beginning.",
            json!({ "last_event_id": { "anyOf": [count("the last event seen"), instant()] } }),
            json!({}),
            json!({ "type": "replay_request", "last_event_id": 123 }),
        )
        .answered_by("replay_complete"),
        Frame::new(
            "command",
            "Runs a command by the same door as HTTP.",
            json!({ "name": text() }),
            json!({ "ref": true, "data": true, "idempotency_key": { "type": ["string", "null"] } }),
            json!({
                "type": "command", "ref": "a1", "name": "register_person", "data": { "course_id": 7, "person_id": 1 },
                "idempotency_key": "b2c4",
            }),
        )
        .with(any_of(registry.commands().map(command).collect()))
        .answered_by("reply"),
        Frame::new(
            "signal",
            "An ephemeral message to the members of a channel.",
            json!({ "signal": text(), "channel": reference("Channel") }),
            json!({ "data": true }),
            json!({ "type": "signal", "signal": "typing", "channel": "course:7", "data": {} }),
        ),
    ]
}
