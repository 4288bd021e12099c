//! What a client says, and what it is answered.

use super::school::{Client, School, limits, wish};
use crate::{Connect, LiveLimits};
use campanile_wire::caller::PersonCaller;
use serde_json::json;

async fn greeted(school: &School) -> Client {
    let mut client = school.connect(1).await;
    client.hears().await;
    client
}

#[tokio::test]
async fn a_malformed_frame_is_answered_with_its_code_and_the_connection_lives_on() {
    let school = School::open().await;
    let mut client = greeted(&school).await;
    for (text, code) in [
        ("", "malformed_json"),
        ("ping", "malformed_json"),
        ("{", "malformed_json"),
        ("null", "malformed_json"),
        ("[]", "malformed_json"),
        (r#"["ping"]"#, "malformed_json"),
        ("{}", "malformed_json"),
        (r#"{"type":null}"#, "malformed_json"),
        (r#"{"type":7}"#, "malformed_json"),
        (r#"{"type":"ping","type":"ping"}"#, "malformed_json"),
        (r#"{"type":"ping"} x"#, "malformed_json"),
        (r#"{"type":"hello"}"#, "unknown_frame"),
        (r#"{"type":"connection_established"}"#, "unknown_frame"),
        (r#"{"type":"auth","token":"1 1767225700000"}"#, "unknown_frame"),
        (r#"{"type":"refresh"}"#, "invalid_data"),
        (r#"{"type":"replay_request"}"#, "invalid_data"),
        (r#"{"type":"replay_request","last_event_id":-1}"#, "invalid_cursor"),
        (r#"{"type":"replay_request","last_event_id":null}"#, "invalid_cursor"),
        (r#"{"type":"replay_request","last_event_id":"yesterday"}"#, "invalid_cursor"),
        (r#"{"type":"subscribe","channels":"course:7"}"#, "invalid_data"),
        (r#"{"type":"subscribe","channels":["nonsense"]}"#, "invalid_data"),
        (r#"{"type":"subscribe","chanels":["course:7"]}"#, "invalid_data"),
        (r#"{"type":"subscribe","view":"posts"}"#, "invalid_data"),
        (r#"{"type":"subscribe","view":"nothing","key":7}"#, "unknown_view"),
        (r#"{"type":"command"}"#, "invalid_data"),
        (r#"{"type":"signal","signal":"typing"}"#, "invalid_data"),
        (r#"{"type":"signal","signal":"typing","channel":"course:7"}"#, "forbidden"),
    ] {
        client.says_text(text).await;
        assert_eq!(client.hears().await, [format!("error {code}")], "{text}");
    }
    assert_eq!(client.answer_to(json!({"type": "ping", "timestamp": 1.5})).await, ["pong 1.5"]);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_timestamp_whatever_it_is() {
    let school = School::open().await;
    let mut client = greeted(&school).await;
    for timestamp in [json!(1_234_567_890), json!("now"), json!(null), json!({"a": [1]})] {
        let pong = client.answer_to(json!({"type": "ping", "timestamp": timestamp})).await;
        assert_eq!(pong, [format!("pong {timestamp}")]);
    }
}

#[tokio::test]
async fn over_the_message_limit_messages_are_refused_and_who_does_not_stop_is_closed() {
    let limits = LiveLimits { messages_per_second_max: 1, messages_burst: 3, messages_refused_max: 4, ..limits() };
    let school = School::with(limits).await;
    let mut client = greeted(&school).await;
    let mut heard = Vec::new();
    for place in 0..20 {
        heard.extend(client.answer_to(json!({"type": "ping", "timestamp": place})).await);
        if heard.last().is_some_and(|line| line.starts_with("closed")) {
            break;
        }
    }
    assert_eq!(heard[..3], ["pong 0", "pong 1", "pong 2"]);
    assert_eq!(heard[3..6], ["error rate_limited"; 3]);
    assert_eq!(heard[6..], ["closed rate_limited"]);
}

#[tokio::test]
async fn a_command_is_carried_out_and_answered_with_its_last_event() {
    let school = School::open().await;
    let mut client = greeted(&school).await;
    let grant = json!({"type": "command", "ref": "a1", "name": "grant", "data": {"person": 1, "channel": "course:7"}});
    client.says(grant).await;
    let mut heard = [client.next().await, client.next().await];
    heard.sort();
    assert_eq!(heard, ["1 user:1 granted course:7", r#"reply "a1" true 1"#]);
    let post = json!({"type": "command", "ref": {"n": 2}, "name": "post", "data": {"channel": "course:7", "text": "hi"}});
    client.says(post).await;
    let mut heard = [client.next().await, client.next().await];
    heard.sort();
    assert_eq!(heard, ["2 course:7 hi", r#"reply {"n":2} true 2"#]);
}

#[tokio::test]
async fn a_repeated_command_with_the_same_key_gives_the_same_answer_and_is_carried_out_once() {
    let school = School::open().await;
    let mut client = greeted(&school).await;
    let post = |text: &str| json!({"type": "command", "ref": 1, "name": "post", "idempotency_key": "k", "data": {"channel": "course:7", "text": text}});
    for _ in 0..2 {
        client.says(post("hi")).await;
        assert_eq!(client.next().await, "reply 1 true 1");
    }
    client.says(post("something else")).await;
    assert_eq!(client.next().await, "reply 1 refused idempotency_conflict");
    let mut other = school.connect(2).await;
    other.hears().await;
    other.says(post("the key of another person")).await;
    assert_eq!(other.next().await, "reply 1 true 2");
}

#[tokio::test]
async fn a_refused_command_is_answered_with_its_ref_and_code() {
    let school = School::open().await;
    let mut client = greeted(&school).await;
    for (name, data, code) in [
        ("fly", json!({}), "unknown_command"),
        ("post", json!({"channel": "course:7"}), "invalid_data"),
        ("post", json!({"channel": "course:7", "text": "a", "more": 1}), "invalid_data"),
        ("post", json!(null), "invalid_data"),
    ] {
        client.says(json!({"type": "command", "ref": 5, "name": name, "data": data})).await;
        assert_eq!(client.next().await, format!("reply 5 refused {code}"));
    }
}

#[tokio::test]
async fn a_command_is_judged_by_the_roles_of_the_roster_before_the_tokens() {
    let school = School::open().await;
    school.grant(1, "role:guest").await;
    school.grant(2, "role:teacher").await;
    let post = json!({"type": "command", "ref": 5, "name": "post", "data": {"channel": "course:7", "text": "a"}});
    for (person, role, expect) in
        [(1, "teacher", "reply 5 refused forbidden"), (2, "guest", "reply 5 true 3"), (3, "guest", "reply 5 refused forbidden")]
    {
        let wish = wish(person);
        let caller = PersonCaller { role: Some(role.into()), ..wish.caller.clone() };
        let mut client = school.admit(Connect { caller, ..wish }).await.unwrap();
        client.hears().await;
        client.says(post.clone()).await;
        assert_eq!(client.next().await, expect, "person {person}");
    }
}

#[tokio::test]
async fn only_so_many_commands_of_a_connection_run_at_the_same_time() {
    let school = School::with(LiveLimits { commands_in_flight_max: 2, ..limits() }).await;
    let mut client = greeted(&school).await;
    for place in 0..3 {
        let data = json!({"channel": "course:7", "text": "a"});
        client.says(json!({"type": "command", "ref": place, "name": "post", "data": data})).await;
    }
    assert_eq!(client.next().await, "reply 2 refused rate_limited");
    let mut carried_out = [client.next().await, client.next().await];
    carried_out.sort();
    assert_eq!(carried_out, ["reply 0 true 1", "reply 1 true 2"]);
    client.says(json!({"type": "command", "ref": 3, "name": "post", "data": {"channel": "course:7", "text": "a"}})).await;
    assert_eq!(client.next().await, "reply 3 true 3", "their places are free again");
}

#[tokio::test]
async fn a_refresh_extends_the_connection_and_another_users_token_does_not() {
    let school = School::open().await;
    let wish = wish(1);
    let caller = PersonCaller { expires_at_ms: super::school::OPENING_MS + 1_000, ..wish.caller.clone() };
    let mut session = crate::Dialogue::new(school.node.connect(Connect { caller, ..wish }).await.unwrap());
    assert_eq!(session.session.expires_in_ms(), 1_000);
    for token in ["2 1767225700000", "expired", "nonsense"] {
        session.hear(&json!({"type": "refresh", "token": token}).to_string()).await;
        assert_eq!(session.session.expires_in_ms(), 1_000, "{token}");
    }
    school.clock.advance_ms(400);
    assert_eq!(session.session.expires_in_ms(), 600);
    session.hear(r#"{"type":"refresh","token":"1 1767225700000"}"#).await;
    assert_eq!(session.session.expires_in_ms(), 99_600);
    school.clock.advance_ms(100_000);
    assert_eq!(session.session.expires_in_ms(), 0);

    let mut client = greeted(&school).await;
    for (token, code) in
        [("2 1767225700000", "credential_conflict"), ("expired", "expired_token"), ("nonsense", "invalid_token")]
    {
        assert_eq!(client.answer_to(json!({"type": "refresh", "token": token})).await, [format!("error {code}")]);
    }
}
