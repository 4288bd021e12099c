//! Signals: to the members of a channel, not to the sender, for ten seconds, never stored.

use super::school::{Client, School, limits};
use crate::LiveLimits;
use serde_json::json;

/// Three connections in course 7: the sender's, another one of the same person, another person's; and a stranger's.
async fn classroom(limits: LiveLimits) -> (School, [Client; 4]) {
    let school = School::with(limits).await;
    school.grant(1, "course:7").await;
    school.grant(2, "course:7").await;
    let mut clients = [school.connect(1).await, school.connect(1).await, school.connect(2).await, school.connect(3).await];
    for client in &mut clients {
        client.hears().await;
    }
    (school, clients)
}

fn typing(data: u64) -> serde_json::Value {
    json!({"type": "signal", "signal": "typing", "channel": "course:7", "data": data})
}

#[tokio::test]
async fn a_signal_reaches_the_members_but_neither_its_sender_nor_a_stranger_nor_the_log() {
    let (school, [mut sender, mut own, mut member, mut stranger]) = classroom(limits()).await;
    sender.says(typing(5)).await;
    assert_eq!(member.hears().await, ["typing in course:7 from 1 5"]);
    assert_eq!(own.hears().await, ["typing in course:7 from 1 5"], "the sender is a connection, not a person");
    assert!(sender.hears().await.is_empty() && stranger.hears().await.is_empty());
    assert_eq!(school.site.journal.head().await.unwrap().id, 2);
    assert_eq!(stranger.answer_to(typing(6)).await, ["error forbidden"]);
    assert!(member.hears().await.is_empty());
}

#[tokio::test]
async fn a_signal_wakes_a_waiting_member() {
    let (_school, [mut sender, _, mut member, _]) = classroom(limits()).await;
    let (heard, ()) = tokio::join!(member.next(), sender.says(typing(1)));
    assert_eq!(heard, "typing in course:7 from 1 1");
}

#[tokio::test]
async fn a_signal_lives_ten_seconds() {
    let (school, [mut sender, _, mut member, _]) = classroom(limits()).await;
    sender.says(typing(1)).await;
    school.clock.advance_ms(9_999);
    sender.says(typing(2)).await;
    assert_eq!(member.hears().await, ["typing in course:7 from 1 1", "typing in course:7 from 1 2"]);
    sender.says(typing(3)).await;
    school.clock.advance_ms(10_000);
    sender.says(typing(4)).await;
    assert_eq!(member.hears().await, ["typing in course:7 from 1 4"]);
}

#[tokio::test]
async fn beyond_1500_waiting_signals_the_oldest_is_dropped() {
    let (_school, [mut sender, _, mut member, _]) =
        classroom(LiveLimits { mailbox_signal_bytes_max: usize::MAX, ..limits() }).await;
    for place in 0..1_700 {
        sender.says(typing(place)).await;
    }
    let heard = member.hears().await;
    assert_eq!(heard.len(), 1_500);
    assert_eq!(heard[0], "typing in course:7 from 1 200");
    assert_eq!(heard[1_499], "typing in course:7 from 1 1699");
}

#[tokio::test]
async fn beyond_their_bytes_the_oldest_signals_are_dropped_too() {
    let (_school, [mut sender, _, mut member, _]) = classroom(LiveLimits { mailbox_signal_bytes_max: 1_000, ..limits() }).await;
    for place in 0..100 {
        sender.says(typing(place)).await;
    }
    let heard = member.hears().await;
    assert!((10..=13).contains(&heard.len()), "{}", heard.len());
    assert_eq!(heard.last().unwrap(), "typing in course:7 from 1 99");
}

#[tokio::test]
async fn a_withdrawn_person_gets_no_signal_and_sends_none() {
    let (school, [mut sender, _, mut member, _]) = classroom(limits()).await;
    school.revoke(2, "course:7").await;
    sender.says(typing(1)).await;
    assert_eq!(member.hears().await, ["3 user:2 revoked course:7"]);
    assert_eq!(member.answer_to(typing(2)).await, ["error forbidden"]);
    assert!(sender.hears().await.is_empty());
}

#[tokio::test]
async fn signals_go_on_while_a_client_reads_history() {
    let (school, [mut sender, _, mut member, _]) = classroom(limits()).await;
    school.post("course:7", "bell").await;
    member.says(json!({"type": "replay_request", "last_event_id": 2})).await;
    sender.says(typing(1)).await;
    let mut heard = member.hears().await;
    heard.sort();
    assert_eq!(heard, ["3 course:7 bell", "replayed 1 from 2 to 3", "typing in course:7 from 1 1"]);
}
