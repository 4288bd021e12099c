//! A client that comes back gets what it missed, once and in order, or is told of a gap.

use super::school::{OPENING_MS, School, limits, soon, wish};
use crate::{Connect, LiveLimits, Transport};
use campanile_wire::Cursor;
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_returning_client_gets_exactly_what_it_missed_and_then_live_goes_on() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    for text in ["a", "b", "c"] {
        school.post("course:7", text).await;
        school.post("course:8", "for others").await;
    }
    let mut client = school.connect_since(1, 2).await;
    school.post("course:7", "d").await;
    assert_eq!(
        client.hears().await,
        ["established at 7", "4 course:7 b", "6 course:7 c", "8 course:7 d", "replayed 3 from 2 to 8"]
    );
    school.post("course:7", "e").await;
    assert_eq!(client.hears().await, ["9 course:7 e"]);
    assert_eq!(school.node.metrics.pages_from_store.load(Ordering::Relaxed), 0, "the tail held it all");
}

#[tokio::test]
async fn history_beyond_the_tail_comes_from_the_store_in_pages() {
    let school = School::with(LiveLimits { tail_events_max: 3, page_events_max: 2, ..limits() }).await;
    school.grant(1, "course:7").await;
    for place in 2..=12 {
        school.post(if place % 2 == 0 { "course:7" } else { "course:8" }, "bell").await;
    }
    let mut client = school.connect_since(1, 0).await;
    assert_eq!(
        client.hears().await,
        [
            "established at 12",
            "1 user:1 granted course:7",
            "2 course:7 bell",
            "4 course:7 bell",
            "6 course:7 bell",
            "8 course:7 bell",
            "10 course:7 bell",
            "12 course:7 bell",
            "replayed 7 from 0 to 12"
        ]
    );
    assert!(school.node.metrics.pages_from_store.load(Ordering::Relaxed) >= 3);
}

#[tokio::test]
async fn a_long_look_through_memory_is_taken_in_parts_and_misses_nothing() {
    let school = School::with(LiveLimits { tail_look_events_max: 2, ..limits() }).await;
    school.grant(1, "course:7").await;
    for _ in 0..20 {
        school.post("course:8", "for others").await;
    }
    school.post("course:7", "found").await;
    let mut client = school.connect_since(1, 1).await;
    assert_eq!(client.hears().await, ["established at 22", "22 course:7 found", "replayed 1 from 1 to 22"]);
}

#[tokio::test]
async fn a_rewind_pauses_live_and_everything_after_the_cursor_follows_once() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    school.post("course:7", "a").await;
    client.hears().await;
    school.post("course:7", "b").await;
    client.says(json!({"type": "replay_request", "last_event_id": 1})).await;
    school.post("course:7", "c").await;
    let expect = ["2 course:7 a", "3 course:7 b", "4 course:7 c", "replayed 3 from 1 to 4"];
    assert_eq!(client.hears().await, expect);
    // Forward again: what lies between is skipped.
    school.post("course:7", "d").await;
    let forward = json!({"type": "replay_request", "last_event_id": "5"});
    assert_eq!(client.answer_to(forward).await, ["replayed 0 from 5 to 5"]);
}

#[tokio::test]
async fn an_instant_is_a_cursor_that_stands_before_what_was_recorded_then() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    school.clock.advance_ms(1_000);
    school.post("course:7", "a second later").await;
    school.clock.advance_ms(1_000);
    let since = Some(Cursor::Instant(OPENING_MS + 1_000));
    let mut client = school.admit(Connect { since, ..wish(1) }).await.unwrap();
    let expect = ["established at 2", "2 course:7 a second later", "replayed 1 from 1 to 2"];
    assert_eq!(client.hears().await, expect);
    let future = json!({"type": "replay_request", "last_event_id": "2030-01-01T00:00:00Z"});
    assert_eq!(client.answer_to(future).await, ["replayed 0 from 2 to 2"]);
}

#[tokio::test]
async fn a_cursor_ahead_of_the_head_is_told_as_a_gap_to_that_client_only() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut other = school.connect(1).await;
    let mut client = school.connect_since(1, 900).await;
    let expect = ["established at 1", "gap 900..1 cursor_ahead", "replayed 0 from 900 to 1 with a gap"];
    assert_eq!(client.hears().await, expect);
    school.post("course:7", "bell").await;
    assert_eq!(client.hears().await, ["2 course:7 bell"]);
    assert_eq!(other.hears().await, ["established at 1", "2 course:7 bell"]);
}

#[tokio::test]
async fn a_cursor_that_only_this_node_has_not_reached_yet_is_no_gap() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let elsewhere = school.other_process().await;
    super::school::post(&elsewhere, "course:7", "heard on another node").await;
    let mut client = school.connect_since(1, 2).await;
    assert_eq!(client.next().await, "established at 1");
    assert_eq!(client.next().await, "replayed 0 from 2 to 2");
    school.post("course:7", "next").await;
    assert_eq!(client.next().await, "3 course:7 next", "not event 2 again");
}

