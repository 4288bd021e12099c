//! The rules of notifications, on every store.

use super::{FEATURE, READ_ALL_MAX, READ_IDS_MAX, RECIPIENTS_MAX, event};
use campanile_contract::bench::{Bench, person, service};
use campanile_contract::{Caller, Command, CommandType, Ctx, ErrorCode, Feature, Refusal, UnitError};
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

const HELLO: &str = r#"send_notification {"user_id":1,"message":"New message from admin"}"#;
const LIST: &str = "/api/notifications {}";
const UNREAD: &str = r#"/api/notifications {"unread":"true"}"#;
const READ_ALL: &str = r#"read_notifications {"all":true}"#;

/// Runs steps in order and looks at the last: the events it caused, and then its answer or refusal. On every store. Steps that
/// begin with a number are asked for by that person, the others by a key with the scope.
async fn check(given: &[&str], expect: &[&str]) {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        check_on(bench, given, expect).await;
    }
}

async fn check_on(mut bench: Bench, given: &[&str], expect: &[&str]) {
    let (last, before) = given.split_last().expect("a step");
    for step in before {
        let answer = run(&bench, step).await;
        assert!(answer.starts_with('{'), "{step}: {answer}");
    }
    bench.new_events().await;
    let answer = run(&bench, last).await;
    let mut outcome = bench.new_events().await;
    outcome.push(answer);
    assert_eq!(outcome, expect, "{given:#?}");
}

async fn run(bench: &Bench, step: &str) -> String {
    match step.split_once(": ") {
        Some((id, step)) if id.parse::<i64>().is_ok() => run_as(bench, &person(id.parse().unwrap(), "student"), step).await,
        _ => run_as(bench, &service(&["notifications"]), step).await,
    }
}

async fn run_as(bench: &Bench, caller: &Caller, step: &str) -> String {
    let (name, fields) = step.split_once(' ').expect("a name and fields");
    let fields: Value = serde_json::from_str(fields).expect("fields are JSON");
    let answer = match name.starts_with('/') {
        true => bench.ask(caller, name, fields).await.map(|answer| answer.to_string()),
        false => bench.run(caller, name, fields).await.map(|outcome| outcome.answer),
    };
    answer.unwrap_or_else(|refusal| refusal.to_string())
}

#[tokio::test]
async fn a_notification_is_told_as_the_seed_prints_it() {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let half_past_ten_2024 = 1_705_314_600_000;
        bench.clock.advance_ms(half_past_ten_2024 - 1_767_225_600_000);
        assert_eq!(run(&bench, HELLO).await, r#"{"notifications":[{"user_id":1,"notification_id":1}]}"#);
        let seed = "notification user:1 {\"id\":1,\"message\":\"New message from admin\",\"type\":\"admin_message\",\
                    \"is_read\":false,\"created_at\":\"2024-01-15T10:30:00Z\"}";
        assert_eq!(bench.new_events().await, [seed]);
    }
}

