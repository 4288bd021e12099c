//! The rules of broadcasting, with event types that this feature does not declare itself.

use super::{BROADCAST_BYTES_MAX, BROADCAST_PEOPLE_MAX, FEATURE};
use campanile_contract::bench::{Bench, person, service};
use campanile_contract::{Caller, Class, DataCheck, ErrorCode, EventType, Feature, Fields, Line, Origin, Retention, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// A typed check, as the features that declare these events have.
#[derive(Deserialize, JsonSchema)]
struct Loose {
    #[serde(rename = "type")]
    _kind: Option<Line<64>>,
}

const fn declared(name: &'static str, channel_kind: &'static str, origin: Origin) -> EventType {
    EventType {
        name: std::borrow::Cow::Borrowed(name),
        channel_kind: std::borrow::Cow::Borrowed(channel_kind),
        class: Class::Grade,
        subject: Subject::ChannelOwner,
        origin,
        retention: Retention::Forever,
        data: DataCheck::typed::<Loose>(),
    }
}

/// Stands beside the feature under test, as another feature would.
const SCHOOL: Feature = Feature {
    name: "school",
    migrations: &[],
    channel_kinds: &[],
    events: &[
        declared("grade_update", "cadet", Origin::Host),
        declared("attendance_update", "cadet", Origin::Host),
        declared("exam_score_update", "cadet", Origin::Host),
        declared("notification", "user", Origin::Host),
        declared("sealed", "cadet", Origin::Feature),
    ],
    commands: &[],
    routes: &[],
    views: &[],
    jobs: &[],
};

async fn check(step: &str, expect: &[&str]) {
    for bench in Bench::on_every_store(&[FEATURE, SCHOOL]).await {
        check_on(bench, &service(&["publish"]), step, expect).await;
    }
}

async fn check_as(caller: &Caller, step: &str, expect: &[&str]) {
    check_on(Bench::new(&[FEATURE, SCHOOL]).await, caller, step, expect).await;
}

/// A step is a command's name and its body, byte for byte.
async fn check_on(mut bench: Bench, caller: &Caller, step: &str, expect: &[&str]) {
    let (name, body) = step.split_once(' ').expect("a name and a body");
    let answer = match Fields::parse(body.as_bytes(), Vec::new()) {
        Ok(fields) => bench.run(caller, name, fields).await.map(|outcome| outcome.answer),
        Err(refusal) => Err(refusal),
    };
    let mut outcome = bench.new_events().await;
    outcome.push(answer.unwrap_or_else(|refusal| refusal.to_string()));
    assert_eq!(outcome, expect, "{step}");
}

#[tokio::test]
async fn the_seeds_own_calls_become_the_seeds_own_data() {
    check(
        "broadcast_grade_update {\"cadet_id\":1,\"grade_data\":{\"type\":\"merit\",\"points\":5,\"merit_points\":25,\
         \"demerit_points\":10,\"reason\":\"Outstanding performance\",\"attendance_present\":15,\"prelim_score\":85.5,\
         \"midterm_score\":90.0,\"final_score\":null}}",
        &[
            "grade_update cadet:1 {\"cadet_id\":1,\"type\":\"merit\",\"points\":5,\"merit_points\":25,\"demerit_points\":10,\
             \"reason\":\"Outstanding performance\",\"attendance_present\":15,\"prelim_score\":85.5,\"midterm_score\":90.0,\
             \"final_score\":null}",
            r#"{"events":1}"#,
        ],
    )
    .await;
    check(
        "broadcast_attendance_update {\"cadet_id\":1,\"attendance_data\":{\"training_day_id\":5,\"status\":\"present\",\
         \"attendance_present\":16,\"time_in\":\"08:00:00\",\"time_out\":null}}",
        &[
            "attendance_update cadet:1 {\"cadet_id\":1,\"training_day_id\":5,\"status\":\"present\",\"attendance_present\":16,\
             \"time_in\":\"08:00:00\",\"time_out\":null}",
            r#"{"events":1}"#,
        ],
    )
    .await;
    check(
        "broadcast_exam_score_update {\"cadet_id\":1,\"exam_data\":{\"prelim_score\":85.5,\"midterm_score\":90.0,\
         \"final_score\":88.0,\"changed_scores\":{\"final_score\":88.0}}}",
        &[
            "exam_score_update cadet:1 {\"cadet_id\":1,\"prelim_score\":85.5,\"midterm_score\":90.0,\"final_score\":88.0,\
             \"changed_scores\":{\"final_score\":88.0}}",
            r#"{"events":1}"#,
        ],
    )
    .await;
    check(
        "broadcast_sync_event {\"event_type\":\"grade_update\",\"cadet_id\":1,\"payload\":{\"type\":\"merit\",\"points\":5,\
         \"merit_points\":25,\"demerit_points\":10}}",
        &[r#"grade_update cadet:1 {"type":"merit","points":5,"merit_points":25,"demerit_points":10}"#, r#"{"events":1}"#],
    )
    .await;
}

#[tokio::test]
async fn what_is_given_passes_byte_for_byte() {
    check(
        r#"broadcast_grade_update {"cadet_id":"x\"1","grade_data": {"z": 1.50,"a":1e2, "n":123456789012345678901234567890, "t":"\u00e9"} }"#,
        &[
            r#"grade_update cadet:x"1 {"cadet_id":"x\"1","z": 1.50,"a":1e2, "n":123456789012345678901234567890, "t":"\u00e9"}"#,
            r#"{"events":1}"#,
        ],
    )
    .await;
    check(
        r#"broadcast_sync_event {"event_type":"grade_update","cadet_id":1,"payload":{"z": 1.50, "a":[]}}"#,
        &[r#"grade_update cadet:1 {"z": 1.50, "a":[]}"#, r#"{"events":1}"#],
    )
    .await;
    check(
        r#"broadcast_notification {"user_id":1,"notification":{"z": 1.50, "type":"x"}}"#,
        &[r#"notification user:1 {"z": 1.50, "type":"x"}"#, r#"{"events":1}"#],
    )
    .await;
}

#[tokio::test]
async fn the_cadet_becomes_the_first_key_once() {
    for (data, told) in [
        ("{}", r#"{"cadet_id":1}"#),
        ("{ }", r#"{"cadet_id":1 }"#),
        (r#"{"points":5,"cadet_id":1}"#, r#"{"points":5,"cadet_id":1}"#),
        (r#"{"cadet_id":"1"}"#, r#"{"cadet_id":"1"}"#),
    ] {
        let step = format!(r#"broadcast_grade_update {{"cadet_id":1,"grade_data":{data}}}"#);
        check_as(&service(&["publish"]), &step, &[&format!("grade_update cadet:1 {told}"), r#"{"events":1}"#]).await;
    }
    for data in [r#"{"cadet_id":2}"#, r#"{"cadet_id":null}"#, r#"{"cadet_id":1.0}"#] {
        let step = format!(r#"broadcast_grade_update {{"cadet_id":1,"grade_data":{data}}}"#);
        let expect = "invalid_data: the data names another cadet than cadet_id beside it";
        check_as(&service(&["publish"]), &step, &[expect]).await;
    }
    let twice = r#"broadcast_grade_update {"cadet_id":1,"grade_data":{"cadet_id":1,"cadet_id":1}}"#;
    check_as(&service(&["publish"]), twice, &["invalid_data: the data names cadet_id twice"]).await;
    for data in ["[]", "5", "null", r#""{}""#] {
        let step = format!(r#"broadcast_grade_update {{"cadet_id":1,"grade_data":{data}}}"#);
        check_as(&service(&["publish"]), &step, &["invalid_data: the data is an object"]).await;
    }
}

#[tokio::test]
async fn several_people_are_told_at_once_and_nobody_twice() {
    check(
        r#"broadcast_notification {"user_ids":[2,1,"2"],"notification":{"id":123,"is_read":false}}"#,
        &[
            r#"notification user:1 {"id":123,"is_read":false}"#,
            r#"notification user:2 {"id":123,"is_read":false}"#,
            r#"{"events":2}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn only_what_is_declared_for_cadets_is_told_to_them() {
    let step = |kind: &str| format!(r#"broadcast_sync_event {{"event_type":"{kind}","cadet_id":1,"payload":{{}}}}"#);
    for (kind, why) in [
        ("nothing", "unknown_event_type: \"nothing\" is no known event type"),
        ("notification", "wrong_channel_kind: notification belongs to a user channel"),
        ("sealed", "forbidden: sealed comes from the commands of its feature alone"),
    ] {
        let bench = Bench::new(&[FEATURE, SCHOOL]).await;
        let (name, body) = step(kind).split_once(' ').map(|(name, body)| (name.to_owned(), body.to_owned())).unwrap();
        let fields = Fields::parse(body.as_bytes(), Vec::new()).unwrap();
        let refusal = bench.run(&service(&["publish"]), &name, fields).await.unwrap_err();
        assert!(refusal.to_string().starts_with(why), "{refusal}");
    }
}

#[tokio::test]
async fn without_the_feature_that_declares_it_an_event_is_unknown() {
    let bench = Bench::new(&[FEATURE]).await;
    let refusal = bench
        .run(&service(&["publish"]), "broadcast_grade_update", json!({"cadet_id": 1, "grade_data": {}}))
        .await
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::UnknownEventType);
}

#[tokio::test]
async fn data_is_checked_as_its_type_says() {
    check_as(
        &service(&["publish"]),
        r#"broadcast_grade_update {"cadet_id":1,"grade_data":{"type":5}}"#,
        &["invalid_data: data of grade_update: type: invalid type: integer `5`, expected a string at line 1 column 22"],
    )
    .await;
}

#[tokio::test]
async fn staff_and_publishing_keys_broadcast() {
    let steps = [
        ("grade_update", r#"broadcast_grade_update {"cadet_id":1,"grade_data":{}}"#),
        ("attendance_update", r#"broadcast_attendance_update {"cadet_id":1,"attendance_data":{}}"#),
        ("exam_score_update", r#"broadcast_exam_score_update {"cadet_id":1,"exam_data":{}}"#),
        ("grade_update", r#"broadcast_sync_event {"event_type":"grade_update","cadet_id":1,"payload":{}}"#),
        ("notification", r#"broadcast_notification {"user_id":1,"notification":{}}"#),
    ];
    let bench = Bench::new(&[FEATURE, SCHOOL]).await;
    for (kind, step) in steps {
        let exact = format!("publish:{kind}");
        for (caller, may) in [
            (service(&["publish"]), true),
            (service(&[&exact]), true),
            (person(9, "admin"), true),
            (person(9, "training_staff"), true),
            (service(&["publish:other", "grading", "notifications"]), false),
            (person(9, "cadet"), false),
        ] {
            let (name, body) = step.split_once(' ').unwrap();
            let answer = bench.run(&caller, name, Fields::parse(body.as_bytes(), Vec::new()).unwrap()).await;
            assert_eq!(answer.as_ref().map_err(|refusal| refusal.code).err(), (!may).then_some(ErrorCode::Forbidden), "{step}");
        }
    }
}

#[tokio::test]
async fn what_is_too_much_or_makes_no_sense_is_refused() {
    let people: Vec<usize> = (0..=BROADCAST_PEOPLE_MAX).collect();
    let big = "x".repeat(BROADCAST_BYTES_MAX / 100);
    let data_too_big = "x".repeat(65_536);
    let bench = Bench::new(&[FEATURE, SCHOOL]).await;
    for (name, fields, code) in [
        ("broadcast_notification", json!({"user_ids": people, "notification": {}}), ErrorCode::MessageTooBig),
        ("broadcast_notification", json!({"user_ids": &people[..100], "notification": {"x": big}}), ErrorCode::MessageTooBig),
        ("broadcast_notification", json!({"notification": {}}), ErrorCode::InvalidData),
        ("broadcast_notification", json!({"user_ids": [], "notification": {}}), ErrorCode::InvalidData),
        ("broadcast_notification", json!({"user_id": 1, "user_ids": [1], "notification": {}}), ErrorCode::InvalidData),
        ("broadcast_notification", json!({"user_id": 1, "notification": {}, "x": 1}), ErrorCode::InvalidData),
        ("broadcast_notification", json!({"user_id": 1, "notification": []}), ErrorCode::InvalidData),
        ("broadcast_grade_update", json!({"cadet_id": 1}), ErrorCode::InvalidData),
        ("broadcast_grade_update", json!({"cadet_id": 1, "grade_data": {"x": data_too_big}}), ErrorCode::MessageTooBig),
        ("broadcast_sync_event", json!({"event_type": "grade_update", "payload": {}}), ErrorCode::InvalidData),
    ] {
        let refusal = bench.run(&service(&["publish"]), name, fields).await.unwrap_err();
        assert_eq!(refusal.code, code, "{name}: {refusal}");
    }
    for body in [r#"{"cadet_id":1,"grade_data":{"x":"\ud800"}}"#, r#"{"cadet_id":1,"grade_data":{"x":1e999}}"#, "{", "[1"] {
        assert_eq!(Fields::parse(body.as_bytes(), Vec::new()).unwrap_err().code, ErrorCode::MalformedJson, "{body}");
    }
}
