//! What OpenAPI says about the routes that belong to no feature, and the schemas that only they speak.

use crate::http::frames;
use crate::http::schemas::{Schemas, any_of, count, instant, reference};
use crate::identity::TICKET_MS;
use campanile_contract::{EventType, PUBLISH_EVENTS_MAX, Registry};
use campanile_live::CONNECTIONS_LISTED_MAX;
use serde_json::{Value, json};

/// A route for its readers.
pub(crate) struct Described {
    /// Unique among all operations.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) allowed: Allowed,
    /// Names of `openapi::PARAMETERS`.
    pub(crate) parameters: &'static [&'static str],
    /// The schema of its body.
    pub(crate) body: Option<&'static str>,
    pub(crate) answer: Answer,
    /// Statuses of refusals.
    pub(crate) refusals: &'static [u16],
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    Everybody,
    /// With a JWT or a ticket.
    Person,
    /// With an API key.
    Service,
    /// Both; the feature decides.
    Known,
}

/// What is answered when all goes well.
pub(crate) enum Answer {
    Json { status: u16, schema: &'static str },
    Text(&'static str),
    Document(&'static str),
    Stream,
    WebSocket,
}

const READER_REFUSALS: &[u16] = &[400, 401, 403, 422, 429, 500, 503];

pub(crate) const INDEX: Described = Described {
    name: "get_index",
    summary: "What this is, and where to begin.",
    allowed: Allowed::Everybody,
    parameters: &[],
    body: None,
    answer: Answer::Text("text/plain"),
    refusals: &[],
};

pub(crate) const HEALTHZ: Described = Described { name: "get_healthz", summary: "The process lives.", ..INDEX };

pub(crate) const READYZ: Described = Described {
    name: "get_readyz",
    summary: "The store answers, and this node has applied its log. With `verbose`, the same as JSON, with what was looked at.",
    parameters: &["verbose"],
    refusals: &[500, 503],
    ..INDEX
};

pub(crate) const METRICS: Described = Described {
    name: "get_metrics",
    summary: "Prometheus text, for API keys with the scope `metrics`; open with `--dev`.",
    allowed: Allowed::Service,
    refusals: &[401, 403, 422, 500, 503],
    ..INDEX
};

pub(crate) const OPENAPI: Described =
    Described { name: "get_openapi", summary: "This document.", answer: Answer::Document("OpenAPI 3.1"), ..INDEX };

pub(crate) const ASYNCAPI: Described = Described {
    name: "get_asyncapi",
    summary: "The frames of the WebSocket and the blocks of the event stream.",
    answer: Answer::Document("AsyncAPI 3.0"),
    ..INDEX
};

pub(crate) const WEBSOCKET: Described = Described {
    name: "open_websocket",
    summary: "Opens a WebSocket; `/api/asyncapi.json` describes its frames. By default the handshake succeeds and a refusal is \
              a close code; a route with `reject = \"http\"` answers the handshake with a problem.",
    allowed: Allowed::Person,
    parameters: &["since", "client", "channels", "epoch"],
    body: None,
    answer: Answer::WebSocket,
    refusals: READER_REFUSALS,
};

pub(crate) const UPDATES: Described = Described {
    name: "open_updates",
    summary: "Opens a WebSocket in the dialect of the ROTC grading system: `/ws` with that system's own frames.",
    ..WEBSOCKET
};

pub(crate) const STREAM: Described = Described {
    name: "stream_events",
    summary: "Server-sent events; `/api/asyncapi.json` describes the blocks. A stream that is refused for load is answered 200 \
              with `retry:` and ends, because an EventSource gives up for good on anything else.",
    allowed: Allowed::Person,
    parameters: &["since", "Last-Event-ID", "client", "channels", "epoch"],
    body: None,
    answer: Answer::Stream,
    refusals: READER_REFUSALS,
};

pub(crate) const PUBLISH: Described = Described {
    name: "publish_events",
    summary: "Commits one event or a batch, all or nothing. Needs the scope `publish`, or `publish:<type>` for each type.",
    allowed: Allowed::Service,
    parameters: &["Idempotency-Key"],
    body: Some("PublishBody"),
    answer: Answer::Json { status: 201, schema: "PublishAnswer" },
    refusals: &[400, 401, 403, 409, 413, 422, 429, 500, 503, 507],
};

pub(crate) const POLL: Described = Described {
    name: "poll_events",
    summary: "Answers what is due after `since`, at once or when it happens; without `since`, the head as a cursor.",
    allowed: Allowed::Person,
    parameters: &["since", "Last-Event-ID", "wait", "client", "channels", "epoch"],
    body: None,
    answer: Answer::Json { status: 200, schema: "PollAnswer" },
    refusals: READER_REFUSALS,
};

pub(crate) const TICKET: Described = Described {
    name: "issue_ticket",
    summary: "Makes a one-use credential for an address line.",
    allowed: Allowed::Person,
    parameters: &[],
    body: None,
    answer: Answer::Json { status: 201, schema: "Ticket" },
    refusals: &[401, 403, 422, 429, 500, 503, 507],
};

pub(crate) const SESSIONS: Described = Described {
    name: "list_sessions",
    summary: "The open connections of the node that answers: one's own, or for administrators everybody's.",
    allowed: Allowed::Known,
    parameters: &["user_id"],
    body: None,
    answer: Answer::Json { status: 200, schema: "Sessions" },
    refusals: &[401, 403, 422, 429, 500, 503],
};

/// Places the schemas that the descriptions name.
pub(crate) fn place(schemas: &mut Schemas, registry: &Registry) {
    schemas.place(
        "Ticket",
        json!({
            "type": "object",
            "required": ["ticket", "expires_in_s"],
            "properties": { "ticket": { "type": "string" }, "expires_in_s": { "const": TICKET_MS / 1_000 } },
        }),
    );
    place_publish(schemas, registry);
    place_poll(schemas);
    place_sessions(schemas);
}

fn place_sessions(schemas: &mut Schemas) {
    let session = json!({
        "type": "object",
        "required": ["connection", "user_id", "token_id", "transport", "address", "since"],
        "properties": {
            "connection": { "type": "string", "description": "as `connection_established` named it" },
            "user_id": { "type": ["integer", "string"] },
            "token_id": { "type": ["string", "null"], "description": "what its credential is called when it is revoked" },
            "transport": { "enum": ["ws", "sse", "poll"] },
            "address": { "type": "string" },
            "since": instant(),
        },
    });
    let session = schemas.place("Session", session);
    let list = json!({ "type": "array", "maxItems": CONNECTIONS_LISTED_MAX, "items": session });
    let answer = json!({ "type": "object", "required": ["sessions"], "properties": { "sessions": list } });
    schemas.place("Sessions", answer);
}

fn place_publish(schemas: &mut Schemas, registry: &Registry) {
    let publish = |kind: &EventType| {
        let fields = json!({
            "type": { "const": kind.name },
            "channel": { "type": "string", "pattern": format!("^{}[:._]", kind.channel_kind) },
            "data": reference(&format!("data.{}", kind.name)),
        });
        let required = ["type", "channel", "data"];
        json!({ "type": "object", "additionalProperties": false, "required": required, "properties": fields })
    };
    let one = schemas.place("Publish", any_of(registry.event_types().map(publish).collect()));
    let many = batch_of(&one);
    schemas.place("PublishBody", json!({ "anyOf": [one, many] }));
    let receipt = json!({
        "type": "object",
        "required": ["id", "channel", "seq", "timestamp"],
        "properties": {
            "id": count("the event's place in the site's one order"),
            "channel": reference("Channel"),
            "seq": count("its dense place within the channel"),
            "timestamp": instant(),
        },
    });
    let one = schemas.place("Receipt", receipt);
    let many = batch_of(&one);
    schemas.place("PublishAnswer", json!({ "anyOf": [one, many] }));
}

fn batch_of(one: &Value) -> Value {
    let events = json!({ "type": "array", "minItems": 1, "maxItems": PUBLISH_EVENTS_MAX, "items": one });
    json!({ "type": "object", "additionalProperties": false, "required": ["events"], "properties": { "events": events } })
}

fn place_poll(schemas: &mut Schemas) {
    let gap = schemas.place("frame.gap", frames::gap().schema());
    let answer = json!({
        "type": "object",
        "required": ["events", "cursor", "epoch", "gap", "next_poll_ms", "more"],
        "properties": {
            "events": { "type": "array", "items": reference("Event") },
            "cursor": count("what the next poll passes as `since`"),
            "epoch": count("raised by a restore from backup"),
            "gap": { "anyOf": [gap, { "type": "null" }] },
            "next_poll_ms": count("the advised pause before the next poll"),
            "more": { "type": "boolean", "description": "whether the next page is there already" },
        },
    });
    schemas.place("PollAnswer", answer);
}
