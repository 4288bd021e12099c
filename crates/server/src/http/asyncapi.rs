//! `GET /api/asyncapi.json`: AsyncAPI 3.0 of the WebSocket and the event stream, generated from the registry and the frames.
//!
//! Invariant: every schema means the same in JSON schema's draft 07, which is AsyncAPI's own dialect, and in 2020-12.

use crate::app::App;
use crate::http::documents::Document;
use crate::http::frames::{self, Frame};
use crate::http::openapi::place_error_code;
use crate::http::schemas::{Schemas, component_name, count, describe, place_events, reference};
use axum::extract::State;
use campanile_contract::{Channel, EventType, Id, Registry};
use campanile_wire::CloseReason;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The frames of the WebSocket that come on the event stream too.
const STREAMED: [&str; 3] = ["gap", "replay_complete", "signal"];

pub(crate) async fn asyncapi(State(app): State<Arc<App>>) -> Document {
    app.documents.asyncapi.clone()
}

/// The document of everything that is declared.
pub(crate) fn document(registry: &Registry, listen: SocketAddr) -> Value {
    let (server, client) = (frames::server(), frames::client(registry));
    let mut messages = event_messages(registry);
    let events: Vec<String> = messages.keys().cloned().collect();
    let socket = [events.clone(), names("frame", server.iter())].concat();
    let spoken = frames::updates();
    let printed = |name: &String| !spoken.iter().any(|frame| *name == format!("frame.{}", frame.name));
    let updates = [socket.iter().filter(|name| printed(name)).cloned().collect(), names("updates", spoken.iter())].concat();
    let asked = names("client", client.iter());
    let streamed = server.iter().filter(|frame| STREAMED.contains(&frame.name));
    let blocks = stream_messages();
    let stream = [events, names("frame", streamed), blocks.keys().cloned().collect()].concat();
    messages.extend(blocks);
    messages.extend(server.iter().map(|frame| frame_message("frame", frame)));
    messages.extend(spoken.iter().map(|frame| frame_message("updates", frame)));
    messages.extend(client.iter().map(|frame| frame_message("client", frame)));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Campanile",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the server says in real time. The REST routes are in /api/openapi.json.",
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "servers": servers(listen),
        "channels": {
            "ws": {
                "address": "/ws",
                "description": close_codes(),
                "servers": [{ "$ref": "#/servers/websocket" }],
                "messages": message_references(socket.iter().chain(&asked)),
                "bindings": { "ws": { "method": "GET", "query": connect_query(), "bindingVersion": "0.1.0" } },
            },
            "updates": {
                "address": "/ws/updates/",
                "description": "The same, in the dialect of the ROTC grading system; 4001 is the code of `not_approved` too.",
                "servers": [{ "$ref": "#/servers/websocket" }],
                "messages": message_references(updates.iter().chain(&asked)),
            },
            "events": {
                "address": "/api/events",
                "description": "Server-sent events. There is no `event:` line on events; their ids are the cursor.",
                "servers": [{ "$ref": "#/servers/http" }],
                "messages": message_references(stream.iter()),
            },
        },
        "operations": operations(&socket, &updates, &stream, &client),
        "components": {
            "schemas": schemas(registry, &server, &client),
            "messages": messages,
            "securitySchemes": security_schemes(),
        },
    })
}

// === messages ===

fn event_messages(registry: &Registry) -> Map<String, Value> {
    let message = |kind: &EventType| {
        let name = format!("event.{}", kind.name);
        let message = json!({ "name": kind.name, "summary": describe(kind), "payload": reference(&name) });
        (component_name(&name), message)
    };
    registry.event_types().map(message).collect()
}

fn frame_message(side: &str, frame: &Frame) -> (String, Value) {
    let name = format!("{side}.{}", frame.name);
    let examples = json!([{ "payload": frame.example }]);
    let message = json!({ "name": frame.name, "summary": frame.summary, "payload": reference(&name), "examples": examples });
    (name, message)
}

/// The blocks that only the event stream has.
fn stream_messages() -> Map<String, Value> {
    let code = |example: &str| json!({ "type": "string", "examples": [example] });
    let expired = json!({ "type": "object", "required": ["code"], "properties": { "code": code("expired_token") } });
    let fields = json!({ "code": code("server_draining"), "retry_after_ms": count("come back after so many milliseconds") });
    let draining = json!({ "type": "object", "required": ["code", "retry_after_ms"], "properties": fields });
    let messages = json!({
        "stream.cursor": {
            "name": "cursor",
            "summary": "A block with only an `id:`: everything due up to it has been sent. The first is the head.",
        },
        "stream.expired": {
            "name": "expired", "summary": "`event: expired`: the token ended, and so does the stream.", "payload": expired,
        },
        "stream.draining": {
            "name": "draining", "summary": "`event: draining`: the stream ends; come back later.", "payload": draining,
        },
    });
    if let Value::Object(messages) = messages { messages } else { Map::new() }
}

