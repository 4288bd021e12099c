//! Acknowledged means flushed: shown by a trace, and by cutting the power at hundreds of moments of it.

use crate::child;
use crate::disk::Disk;
use crate::site::{say, whole_log};
use crate::trace::{self, Call};
use campanile_journal::{Journal, JournalLimits, ManualClock};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{Connection, Row, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Moments at which the power is cut, besides directly after an acknowledgement.
const RANDOM_CUTS: usize = 130;
/// Acknowledgements directly after which the power is cut.
const ACK_CUTS: usize = 110;

/// A traced run of the commit loop.
struct Run {
    calls: Vec<Call>,
    disk: Disk,
    /// Line, id and marker of each acknowledgement.
    acks: Vec<(usize, u64, String)>,
}

pub fn has_strace() -> bool {
    let found = std::process::Command::new("strace").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        say("strace is not installed: that answers follow the flush is not tested (scripts/install-test-needs)");
    }
    found
}

/// Runs the loop on a new store under strace with these further arguments; `prepare` are runs before it, without.
fn traced_run(prepare: &[&[&str]], more: &[&str], words: &[&str]) -> Run {
    let dir = TempDir::new().unwrap();
    let traces = TempDir::new().unwrap();
    // What the trace calls the folder.
    let folder = dir.path().canonicalize().unwrap();
    let store = format!("sqlite://{}/site.db", folder.display());
    let place = |words: &[&str]| words.iter().map(|word| word.replace("STORE", &store)).collect::<Vec<_>>();
    for words in prepare {
        child::start(&place(words).iter().map(String::as_str).collect::<Vec<_>>()).finish();
    }
    let before = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
    });
    let before = before.collect();
    let trace_file = traces.path().join("trace");
    child::start_traced(
        &trace_file,
        &[&["--seccomp-bpf"], more].concat(),
        &place(words).iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .finish();
    let calls = trace::parse(&std::fs::read_to_string(&trace_file).unwrap());
    let disk = Disk::replay(&calls, &folder, before);
    let acks = calls.iter().filter(|call| is_ack(call)).map(|call| {
        let (id, marker) = child::ack(std::str::from_utf8(&call.bytes).unwrap().trim_end());
        (call.started, id, marker)
    });
    let acks = acks.collect();
    Run { calls, disk, acks }
}

fn is_ack(call: &Call) -> bool {
    call.is_write() && call.target.starts_with("pipe:") && call.bytes.starts_with(b"ack ")
}

fn judge(run: &Run) -> trace::Judgement {
    let is_log = |target: &str| target.ends_with("/site.db-wal");
    trace::judge(&run.calls, trace::commit_loop_markers, is_log, trace::sqlite_seal, is_ack)
}

/// What a power cut took.
#[derive(Default)]
struct Losses {
    cuts: usize,
    /// Acknowledgements that a cut could have taken, over all cuts.
    chances: usize,
    /// Cuts that took something acknowledged.
    caught: usize,
}

/// Cuts the power, each time without and with some of what was not flushed, and counts the cuts that took something acknowledged.
async fn cut_power(run: &Run, seed: u64) -> Losses {
    let mut random = StdRng::seed_from_u64(seed);
    let mut lines: Vec<usize> = (0..RANDOM_CUTS).map(|_| random.random_range(0..=run.disk.last_line() + 1)).collect();
    let step = (run.acks.len() / ACK_CUTS).max(1);
    lines.extend(run.acks.iter().step_by(step).map(|(line, ..)| line + 1));
    let mut losses = Losses::default();
    for line in lines {
        for lucky in [false, true] {
            let dir = TempDir::new().unwrap();
            run.disk.cut(line, lucky.then_some(&mut random), dir.path());
            let acked = run.acks.iter().filter(|(at, ..)| *at < line);
            let acked: Vec<(u64, &str)> = acked.map(|(_, id, marker)| (*id, marker.as_str())).collect();
            losses.cuts += 1;
            losses.chances += acked.len();
            losses.caught += usize::from(!is_all_there(dir.path(), &acked).await);
        }
    }
    losses
}

