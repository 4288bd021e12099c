//! Rules of the shared words.

use crate::frame::ServerFrame;
use crate::{Caller, Channel, CloseReason, Cursor, Dialect, Event, Id, caller::ServiceCaller, frame, instant};
use serde_json::json;

#[test]
fn an_id_keeps_its_json_type_and_equals_by_its_canonical_string() {
    for given in [json!(7), json!("7"), json!(-3), json!(18_446_744_073_709_551_615_u64), json!("é x")] {
        let id = Id::from_json(&given).unwrap();
        assert_eq!(id.to_json(), given);
        assert_eq!(Id::from_json_text(&given.to_string()).unwrap().to_json(), given);
    }
    assert_eq!(Id::from_json(&json!(7)), Id::from_json(&json!("7")));
}

#[test]
fn an_id_is_no_fraction_no_object_not_empty_and_holds_no_line_end() {
    for given in [json!(1.5), json!(null), json!({}), json!([]), json!(true), json!(""), json!("a\nb"), json!("x".repeat(129))]
    {
        assert!(Id::from_json(&given).is_none(), "{given}");
    }
}

#[test]
fn a_channel_is_split_at_its_first_separator() {
    for (given, expect) in [
        ("user:1", "user:1"),
        ("user.1", "user:1"),
        ("user_1", "user:1"),
        ("role_training_staff", "role:training_staff"),
        ("course:AAA-2013J", "course:AAA-2013J"),
        ("room:a:b", "room:a:b"),
    ] {
        assert_eq!(Channel::parse(given).unwrap().as_str(), expect);
    }
    for given in ["", "user", ":1", "user:", "User:1", "us er:1", "user:\n"] {
        assert!(Channel::parse(given).is_err(), "{given:?}");
    }
}

#[test]
fn a_cursor_is_an_id_or_an_instant_with_any_offset() {
    assert_eq!(Cursor::parse("0").unwrap(), Cursor::Id(0));
    assert_eq!(Cursor::parse("99999999999999999999999").unwrap(), Cursor::Id(i64::MAX as u64));
    let at = instant::parse("2024-01-15T10:30:00Z").unwrap();
    assert_eq!(Cursor::parse("2024-01-15T11:30:00+01:00").unwrap(), Cursor::Instant(at));
    assert_eq!(Cursor::parse("2024-01-15T11:30:00 01:00").unwrap(), Cursor::Instant(at), "a + that a query decoded to a space");
    for given in ["", "-1", "1.5", "abc", "2024-01-15", "１"] {
        assert!(Cursor::parse(given).is_err(), "{given:?}");
    }
    for given in [json!(-1), json!(1.5), json!(null), json!([1])] {
        assert!(Cursor::from_json(&given).is_err(), "{given}");
    }
}

#[test]
fn instants_are_utc_with_milliseconds() {
    assert_eq!(instant::format(1_705_314_600_000), "2024-01-15T10:30:00.000Z");
    assert_eq!(instant::format(-1), "1969-12-31T23:59:59.999Z");
    assert_eq!(instant::parse(&instant::format(1_705_314_600_123)), Some(1_705_314_600_123));
    let _ = instant::format(i64::MAX);
    let _ = instant::format(i64::MIN);
}

#[test]
fn a_scope_is_held_exactly_or_by_its_family() {
    let key = |scopes: &[&str]| {
        Caller::Service(ServiceCaller { name: "k".into(), scopes: scopes.iter().map(ToString::to_string).collect() })
    };
    assert!(key(&["publish"]).has_scope("publish:announcement"));
    assert!(key(&["publish:announcement"]).has_scope("publish:announcement"));
    assert!(!key(&["publish:announcement"]).has_scope("publish:progress_update"));
    assert!(!key(&["publish:announcement"]).has_scope("publish"));
}