#[tokio::test]
async fn several_people_have_a_notification_each_and_nobody_two() {
    let event = |id: u32, user: &str| {
        format!(
            "notification {user} {{\"id\":{id},\"message\":\"Hi\",\"type\":\"exam\",\"is_read\":false,\
             \"created_at\":\"2026-01-01T00:00:00Z\"}}"
        )
    };
    check(
        &[r#"send_notification {"user_ids":[2,"b",1,"2"],"message":"Hi","type":"exam"}"#],
        &[
            &event(1, "user:1"),
            &event(2, "user:2"),
            &event(3, "user:b"),
            "{\"notifications\":[{\"user_id\":1,\"notification_id\":1},{\"user_id\":2,\"notification_id\":2},\
             {\"user_id\":\"b\",\"notification_id\":3}]}",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_person_lists_their_own_and_nobody_elses() {
    let hello = json!({
        "id": 1, "message": "New message from admin", "type": "admin_message", "is_read": false,
        "created_at": "2026-01-01T00:00:00Z",
    });
    let list = json!({"notifications": [hello], "next": null}).to_string();
    check(&[HELLO, &format!("1: {LIST}")], &[&list]).await;
    check(&[HELLO, &format!("2: {LIST}")], &[r#"{"next":null,"notifications":[]}"#]).await;
    check(&[HELLO, LIST], &["forbidden: only a person has notifications, no API key has any"]).await;
    check(&[HELLO, READ_ALL], &["forbidden: only a person has notifications, no API key has any"]).await;
}

#[tokio::test]
async fn what_is_read_on_one_device_is_told_to_the_others() {
    let read = r#"1: read_notifications {"ids":[2,1,2]}"#;
    let told = r#"notification_read user:1 {"ids":[1,2]}"#;
    check(&[HELLO, HELLO, HELLO, read], &[told, r#"{"read":2,"more":false}"#]).await;
    check(&[HELLO, HELLO, HELLO, read, read], &[r#"{"read":0,"more":false}"#]).await;
    let rest = format!("1: {READ_ALL}");
    let told = r#"notification_read user:1 {"ids":[3]}"#;
    check(&[HELLO, HELLO, HELLO, read, &rest], &[told, r#"{"read":1,"more":false}"#]).await;
    check(&[HELLO, &rest, &rest], &[r#"{"read":0,"more":false}"#]).await;
    check(&[HELLO, &rest, &format!("1: {UNREAD}")], &[r#"{"next":null,"notifications":[]}"#]).await;
}

#[tokio::test]
async fn nobody_reads_what_is_somebody_elses() {
    check(&[HELLO, r#"2: read_notifications {"ids":[1]}"#], &[r#"{"read":0,"more":false}"#]).await;
    check(&[HELLO, &format!("2: {READ_ALL}")], &[r#"{"read":0,"more":false}"#]).await;
}

#[tokio::test]
async fn pages_follow_each_other_and_unread_ones_can_be_asked_for() {
    for bench in Bench::on_every_store(&[FEATURE]).await {
        for _ in 0..5 {
            run(&bench, HELLO).await;
        }
        run(&bench, r#"1: read_notifications {"ids":[2,3]}"#).await;
        for (asked, ids, next) in [
            (json!({"limit": "2"}), vec![1, 2], json!(2)),
            (json!({"limit": "2", "after": "4"}), vec![5], json!(null)),
            (json!({"unread": "true"}), vec![1, 4, 5], json!(null)),
            (json!({"unread": "false"}), vec![2, 3], json!(null)),
            (json!({"unread": true, "limit": 2, "after": 1}), vec![4, 5], json!(5)),
        ] {
            let page = bench.ask(&person(1, "student"), "/api/notifications", asked.clone()).await.unwrap();
            let given: Vec<_> =
                page["notifications"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
            assert_eq!((given, &page["next"]), (ids, &next), "{asked}");
        }
    }
}

/// A long list in one commit, as it comes together over a year.
#[derive(Deserialize, JsonSchema)]
struct FillList {
    user_id: i64,
    count: usize,
}

impl Command for FillList {
    const NAME: &'static str = "fill_list";
    type Answer = ();

    fn permit(&self, _: &Caller) -> Result<(), Refusal> {
        Ok(())
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<(), UnitError> {
        let sql = "INSERT INTO notification (user_id, message, type, is_read, created_at_ms) VALUES ($1, 'x', 'x', $2, 0)";
        for _ in 0..self.count {
            ctx.execute(sql, &[self.user_id.to_string().into(), false.into()]).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn all_is_read_in_events_that_fit_and_requests_that_end() {
    const FILL: Feature = Feature {
        name: "fill",
        migrations: &[],
        channel_kinds: &[],
        events: &[],
        commands: &[CommandType::of::<FillList>()],
        routes: &[],
        views: &[],
        jobs: &[],
    };
    for mut bench in Bench::on_every_store(&[FEATURE, FILL]).await {
        let count = usize::try_from(READ_ALL_MAX).unwrap() + 1;
        for count in [count / 2, count - count / 2] {
            bench.run(&person(9, "admin"), "fill_list", json!({"user_id": 1, "count": count})).await.unwrap();
        }
        let read_all = format!("1: {READ_ALL}");
        assert_eq!(run(&bench, &read_all).await, r#"{"read":10000,"more":true}"#);
        let events = bench.new_events().await;
        assert!(events.iter().all(|event| event.matches(',').count() + 1 == READ_IDS_MAX));
        assert_eq!(events.len(), 10);
        assert_eq!(run(&bench, &read_all).await, r#"{"read":1,"more":false}"#);
        assert_eq!(bench.new_events().await, [r#"notification_read user:1 {"ids":[10001]}"#]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_devices_at_once_one_reads() {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        for _ in 0..10 {
            run(&bench, HELLO).await;
        }
        bench.new_events().await;
        let steps = ["1: read_notifications {\"ids\":[1,2,3,4,5,6,7,8,9,10]}".to_owned(), format!("1: {READ_ALL}")];
        let answers = join_all((0..20).map(|place| run(&bench, &steps[place % 2]))).await;
        let read: u64 =
            answers.iter().map(|answer| serde_json::from_str::<Value>(answer).unwrap()["read"].as_u64().unwrap()).sum();
        assert_eq!(read, 10, "{answers:?}");
        let told: usize = bench.new_events().await.iter().map(|event| event.matches(',').count() + 1).sum();
        assert_eq!(told, 10, "each is told once");
    }
}

#[tokio::test]
async fn a_message_of_the_host_is_a_notification_of_its_kind() {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let step = r#"broadcast_message {"user_ids":[1],"message":"Parade at noon","type":"parade"}"#;
        let answer = run_as(&bench, &service(&["publish:notification"]), step).await;
        assert_eq!(answer, r#"{"notifications":[{"user_id":1,"notification_id":1}]}"#);
        let told = "notification user:1 {\"id\":1,\"message\":\"Parade at noon\",\"type\":\"parade\",\"is_read\":false,\
                    \"created_at\":\"2026-01-01T00:00:00Z\"}";
        assert_eq!(bench.new_events().await, [told]);
        assert!(run(&bench, &format!("1: {LIST}")).await.contains("Parade at noon"));
    }
}

#[tokio::test]
async fn staff_and_keys_with_the_scope_notify_people() {
    let bench = Bench::new(&[FEATURE]).await;
    let message = HELLO.replace("send_notification", "broadcast_message");
    for (caller, sends, broadcasts) in [
        (person(9, "student"), false, false),
        (person(9, "cadet"), false, false),
        (person(9, "admin"), true, true),
        (person(9, "training_staff"), true, true),
        (service(&["notifications"]), true, false),
        (service(&["publish"]), false, true),
        (service(&["publish:notification"]), false, true),
        (service(&["publish:grade_update", "roster"]), false, false),
    ] {
        for (step, may) in [(HELLO, sends), (&message, broadcasts)] {
            let answer = run_as(&bench, &caller, step).await;
            assert_eq!(answer.starts_with('{'), may, "{caller:?} {step}: {answer}");
            assert!(may || answer.starts_with("forbidden: this needs an API key with the scope "), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let one_too_many: Vec<usize> = (0..=RECIPIENTS_MAX).collect();
    let long = "x".repeat(2_001);
    let many_ids: Vec<usize> = (0..=READ_IDS_MAX).collect();
    let bench = Bench::new(&[FEATURE]).await;
    let (key, ada) = (service(&["notifications"]), person(1, "student"));
    for (caller, name, fields, code) in [
        (&key, "send_notification", json!({"message": "x"}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_ids": [], "message": "x"}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1, "user_ids": [2], "message": "x"}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1.5, "message": "x"}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1, "message": long}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1, "message": "x", "type": ""}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_id": 1, "message": "x", "title": "y"}), ErrorCode::InvalidData),
        (&key, "send_notification", json!({"user_ids": one_too_many, "message": "x"}), ErrorCode::MessageTooBig),
        (&ada, "read_notifications", json!({}), ErrorCode::InvalidData),
        (&ada, "read_notifications", json!({"ids": [1], "all": true}), ErrorCode::InvalidData),
        (&ada, "read_notifications", json!({"ids": [-1]}), ErrorCode::InvalidData),
        (&ada, "read_notifications", json!({"ids": many_ids}), ErrorCode::MessageTooBig),
    ] {
        let refusal = bench.run(caller, name, fields.clone()).await.unwrap_err();
        assert_eq!(refusal.code, code, "{fields}: {refusal}");
    }
    let huge = json!({"ids": [u64::MAX]});
    assert_eq!(bench.run(&ada, "read_notifications", huge).await.unwrap().answer, r#"{"read":0,"more":false}"#);
    let asked = bench.ask(&ada, "/api/notifications", json!({"after": "-1"})).await.unwrap_err();
    assert_eq!(asked.code, ErrorCode::InvalidData);
}

#[test]
fn hosts_publish_any_part_of_a_notification_with_fields_of_their_own() {
    let check = |data: &str| event::NOTIFICATION.data.check(data);
    let seed = r#"{"id":123,"message":"New message from admin","type":"admin_message","is_read":false,"created_at":"2024-01-15T10:30:00Z"}"#;
    for fine in [seed, "{}", r#"{"message":"x","link":"/inbox"}"#, r#"{"id":"n-1","created_at":"2024-01-15T10:30:00.5+01:00"}"#]
    {
        assert_eq!(check(fine), Ok(()), "{fine}");
    }
    for broken in ["[]", r#"{"is_read":"no"}"#, r#"{"message":5}"#, r#"{"created_at":"today"}"#, r#"{"type":""}"#] {
        assert!(check(broken).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn what_is_emitted_reads_as_its_own_schema_says() {
    let bench = Bench::new(&[FEATURE]).await;
    for step in [HELLO, &format!("1: {READ_ALL}")] {
        run(&bench, step).await;
    }
    let events = bench.site.journal.read(0, 10_000, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    for event in events {
        let declared = bench.site.registry.event_type(&event.kind).unwrap();
        assert_eq!(declared.data.check(&event.data), Ok(()), "{event:?}");
    }
}
