//! Rules of publishing and of the registry.

use crate::bench::{person, service};
use crate::{
    Asked, Class, DataCheck, ErrorCode, EventType, Fields, Id, Line, Origin, PAGE_ROWS, PAGE_ROWS_MAX, PageLimit, Percent,
    PublishBody, Refusal, Registry, Retention, Subject, Text, Timestamp,
};

fn registry() -> Registry {
    let note = EventType {
        name: "note".into(),
        channel_kind: "user".into(),
        class: Class::Technical,
        subject: Subject::ChannelOwner,
        origin: Origin::Host,
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
        origin: Origin::Host,
        retention: Retention::Forever,
        data: DataCheck::Any,
    };
    assert!(Registry::new(&[], vec![of("a", "nowhere")]).is_err());
    assert!(Registry::new(&[], vec![of("a", "user"), of("a", "user")]).is_err());
}

/// Whether data reads as `T`: the sentence that refuses it contains `expect`, or there is none.
fn check_field<T: serde::de::DeserializeOwned + schemars::JsonSchema>(data: &str, expect: Option<&str>) {
    let given = DataCheck::typed::<Vec<T>>().check(&format!("[{data}]")).err();
    match (&given, expect) {
        (Some(given), Some(expect)) => assert!(given.starts_with("[0]: ") && given.contains(expect), "{data}: {given}"),
        _ => assert_eq!(given.as_deref(), expect, "{data}"),
    }
}