/// Whether the store opens, is whole, and holds what was acknowledged.
async fn is_all_there(folder: &Path, acked: &[(u64, &str)]) -> bool {
    let url = format!("sqlite://{}/site.db", folder.display());
    let limits = JournalLimits { read_connections_max: 1, ..JournalLimits::default() };
    let clock: Arc<ManualClock> = ManualClock::at(0);
    let Ok(journal) = Journal::open(&url, &[], limits, clock).await else { return false };
    let Ok(head) = journal.head().await else { return false };
    let log = whole_log(&journal).await;
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let verdict: String = sqlx::query("PRAGMA integrity_check").fetch_one(&mut conn).await.unwrap().get(0);
    head.id == log.len() as u64
        && verdict == "ok"
        && acked
            .iter()
            .all(|(id, marker)| log.get(usize::try_from(*id).unwrap() - 1).is_some_and(|event| event.data.contains(marker)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_follows_its_flush_and_a_power_cut_takes_nothing_acknowledged() {
    if !has_strace() {
        return;
    }
    let run = traced_run(&[], &[], &["publish", "STORE", "750", "3", "cut"]);
    let judgement = judge(&run);
    assert_eq!(judgement.early, Vec::<String>::new(), "told before the flush");
    assert_eq!(judgement.told, run.acks.len());
    assert!(judgement.told >= 740 && judgement.commits >= 100, "too few chances: {judgement:?}");
    let losses = cut_power(&run, 7).await;
    assert_eq!(losses.caught, 0, "of {} power cuts {} took something acknowledged", losses.cuts, losses.caught);
    assert!(losses.cuts >= 400 && losses.chances > 10_000, "too few chances");
    let first_ack = run.acks[0].0;
    let of_database = |call: &&Call| call.is_flush() && call.target.ends_with("/site.db") && call.started > first_ack;
    let checkpoints = run.calls.iter().filter(of_database).count();
    assert!(checkpoints > 0, "the write-ahead log was never moved into the database, so little was tested");
    say(&format!(
        "flush before answer: {} answers of {} commits; power cuts: {} with {} acknowledgements to lose, over {checkpoints} checkpoints; lost 0",
        judgement.told, judgement.commits, losses.cuts, losses.chances
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_flush_is_caught_by_the_same_test() {
    if !has_strace() {
        return;
    }
    // Its schema is flushed, as after a change of settings on a live system: only what is acknowledged later can be lost.
    let prepare: &[&str] = &["publish", "STORE", "0", "1", "before"];
    let run = traced_run(&[prepare], &[], &["publish", "STORE", "200", "3", "cut", "--no-flush"]);
    let judgement = judge(&run);
    assert_eq!(judgement.told, run.acks.len());
    assert_eq!(judgement.early.len(), judgement.told, "without a flush every answer is early");
    let losses = cut_power(&run, 8).await;
    assert!(losses.caught * 2 > losses.cuts, "only {} of {} power cuts were caught", losses.caught, losses.cuts);
    say(&format!("without flushes: {} of {} power cuts were caught losing", losses.caught, losses.cuts));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_flush_fails_is_not_acknowledged() {
    if !has_strace() {
        return;
    }
    // Counted per thread: a connection whose commit failed is closed, and the next one has a thread of its own.
    let fail = ["-e", "inject=fsync,fdatasync:error=EIO:when=12"];
    let run = traced_run(&[], &fail, &["publish", "STORE", "250", "3", "fail"]);
    let failed = run.calls.iter().filter(|call| call.name.ends_with("sync") && call.result == Some(-1)).count();
    assert!(failed >= 4 && run.acks.len() >= 240, "{failed} flushes failed, {} acknowledgements", run.acks.len());
    assert_eq!(judge(&run).early, Vec::<String>::new(), "told before the flush");
    let losses = cut_power(&run, 9).await;
    assert_eq!(losses.caught, 0, "of {} power cuts {} took something acknowledged", losses.cuts, losses.caught);
    say(&format!(
        "{failed} flushes failed; {} power cuts with {} acknowledgements to lose; lost 0",
        losses.cuts, losses.chances
    ));
}
