//! Who hears what, live.

use super::school::{School, channel, wish, with_role};
use crate::Connect;
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn everybody_in_a_course_gets_an_announcement_once_and_nobody_else_does() {
    let school = School::open().await;
    for person in [1, 2] {
        school.grant(person, "course:7").await;
    }
    school.grant(3, "course:8").await;
    let mut clients = vec![school.connect(1).await, school.connect(1).await, school.connect(2).await];
    let mut stranger = school.connect(3).await;
    school.post("course:7", "exam").await;
    for client in &mut clients {
        assert_eq!(client.hears().await, ["established at 3", "4 course:7 exam"]);
        assert!(client.hears().await.is_empty());
    }
    assert_eq!(stranger.hears().await, ["established at 3"]);
}

#[tokio::test]
async fn a_waiting_client_is_woken_by_a_commit_and_nobody_reads_the_store() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 1");
    for place in 2..40 {
        let (heard, _) = tokio::join!(client.next(), school.post("course:7", "bell"));
        assert_eq!(heard, format!("{place} course:7 bell"));
    }
    assert_eq!(school.node.metrics.pages_from_store.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_a_cursor_live_begins_at_the_head_and_the_head_is_told() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    school.post("course:7", "before").await;
    let mut client = school.connect(1).await;
    school.post("course:7", "after").await;
    assert_eq!(client.hears().await, ["established at 2", "3 course:7 after"]);
}

#[tokio::test]
async fn a_grant_reaches_a_connected_client_and_what_follows_it_too() {
    let school = School::open().await;
    let mut client = school.connect(1).await;
    school.post("course:7", "not yet").await;
    school.grant(1, "course:7").await;
    school.post("course:7", "welcome").await;
    assert_eq!(client.hears().await, ["established at 0", "2 user:1 granted course:7", "3 course:7 welcome"]);
}

#[tokio::test]
async fn the_cursor_follows_the_head_even_when_nothing_is_due() {
    let school = School::open().await;
    let mut client = school.connect(1).await;
    for _ in 0..5 {
        school.post("course:7", "for others").await;
    }
    assert_eq!(client.hears().await, ["established at 0"]);
    assert_eq!(client.cursor(), 5);
}

#[tokio::test]
async fn a_client_may_ask_for_some_channels_only() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    school.grant(1, "course:8").await;
    let mut client = school.admit(Connect { only: Some(vec![channel("course:8")]), ..wish(1) }).await.unwrap();
    school.post("course:7", "seven").await;
    school.post("course:8", "eight").await;
    school.grant(1, "course:9").await;
    school.post("course:9", "nine").await;
    assert_eq!(client.hears().await, ["established at 2", "4 course:8 eight"]);

    let subscribe = json!({"type": "subscribe", "channels": ["course_7", "user:1"]});
    assert_eq!(client.answer_to(subscribe).await, [r#"subscribed ["course:7","user:1"]"#]);
    school.post("course:7", "seven again").await;
    school.revoke(1, "course:9").await;
    assert_eq!(client.hears().await, ["7 course:7 seven again", "8 user:1 revoked course:9"]);
}

#[tokio::test]
async fn a_client_may_leave_a_channel_and_come_back_to_it() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    let unsubscribe = json!({"type": "unsubscribe", "channels": ["course:7"]});
    assert_eq!(client.answer_to(unsubscribe).await, ["established at 1", r#"unsubscribed ["course:7"]"#]);
    school.post("course:7", "unheard").await;
    assert!(client.hears().await.is_empty());
    assert_eq!(
        client.answer_to(json!({"type": "replay_request", "last_event_id": 0})).await,
        ["1 user:1 granted course:7", "replayed 1 from 0 to 2"]
    );
    assert_eq!(client.answer_to(json!({"type": "subscribe", "channels": ["course:7"]})).await, [r#"subscribed ["course:7"]"#]);
    school.post("course:7", "heard").await;
    assert_eq!(client.hears().await, ["3 course:7 heard"]);
}

#[tokio::test]
async fn a_channel_of_others_is_forbidden_at_connect_and_at_subscribe() {
    let school = School::open().await;
    school.grant(2, "course:7").await;
    for named in ["course:7", "user:2", "role:admin", "nowhere:1"] {
        let only = Some(vec![channel(named)]);
        let refused = school.refused(Connect { only, ..wish(1) }).await;
        assert_eq!((refused.reason.code(), refused.reason.word(), refused.retry_after_ms), (4003, "forbidden", None));
        let mut client = school.connect(1).await;
        client.hears().await;
        for frame in ["subscribe", "unsubscribe"] {
            let frame = json!({"type": frame, "channels": ["user:1", named]});
            assert_eq!(client.answer_to(frame).await, ["error forbidden"], "{named}");
        }
    }
}

#[tokio::test]
async fn a_role_in_the_roster_wins_over_the_tokens() {
    let school = School::open().await;
    school.grant(1, "role:student").await;
    let mut known = school.admit(with_role(1, "admin")).await.unwrap();
    let mut unknown = school.admit(with_role(2, "admin")).await.unwrap();
    school.post("role:admin", "for admins").await;
    school.post("role:student", "for students").await;
    assert_eq!(known.hears().await, ["established at 1", "3 role:student for students"]);
    assert_eq!(unknown.hears().await, ["established at 1", "2 role:admin for admins"]);
}

#[tokio::test]
async fn a_role_that_the_roster_learns_while_the_client_is_connected_takes_the_tokens_place() {
    let school = School::open().await;
    let mut client = school.admit(with_role(1, "admin")).await.unwrap();
    school.post("role:admin", "one").await;
    school.grant(1, "role:student").await;
    school.post("role:admin", "two").await;
    school.post("role:student", "three").await;
    assert_eq!(
        client.hears().await,
        ["established at 0", "1 role:admin one", "2 user:1 granted role:student", "4 role:student three"]
    );
    let replay = json!({"type": "replay_request", "last_event_id": 0});
    assert_eq!(
        client.answer_to(replay).await,
        ["2 user:1 granted role:student", "4 role:student three", "replayed 2 from 0 to 4"]
    );
}

#[tokio::test]
async fn a_refreshed_token_with_another_role_changes_what_is_heard() {
    let school = School::open().await;
    let mut client = school.admit(with_role(1, "admin")).await.unwrap();
    let refresh = json!({"type": "refresh", "token": "1 1767225700000 student"});
    assert_eq!(client.answer_to(refresh).await, ["established at 0", "refreshed until 2026-01-01T00:01:40.000Z"]);
    school.post("role:admin", "for admins").await;
    school.post("role:student", "for students").await;
    assert_eq!(client.hears().await, ["2 role:student for students"]);
}