fn names<'a>(side: &str, frames: impl Iterator<Item = &'a Frame>) -> Vec<String> {
    frames.map(|frame| format!("{side}.{}", frame.name)).collect()
}

fn message_references<'a>(names: impl Iterator<Item = &'a String>) -> Map<String, Value> {
    names.map(|name| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") }))).collect()
}

// === operations ===

/// From the server's side, as the standard wants it: it sends what clients receive.
fn operations(socket: &[String], updates: &[String], stream: &[String], client: &[Frame]) -> Map<String, Value> {
    let asked = names("client", client.iter());
    let mut operations = Map::from_iter([
        ("send_frames".to_owned(), operation("send", "ws", socket, "Events and everything else that a WebSocket is told.")),
        ("send_updates".to_owned(), operation("send", "updates", updates, "What clients of the ROTC grading system are told.")),
        ("receive_updates".to_owned(), operation("receive", "updates", &asked, "What they may say: the frames of `/ws`.")),
        ("stream_events".to_owned(), stream_operation(stream)),
    ]);
    for frame in client {
        let name = [format!("client.{}", frame.name)];
        let mut operation = operation("receive", "ws", &name, frame.summary);
        if let Some(answer) = frame.answered_by {
            operation["reply"] = json!({ "channel": channel("ws"), "messages": within("ws", &[format!("frame.{answer}")]) });
        }
        operations.insert(format!("receive_{}", frame.name), operation);
    }
    operations
}

fn stream_operation(stream: &[String]) -> Value {
    let mut operation = operation("send", "events", stream, "The stream of `GET /api/events`.");
    let binding = json!({ "method": "GET", "query": connect_query(), "bindingVersion": "0.3.0" });
    operation["bindings"] = json!({ "http": binding });
    operation
}

fn operation(action: &str, place: &str, messages: &[String], summary: &str) -> Value {
    json!({ "action": action, "channel": channel(place), "summary": summary, "messages": within(place, messages) })
}

fn channel(place: &str) -> Value {
    json!({ "$ref": format!("#/channels/{place}") })
}

fn within(place: &str, messages: &[String]) -> Vec<Value> {
    messages.iter().map(|name| json!({ "$ref": format!("#/channels/{place}/messages/{name}") })).collect()
}

/// What a connection may ask for in its address.
fn connect_query() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "properties": {
            "since": text("the cursor to resume from: an event id or an ISO 8601 instant"),
            "client": text("a name of this client instance: a new connection of it replaces the old one"),
            "channels": text("only these channels, separated by commas"),
            "epoch": { "type": "integer", "description": "the epoch in which the cursor was given out" },
        },
    })
}

// === schemas, servers, security ===

fn schemas(registry: &Registry, server: &[Frame], client: &[Frame]) -> Value {
    let mut schemas = Schemas::default();
    schemas.place_type::<Id>();
    schemas.place_type::<Channel>();
    place_error_code(&mut schemas);
    place_events(&mut schemas, registry);
    for command in registry.commands() {
        let name = format!("command.{}", command.name);
        let fields = schemas.take_in(&name, (command.schema)());
        schemas.place(&name, fields);
    }
    for frame in server {
        schemas.place(&format!("frame.{}", frame.name), frame.schema());
    }
    for frame in frames::updates() {
        schemas.place(&format!("updates.{}", frame.name), frame.schema());
    }
    for frame in client {
        schemas.place(&format!("client.{}", frame.name), frame.schema());
    }
    schemas.into_json()
}

fn servers(listen: SocketAddr) -> Value {
    let host = json!({ "host": { "default": listen.to_string(), "description": "Where the server is reached." } });
    let security: Vec<_> = ["jwt", "subprotocol", "ticket", "token"]
        .map(|name| json!({ "$ref": format!("#/components/securitySchemes/{name}") }))
        .into();
    let server = |protocol: &str, over_tls: &str| {
        let description = format!("{over_tls} behind a proxy that ends TLS.");
        json!({ "host": "{host}", "protocol": protocol, "description": description, "variables": host, "security": security })
    };
    json!({ "websocket": server("ws", "wss"), "http": server("http", "https") })
}

fn security_schemes() -> Value {
    json!({
        "jwt": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A person's access token." },
        "subprotocol": {
            "type": "httpApiKey", "in": "header", "name": "Sec-WebSocket-Protocol",
            "description": "`bearer, <jwt>`, for browsers; only on a WebSocket.",
        },
        "ticket": {
            "type": "httpApiKey", "in": "query", "name": "ticket", "description": "From `POST /api/ticket`: one use, 30 s.",
        },
        "token": { "type": "httpApiKey", "in": "query", "name": "token", "description": "A person's access token." },
    })
}

fn close_codes() -> String {
    let mut words: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for reason in CloseReason::ALL {
        words.entry(reason.code()).or_default().push(format!("`{}`", reason.word()));
    }
    let lines: Vec<_> = words.iter().map(|(code, words)| format!("- {code}: {}", words.join(", "))).collect();
    format!("Everything, both ways, as JSON text frames. Close codes and their reasons:\n\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests;
