//! A slow reader hurts nobody and loses nothing.

use super::school::{School, limits, wish};
use crate::dialogue::Dialogue;
use crate::{LiveLimits, Outgoing, Session};
use campanile_journal::{Durability, JournalLimits};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn a_slow_reader_is_served_from_the_log_and_then_live_goes_on() {
    for tail_events_max in [0, 100] {
        let limits = LiveLimits { mailbox_events_max: 3, page_events_max: 2, tail_events_max, ..limits() };
        let school = School::with(limits).await;
        school.grant(1, "course:7").await;
        let mut slow = school.connect(1).await;
        let mut quick = school.connect(1).await;
        quick.hears().await;
        for place in 2..20 {
            school.post("course:7", "bell").await;
            assert_eq!(quick.hears().await, [format!("{place} course:7 bell")]);
        }
        let expect: Vec<_> = (2..20).map(|place| format!("{place} course:7 bell")).collect();
        assert_eq!(slow.hears().await[1..], expect, "no replay_complete: the client asked for nothing");
        assert_eq!(school.node.metrics.fell_behind.load(Ordering::Relaxed), 1);
        school.post("course:7", "live").await;
        assert_eq!(slow.hears().await, ["20 course:7 live"]);
        let from_store = school.node.metrics.pages_from_store.load(Ordering::Relaxed);
        assert_eq!(from_store > 0, tail_events_max == 0);
    }
}

async fn session(school: &School) -> Session {
    school.node.connect(wish(1)).await.unwrap()
}

#[tokio::test]
async fn what_waits_for_a_connection_is_bounded_in_events_and_bytes() {
    let limits = LiveLimits { mailbox_events_max: 5, mailbox_bytes_max: 4_000, ..limits() };
    let school = School::with(limits).await;
    school.grant(1, "course:7").await;
    let session = session(&school).await;
    let (mut most_events, mut most_bytes) = (0, 0);
    for text in ["x".repeat(10), "x".repeat(1_500)] {
        session.mailbox.lock().behind = false;
        for _ in 0..20 {
            school.post("course:7", &text).await;
            let (events, bytes, ..) = session.mailbox.lock().load();
            most_events = most_events.max(events);
            most_bytes = most_bytes.max(bytes);
        }
        assert_eq!(session.mailbox.lock().load(), (0, 0, 0, 0, 0), "a full mailbox is emptied");
        assert!(session.mailbox.lock().behind);
    }
    assert_eq!(most_events, 5);
    assert!((3_000..=4_000).contains(&most_bytes), "{most_bytes}");
}

