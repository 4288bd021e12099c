//! Who is not approved is due nothing: not live, not later, and not what was told meanwhile.

use super::school::{School, limits, wish};
use crate::LiveLimits;
use campanile_wire::CloseReason;

const SUSPENSION: &str = "suspended:1";

#[tokio::test]
async fn an_unapproved_persons_connections_are_closed_and_new_ones_refused() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let (mut client, mut other) = (school.connect(1).await, school.connect(2).await);
    school.post("course:7", "before").await;
    school.grant(1, SUSPENSION).await;
    school.post("course:7", "after").await;
    assert_eq!(client.hears().await, ["established at 1", "2 course:7 before", "closed not_approved"]);
    assert_eq!(other.hears().await, ["established at 1"]);
    let refused = school.refused(wish(1)).await;
    assert_eq!((refused.reason, refused.refusal.code.as_str()), (CloseReason::NotApproved, "not_approved"));
    assert!(school.node.is_suspended("1") && !school.node.is_suspended("2"));
}

#[tokio::test]
async fn what_was_told_while_somebody_was_unapproved_is_never_due_to_them() {
    for (on, before) in [("course:7", None), ("class:7", Some("2 class:7 before")), ("user:1", Some("2 user:1 before"))] {
        for tail_events_max in [0, 100] {
            let mut school = School::with(LiveLimits { tail_events_max, ..limits() }).await;
            school.grant(1, "course:7").await;
            school.post(on, "before").await;
            school.grant(1, SUSPENSION).await;
            school.post(on, "meanwhile").await;
            school.grant(1, "class:7").await;
            school.revoke(1, SUSPENSION).await;
            school.post(on, "after").await;
            for _ in 0..2 {
                let mut client = school.connect_since(1, 0).await;
                // What stood before is due where the channel keeps its history; a course counts from the latest grant, which the approval is.
                let last = format!("7 {on} after");
                let count = if before.is_some() { "replayed 4 from 0 to 7" } else { "replayed 3 from 0 to 7" };
                let mut expect = vec!["established at 7", "1 user:1 granted course:7"];
                expect.extend(before);
                expect.extend(["3 user:1 granted suspended:1", last.as_str(), count]);
                assert_eq!(client.hears().await, expect, "{on}");
                // The same after a restart, which rebuilds the intervals from the store.
                school.restart(LiveLimits { tail_events_max, ..limits() }).await;
            }
        }
    }
}

#[tokio::test]
async fn a_suspension_survives_a_restart_and_may_be_told_twice() {
    let mut school = School::open().await;
    school.grant(1, SUSPENSION).await;
    school.grant(1, SUSPENSION).await;
    school.restart(limits()).await;
    assert_eq!(school.refused(wish(1)).await.reason, CloseReason::NotApproved);
    school.revoke(1, SUSPENSION).await;
    assert_eq!(school.connect(1).await.hears().await, ["established at 3"]);
}
