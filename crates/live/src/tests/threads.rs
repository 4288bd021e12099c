//! The same promises while everything happens at once on several threads.

use super::school::{School, grant, limits, post, run, soon, wish};
use crate::{Connect, LiveLimits, Node, Outgoing, Session};
use campanile_wire::{Cursor, EventId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn ids(out: Vec<Outgoing>) -> Vec<EventId> {
    let id = |outgoing| match outgoing {
        Outgoing::Event(delivery) => Some(delivery.event.id),
        _ => None,
    };
    out.into_iter().filter_map(id).collect()
}

/// Reads until `end`, with pauses, rewinds to where it is, and new connections; answers every id it got.
async fn read_restlessly(node: Arc<Node>, person: i64, since: EventId, end: EventId, seed: u64) -> Vec<EventId> {
    let mut chance = StdRng::seed_from_u64(seed);
    let connect = async |since| {
        let wish = Connect { since: Some(Cursor::Id(since)), ..wish(person) };
        soon(node.connect(wish)).await.expect("admitted")
    };
    let mut session: Session = connect(since).await;
    let mut got = Vec::new();
    while session.cursor() < end {
        let mut out = Vec::new();
        match chance.random_range(0..10) {
            0 => session = connect(session.cursor()).await,
            1 => session.rewind(Cursor::Id(session.cursor()), None).await.expect("rewinds"),
            2 => session.take_now(&mut out),
            3 => {
                for _ in 0..chance.random_range(0..50) {
                    tokio::task::yield_now().await;
                }
            }
            // Given up at any point.
            4 => tokio::select! {
                biased;
                () = session.take(&mut out) => {}
                () = tokio::task::yield_now() => assert!(out.is_empty()),
            },
            _ => soon(session.take(&mut out)).await,
        }
        got.extend(ids(out));
    }
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_come_and_go_while_others_post_get_everything_once_and_in_order() {
    const POSTERS: u64 = 4;
    const POSTS: u64 = 150;
    for tail_events_max in [0, 5, 1_000] {
        let limits =
            LiveLimits { tail_events_max, mailbox_events_max: 8, page_events_max: 5, tail_look_events_max: 3, ..limits() };
        let school = School::with(limits).await;
        for person in 1..=6 {
            school.grant(person, "course:7").await;
        }
        let end = 6 + POSTERS * POSTS;
        let readers: Vec<_> = (1..=6)
            .map(|person| {
                tokio::spawn(read_restlessly(
                    Arc::clone(&school.node),
                    person,
                    6,
                    end,
                    person as u64 * 31 + tail_events_max as u64,
                ))
            })
            .collect();
        let posters: Vec<_> = (0..POSTERS)
            .map(|_| {
                let site = school.site.clone();
                tokio::spawn(async move {
                    for _ in 0..POSTS {
                        post(&site, "course:7", "bell").await;
                    }
                })
            })
            .collect();
        for poster in posters {
            soon(poster).await.unwrap();
        }
        for reader in readers {
            assert_eq!(soon(reader).await.unwrap(), (7..=end).collect::<Vec<_>>(), "tail of {tail_events_max}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_posted_while_somebody_was_withdrawn_reaches_them_however_they_read() {
    let limits = LiveLimits { tail_events_max: 6, mailbox_events_max: 3, page_events_max: 2, ..limits() };
    let school = School::with(limits).await;
    // Posting ends after reading, so that nobody waits for an event that never comes.
    let (read, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let poster = tokio::spawn({
        let (site, posted) = (school.site.clone(), Arc::clone(&posted));
        async move {
            let mut posts = HashSet::new();
            while !posted.load(Ordering::Relaxed) {
                posts.insert(post(&site, "course:7", "bell").await);
                post(&site, "user:1", "always due").await;
            }
            posts
        }
    });
    let registrar = tokio::spawn({
        let site = school.site.clone();
        async move {
            let mut intervals = Vec::new();
            for _ in 0..60 {
                let granted = grant(&site, 1, "course:7").await;
                let revoked = run(&site, "revoke", json!({"person": 1, "channel": "course:7"})).await;
                intervals.push((granted, revoked));
            }
            intervals.push((grant(&site, 1, "course:7").await, EventId::MAX));
            // The poster goes on: what it posts from here on is due.
            for _ in 0..5 {
                post(&site, "user:1", "always due").await;
            }
            intervals
        }
    });
    let readers: Vec<_> = (0..4)
        .map(|seed| {
            let (node, read) = (Arc::clone(&school.node), Arc::clone(&read));
            tokio::spawn(async move {
                let mut got = Vec::new();
                let mut since = 0;
                while !read.load(Ordering::Relaxed) {
                    soon(node.reached(since + 1)).await;
                    let end = node.position().min(since + 40);
                    got.extend(read_restlessly(Arc::clone(&node), 1, since, end, seed).await);
                    since = if seed % 2 == 0 { 0 } else { end };
                }
                let end = node.position();
                got.extend(read_restlessly(Arc::clone(&node), 1, end.saturating_sub(10), end, seed).await);
                got
            })
        })
        .collect();
    let intervals = soon(registrar).await.unwrap();
    read.store(true, Ordering::Relaxed);
    let mut got = Vec::new();
    for reader in readers {
        got.extend(soon(reader).await.unwrap());
    }
    posted.store(true, Ordering::Relaxed);
    let posts = soon(poster).await.unwrap();
    got.retain(|id| posts.contains(id));
    for id in &got {
        let due = intervals.iter().any(|(granted, revoked)| (granted + 1..*revoked).contains(id));
        assert!(due, "event {id} was posted while the person was withdrawn");
    }
    let delivered = got.len();
    assert!(posts.len() > 50 && delivered > 0, "{delivered} of {} posts were delivered: nothing was tried", posts.len());
}
