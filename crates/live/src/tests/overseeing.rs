//! What every channel of a kind gets is due to the roles that oversee the kind, once, live and replayed.

use super::school::{School, channel, limits, wish, with_role};
use crate::{Connect, LiveLimits};
use campanile_wire::Cursor;
use serde_json::json;

const STAFF: &str = "role:training_staff";

#[tokio::test]
async fn staff_hear_every_cadet_and_a_cadet_hears_itself_alone() {
    let school = School::open().await;
    school.grant(1, "cadet:9").await;
    school.grant(2, STAFF).await;
    let (mut cadet, mut staff) = (school.connect(1).await, school.connect(2).await);
    school.post("cadet:9", "nine").await;
    school.post("cadet:10", "ten").await;
    assert_eq!(cadet.hears().await, ["established at 2", "3 cadet:9 nine"]);
    assert_eq!(staff.hears().await, ["established at 2", "3 cadet:9 nine", "4 cadet:10 ten"]);
}

#[tokio::test]
async fn who_is_both_staff_and_that_cadet_hears_an_event_once() {
    for tail_events_max in [0, 100] {
        let school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
        school.grant(1, "cadet:9").await;
        school.grant(1, "role:admin").await;
        let mut live = school.connect(1).await;
        school.post("cadet:9", "nine").await;
        assert_eq!(live.hears().await, ["established at 2", "3 cadet:9 nine"]);
        let mut replayed = school.connect_since(1, 2).await;
        assert_eq!(replayed.hears().await, ["established at 3", "3 cadet:9 nine", "replayed 1 from 2 to 3"]);
    }
}

#[tokio::test]
async fn staff_are_replayed_every_cadet_from_memory_and_from_the_store() {
    for tail_events_max in [0, 100] {
        let school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
        school.post("cadet:9", "nine").await;
        school.post("course:7", "not theirs").await;
        school.post("cadet:10", "ten").await;
        let mut by_token =
            school.admit(Connect { since: Some(Cursor::Id(0)), ..with_role(2, "training_staff") }).await.unwrap();
        let expect = ["established at 3", "1 cadet:9 nine", "3 cadet:10 ten", "replayed 2 from 0 to 3"];
        assert_eq!(by_token.hears().await, expect);
        school.grant(3, STAFF).await;
        let mut by_roster = school.connect_since(3, 0).await;
        let expect = [
            "established at 4",
            "1 cadet:9 nine",
            "3 cadet:10 ten",
            "4 user:3 granted role:training_staff",
            "replayed 3 from 0 to 4",
        ];
        assert_eq!(by_roster.hears().await, expect);
    }
}

#[tokio::test]
async fn nothing_of_any_cadet_reaches_who_was_staff() {
    for tail_events_max in [0, 100] {
        let school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
        school.grant(2, STAFF).await;
        let mut live = school.connect(2).await;
        school.post("cadet:9", "before").await;
        school.revoke(2, STAFF).await;
        school.post("cadet:9", "after").await;
        let expect = ["established at 1", "2 cadet:9 before", "3 user:2 revoked role:training_staff"];
        assert_eq!(live.hears().await, expect);
        let mut back = school.connect_since(2, 1).await;
        let expect = ["established at 4", "3 user:2 revoked role:training_staff", "replayed 1 from 1 to 4"];
        assert_eq!(back.hears().await, expect);
        // Made staff again: what was posted between is outside of every grant.
        school.grant(2, STAFF).await;
        let mut again = school.connect_since(2, 1).await;
        let expect = [
            "established at 5",
            "2 cadet:9 before",
            "3 user:2 revoked role:training_staff",
            "5 user:2 granted role:training_staff",
            "replayed 3 from 1 to 5",
        ];
        assert_eq!(again.hears().await, expect);
    }
}

#[tokio::test]
async fn the_rosters_role_decides_and_not_the_tokens() {
    let school = School::open().await;
    school.grant(1, "role:student").await;
    let mut client = school.admit(with_role(1, "admin")).await.unwrap();
    let mut unknown = school.admit(with_role(2, "admin")).await.unwrap();
    school.post("cadet:9", "nine").await;
    school.grant(2, "role:student").await;
    school.post("cadet:9", "ten").await;
    assert_eq!(client.hears().await, ["established at 1"]);
    assert_eq!(unknown.hears().await, ["established at 1", "2 cadet:9 nine", "3 user:2 granted role:student"]);
}

#[tokio::test]
async fn staff_choose_which_cadets_they_hear() {
    let school = School::open().await;
    school.grant(2, STAFF).await;
    let only = Some(vec![channel("cadet:9")]);
    let mut chosen = school.admit(Connect { only, ..wish(2) }).await.unwrap();
    let mut muting = school.connect(2).await;
    muting.hears().await;
    let mute = json!({"type": "unsubscribe", "channels": ["cadet:9"]});
    assert_eq!(muting.answer_to(mute).await, [r#"unsubscribed ["cadet:9"]"#]);
    school.post("cadet:9", "nine").await;
    school.post("cadet:10", "ten").await;
    assert_eq!(chosen.hears().await, ["established at 1", "2 cadet:9 nine"]);
    assert_eq!(muting.hears().await, ["3 cadet:10 ten"]);
    let hear = json!({"type": "subscribe", "channels": ["cadet:9"]});
    assert_eq!(muting.answer_to(hear).await, [r#"subscribed ["cadet:9"]"#]);
    school.revoke(2, STAFF).await;
    school.post("cadet:9", "after").await;
    assert_eq!(muting.hears().await, ["4 user:2 revoked role:training_staff"]);
    let refused = school.refused(Connect { only: Some(vec![channel("cadet:9")]), ..wish(1) }).await;
    assert_eq!(refused.refusal.code.as_str(), "forbidden");
}

#[tokio::test]
async fn staff_are_told_what_was_pruned_of_any_cadet() {
    let school = School::with(LiveLimits { tail_events_max: 0, ..limits() }).await;
    school.grant(2, STAFF).await;
    school.note("cadet:9", "first").await;
    school.note("cadet:9", "second").await;
    school.prune().await;
    let mut staff = school.connect_since(2, 1).await;
    let expect = ["established at 3", "gap 1..2 retention", "3 cadet:9 second", "replayed 1 from 1 to 3 with a gap"];
    assert_eq!(staff.hears().await, expect);
    school.grant(1, "cadet:10").await;
    let mut other = school.connect_since(1, 1).await;
    assert_eq!(other.hears().await, ["established at 4", "4 user:1 granted cadet:10", "replayed 1 from 1 to 4"]);
}
