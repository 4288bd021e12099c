//! Rules of the shared words.

use crate::{Caller, Channel, Cursor, Event, Id, caller::ServiceCaller, frame, instant};
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
