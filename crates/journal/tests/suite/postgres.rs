//! Bad weather for PostgreSQL, and that its answers follow its flushes.

use crate::power::has_strace;
use crate::server::Server;
use crate::site::{NOTES, Site, code, command, event, ids, key, say, whole_log, write_note};
use crate::trace::{self, Call};
use campanile_journal::{Journal, JournalLimits, Outcome, UnitError};
use campanile_wire::ErrorCode;
use sqlx::{Connection, Executor, PgConnection};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// How often the server is killed at least; and at most, until a commit was under way.
const KILLS: std::ops::RangeInclusive<usize> = 3..=12;
/// Each commit waits a little before its flush, so that a kill finds one under way.
const SLOW_COMMITS: [&str; 2] = ["commit_delay=20000", "commit_siblings=0"];

/// What a writer met until its event was acknowledged.
#[derive(Default)]
struct Met {
    unknown: AtomicUsize,
    unavailable: AtomicUsize,
    settled_as_done: AtomicUsize,
}

/// Repeats one request with its key until it is acknowledged.
async fn until_acknowledged(journal: &Journal, id: i64, met: &Met) -> Outcome {
    let mut was_unknown = false;
    loop {
        let text = format!("note {id}");
        let key = key(&text, "body");
        let answer = match id % 2 {
            0 => journal.publish(vec![event(id % 5, &text)], key).await,
            _ => journal.run(write_note(id, &text), key).await,
        };
        match answer {
            Ok(outcome) => {
                met.settled_as_done.fetch_add(usize::from(was_unknown && outcome.replayed), Ordering::SeqCst);
                return outcome;
            }
            Err(UnitError::Refused(refusal)) => panic!("note {id} was refused: {refusal}"),
            Err(UnitError::Store(error)) => match error.code() {
                ErrorCode::CommitUnknown => {
                    was_unknown = true;
                    met.unknown.fetch_add(1, Ordering::SeqCst);
                }
                ErrorCode::StoreUnavailable => drop(met.unavailable.fetch_add(1, Ordering::SeqCst)),
                other => panic!("note {id} was answered {other}: {error}"),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_of_commits_loses_nothing_acknowledged() {
    let Some(mut server) = Server::start() else { return };
    server.restart(&SLOW_COMMITS, &[]);
    let site = Site::on_server(&server.url()).await;
    let limits = JournalLimits { lock_wait_ms_max: 2_000, write_connections_max: 6, ..JournalLimits::default() };
    let journal = site.open_with(limits).await;
    let met = Arc::new(Met::default());
    let (acks, mut acked) = mpsc::unbounded_channel();
    for writer in 0..8 {
        let (journal, met, acks) = (journal.clone(), Arc::clone(&met), acks.clone());
        tokio::spawn(async move {
            for id in (writer..).step_by(8) {
                let outcome = until_acknowledged(&journal, id, &met).await;
                if acks.send((ids(&outcome)[0], id)).is_err() {
                    return;
                }
            }
        });
    }
    let mut acknowledged = BTreeMap::new();
    let mut kills = 0;
    loop {
        for _ in 0..40 {
            let (id, note) = acked.recv().await.unwrap();
            assert_eq!(acknowledged.insert(id, note), None, "id {id} was given out twice");
        }
        if kills == *KILLS.end() || (kills >= *KILLS.start() && met.unknown.load(Ordering::SeqCst) > 0) {
            break;
        }
        server.kill();
        server.restart(&SLOW_COMMITS, &[]);
        kills += 1;
    }
    acked.close();
    while let Some((id, note)) = acked.recv().await {
        assert_eq!(acknowledged.insert(id, note), None, "id {id} was given out twice");
    }
    let log = whole_log(&journal).await;
    for (id, note) in &acknowledged {
        assert_eq!(&*log[*id as usize - 1].data, format!("\"note {note}\""), "id {id}");
    }
    let mut texts: Vec<&str> = log.iter().map(|event| &*event.data).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), log.len(), "something was carried out twice");
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    assert!(count(&met.unknown) > 0, "no commit was under way when the server was killed, so nothing was tested");
    say(&format!(
        "PostgreSQL killed {kills} times: {} acknowledged, lost 0, twice 0; {} commits unknown ({} of them had happened), {} times unavailable",
        acknowledged.len(),
        count(&met.unknown),
        count(&met.settled_as_done),
        count(&met.unavailable)
    ));
}

/// As after a loss of power or of the network: no answer, and no end of the connection either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_holds_nobody_up_beyond_the_limits() {
    let Some(server) = Server::start() else { return };
    let server = Arc::new(server);
    let site = Site::on_server(&server.url()).await;
    let journal =
        site.open_with(JournalLimits { command_ms_max: 400, lock_wait_ms_max: 400, ..JournalLimits::default() }).await;
    journal.publish(vec![event(1, "before")], None).await.unwrap();
    let silencing = {
        let server = Arc::clone(&server);
        command(move |tx| {
            let server = Arc::clone(&server);
            Box::pin(async move {
                tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[1_i64.into(), "never".into()]).await?;
                server.signal("STOP");
                tx.emit(event(1, "never"));
                tx.execute("UPDATE note SET text = $1", &["still never".into()]).await?;
                Ok("null".into())
            })
        })
    };
    let started = std::time::Instant::now();
    assert_eq!(code(journal.run(silencing, None).await), ErrorCode::StoreUnavailable);
    assert_eq!(code(journal.publish(vec![event(1, "never")], None).await), ErrorCode::StoreUnavailable);
    assert!(journal.head().await.is_err());
    assert!(started.elapsed().as_secs() < 20, "the silence held us up for {:?}", started.elapsed());
    server.signal("CONT");
    // What the server was in the middle of when it fell silent, it ends by itself.
    let (mut again, mut tries) = (journal.publish(vec![event(1, "afterwards")], key("k", "body")).await, 0);
    while again.is_err() && tries < 20 {
        again = journal.publish(vec![event(1, "afterwards")], key("k", "body")).await;
        tries += 1;
    }
    assert_eq!(ids(&again.unwrap()), [2]);
    assert_eq!(site.number("SELECT COUNT(*) FROM note").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_could_lose_what_it_acknowledged_is_refused() {
    let Some(mut server) = Server::start() else { return };
    for (setting, expected) in [("fsync=off", "fsync = off"), ("full_page_writes=off", "full_page_writes = off")] {
        server.restart(&[setting], &[]);
        let site = Site::on_server(&server.url()).await;
        let error = site.try_open(&[], JournalLimits::default()).await.err().expect("this server should have been refused");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    }
    // This one a session may choose for itself, and ours do, whatever server, database and role say.
    server.restart(&["synchronous_commit=off"], &[]);
    let site = Site::on_server(&server.url()).await;
    site.raw(&format!("ALTER DATABASE {} SET synchronous_commit = off", site.database())).await;
    site.raw("ALTER ROLE campanile SET synchronous_commit = off").await;
    let journal = site.open().await;
    let shown = command(|tx| {
        Box::pin(async move { Ok(tx.fetch("SHOW synchronous_commit", &[]).await?[0].text("synchronous_commit")?) })
    });
    assert_eq!(journal.run(shown, None).await.unwrap().answer, "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_cannot_write_and_a_stricter_default_isolation_does_no_harm() {
    let Some(site) = Site::postgres().await else { return };
    site.raw(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", site.database())).await;
    let journal = site.open().await;
    let error = journal.reader().await.unwrap().fetch("DELETE FROM event", &[]).await.unwrap_err();
    assert!(error.to_string().contains("read-only transaction"), "{error}");
    let publishes = (0..100).map(|id| journal.run(write_note(id, &format!("note {id}")), None));
    assert!(futures_util::future::join_all(publishes).await.iter().all(Result::is_ok));
    assert_eq!(whole_log(&journal).await.len(), 100);
    site.drop_database().await;
}

/// A large table's migration takes longer than any command may; the other nodes wait for it when they start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_during_a_long_migration_waits_for_it() {
    let Some(site) = Site::postgres().await else { return };
    let mut migrating = PgConnection::connect(&site.url).await.unwrap();
    migrating.execute("BEGIN; SELECT pg_advisory_xact_lock(7236152)").await.unwrap();
    let limits = JournalLimits { command_ms_max: 50, lock_wait_ms_max: 1_000, ..JournalLimits::default() };
    let mut starting = Box::pin(site.open_with(limits));
    // Longer than each of the node's limits, by the server's own clock.
    let waited = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'campanile' AND datname = current_database() \
                  AND wait_event = 'advisory' AND clock_timestamp() - query_start > interval '2 s'";
    // Both at once: a node that is only looked at between two questions would miss its own time limits.
    tokio::select! {
        _ = &mut starting => panic!("the node did not wait"),
        () = async { while site.number(waited).await == 0 {} } => {}
    }
    migrating.execute("COMMIT").await.unwrap();
    assert_eq!(starting.await.publish(vec![event(1, "started")], None).await.unwrap().events[0].id, 1);
    site.drop_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_follows_the_flush_of_its_commit() {
    const COMMITS: i64 = 120;
    if !has_strace() {
        return;
    }
    let Some(mut server) = Server::start() else { return };
    let traces = TempDir::new().unwrap();
    let trace_file = traces.path().join("trace");
    let strace = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000", "-o", trace_file.to_str().unwrap()];
    let calls = "trace=pwrite64,pwritev,fsync,fdatasync,sendto";
    server.restart(&[], &[&strace[..], &["-e", calls]].concat());
    let site = Site::on_server(&server.url()).await;
    let journal = site.try_open(&[NOTES], JournalLimits::default()).await.unwrap();
    for number in 0..COMMITS {
        let text = format!("marker-flush-{number:06}.");
        // One after the other, so that each answer has its own flush.
        let answer = match number % 2 {
            0 => journal.publish(vec![event(1, &text)], None).await,
            _ => journal.run(write_note(number, &text), None).await,
        };
        answer.unwrap();
    }
    drop(journal);
    server.stop();
    let calls = trace::parse(&std::fs::read_to_string(&trace_file).unwrap());
    let (mut judged, mut early) = (0, Vec::new());
    for number in 0..COMMITS {
        // A marker across two pages of the log is not found; there are few of them.
        if let Some(flushed) = is_flushed_before_its_answer(&calls, &format!("marker-flush-{number:06}.")) {
            judged += 1;
            early.extend((!flushed).then_some(number));
        }
    }
    assert_eq!(early, Vec::<i64>::new(), "answered before the flush");
    assert!(judged * 10 >= COMMITS * 9, "only {judged} of {COMMITS} commits were found in the log's writes");
    say(&format!("PostgreSQL: {judged} of {COMMITS} answers found, every one after its flush"));
}

/// Whether the last write of the backend into its log before it answers this marker's COMMIT was flushed before that answer.
fn is_flushed_before_its_answer(calls: &[Call], marker: &str) -> Option<bool> {
    let is_log = |call: &Call| call.is_write() && call.target.contains("/pg_wal/");
    let first = calls.iter().position(|call| is_log(call) && contains(&call.bytes, marker.as_bytes()))?;
    let answer = calls[first..].iter().find(|call| call.name == "sendto" && contains(&call.bytes, b"COMMIT\0"))?;
    let last = calls.iter().rposition(|call| is_log(call) && call.thread == answer.thread && call.started < answer.started);
    let flushed = |write: usize| trace::is_flushed_between(calls, write, answer.started);
    Some(flushed(first) && last.is_some_and(flushed))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
