//! The follower: commits of this process from memory, everything else from the log.

use super::school::{School, grant, limits, post, soon};
use crate::LiveLimits;
use campanile_journal::{Committed, Durability, JournalLimits};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast;

#[tokio::test]
async fn events_of_another_process_arrive_within_the_poll_interval() {
    let school = School::with(LiveLimits { log_poll_ms: 10, ..limits() }).await;
    let elsewhere = school.other_process().await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 0");
    grant(&elsewhere, 1, "course:7").await;
    assert_eq!(client.next().await, "1 user:1 granted course:7");
    for place in 2..10 {
        let site = if place % 3 == 0 { &school.site } else { &elsewhere };
        post(site, "course:7", "bell").await;
    }
    for place in 2..10 {
        assert_eq!(client.next().await, format!("{place} course:7 bell"));
    }
}

#[tokio::test]
async fn a_hole_before_an_own_commit_is_read_from_the_log_before_it() {
    let school = School::open().await;
    let elsewhere = school.other_process().await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 0");
    grant(&elsewhere, 1, "course:7").await;
    post(&elsewhere, "course:7", "theirs").await;
    assert_eq!(school.node.position(), 0, "nothing has told this node");
    post(&school.site, "course:7", "ours").await;
    for expect in ["1 user:1 granted course:7", "2 course:7 theirs", "3 course:7 ours"] {
        assert_eq!(client.next().await, expect);
    }
}

#[tokio::test]
async fn commits_that_are_handed_over_out_of_order_doubled_or_with_holes_are_healed_from_the_log() {
    let school = School::open().await;
    let elsewhere = school.other_process().await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 0");
    // A follower of its own: what it is handed is up to this test.
    let (commits, received) = broadcast::channel(64);
    tokio::spawn(crate::follow::follow(Arc::clone(&school.node), received));
    soon(school.node.reached(0)).await;
    grant(&elsewhere, 1, "course:7").await;
    for _ in 2..=8 {
        post(&elsewhere, "course:7", "bell").await;
    }
    let log = school.site.journal.read(0, 100, 100).await.unwrap();
    for batch in [&log[1..3], &log[0..1], &log[4..5], &log[3..4], &log[2..6], &log[7..8], &log[0..0]] {
        commits.send(Arc::new(Committed { events: batch.to_vec(), traces: Vec::new() })).unwrap();
    }
    assert_eq!(client.next().await, "1 user:1 granted course:7");
    for place in 2..=8 {
        assert_eq!(client.next().await, format!("{place} course:7 bell"));
    }
    assert!(client.hears().await.is_empty());
}

#[tokio::test]
async fn a_follower_that_lags_behind_memory_reads_the_log() {
    let journal = JournalLimits { commits_in_memory_max: 1, durability: Durability::UnsafeNoFlush, ..JournalLimits::default() };
    let school = School::on(limits(), journal).await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 1");
    // Committed one by one while the follower has no turn: memory keeps the last only.
    let posts: Vec<_> = (0..50).map(|_| post(&school.site, "course:7", "bell")).collect();
    let posting = async {
        for post in posts {
            post.await;
        }
    };
    tokio::join!(posting, async {
        for place in 2..=51 {
            assert_eq!(client.next().await, format!("{place} course:7 bell"));
        }
    });
}

#[tokio::test]
async fn the_follower_goes_on_when_the_store_is_back() {
    let journal = JournalLimits {
        read_connections_max: 1,
        connection_wait_ms_max: 300,
        durability: Durability::UnsafeNoFlush,
        ..JournalLimits::default()
    };
    let school = School::on(LiveLimits { log_poll_ms: 5, ..limits() }, journal).await;
    let elsewhere = school.other_process().await;
    let mut client = school.connect(1).await;
    assert_eq!(client.next().await, "established at 0");
    let hold = school.site.journal.reader().await.unwrap();
    grant(&elsewhere, 1, "course:7").await;
    assert!(tokio::time::timeout(Duration::from_secs(1), client.next()).await.is_err(), "nobody can have told");
    assert!(school.node.metrics.store_errors.load(Ordering::Relaxed) > 0);
    assert_eq!(school.node.position(), 0);
    drop(hold);
    assert_eq!(client.next().await, "1 user:1 granted course:7");
}

#[tokio::test]
async fn what_was_pruned_before_this_node_read_it_is_a_gap_and_not_silence() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    school.grant(2, "course:8").await;
    let (mut client, mut other) = (school.connect(1).await, school.connect(2).await);
    for client in [&mut client, &mut other] {
        assert_eq!(client.next().await, "established at 2");
    }
    let elsewhere = school.other_process().await;
    for text in ["lost", "lost too", "newest"] {
        super::school::run(&elsewhere, "note", serde_json::json!({"channel": "course:7", "text": text})).await;
    }
    school.prune().await;
    school.post("course:8", "bell").await;
    assert_eq!([client.next().await, client.next().await], ["gap 2..4 retention", "5 course:7 newest"]);
    assert_eq!(other.next().await, "6 course:8 bell");
    assert_eq!(
        school.connect_since(1, 2).await.hears().await,
        ["established at 6", "gap 2..4 retention", "5 course:7 newest", "replayed 1 from 2 to 6 with a gap"]
    );
}