#[tokio::test]
async fn a_client_that_asks_on_and_reads_no_answer_is_closed_and_its_answers_are_bounded() {
    let school = School::with(LiveLimits { mailbox_answer_bytes_max: 1_000, ..limits() }).await;
    let mut dialogue = Dialogue::new(session(&school).await);
    for _ in 0..1_000 {
        dialogue.hear(r#"{"type":"ping","timestamp":"0123456789"}"#).await;
        assert!(dialogue.session.mailbox.lock().load().4 <= 1_100);
    }
    let mut out = Vec::new();
    dialogue.session.take_now(&mut out);
    let Some(Outgoing::End(ending)) = out.last() else { panic!("not closed") };
    assert_eq!(ending.reason.word(), "stopped_reading");
}

#[tokio::test]
async fn a_look_that_is_given_up_loses_nothing_and_repeats_nothing() {
    use futures_util::FutureExt;
    let school = School::with(LiveLimits { tail_events_max: 2, page_events_max: 3, mailbox_events_max: 4, ..limits() }).await;
    school.grant(1, "course:7").await;
    let mut session = session(&school).await;
    let mut ids = Vec::new();
    for round in 0..60 {
        for _ in 0..round % 7 {
            school.post("course:7", "bell").await;
        }
        let mut out = Vec::new();
        if round % 5 == 4 {
            session.take_history(&mut out).await;
        } else if session.take(&mut out).now_or_never().is_none() {
            assert!(out.is_empty(), "a future that was given up had handed something out already");
        }
        ids.extend(out.iter().filter_map(|outgoing| match outgoing {
            Outgoing::Event(delivery) => Some(delivery.event.id),
            _ => None,
        }));
    }
    loop {
        let mut out = Vec::new();
        session.take_history(&mut out).await;
        if out.is_empty() {
            break;
        }
        ids.extend(out.iter().filter_map(|outgoing| match outgoing {
            Outgoing::Event(delivery) => Some(delivery.event.id),
            _ => None,
        }));
    }
    assert_eq!(ids, (2..=school.node.position()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_heartbeats_cursor_never_passes_what_has_been_handed_out() {
    let school = School::with(LiveLimits { page_events_max: 2, ..limits() }).await;
    school.grant(1, "course:7").await;
    let mut session = session(&school).await;
    for _ in 0..5 {
        school.post("course:7", "bell").await;
    }
    let mut out = Vec::new();
    let mut cursors = Vec::new();
    for _ in 0..5 {
        out.clear();
        session.take_now(&mut out);
        let heartbeat: Value = serde_json::from_str(&session.heartbeat()).unwrap();
        assert_eq!(heartbeat["timestamp"], "2026-01-01T00:00:00.000Z");
        cursors.push(heartbeat["cursor"].as_u64().unwrap());
    }
    // The greeting takes one place of the first page.
    assert_eq!(cursors, [2, 4, 6, 6, 6]);
    school.post("course:8", "for others").await;
    assert_eq!(session.cursor(), 6);
    session.take_now(&mut out);
    assert_eq!(session.cursor(), 7, "nothing due lies before it");
}

#[tokio::test]
async fn a_failing_store_keeps_sessions_alive_and_history_follows_when_it_is_back() {
    let journal = JournalLimits {
        read_connections_max: 1,
        connection_wait_ms_max: 300,
        durability: Durability::UnsafeNoFlush,
        ..JournalLimits::default()
    };
    let school = School::on(LiveLimits { tail_events_max: 0, mailbox_events_max: 2, ..limits() }, journal).await;
    school.grant(1, "course:7").await;
    let (mut live, mut behind) = (session(&school).await, session(&school).await);
    let mut out = Vec::new();
    behind.take_now(&mut out);
    let hold = school.site.journal.reader().await.unwrap();
    for _ in 0..4 {
        school.post("course:7", "bell").await;
        live.take_now(&mut out);
    }
    out.clear();
    let failed = &school.node.metrics.store_errors;
    {
        let mut reading = std::pin::pin!(behind.take(&mut out));
        let given_up = tokio::time::timeout(Duration::from_secs(1), reading.as_mut()).await;
        assert!(given_up.is_err() && failed.load(Ordering::Relaxed) > 0, "there was nothing to read from");
        drop(hold);
        super::school::soon(reading).await;
    }
    assert_eq!(out.len(), 4);
    assert_eq!((behind.cursor(), live.cursor()), (5, 5));
}

#[tokio::test]
async fn an_emptied_mailbox_gives_its_memory_back_and_a_waiting_session_is_small() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut session = session(&school).await;
    for _ in 0..200 {
        school.post("course:7", "bell").await;
    }
    let mut out = Vec::new();
    session.take_now(&mut out);
    session.take_now(&mut out);
    assert_eq!(session.mailbox.lock().capacity(), 0);
    assert!(size_of::<Session>() <= 256, "{} bytes", size_of::<Session>());
    let waiting = size_of_val(&session.take(&mut out));
    assert!(waiting <= 512, "a session that waits takes {waiting} bytes");
}

#[tokio::test]
async fn an_event_is_encoded_once_for_all_its_readers() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let (mut one, mut other) = (session(&school).await, session(&school).await);
    school.post("course:7", "bell").await;
    let delivery = |session: &mut Session| {
        let mut out = Vec::new();
        session.take_now(&mut out);
        out.into_iter().find_map(|outgoing| match outgoing {
            Outgoing::Event(delivery) => Some(delivery),
            _ => None,
        })
    };
    let (one, other) = (delivery(&mut one).unwrap(), delivery(&mut other).unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(one.ws().as_ptr(), other.ws().as_ptr());
}
