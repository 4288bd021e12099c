//! The seed's route speaks as the seed prints it (seed C, lines 72-175); the order of keys is tested where they are written.

use super::school::{School, wish};
use crate::Connect;
use campanile_wire::Dialect;
use serde_json::{Value, json};

async fn check(said: Value, expect: Value) {
    let school = School::open().await;
    school.grant(1, "role:cadet").await;
    let mut client = school.admit(Connect { dialect: Dialect::Updates, ..wish(1) }).await.unwrap();
    client.next_frame().await;
    client.says(said).await;
    assert_eq!(client.next_frame().await, expect);
}

#[tokio::test]
async fn a_ping_is_answered_by_a_pong_with_its_own_timestamp_and_nothing_else() {
    check(json!({"type": "ping", "timestamp": 1_234_567_890}), json!({"type": "pong", "timestamp": 1_234_567_890})).await;
}

#[tokio::test]
async fn an_error_is_a_sentence_that_begins_with_its_code() {
    let message =
        "unknown_frame: \"dance\" is none of auth, refresh, ping, replay_request, subscribe, unsubscribe, command, signal";
    check(json!({"type": "dance"}), json!({"type": "error", "message": message})).await;
}

#[tokio::test]
async fn the_first_frame_carries_the_head_as_a_cursor_for_who_has_seen_nothing_yet() {
    let school = School::open().await;
    school.grant(1, "role:cadet").await;
    let mut client = school.admit(Connect { dialect: Dialect::Updates, ..wish(1) }).await.unwrap();
    let frame = client.next_frame().await;
    assert_eq!((&frame["id"], &frame["role"], &frame["user_id"]), (&json!(1), &json!("cadet"), &json!(1)));
}
