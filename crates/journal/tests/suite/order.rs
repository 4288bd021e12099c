//! One order: dense ids in commit order, dense seqs in each channel, all or nothing, and no reader that skips.

use crate::child;
use crate::site::{Site, assert_dense, channel, code, command, event, ids, whole_log, write_note};
use campanile_journal::{Journal, NewJob, UnitError};
use campanile_wire::{ErrorCode, Event, Refusal};
use std::collections::BTreeMap;

on_both! {
    ids_and_seqs_are_dense_although_commands_between_them_are_refused_and_fail,
    two_nodes_writing_at_once_leave_no_hole_and_no_reader_skips,
    two_processes_writing_at_once_leave_no_hole_and_no_reader_skips,
    a_batch_is_all_or_nothing,
    a_refused_command_leaves_no_row_no_event_and_no_job,
    recorded_at_never_runs_backwards_when_the_clock_does,
    followers_are_handed_commits_in_order,
    a_cursor_beyond_every_number_reads_nothing,
}

/// A command that does everything and is then refused.
fn refused(id: i64) -> Box<dyn campanile_journal::Unit> {
    command(move |tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[id.into(), "refused".into()]).await?;
            tx.enqueue(NewJob::new("mail", "{}")).await?;
            tx.emit(event(1, "refused"));
            Err(Refusal::from(ErrorCode::Forbidden).into())
        })
    })
}

async fn ids_and_seqs_are_dense_although_commands_between_them_are_refused_and_fail(site: &Site) {
    let journal = site.open().await;
    for round in 0..20 {
        journal.publish((0..3).map(|place| event(place, "published")).collect(), None).await.unwrap();
        assert_eq!(code(journal.run(refused(1_000 + round), None).await), ErrorCode::Forbidden);
        let outcome = journal.run(write_note(round, &format!("note {round}")), None).await.unwrap();
        assert_eq!(ids(&outcome), [4 * (round as u64 + 1)]);
        assert_eq!(code(journal.run(write_note(round, "the id is taken"), None).await), ErrorCode::InternalError);
    }
    assert_eq!(whole_log(&journal).await.len(), 80);
    assert_eq!(journal.head().await.unwrap().id, 80);
}

/// Follows the log by its cursor alone until it holds `count` events.
async fn follow(reader: Journal, count: usize) -> Vec<Event> {
    let mut seen: Vec<Event> = Vec::new();
    while seen.len() < count {
        let cursor = seen.last().map_or(0, |event| event.id);
        let page = reader.read(cursor, u64::MAX, 100).await.unwrap();
        for (event, id) in page.iter().zip(cursor + 1..) {
            assert_eq!(event.id, id, "a reader at {cursor} was told of {} before {id}", event.id);
        }
        seen.extend(page);
    }
    seen
}

