//! Publishes events from several tasks and says on stdout which were acknowledged, so that tests can run it as a process of its own:
//! beside others, under a trace, or until it is killed.
//!
//! ```text
//! commit_loop publish STORE EVENTS TASKS NAME [--no-flush]   `ready`; once stdin ends `ack ID MARKER` after each acknowledgement
//! commit_loop list STORE                                     `seen ID DATA` of every event
//! commit_loop hold-lock FILE                                 `held` once it has SQLite's write lock; until stdin ends
//! ```

use campanile_journal::{
    Durability, Idempotency, Journal, JournalError, JournalLimits, NewEvent, NewJob, Outcome, SystemClock, Tx, Unit, UnitError,
    Value,
};
use campanile_wire::{Channel, ErrorCode, Id, Refusal};
use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
#[allow(dead_code, reason = "the tests include this file and call `run` themselves")]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    run(&words).await
}

/// Runs one of the commands above.
pub async fn run(words: &[String]) -> Result<(), Failure> {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["publish", store, events, tasks, name] => {
            publish(store, events.parse()?, tasks.parse()?, name, Durability::Flushed).await
        }
        ["publish", store, events, tasks, name, "--no-flush"] => {
            publish(store, events.parse()?, tasks.parse()?, name, Durability::UnsafeNoFlush).await
        }
        ["list", store] => list(store).await,
        ["hold-lock", file] => hold_lock(file).await,
        _ => Err("publish STORE EVENTS TASKS NAME [--no-flush] | list STORE | hold-lock FILE".into()),
    }
}

async fn publish(store: &str, events: u64, tasks: u64, name: &str, durability: Durability) -> Result<(), Failure> {
    let limits = JournalLimits { durability, ..JournalLimits::default() };
    let journal = Journal::open(store, &[], limits, Arc::new(SystemClock)).await?;
    unbuffered_stdout()?.write_all(b"ready\n")?;
    until_stdin_ends().await?;
    let counter = Arc::new(AtomicU64::new(0));
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (journal, counter, name) = (journal.clone(), Arc::clone(&counter), name.to_owned());
        running.spawn(async move { publish_until(&journal, &counter, events, task, &name).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// One task: batches of one to three events, every other one by a command with a job, and refused commands between them.
async fn publish_until(journal: &Journal, counter: &AtomicU64, events: u64, task: u64, name: &str) -> Result<(), Failure> {
    let mut stdout = unbuffered_stdout()?;
    for round in 0_u64.. {
        let size = 1 + (round + task) % 3;
        let first = counter.fetch_add(size, Ordering::SeqCst);
        if first >= events {
            return Ok(());
        }
        let markers: Vec<String> = (first..first + size).map(|number| format!("marker-{name}-{number:06}.")).collect();
        if round % 5 == 3 {
            let refused = journal.run(Box::new(Emit { markers: markers.clone(), task, refuse: true }), None).await;
            // (Its group's commit may have failed.)
            assert!(refused.is_err(), "a refused command was answered {refused:?}");
        }
        let outcome = until_known(journal, &markers, task, name, round % 2 == 0).await?;
        for (placed, marker) in outcome.events.iter().zip(&markers) {
            stdout.write_all(format!("ack {} {marker}\n", placed.id).as_bytes())?;
        }
    }
    Ok(())
}

/// Commits a batch; an unknown outcome is settled by repeating with the same key.
async fn until_known(journal: &Journal, markers: &[String], task: u64, name: &str, plain: bool) -> Result<Outcome, UnitError> {
    loop {
        let key = Some(Idempotency::new(name, "commit_loop", &markers[0], b""));
        let answer = if plain {
            journal.publish(markers.iter().map(|marker| event(task, marker)).collect(), key).await
        } else {
            journal.run(Box::new(Emit { markers: markers.to_vec(), task, refuse: false }), key).await
        };
        if !matches!(answer, Err(UnitError::Store(JournalError::CommitUnknown(_)))) {
            return answer;
        }
    }
}

/// A line that is written is out: no buffer of ours may hold it back past the moment that a test looks at.
fn unbuffered_stdout() -> Result<File, Failure> {
    Ok(File::from(std::io::stdout().as_fd().try_clone_to_owned()?))
}

fn event(task: u64, marker: &str) -> NewEvent {
    let task = i64::try_from(task).unwrap_or(0);
    NewEvent {
        channel: Channel::new("course", &Id::from(task)),
        kind: "note".into(),
        data: format!("{{\"marker\":\"{marker}\"}}").into(),
        effects: Vec::new(),
    }
}

struct Emit {
    markers: Vec<String>,
    task: u64,
    refuse: bool,
}

impl Unit for Emit {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let sql = "INSERT INTO ticket (hash, caller, expires_at_ms) VALUES ($1, $2, $3)";
            tx.execute(sql, &[Value::from(self.markers[0].as_str()), "{}".into(), 1_i64.into()]).await?;
            tx.enqueue(NewJob::new("note", self.markers[0].as_str())).await?;
            for marker in &self.markers {
                tx.emit(event(self.task, marker));
            }
            if self.refuse {
                return Err(Refusal::from(ErrorCode::Forbidden).into());
            }
            Ok("null".into())
        })
    }
}

async fn list(store: &str) -> Result<(), Failure> {
    let journal = Journal::open(store, &[], JournalLimits::default(), Arc::new(SystemClock)).await?;
    let mut stdout = unbuffered_stdout()?;
    for event in journal.read(0, u64::MAX, u64::MAX).await? {
        stdout.write_all(format!("seen {} {}\n", event.id, event.data).as_bytes())?;
    }
    Ok(())
}

async fn hold_lock(file: &str) -> Result<(), Failure> {
    let mut conn = SqliteConnection::connect(&format!("sqlite://{file}")).await?;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut conn).await?;
    unbuffered_stdout()?.write_all(b"held\n")?;
    until_stdin_ends().await
}

async fn until_stdin_ends() -> Result<(), Failure> {
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
