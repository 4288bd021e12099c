//! Revocation is in the order: nothing of a channel with an id above the revocation reaches the person, live or replayed.

use super::school::{School, limits};
use crate::LiveLimits;
use serde_json::json;

#[tokio::test]
async fn nothing_above_the_withdrawal_reaches_a_connected_person() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    school.post("course:7", "before").await;
    school.revoke(1, "course:7").await;
    school.post("course:7", "after").await;
    let expect = ["established at 1", "2 course:7 before", "3 user:1 revoked course:7"];
    assert_eq!(client.hears().await, expect);
    assert_eq!(client.cursor(), 4);
}

#[tokio::test]
async fn nothing_of_the_course_is_replayed_to_a_withdrawn_person_from_memory_or_from_the_store() {
    for tail_events_max in [0, 100] {
        let school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
        school.grant(1, "course:7").await;
        school.post("course:7", "before").await;
        school.revoke(1, "course:7").await;
        school.post("course:7", "after").await;
        let mut client = school.connect_since(1, 0).await;
        assert_eq!(
            client.hears().await,
            ["established at 4", "1 user:1 granted course:7", "3 user:1 revoked course:7", "replayed 2 from 0 to 4"]
        );
    }
}

#[tokio::test]
async fn a_slow_reader_that_was_withdrawn_meanwhile_gets_nothing_from_the_log() {
    let school = School::with(LiveLimits { mailbox_events_max: 2, tail_events_max: 0, ..limits() }).await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    for _ in 0..5 {
        school.post("course:7", "bell").await;
    }
    school.revoke(1, "course:7").await;
    school.post("course:7", "after").await;
    assert_eq!(client.hears().await, ["established at 1", "7 user:1 revoked course:7"]);
    assert_eq!(client.cursor(), 8);
}

#[tokio::test]
async fn what_was_posted_between_withdrawal_and_return_is_not_due() {
    for (channel, first) in [("course:7", None), ("class:7", Some("2"))] {
        for tail_events_max in [0, 100] {
            let school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
            school.grant(1, channel).await;
            school.post(channel, "while a member").await;
            let mut client = school.connect(1).await;
            school.revoke(1, channel).await;
            school.post(channel, "while away").await;
            school.grant(1, channel).await;
            school.post(channel, "back").await;
            let live =
                [format!("3 user:1 revoked {channel}"), format!("5 user:1 granted {channel}"), format!("6 {channel} back")];
            assert_eq!(client.hears().await, [&["established at 2".to_owned()][..], &live].concat());

            // A class keeps the time before for those who come back; a course begins anew.
            let before = first.map(|id| format!("{id} {channel} while a member"));
            let mut expect = vec![format!("1 user:1 granted {channel}")];
            expect.extend(before);
            expect.extend(live);
            expect.push(format!("replayed {} from 0 to 6", expect.len()));
            assert_eq!(client.answer_to(json!({"type": "replay_request", "last_event_id": 0})).await, expect);
        }
    }
}

#[tokio::test]
async fn a_new_member_of_a_class_is_due_its_whole_history_and_of_a_course_none() {
    let mut school = School::open().await;
    school.post("course:7", "old").await;
    school.post("class:7", "old").await;
    school.grant(1, "course:7").await;
    school.grant(1, "class:7").await;
    let expect = [
        "established at 4",
        "2 class:7 old",
        "3 user:1 granted course:7",
        "4 user:1 granted class:7",
        "replayed 3 from 0 to 4",
    ];
    assert_eq!(school.connect_since(1, 0).await.hears().await, expect);
    school.restart(limits()).await;
    assert_eq!(school.connect_since(1, 0).await.hears().await, expect, "after a restart too");
}

#[tokio::test]
async fn barred_intervals_survive_a_restart() {
    let mut school = School::open().await;
    for round in 0..3 {
        school.grant(1, "class:7").await;
        school.post("class:7", &format!("in {round}")).await;
        school.revoke(1, "class:7").await;
        school.post("class:7", &format!("out {round}")).await;
    }
    school.grant(1, "class:7").await;
    for restarted in [false, true] {
        if restarted {
            school.restart(limits()).await;
        }
        let heard = school.connect_since(1, 0).await.hears().await;
        let of_class: Vec<_> = heard.iter().filter(|line| line.contains(" class:7 ")).collect();
        assert_eq!(of_class, ["2 class:7 in 0", "6 class:7 in 1", "10 class:7 in 2"]);
    }
}

#[tokio::test]
async fn a_second_grant_to_a_member_changes_nothing() {
    let mut school = School::open().await;
    school.grant(1, "course:7").await;
    school.post("course:7", "bell").await;
    school.grant(1, "course:7").await;
    for restarted in [false, true] {
        if restarted {
            school.restart(limits()).await;
        }
        let heard = school.connect_since(1, 1).await.hears().await;
        assert_eq!(heard[1..], ["2 course:7 bell", "3 user:1 granted course:7", "replayed 2 from 1 to 3"]);
    }
}

#[tokio::test]
async fn to_withdraw_somebody_who_is_no_member_changes_nothing() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    school.revoke(1, "course:8").await;
    school.revoke(2, "course:7").await;
    school.post("course:7", "bell").await;
    assert_eq!(client.hears().await, ["established at 1", "2 user:1 revoked course:8", "4 course:7 bell"]);
}