#[test]
fn a_line_has_one_to_so_many_characters_and_no_control_characters() {
    check_field::<Line<3>>(r#""äöü""#, None);
    check_field::<Line<3>>(r#"" <b""#, None);
    check_field::<Line<3>>(r#""""#, Some("1 to 3 characters"));
    check_field::<Line<3>>(r#""äöüß""#, Some("1 to 3 characters is needed, not of 4"));
    for control in [r#""\n""#, r#""\u0000""#, r#""\u007f""#, r#""\u0085""#] {
        check_field::<Line<3>>(control, Some("no control characters"));
    }
    check_field::<Line<3>>("1", Some("expected a string"));
    check_field::<Line<3>>(r#""\ud800""#, Some("hex escape"));
}

#[test]
fn a_text_may_be_empty_and_have_several_lines() {
    check_field::<Text<4>>(r#""""#, None);
    check_field::<Text<4>>(r#""\r\n\ta""#, None);
    check_field::<Text<4>>(r#""12345""#, Some("at most 4 characters"));
    check_field::<Text<4>>(r#""\u001b""#, Some("no control characters besides"));
}

#[test]
fn a_percentage_lies_between_0_and_100() {
    for fine in ["0", "100", "33.3"] {
        check_field::<Percent>(fine, None);
    }
    for (broken, why) in [("-0.1", "from 0 to 100"), ("101", "from 0 to 100"), (r#""5""#, "f64"), ("null", "f64")] {
        check_field::<Percent>(broken, Some(why));
    }
}

#[test]
fn a_timestamp_is_an_instant_with_its_offset() {
    check_field::<Timestamp>(r#""2026-01-15T11:30:00+01:00""#, None);
    check_field::<Timestamp>(r#""2026-01-15T11:30:00""#, Some("an ISO 8601 instant"));
    let timestamp = Timestamp::try_from("1970-01-01T01:00:01+01:00".to_owned()).unwrap();
    assert_eq!(timestamp.unix_ms(), 1_000);
}

#[test]
fn an_id_in_a_path_is_a_number_where_it_can_be_and_stands_nowhere_else() {
    let fields = |body: &str, path: &[(&str, &str)]| {
        let path = path.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Fields::parse(body.as_bytes(), path).map(|fields| fields.as_str().to_owned()).map_err(|refusal| refusal.code)
    };
    for (value, spelled) in
        [("7", "7"), ("-7", "-7"), ("007", r#""007""#), ("7.0", r#""7.0""#), ("c1", r#""c1""#), ("+7", r#""+7""#)]
    {
        assert_eq!(fields("", &[("course_id", value)]), Ok(format!(r#"{{"course_id":{spelled}}}"#)));
    }
    assert_eq!(fields("{}", &[("connection", "7")]), Ok(r#"{"connection":"7"}"#.into()), "no id");
    assert_eq!(fields(r#"{"course_id":7}"#, &[("course_id", "7")]), Err(ErrorCode::InvalidData));
}

#[test]
fn the_second_of_an_instant_has_no_fraction() {
    assert_eq!(String::from(Timestamp::at_second(1_705_314_600_999)), "2024-01-15T10:30:00Z");
    assert_eq!(String::from(Timestamp::at_ms(1_705_314_600_999)), "2024-01-15T10:30:00.999Z");
}

/// Reads a page's fields as a query does: its limit, and whether it asked for the unread.
fn page(fields: &str) -> Result<(u64, Option<bool>), String> {
    #[derive(serde::Deserialize)]
    struct Page {
        #[serde(default)]
        limit: PageLimit,
        unread: Option<Asked<bool>>,
    }
    let page: Page = crate::read::from_fields(serde_json::from_str(fields).unwrap()).map_err(|refusal| refusal.message)?;
    Ok((page.limit.rows(), page.unread.map(|Asked(unread)| unread)))
}

#[test]
fn a_query_reads_numbers_and_truth_values_from_text() {
    assert_eq!(page("{}"), Ok((PAGE_ROWS, None)));
    assert_eq!(page(r#"{"limit":"7","unread":"true"}"#), Ok((7, Some(true))));
    assert_eq!(page(r#"{"limit":1000,"unread":false}"#), Ok((PAGE_ROWS_MAX, Some(false))));
    for limit in ["0", "1001", "\"0\"", "-1", "1.5", "\"many\"", "null", "[]"] {
        assert!(page(&format!(r#"{{"limit":{limit}}}"#)).unwrap_err().starts_with("limit: "), "{limit}");
    }
    assert!(page(r#"{"unread":"yes"}"#).unwrap_err().starts_with("unread: \"yes\" cannot be read here"));
}

/// Reads a body as the fields of a command with a `place` and data that passes through.
fn command(body: &str, path: &[(&str, &str)]) -> Result<(Id, String), (ErrorCode, String)> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        place: Id,
        data: Box<serde_json::value::RawValue>,
    }
    let path = path.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let given: Result<Given, Refusal> = Fields::parse(body.as_bytes(), path).and_then(|fields| fields.read());
    given.map(|given| (given.place, given.data.get().to_owned())).map_err(|refusal| (refusal.code, refusal.message))
}

#[test]
fn a_commands_fields_keep_their_bytes() {
    let data = r#"{"z": 1.50, "a":1e2,"t":"\u00e9"}"#;
    let expect = (Id::from(7), data.to_owned());
    assert_eq!(command(&format!(r#"{{ "data":{data} ,"place":7}}"#), &[]), Ok(expect.clone()));
    assert_eq!(command(&format!(r#"{{"data":{data}}}"#), &[("place", "7")]), Ok(expect));
}

#[test]
fn a_body_that_is_no_object_of_fields_is_refused_in_the_senders_terms() {
    let refused = |code, message: &str| Err((code, message.to_owned()));
    let path = [("place", "7")];
    assert_eq!(command("[1]", &path), refused(ErrorCode::InvalidData, "the body is an object"));
    assert_eq!(command("", &path), refused(ErrorCode::InvalidData, "missing field `data`"));
    let twice = command(r#"{"place":8,"data":{}}"#, &path);
    assert_eq!(twice, refused(ErrorCode::InvalidData, "place stands in the path; leave it out of the rest"));
    let wrong = command(r#"{"place":1.5,"data":{}}"#, &[]).unwrap_err();
    assert!(wrong.1.starts_with("place: an id is an integer or a text") && !wrong.1.contains(" line "), "{wrong:?}");
    for broken in ["{", r#"{"data":{"x":"\ud800"}}"#, r#"{"data":1e999}"#, &format!(r#"{{"data":{}"#, "[".repeat(200))] {
        assert_eq!(command(broken, &path).unwrap_err().0, ErrorCode::MalformedJson, "{broken}");
    }
}
