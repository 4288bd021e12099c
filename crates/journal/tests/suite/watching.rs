//! What is counted about the writer, and traces that ride beside the log.

use crate::site::{Site, event, ids, key, write_note};
use campanile_journal::{ApplyTrace, CommitTrace, TraceContext, Tracer, traced};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

on_both! {
    commits_are_counted_with_their_groups_and_times,
    a_traced_requests_events_go_on_with_its_commits_span_and_others_with_none,
    a_repeat_under_an_idempotency_key_carries_no_trace_on,
}

async fn commits_are_counted_with_their_groups_and_times(site: &Site) {
    let journal = site.open().await;
    journal.publish(vec![event(1, "one"), event(1, "two")], None).await.unwrap();
    journal.run(write_note(7, "note"), None).await.unwrap();
    let metrics = journal.metrics();
    assert_eq!(metrics.commits.load(Ordering::Relaxed), 2);
    assert_eq!(metrics.events_committed.load(Ordering::Relaxed), 3);
    assert_eq!((metrics.group_requests.read().count(), metrics.group_requests.read().sum), (2, 2));
    assert!(metrics.commit_us.read().count() == 2 && metrics.commit_us.read().sum > 0);
    site.raw("DROP TABLE event").await;
    journal.publish(vec![event(1, "lost")], None).await.unwrap_err();
    assert_eq!(metrics.commits_failed.load(Ordering::Relaxed), 1);
    let load = journal.load();
    assert_eq!(load.engine, if site.is_sqlite() { "sqlite" } else { "postgres" });
    assert_eq!((load.queue_requests, load.pools.map(|pool| pool.name)), (0, ["write", "read"]));
    let reader = journal.reader().await.unwrap();
    assert_eq!(journal.load().pools[1].in_use, 1);
    drop(reader);
}

/// Answers each commit with a span of its own number, and keeps what it was told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(TraceContext, usize)>>);

impl Tracer for Recorder {
    fn committed(&self, commit: &CommitTrace<'_>) -> TraceContext {
        assert!(commit.begun <= commit.ended && commit.group.contains(&commit.request));
        self.0.lock().unwrap().push((commit.request, commit.requests));
        TraceContext { span_id: commit.request.span_id + 1_000, ..commit.request }
    }

    fn applied(&self, _: &ApplyTrace<'_>) {
        panic!("no node follows here");
    }
}

fn request(number: u64) -> TraceContext {
    TraceContext { trace_id: 7, span_id: number }
}

async fn a_traced_requests_events_go_on_with_its_commits_span_and_others_with_none(site: &Site) {
    let journal = site.open().await;
    let recorder = Arc::new(Recorder::default());
    journal.trace_with(recorder.clone());
    let mut commits = journal.commits();
    let first = traced(request(1), journal.publish(vec![event(1, "a"), event(1, "b")], None)).await.unwrap();
    let second = traced(request(2), journal.run(write_note(7, "note"), None)).await.unwrap();
    let third = journal.publish(vec![event(1, "untraced")], None).await.unwrap();
    for (outcome, span) in [(first, Some(1_001)), (second, Some(1_002)), (third, None)] {
        let committed = commits.recv().await.unwrap();
        for id in ids(&outcome) {
            assert_eq!(committed.trace_of(id).map(|trace| trace.span_id), span);
        }
    }
    assert_eq!(*recorder.0.lock().unwrap(), [(request(1), 1), (request(2), 1)]);
}

async fn a_repeat_under_an_idempotency_key_carries_no_trace_on(site: &Site) {
    let journal = site.open().await;
    journal.trace_with(Arc::new(Recorder::default()));
    let mut commits = journal.commits();
    for number in 1..=2 {
        traced(request(number), journal.publish(vec![event(1, "a")], key("k", "body"))).await.unwrap();
    }
    assert_eq!(commits.recv().await.unwrap().traces.len(), 1);
    assert!(commits.try_recv().is_err(), "nothing was committed the second time");
}
