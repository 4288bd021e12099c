//! Rules of publishing and of the registry.

use crate::bench::{person, service};
use crate::{Class, DataCheck, ErrorCode, EventType, PublishBody, Registry, Retention, Subject};

fn registry() -> Registry {
    let note = EventType {
        name: "note".into(),
        channel_kind: "user".into(),
        class: Class::Technical,
        subject: Subject::ChannelOwner,
        retention: Retention::Forever,
        data: DataCheck::Any,
    };
    Registry::new(&[], vec![note]).unwrap()
}

fn check(scopes: &[&str], body: &str, expect: Result<&str, ErrorCode>) {
    let given = PublishBody::parse(body.as_bytes())
        .and_then(|body| body.events[0].check(&service(scopes), &registry()).map(|event| event.data.to_string()))
        .map_err(|refusal| refusal.code);
    assert_eq!(given.as_deref().map_err(|code| *code), expect, "{body}");
}

#[test]
fn data_passes_through_byte_for_byte_on_one_line() {
    check(&["publish"], r#"{"type":"note","channel":"user:1","data":{"a": 1.0,"a":1e2}}"#, Ok(r#"{"a": 1.0,"a":1e2}"#));
    check(&["publish"], "{\"type\":\"note\",\"channel\":\"user_1\",\"data\":{\n\"a\":\r1}}", Ok(r#"{ "a": 1}"#));
}

#[test]
fn a_publish_is_refused_with_the_code_that_says_why() {
    use ErrorCode as E;
    let deep = format!(r#"{{"type":"note","channel":"user:1","data":{{"a":{}{}}}}}"#, "[".repeat(64), "]".repeat(64));
    let big = format!(r#"{{"type":"note","channel":"user:1","data":{{"a":"{}"}}}}"#, "x".repeat(65_536));
    let long = format!(r#"{{"events":[{}]}}"#, vec![r#"{"type":"note","channel":"user:1","data":{}}"#; 1_001].join(","));
    for (body, code) in [
        ("", E::MalformedJson),
        ("{", E::MalformedJson),
        ("[]", E::InvalidData),
        (r#"{"type":"note","channel":"user:1"}"#, E::InvalidData),
        (r#"{"type":"note","channel":"user:1","data":{},"more":1}"#, E::InvalidData),
        (r#"{"type":"note","type":"note","channel":"user:1","data":{}}"#, E::InvalidData),
        (r#"{"events":[]}"#, E::InvalidData),
        (r#"{"type":"none","channel":"user:1","data":{}}"#, E::UnknownEventType),
        (r#"{"type":"note","channel":"nowhere:1","data":{}}"#, E::UnknownChannel),
        (r#"{"type":"note","channel":"role:x","data":{}}"#, E::WrongChannelKind),
        (r#"{"type":"note","channel":"user:1","data":[]}"#, E::InvalidData),
        (&deep, E::InvalidData),
        (&big, E::MessageTooBig),
        (&long, E::MessageTooBig),
    ] {
        check(&["publish"], body, Err(code));
    }
    check(&["roster", "publish:other"], r#"{"type":"note","channel":"user:1","data":{}}"#, Err(E::Forbidden));
}

#[test]
fn people_publish_nothing_only_keys_do() {
    let body = PublishBody::parse(br#"{"type":"note","channel":"user:1","data":{}}"#).unwrap();
    assert_eq!(body.events[0].check(&person(1, "admin"), &registry()).unwrap_err().code, ErrorCode::Forbidden);
}

#[test]
fn a_host_type_needs_a_known_channel_kind_and_a_free_name() {
    let of = |name: &'static str, kind: &'static str| EventType {
        name: name.into(),
        channel_kind: kind.into(),
        class: Class::Technical,
        subject: Subject::Nobody,
        retention: Retention::Forever,
        data: DataCheck::Any,
    };
    assert!(Registry::new(&[], vec![of("a", "nowhere")]).is_err());
    assert!(Registry::new(&[], vec![of("a", "user"), of("a", "user")]).is_err());
}