#[test]
fn an_events_data_passes_through_byte_for_byte() {
    let event = Event {
        id: 3,
        channel: Channel::parse("course:7").unwrap(),
        seq: 2,
        kind: "announcement".into(),
        data: r#"{"a": 1.0, "b":1e2,"a":2}"#.into(),
        recorded_at_ms: 1_705_314_600_000,
        effects: vec![],
    };
    assert_eq!(
        frame::event_json(&event),
        r#"{"type":"announcement","id":3,"channel":"course:7","seq":2,"data":{"a": 1.0, "b":1e2,"a":2},"timestamp":"2024-01-15T10:30:00.000Z"}"#
    );
}

#[test]
fn the_seeds_route_greets_and_complains_with_the_seeds_keys_in_the_seeds_order() {
    let id = Id::from(1);
    let established = ServerFrame::ConnectionEstablished {
        message: "WebSocket connection established",
        user_id: &id,
        role: Some("cadet"),
        cursor: 120,
        epoch: 1,
        connection: "c-1",
        heartbeat_ms: 25_000,
        expires_at: String::new(),
        timestamp: "2024-01-15T10:30:00.000Z".into(),
    };
    // Seed C line 90, and what may be added at top level.
    let seed = r#"{"type":"connection_established","message":"WebSocket connection established","user_id":1,"role":"cadet""#;
    assert_eq!(Dialect::Updates.encode(&established), format!(r#"{seed},"id":120,"timestamp":"2024-01-15T10:30:00.000Z"}}"#));
    let error = ServerFrame::Error { message: "no such frame", code: "unknown_frame" };
    assert_eq!(Dialect::Updates.encode(&error), r#"{"type":"error","message":"unknown_frame: no such frame"}"#);
    assert_eq!(Dialect::Native.encode(&error), error.to_json());
    assert_eq!(Dialect::Updates.close_code(CloseReason::NotApproved), 4001);
    assert_eq!(Dialect::Native.close_code(CloseReason::NotApproved), 4003);
    assert_eq!(Dialect::Updates.close_code(CloseReason::Forbidden), 4003);
}

#[test]
fn the_event_stream_shows_the_cadet_at_top_level_as_its_data_spells_it() {
    let check = |channel: &str, data: &str, expect: &str| {
        let event = Event {
            id: 123,
            channel: Channel::parse(channel).unwrap(),
            seq: 4,
            kind: "grade_update".into(),
            data: data.into(),
            recorded_at_ms: 1_705_314_600_000,
            effects: Vec::new(),
        };
        let json = frame::event_json_with_id(&event, "cadet_id");
        let expect = format!(
            r#"{{"type":"grade_update","id":123,"channel":"{channel}","seq":4,"cadet_id":{expect},"data":{data},"timestamp":"2024-01-15T10:30:00.000Z"}}"#
        );
        assert_eq!(json, expect);
    };
    check("cadet:1", r#"{"cadet_id":1,"points":5}"#, "1");
    check("cadet:1", r#"{"cadet_id":"1"}"#, r#""1""#);
    // A payload that passes through as given may leave it out, or lie.
    check("cadet:1", r#"{"points":5}"#, "1");
    check("cadet:007", "{}", r#""007""#);
    check("cadet:x-9", "{}", r#""x-9""#);
    check("cadet:1", r#"{"cadet_id":2}"#, "1");
    check("cadet:1", r#"{"cadet_id":{"a":1}}"#, "1");
}

#[test]
fn every_spelling_of_a_channel_is_one_channel() {
    for (spelling, canonical) in [
        ("user_1", "user:1"),
        ("user.1", "user:1"),
        ("user:1", "user:1"),
        ("role_training_staff", "role:training_staff"),
        ("role.training_staff", "role:training_staff"),
        ("role:training_staff", "role:training_staff"),
        ("cadet_9", "cadet:9"),
        ("course.a.b", "course:a.b"),
        ("class:a_b:c", "class:a_b:c"),
    ] {
        assert_eq!(Channel::parse(spelling).unwrap().as_str(), canonical);
    }
    for wrong in ["user", "", "_1", "User_1", "user_", "7:user"] {
        assert!(Channel::parse(wrong).is_err(), "{wrong}");
    }
}