#[tokio::test]
async fn another_epoch_is_told_as_a_gap() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    school.post("course:7", "a").await;
    let mut same = school.admit(Connect { since: Some(Cursor::Id(1)), epoch: Some(1), ..wish(1) }).await.unwrap();
    assert_eq!(same.hears().await, ["established at 2", "2 course:7 a", "replayed 1 from 1 to 2"]);
    let mut other = school.admit(Connect { since: Some(Cursor::Id(1)), epoch: Some(7), ..wish(1) }).await.unwrap();
    let expect = ["established at 2", "gap 1..1 epoch", "2 course:7 a", "replayed 1 from 1 to 2 with a gap"];
    assert_eq!(other.hears().await, expect);
}

/// Course 7 has lost notes 2 and 3 to retention, course 8 its note 5.
async fn pruned_school(limits: LiveLimits) -> School {
    let mut school = School::with(limits.clone()).await;
    school.grant(1, "course:7").await;
    school.note("course:7", "lost").await;
    school.note("course:7", "lost too").await;
    school.grant(2, "course:8").await;
    school.note("course:8", "lost").await;
    school.post("course:7", "kept").await;
    school.note("course:7", "newest").await;
    school.note("course:8", "newest").await;
    school.prune().await;
    // The tail of a node that saw them would still hold them.
    school.restart(limits).await;
    school
}

#[tokio::test]
async fn a_retention_gap_stands_before_the_jump_and_only_for_channels_that_the_client_reads() {
    let school = pruned_school(limits()).await;
    let mut client = school.connect_since(1, 0).await;
    assert_eq!(
        client.hears().await,
        [
            "established at 8",
            "gap 0..3 retention",
            "1 user:1 granted course:7",
            "6 course:7 kept",
            "7 course:7 newest",
            "replayed 3 from 0 to 8 with a gap"
        ]
    );
    let mut beyond = school.connect_since(1, 3).await;
    let expect = ["established at 8", "6 course:7 kept", "7 course:7 newest", "replayed 2 from 3 to 8"];
    assert_eq!(beyond.hears().await, expect, "course 8 has lost event 5, but not for this client");
    let only = Some(vec![super::school::channel("user:1")]);
    let mut narrow = school.admit(Connect { since: Some(Cursor::Id(0)), only, ..wish(1) }).await.unwrap();
    assert_eq!(narrow.hears().await, ["established at 8", "1 user:1 granted course:7", "replayed 1 from 0 to 8"]);
}

#[tokio::test]
async fn a_gap_is_told_once_however_many_pages_follow() {
    let school = pruned_school(LiveLimits { page_events_max: 1, tail_events_max: 1, ..limits() }).await;
    let mut client = school.connect_since(1, 0).await;
    let heard = client.hears().await;
    assert_eq!(heard.iter().filter(|line| line.starts_with("gap")).count(), 1, "{heard:?}");
    assert_eq!(heard.last().unwrap(), "replayed 3 from 0 to 8 with a gap");
}

#[tokio::test]
async fn what_was_pruned_before_the_grant_is_no_gap() {
    let mut school = School::open().await;
    school.note("course:7", "lost").await;
    school.note("course:7", "newest").await;
    school.prune().await;
    school.grant(1, "course:7").await;
    school.restart(limits()).await;
    let mut client = school.connect_since(1, 0).await;
    assert_eq!(
        client.hears().await,
        ["established at 3", "1 user:1 granted course:7", "replayed 1 from 0 to 3"]
            .map(|line| { line.replace("1 user", "3 user") })
    );
}

#[tokio::test]
async fn a_class_tells_a_gap_also_when_the_newest_loss_lies_in_a_barred_interval() {
    let mut school = School::open().await;
    school.grant(1, "class:7").await;
    school.note("class:7", "due and lost").await;
    school.revoke(1, "class:7").await;
    school.note("class:7", "not due and lost").await;
    school.grant(1, "class:7").await;
    school.note("class:7", "newest").await;
    school.prune().await;
    school.restart(limits()).await;
    let mut client = school.connect_since(1, 1).await;
    assert_eq!(
        client.hears().await,
        [
            "established at 6",
            "gap 1..4 retention",
            "3 user:1 revoked class:7",
            "5 user:1 granted class:7",
            "6 class:7 newest",
            "replayed 3 from 1 to 6 with a gap"
        ]
    );
    let mut barred = school.connect_since(1, 3).await;
    assert!(!barred.hears().await.join(" ").contains("gap"), "event 4 was never due");
}

#[tokio::test]
async fn sse_gets_replay_complete_and_no_greeting() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let wish = Connect { transport: Transport::Sse, since: Some(Cursor::Id(0)), ..wish(1) };
    let mut client = school.admit(wish).await.unwrap();
    assert_eq!(soon(client.hears()).await, ["1 user:1 granted course:7", "replayed 1 from 0 to 1"]);
}
