//! AsyncAPI against the frames that are really read and written, and against PROTOCOL.md.

use super::document;
use crate::http::frames::{self, Frame};
use crate::http::schemas::tests::{assert_differs, assert_fits, assert_sound, registry};
use campanile_contract::{Channel, ErrorCode, Event, Id};
use campanile_wire::Dialect;
use campanile_wire::frame::{ClientFrame, Gap, GapReason, Reply, ServerFrame, event_json};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const PROTOCOL: &str = include_str!("../../../../../PROTOCOL.md");

fn described() -> Value {
    document(&registry(), SocketAddr::from(([127, 0, 0, 1], 8000)))
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Real frames of one kind: together they have every described field, and each has those that are required.
fn assert_golden(document: &Value, name: &str, real: &[Value]) {
    for frame in real {
        assert_fits(document, &schema(name), frame);
    }
    let described = &document["components"]["schemas"][name];
    let every: BTreeSet<&str> = real.iter().flat_map(keys).collect();
    assert_eq!(every, keys(&described["properties"]), "{name}: fields");
    let always = real.iter().map(keys).reduce(|one, other| &one & &other).unwrap();
    let required: BTreeSet<&str> = described["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(always, required, "{name}: required fields");
}

/// The kind of a frame. Without a last arm, so that a new kind of frame does not compile before it has a golden one.
fn kind(frame: &ServerFrame<'_>) -> &'static str {
    match frame {
        ServerFrame::ConnectionEstablished { .. } => "connection_established",
        ServerFrame::Heartbeat { .. } => "heartbeat",
        ServerFrame::Gap(_) => "gap",
        ServerFrame::ReplayComplete { .. } => "replay_complete",
        ServerFrame::Pong { .. } => "pong",
        ServerFrame::Reply(_) => "reply",
        ServerFrame::Refreshed { .. } => "refreshed",
        ServerFrame::Subscribed { .. } => "subscribed",
        ServerFrame::Unsubscribed { .. } => "unsubscribed",
        ServerFrame::Signal { .. } => "signal",
        ServerFrame::View { .. } => "view",
        ServerFrame::Reconnect { .. } => "reconnect",
        ServerFrame::Error { .. } => "error",
    }
}

fn golden_server_frames(check: &mut dyn FnMut(&[ServerFrame<'_>])) {
    let (timestamp, expires_at) = ("2026-01-15T10:30:00.000Z".to_owned(), "2026-01-15T11:30:00.000Z".to_owned());
    let (ada, seven, course) = (Id::from(1), Id::new("7").unwrap(), Channel::parse("course:7").unwrap());
    let channels = std::slice::from_ref(&course);
    let established = |role| ServerFrame::ConnectionEstablished {
        message: "WebSocket connection established",
        user_id: &ada,
        role,
        cursor: 120,
        epoch: 1,
        connection: "c-81",
        heartbeat_ms: 25_000,
        expires_at: expires_at.clone(),
        timestamp: timestamp.clone(),
    };
    check(&[established(Some("cadet")), established(None)]);
    check(&[ServerFrame::Heartbeat { cursor: 121, timestamp: timestamp.clone() }]);
    let reasons = [GapReason::Retention, GapReason::Epoch, GapReason::Erased, GapReason::CursorAhead];
    check(&reasons.map(|reason| ServerFrame::Gap(Gap { from: 3, to: 90, reason })));
    check(&[ServerFrame::ReplayComplete { from: 3, to: 121, count: 31, gap: true }]);
    check(&[ServerFrame::Pong { timestamp: &json!(1_234_567_890) }]);
    let data = RawValue::from_string(r#"{"course_id":7,"changed":true}"#.into()).unwrap();
    let (reference, nothing) = (json!("a1"), (None, None));
    let ok = |id| {
        let (code, message) = nothing;
        Reply { reference: &reference, ok: true, data: Some(&data), id, code, message, current: None }
    };
    let (code, message) = (Some(ErrorCode::Forbidden.as_str()), Some(ErrorCode::Forbidden.sentence()));
    let refused = |current| Reply { reference: &reference, ok: false, data: None, id: None, code, message, current };
    let sheet = json!({ "cadet_id": 1, "version": 2 });
    let [stale, forbidden] = [Some(&sheet), None].map(|current| ServerFrame::Reply(refused(current)));
    check(&[ServerFrame::Reply(ok(Some(122))), ServerFrame::Reply(ok(None)), forbidden, stale]);
    check(&[ServerFrame::Refreshed { expires_at: expires_at.clone() }]);
    check(&[ServerFrame::Subscribed { channels }]);
    check(&[ServerFrame::Unsubscribed { channels }]);
    check(&[ServerFrame::Signal { signal: "typing", channel: &course, from: &ada, data: &json!({}) }]);
    let picture = RawValue::from_string(r#"{"registered":31}"#.into()).unwrap();
    check(&[ServerFrame::View { view: "course_size", key: &seven, data: &picture, as_of: 121 }]);
    check(&[ServerFrame::Reconnect { code: "server_draining", retry_after_ms: 2_300 }]);
    check(&[ServerFrame::Error { message: "expected value at line 1 column 1", code: "malformed_json" }]);
}

#[test]
fn every_frame_of_the_server_is_described_with_the_fields_that_it_has() {
    let (document, described) = (described(), frames::server());
    let mut seen = BTreeSet::new();
    golden_server_frames(&mut |real| {
        let name = kind(&real[0]);
        seen.insert(name);
        let real: Vec<Value> = real.iter().map(|frame| serde_json::from_str(&frame.to_json()).unwrap()).collect();
        assert_golden(&document, &format!("frame.{name}"), &real);
        let example = described.iter().find(|frame| frame.name == name).map(|frame| frame.example.clone());
        assert_eq!(example.as_ref(), real.first(), "{name}: the example is the golden frame");
    });
    assert_eq!(seen, described.iter().map(|frame| frame.name).collect());
}

#[test]
fn the_seeds_dialect_is_described_as_it_is_spoken() {
    let document = described();
    for frame in frames::updates() {
        golden_server_frames(&mut |real| {
            if kind(&real[0]) == frame.name {
                let spoken = real.iter().map(|real| serde_json::from_str(&Dialect::Updates.encode(real)).unwrap());
                let spoken: Vec<Value> = spoken.collect();
                assert_golden(&document, &format!("updates.{}", frame.name), &spoken);
                assert_eq!(frame.example, spoken[0], "{}: the example is the golden frame", frame.name);
            }
        });
    }
}

/// As above: a new kind of frame does not compile before it stands here.
fn client_kind(frame: &ClientFrame) -> &'static str {
    match frame {
        ClientFrame::Auth { .. } => "auth",
        ClientFrame::Refresh { .. } => "refresh",
        ClientFrame::Ping { .. } => "ping",
        ClientFrame::ReplayRequest { .. } => "replay_request",
        ClientFrame::Subscribe(_) => "subscribe",
        ClientFrame::Unsubscribe(_) => "unsubscribe",
        ClientFrame::Command(_) => "command",
        ClientFrame::Signal { .. } => "signal",
    }
}

fn without(frame: &Value, field: &str) -> Value {
    let mut frame = frame.clone();
    frame.as_object_mut().unwrap().remove(field);
    frame
}

#[test]
fn every_frame_of_a_client_is_read_as_it_is_described() {
    let document = described();
    for Frame { name, example, .. } in frames::client(&registry()) {
        let read = |frame: &Value| ClientFrame::read(frame["type"].as_str().unwrap_or(""), &frame.to_string());
        assert_eq!(client_kind(&read(&example).unwrap()), name);
        assert_fits(&document, &schema(&format!("client.{name}")), &example);
        let described = &document["components"]["schemas"][format!("client.{name}")];
        let required: Vec<&str> = described["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for field in keys(&example) {
            let is_read = read(&without(&example, field)).is_ok();
            assert_eq!(is_read, !required.contains(&field), "{name} without {field}");
        }
    }
}

#[test]
fn a_selection_names_channels_or_a_view() {
    let (document, subscribe) = (described(), schema("client.subscribe"));
    let view = json!({ "type": "subscribe", "view": "course_size", "key": "7" });
    assert_fits(&document, &subscribe, &view);
    assert!(ClientFrame::read("subscribe", &view.to_string()).is_ok());
    assert_differs(&document, &subscribe, &without(&view, "key"));
    assert_differs(&document, &subscribe, &json!({ "type": "subscribe", "view": "no_such_view", "key": "7" }));
    let unknown = json!({ "type": "subscribe", "channels": ["course:7"], "chanels": [] });
    assert_differs(&document, &subscribe, &unknown);
    assert!(ClientFrame::read("subscribe", &unknown.to_string()).is_err());
}

#[test]
fn a_commands_data_is_that_of_its_name() {
    let (document, command) = (described(), schema("client.command"));
    let frame = |name: &str, data: Value| json!({ "type": "command", "name": name, "data": data });
    assert_fits(&document, &command, &frame("save_course", json!({ "course_id": 7, "title": "Bell founding" })));
    assert_differs(&document, &command, &frame("save_course", json!({ "course_id": 7, "person_id": 1 })));
    assert_differs(&document, &command, &frame("no_such_command", json!({})));
}

#[test]
fn the_protocol_and_the_document_know_the_same_frames() {
    let section = PROTOCOL.split("### ").find(|part| part.starts_with("Server to client")).unwrap();
    assert_eq!(types(section), frames::server().iter().map(|frame| frame.name).collect());
    let section = PROTOCOL.split("### ").find(|part| part.starts_with("Client to server")).unwrap();
    assert_eq!(types(section), frames::client(&registry()).iter().map(|frame| frame.name).collect());
}

fn types(section: &str) -> BTreeSet<&str> {
    let named = section.split("{\"type\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    named.filter(|name| !name.starts_with('<')).collect()
}

#[test]
fn every_event_type_is_a_message_with_its_data_in_the_native_envelope() {
    let document = described();
    for kind in registry().event_types() {
        let name = format!("event.{}", crate::http::schemas::component_name(&kind.name));
        for channel in ["ws", "events"] {
            let message = &document["channels"][channel]["messages"][&name];
            assert_eq!(message["$ref"], format!("#/components/messages/{name}"));
        }
    }
    for (kind, channel, data, wrong) in [
        ("announcement", "course:7", json!({ "title": "Hello", "body": "", "more": 1 }), json!({ "title": "" })),
        ("progress_update", "user:1", json!({ "course_id": 7, "percent": 50 }), json!({ "course_id": 7, "percent": 101 })),
        ("withdrawn", "user:1", json!({ "course_id": "7", "person_id": 1 }), json!({ "course_id": [], "person_id": 1 })),
        ("lab/booked", "course:7", json!({ "slot": 2 }), json!({ "slot": "two" })),
        ("bell_rung", "role:student", json!({}), json!([])),
    ] {
        let name = schema(&format!("event.{}", crate::http::schemas::component_name(kind)));
        let real = native(kind, channel, &data);
        assert_fits(&document, &name, &real);
        assert_fits(&document, &schema("Event"), &real);
        assert_eq!(keys(&real), keys(&document.pointer(&name["$ref"].as_str().unwrap()[1..]).unwrap()["properties"]));
        assert_differs(&document, &name, &native(kind, channel, &wrong));
        assert_differs(&document, &name, &native(kind, "cadet:1", &data));
    }
}

fn native(kind: &str, channel: &str, data: &Value) -> Value {
    let event = Event {
        id: 121,
        channel: Channel::parse(channel).unwrap(),
        seq: 14,
        kind: kind.into(),
        data: data.to_string().into(),
        recorded_at_ms: 1_768_473_000_000,
        effects: Vec::new(),
    };
    serde_json::from_str(&event_json(&event)).unwrap()
}

#[test]
fn every_reference_points_at_something_and_every_example_fits_its_payload() {
    let document = described();
    assert_sound(&document);
    let mut examples = 0;
    for message in document["components"]["messages"].as_object().unwrap().values() {
        for example in message["examples"].as_array().into_iter().flatten() {
            assert_fits(&document, &message["payload"], &example["payload"]);
            examples += 1;
        }
    }
    assert!(examples > 20, "{examples} examples");
}

#[test]
fn an_operation_names_messages_of_its_channel_and_every_message_is_sent_or_received() {
    let document = described();
    let mut used = BTreeSet::new();
    for operation in document["operations"].as_object().unwrap().values() {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        for message in operation["messages"].as_array().unwrap() {
            let reference = message["$ref"].as_str().unwrap();
            let name = reference.strip_prefix(&format!("{channel}/messages/")).unwrap();
            used.insert(name);
        }
    }
    assert_eq!(used, keys(&document["components"]["messages"]));
}
