//! Memberships are intervals of event ids, and a snapshot is one moment of them.

use crate::site::{Site, change, event, grant, revoke, whole_log};
use campanile_journal::{Journal, JournalLimits, Membership, Snapshot};
use campanile_wire::{Effect, Event};
use std::task::Poll;

on_both! {
    grants_and_revocations_are_intervals,
    one_event_may_change_a_membership_more_than_once,
    a_snapshots_head_and_memberships_fit_together_while_others_write,
    a_reader_that_goes_away_leaves_no_old_moment_behind,
}

/// `(person, channel, granted_id, revoked_id)`.
type Interval<'a> = (&'a str, &'a str, u64, Option<u64>);

async fn check(journal: &Journal, expected: &[Interval<'_>]) {
    let snapshot = journal.snapshot().await.unwrap();
    let mut found: Vec<Interval> = snapshot.memberships.iter().map(interval).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

fn interval(membership: &Membership) -> Interval<'_> {
    (&membership.person, &membership.channel, membership.granted_id, membership.revoked_id)
}

async fn grants_and_revocations_are_intervals(site: &Site) {
    let journal = site.open().await;
    journal.publish(vec![change(vec![grant(1, 7), grant(2, 7)]), event(7, "seen by both")], None).await.unwrap();
    journal.publish(vec![change(vec![grant(1, 7), revoke(3, 7)])], None).await.unwrap();
    check(&journal, &[("1", "course:7", 1, None), ("2", "course:7", 1, None)]).await;
    journal.publish(vec![change(vec![revoke(1, 7)]), change(vec![grant(1, 7), grant(1, 8)])], None).await.unwrap();
    let expected =
        [("1", "course:7", 1, Some(4)), ("1", "course:7", 5, None), ("1", "course:8", 5, None), ("2", "course:7", 1, None)];
    check(&journal, &expected).await;
    check(&site.open().await, &expected).await;
    let log = whole_log(&journal).await;
    assert_eq!(log[0].effects, [grant(1, 7), grant(2, 7)]);
    assert!(log[1].effects.is_empty());
}

async fn one_event_may_change_a_membership_more_than_once(site: &Site) {
    let journal = site.open().await;
    journal.publish(vec![change(vec![grant(1, 7), revoke(1, 7), grant(1, 7)])], None).await.unwrap();
    check(&journal, &[("1", "course:7", 1, None)]).await;
    journal.publish(vec![change(vec![revoke(1, 7), grant(1, 7)])], None).await.unwrap();
    check(&journal, &[("1", "course:7", 1, Some(2)), ("1", "course:7", 2, None)]).await;
    journal.publish(vec![change(vec![grant(2, 7), revoke(2, 7)])], None).await.unwrap();
    check(&journal, &[("1", "course:7", 1, Some(2)), ("1", "course:7", 2, None), ("2", "course:7", 3, Some(3))]).await;
}

/// What the log up to an id says of who is a member, by DESIGN's rule alone.
fn fold(log: &[Event], upto: u64) -> Vec<(String, String, u64, Option<u64>)> {
    let mut intervals: Vec<(String, String, u64, Option<u64>)> = Vec::new();
    for event in log.iter().take_while(|event| event.id <= upto) {
        for effect in &event.effects {
            let (Effect::Grant { person, channel } | Effect::Revoke { person, channel }) = effect else { continue };
            let open =
                intervals.iter_mut().find(|one| one.0 == person.as_str() && one.1 == channel.as_str() && one.3.is_none());
            match (effect, open) {
                (Effect::Grant { .. }, None) => {
                    intervals.push((person.as_str().into(), channel.as_str().into(), event.id, None));
                }
                (Effect::Revoke { .. }, Some(open)) => open.3 = Some(event.id),
                _ => {}
            }
        }
    }
    intervals.sort_unstable();
    intervals
}

async fn a_snapshots_head_and_memberships_fit_together_while_others_write(site: &Site) {
    let journal = site.open().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..3 {
        let journal = journal.clone();
        writers.spawn(async move {
            for round in 0..40 {
                let (person, course) = (round % 5, writer % 2);
                let effect = if (round + writer) % 3 == 0 { revoke(person, course) } else { grant(person, course) };
                journal.publish(vec![event(1, "between"), change(vec![effect])], None).await.unwrap();
            }
        });
    }
    let mut snapshots: Vec<Snapshot> = Vec::new();
    while !writers.is_empty() {
        snapshots.push(journal.snapshot().await.unwrap());
        while writers.try_join_next().is_some() {}
    }
    let log = whole_log(&journal).await;
    let heads: std::collections::BTreeSet<u64> = snapshots.iter().map(|snapshot| snapshot.head.id).collect();
    assert!(heads.len() > 5, "only {} different moments were seen, so little was tested", heads.len());
    for snapshot in snapshots {
        let mut found: Vec<Interval> = snapshot.memberships.iter().map(interval).collect();
        found.sort_unstable();
        let expected = fold(&log, snapshot.head.id);
        let expected: Vec<Interval> = expected.iter().map(|one| (&*one.0, &*one.1, one.2, one.3)).collect();
        assert_eq!(found, expected, "at head {}", snapshot.head.id);
    }
}

/// Callers go away at every point of a snapshot, as closed requests and time limits make them.
async fn a_reader_that_goes_away_leaves_no_old_moment_behind(site: &Site) {
    let journal = site.open_with(JournalLimits { read_connections_max: 1, ..JournalLimits::default() }).await;
    let mut left = 0;
    for polls in (0..40).map(|round| round % 5) {
        let mut snapshot = Box::pin(journal.snapshot());
        let mut polled = 0;
        let ended = std::future::poll_fn(|context| {
            polled += 1;
            match snapshot.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if polled > polls => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        left += usize::from(!ended);
        drop(snapshot);
        let id = journal.publish(vec![event(1, "after it")], None).await.unwrap().events[0].id;
        assert_eq!(journal.head().await.unwrap().id, id, "after {polls} polls the only reader sees an old moment");
        assert_eq!(journal.snapshot().await.unwrap().head.id, id);
    }
    assert!(left > 4, "no reader went away in the middle, so nothing was tested");
}
