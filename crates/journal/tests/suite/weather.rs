//! Bad weather for SQLite: a locked, a deleted, a replaced and a full store, and what a killed process left behind.

use crate::child;
use crate::power::has_strace;
use crate::site::{Site, code, command, event, ids, key, say, whole_log, write_note};
use crate::trace;
use campanile_journal::{Journal, JournalLimits, ManualClock, Outcome, UnitError};
use campanile_wire::ErrorCode;
use futures_util::future::join_all;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn short_wait() -> JournalLimits {
    JournalLimits { lock_wait_ms_max: 500, ..JournalLimits::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_process_holds_the_lock_the_store_is_busy_and_nothing_is_written() {
    let site = Site::sqlite();
    let journal = site.open_with(short_wait()).await;
    journal.publish(vec![event(1, "before")], None).await.unwrap();
    let mut holder = child::start(&["hold-lock", site.file().to_str().unwrap()]);
    assert_eq!(holder.next_line().as_deref(), Some("held"));
    assert_eq!(code(journal.publish(vec![event(1, "locked")], key("k", "body")).await), ErrorCode::StoreBusy);
    assert_eq!(code(journal.run(write_note(1, "locked"), None).await), ErrorCode::StoreBusy);
    assert_eq!(journal.head().await.unwrap().id, 1, "readers are not locked out");
    holder.finish();
    let outcome = journal.publish(vec![event(1, "afterwards")], key("k", "body")).await.unwrap();
    assert_eq!((ids(&outcome), outcome.replayed), (vec![2], false));
    assert_eq!(journal.run(write_note(1, "afterwards"), None).await.unwrap().events[0].id, 3);
    assert_eq!(whole_log(&journal).await.len(), 3);
}

/// Does this to an open store, and sees that nothing is acknowledged any more.
async fn check_refused_after(harm: impl Fn(&Path)) {
    let site = Site::sqlite();
    let journal = site.open_with(short_wait()).await;
    journal.publish(vec![event(1, "before")], None).await.unwrap();
    harm(&site.file());
    for _ in 0..3 {
        let answers = join_all((0..3).map(|_| journal.publish(vec![event(1, "into nothing")], None))).await;
        assert!(answers.into_iter().map(code).all(|code| code == ErrorCode::StoreUnavailable));
        assert_eq!(code(journal.run(write_note(1, "into nothing"), None).await), ErrorCode::StoreUnavailable);
    }
}

#[tokio::test]
async fn a_deleted_database_acknowledges_nothing() {
    check_refused_after(|file| std::fs::remove_file(file).unwrap()).await;
}

#[tokio::test]
async fn a_replaced_database_acknowledges_nothing() {
    check_refused_after(|file| {
        let copy = file.with_extension("copy");
        std::fs::copy(file, &copy).unwrap();
        std::fs::rename(&copy, file).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_deleted_write_ahead_log_acknowledges_nothing() {
    check_refused_after(|file| std::fs::remove_file(file.with_extension("db-wal")).unwrap()).await;
}

#[tokio::test]
async fn a_database_that_is_deleted_during_a_commit_leaves_its_answer_unknown() {
    let site = Site::sqlite();
    let journal = site.open().await;
    let file = site.file();
    let deleting = command(move |tx| {
        let file = file.clone();
        Box::pin(async move {
            tx.emit(event(1, "into nothing"));
            std::fs::remove_file(file).unwrap();
            Ok("null".into())
        })
    });
    assert_eq!(code(journal.run(deleting, None).await), ErrorCode::CommitUnknown);
    assert_eq!(code(journal.publish(vec![event(1, "into nothing")], None).await), ErrorCode::StoreUnavailable);
    assert!(!site.file().exists(), "no empty database may appear where the old one was");
}

/// A real, small filesystem. Needs root.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            say("tmpfs cannot be mounted here (it needs root): a full disk is not tested");
        }
        mounted.then_some(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// A group of publishes and commands of about 60 KB.
async fn write_group(journal: &Journal, round: i64) -> Vec<Result<Outcome, UnitError>> {
    let text = "x".repeat(3_000);
    let publishes = (0..10).map(|place| journal.publish(vec![event(place, &text)], None));
    let notes = (0..10).map(|place| journal.run(write_note(round * 10 + place, &format!("{round} {place} {text}")), None));
    let (mut answers, notes) = futures_util::future::join(join_all(publishes), join_all(notes)).await;
    answers.extend(notes);
    answers
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_disk_fails_whole_groups_and_writing_goes_on_once_there_is_room() {
    let Some(disk) = SmallDisk::mount("2m") else { return };
    std::fs::write(disk.path("filler"), vec![0; 700_000]).unwrap();
    let url = format!("sqlite://{}", disk.path("site.db").display());
    let clock = ManualClock::at(0);
    let journal = Journal::open(&url, &[crate::site::NOTES], short_wait(), clock).await.unwrap();
    let (mut acknowledged, mut full_groups) = (Vec::new(), 0);
    for round in 0..60 {
        let answers = write_group(&journal, round).await;
        let carried: Vec<u64> = answers.iter().flatten().flat_map(ids).collect();
        let failed: Vec<ErrorCode> = answers.into_iter().filter(Result::is_err).map(code).collect();
        assert!(carried.is_empty() || failed.is_empty(), "a group was answered {} times ok and {failed:?}", carried.len());
        assert!(failed.iter().all(|code| *code == ErrorCode::StoreFull), "a full disk was answered {failed:?}");
        acknowledged.extend(carried);
        assert_eq!(whole_log(&journal).await.len(), acknowledged.len(), "round {round}");
        full_groups += usize::from(!failed.is_empty());
        if full_groups == 5 {
            break;
        }
    }
    assert_eq!(full_groups, 5, "the disk was never full, so nothing was tested");
    std::fs::remove_file(disk.path("filler")).unwrap();
    for answer in write_group(&journal, 1_000).await {
        acknowledged.extend(ids(&answer.unwrap()));
    }
    let log = whole_log(&journal).await;
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, log.iter().map(|event| event.id).collect::<Vec<_>>());
    drop(journal);
    let again = Journal::open(&url, &[crate::site::NOTES], short_wait(), ManualClock::at(0)).await.unwrap();
    assert_eq!(whole_log(&again).await, log);
}

/// SIGKILL between the write of a commit and its flush: the next process sees the commit, because the page cache survives. It is told
/// of only after it has been flushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_unflushed_is_flushed_before_anybody_is_told() {
    if !has_strace() {
        return;
    }
    let traces = TempDir::new().unwrap();
    let mut leftovers = 0;
    for nth_flush in [9, 12, 17] {
        let dir = TempDir::new().unwrap();
        let store = format!("sqlite://{}/site.db", dir.path().canonicalize().unwrap().display());
        let kill = ["-e".to_owned(), format!("inject=fsync,fdatasync:signal=KILL:when={nth_flush}")];
        let kill: Vec<&str> = kill.iter().map(String::as_str).collect();
        let killed = child::start_traced(&traces.path().join("killed"), &kill, &["publish", &store, "100", "1", "left"]);
        let acked = killed.await_death();
        let trace_file = traces.path().join("next");
        let seen = child::start_traced(&trace_file, &[], &["list", &store]).finish();
        assert!(seen.len() >= acked.len());
        leftovers += usize::from(seen.len() > acked.len());
        let calls = trace::parse(&std::fs::read_to_string(&trace_file).unwrap());
        let told = calls.iter().find(|call| call.is_write() && call.bytes.starts_with(b"seen ")).expect("something was told");
        let flushed =
            |call: &trace::Call| call.is_flush() && call.target.ends_with("site.db-wal") && call.ended_before(told.started);
        assert!(calls.iter().any(flushed), "a commit that was never flushed was told");
    }
    assert!(leftovers > 0, "no process was killed between a commit's write and its flush, so nothing was tested");
}