async fn two_nodes_writing_at_once_leave_no_hole_and_no_reader_skips(site: &Site) {
    const ROUNDS: i64 = 25;
    const TASKS: i64 = 4;
    let (one, two) = (site.open().await, site.open().await);
    let events = (2 * TASKS * ROUNDS * 3) as usize;
    let reader = tokio::spawn(follow(site.open().await, events));
    let mut writers = tokio::task::JoinSet::new();
    for (node, journal) in [one, two].into_iter().enumerate() {
        for task in 0..TASKS {
            let journal = journal.clone();
            writers.spawn(async move {
                for round in 0..ROUNDS {
                    let note = (node as i64 * TASKS + task) * ROUNDS + round;
                    journal.publish(vec![event(task, "published"), event(round, "published")], None).await.unwrap();
                    assert_eq!(code(journal.run(refused(100_000 + note), None).await), ErrorCode::Forbidden);
                    journal.run(write_note(note, &format!("note {note}")), None).await.unwrap();
                }
            });
        }
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let seen = reader.await.unwrap();
    assert_dense(&seen);
    assert_eq!(seen, whole_log(&site.open().await).await);
}

async fn two_processes_writing_at_once_leave_no_hole_and_no_reader_skips(site: &Site) {
    const EVENTS: &str = "150";
    drop(site.open().await);
    let reader = site.open().await;
    let mut loops = ["a", "b"].map(|name| child::start(&["publish", &site.url, EVENTS, "3", name]));
    for one in &mut loops {
        assert_eq!(one.next_line().as_deref(), Some("ready"));
    }
    loops.iter_mut().for_each(child::Loop::go);
    let acks = loops.into_iter().map(|one| tokio::task::spawn_blocking(|| one.finish())).collect::<Vec<_>>();
    // Each loop may go over its number by what the last round of its tasks adds: follow what is certain, then read the rest.
    let seen = follow(reader.clone(), 300).await;
    let mut acknowledged = BTreeMap::new();
    for process in acks {
        for line in process.await.unwrap() {
            let (id, marker) = child::ack(&line);
            assert_eq!(acknowledged.insert(id, marker), None, "id {id} was given out twice");
        }
    }
    let log = whole_log(&reader).await;
    assert_eq!(seen, log[..seen.len()]);
    assert_eq!(acknowledged.len(), log.len(), "every event of the log was acknowledged, and no other");
    for (id, marker) in &acknowledged {
        assert!(log[*id as usize - 1].data.contains(marker), "id {id} was acknowledged for {marker}");
    }
    let writers: Vec<bool> = acknowledged.values().map(|marker| marker.contains("-a-")).collect();
    let switches = writers.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(switches > 0, "the processes did not write at the same time, so nothing was tested");
}

async fn a_batch_is_all_or_nothing(site: &Site) {
    let journal = site.open().await;
    site.raw(if site.is_sqlite() {
        "CREATE TRIGGER poisoned BEFORE INSERT ON event WHEN NEW.data = '\"poison\"' BEGIN SELECT RAISE(ABORT, 'poison'); END"
    } else {
        "ALTER TABLE event ADD CONSTRAINT poisoned CHECK (data <> '\"poison\"')"
    })
    .await;
    let batch = vec![event(1, "good"), event(2, "poison"), event(1, "good")];
    assert_eq!(code(journal.publish(batch, None).await), ErrorCode::InternalError);
    assert_eq!(journal.head().await.unwrap().id, 0);
    assert!(whole_log(&journal).await.is_empty());
    let outcome = journal.publish(vec![event(1, "good"), event(2, "good"), event(1, "good")], None).await.unwrap();
    assert_eq!(outcome.events.iter().map(|placed| (placed.id, placed.seq)).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(whole_log(&journal).await.len(), 3);
}

async fn a_refused_command_leaves_no_row_no_event_and_no_job(site: &Site) {
    let journal = site.open().await;
    let result = journal.run(refused(1), None).await;
    assert!(matches!(result, Err(UnitError::Refused(_))));
    for table in ["note", "job", "event", "channel_head"] {
        assert_eq!(site.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table} kept something");
    }
    assert_eq!(journal.head().await.unwrap().id, 0);
}

async fn recorded_at_never_runs_backwards_when_the_clock_does(site: &Site) {
    let journal = site.open().await;
    for (by_ms, expected_ms) in [(0, 0), (500, 500), (-10_000, 500), (10_400, 900)] {
        site.clock.advance_ms(by_ms);
        let outcome = journal.publish(vec![event(1, "tick")], None).await.unwrap();
        assert_eq!(outcome.recorded_at_ms - crate::site::START_MS, expected_ms);
    }
    let head = journal.head().await.unwrap();
    assert_eq!(head.recorded_at_ms, crate::site::START_MS + 900);
    assert_eq!(whole_log(&journal).await.last().unwrap().recorded_at_ms, head.recorded_at_ms);
}

async fn followers_are_handed_commits_in_order(site: &Site) {
    let journal = site.open().await;
    let mut commits = journal.commits();
    let publishes = (0..50).map(|place| journal.publish(vec![event(place % 7, "published"); 2], None));
    let outcomes = futures_util::future::join_all(publishes).await;
    let mut handed: Vec<Event> = Vec::new();
    while handed.len() < 100 {
        handed.extend(commits.recv().await.unwrap().events.iter().cloned());
    }
    assert_eq!(handed, whole_log(&journal).await);
    for (outcome, place) in outcomes.iter().zip(0..) {
        let outcome = outcome.as_ref().unwrap();
        assert_eq!(handed[ids(outcome)[0] as usize - 1].channel, channel(place % 7));
    }
}

async fn a_cursor_beyond_every_number_reads_nothing(site: &Site) {
    let journal = site.open().await;
    journal.publish(vec![event(1, "only")], None).await.unwrap();
    assert!(journal.read(u64::MAX, u64::MAX, u64::MAX).await.unwrap().is_empty());
    let (events, pruned) = journal.read_channels(&[channel(1)], &[], u64::MAX, u64::MAX, u64::MAX).await.unwrap();
    assert!(events.is_empty() && pruned.is_empty());
}
