//! The two lanes into the log. Publishes go in groups; commands in groups under savepoints on SQLite, one transaction each on PostgreSQL.
//!
//! Invariant: a caller is answered, and followers are handed the events, only after COMMIT returned, and COMMIT returns after the flush.

use crate::clock::Clock;
use crate::db::Conn;
use crate::error::JournalError;
use crate::idempotency::{self, Idempotency, Known};
use crate::journal::JournalLimits;
use crate::log::{self, NewEvent};
use crate::metrics::JournalMetrics;
use crate::store::Store;
use crate::trace::{CommitTrace, Committed, TraceContext, TracerPlace};
use crate::tx::{Tx, Unit, UnitError};
use campanile_wire::{Channel, Event, EventId};
use futures_util::FutureExt;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sqlx::SqlStr;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, OwnedSemaphorePermit, broadcast, mpsc, oneshot};

/// What a committed request came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's answer as JSON; `null` for plain publishes.
    pub answer: String,
    /// The events it caused, in order.
    pub events: Vec<Placed>,
    /// When they were recorded, in unix milliseconds.
    pub recorded_at_ms: i64,
    /// Whether this is the kept answer of an earlier request with the same idempotency key.
    #[serde(skip)]
    pub replayed: bool,
}

/// Where an event stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its place in the site's order.
    pub id: EventId,
    /// Its channel.
    pub channel: Channel,
    /// Its place in the channel.
    pub seq: u64,
}

impl Outcome {
    pub(crate) fn to_column(&self) -> String {
        serde_json::to_string(self).expect("an outcome serialises")
    }

    pub(crate) fn from_column(text: &str) -> Result<Self, JournalError> {
        let outcome: Self =
            serde_json::from_str(text).map_err(|_| JournalError::Statement("a kept outcome is broken".into()))?;
        Ok(Self { replayed: true, ..outcome })
    }
}

/// Something to be committed.
pub(crate) enum Work {
    Publish(Vec<NewEvent>),
    Unit(Box<dyn Unit>),
}

/// Work, and whom to tell.
pub(crate) struct Request {
    pub(crate) work: Work,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) reply: oneshot::Sender<Result<Outcome, UnitError>>,
    pub(crate) trace: Option<TraceContext>,
}

/// Writes requests in groups, one commit a group, until every sender is gone.
pub(crate) struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) limits: JournalLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committed: broadcast::Sender<Arc<Committed>>,
    pub(crate) jobs_enqueued: Notify,
    pub(crate) metrics: JournalMetrics,
    pub(crate) tracer: TracerPlace,
}

type Answers = Vec<Result<Outcome, UnitError>>;

impl Writer {
    /// The group lane: takes what has queued up while the last commit was being flushed.
    pub(crate) async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<Request>) {
        while let Some(group) = self.next_group(&mut queue).await {
            // A programmer's error in one group must not end the lane for all: its callers are told that the outcome is not known.
            if AssertUnwindSafe(self.commit(group)).catch_unwind().await.is_err() {
                tracing::error!("the writer panicked and goes on with the next group");
            }
        }
    }

    /// The next group, or none when the journal closes.
    async fn next_group(&self, queue: &mut mpsc::Receiver<Request>) -> Option<Vec<Request>> {
        let first = queue.recv().await?;
        let mut events = first.work.events();
        let mut group = vec![first];
        while group.len() < self.limits.group_requests_max
            && events < self.limits.group_events_max
            && let Ok(request) = queue.try_recv()
        {
            events += request.work.events();
            group.push(request);
        }
        Some(group)
    }

    /// Commits a group and answers everybody in it.
    pub(crate) async fn commit(&self, mut group: Vec<Request>) {
        // A caller that has gone away before its work began needs none of it.
        group.retain(|request| !request.reply.is_closed());
        if group.is_empty() {
            return;
        }
        let (begun, begun_at) = (Instant::now(), SystemTime::now());
        match self.commit_with_retries(&group).await {
            Ok((answers, events)) => {
                self.metrics.committed(group.len(), events.len(), begun.elapsed());
                if !events.is_empty() {
                    // Nobody may be following; whoever is and lags reads the log.
                    let traces = self.trace(&group, &answers, begun_at);
                    let _ = self.committed.send(Arc::new(Committed { events, traces }));
                }
                for (request, answer) in group.into_iter().zip(answers) {
                    let _ = request.reply.send(answer);
                }
            }
            Err(error) => {
                self.metrics.commits_failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(error = %error, requests = group.len(), "a commit failed");
                for request in group {
                    let _ = request.reply.send(Err(error.again().into()));
                }
            }
        }
    }

    /// Tells the tracer of a commit, once for each traced request; answers which span each of their events goes on with.
    fn trace(&self, group: &[Request], answers: &Answers, begun: SystemTime) -> Vec<(EventId, TraceContext)> {
        let Some(tracer) = self.tracer.get() else { return Vec::new() };
        let traced: Vec<TraceContext> = group.iter().filter_map(|request| request.trace).collect();
        let ended = SystemTime::now();
        let mut traces = Vec::new();
        for (request, answer) in group.iter().zip(answers) {
            let (Some(trace), Ok(outcome)) = (request.trace, answer) else { continue };
            let commit = CommitTrace { request: trace, group: &traced, requests: group.len(), begun, ended };
            let span = tracer.committed(&commit);
            if !outcome.replayed {
                traces.extend(outcome.events.iter().map(|placed| (placed.id, span)));
            }
        }
        traces
    }

    async fn commit_with_retries(&self, group: &[Request]) -> Result<(Answers, Vec<Event>), JournalError> {
        for attempt in 1.. {
            match self.commit_once(group).await {
                Err(JournalError::Conflict(text)) if attempt <= self.limits.conflict_retries_max => {
                    self.metrics.conflicts.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(attempt, text, "a transaction met another one and runs again");
                    let wait_ms = rand::rng().random_range(1..=10 * u64::from(attempt));
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
                result => return result,
            }
        }
        unreachable!("the last attempt's result is returned")
    }

    async fn commit_once(&self, group: &[Request]) -> Result<(Answers, Vec<Event>), JournalError> {
        let mut conn = self.store.writing().await?;
        if let Err(error) = conn.begin().await.and_then(|()| self.store.still_there()) {
            conn.discard().await;
            return Err(error);
        }
        let mut tx = Tx::new(conn, self.clock.now_ms());
        let written = self.write_group(&mut tx, group).await;
        let enqueued = tx.enqueued;
        let mut conn = tx.conn;
        match written {
            Ok((answers, events)) => match conn.commit().await {
                Ok(()) => {
                    if enqueued {
                        self.jobs_enqueued.notify_waiters();
                    }
                    self.store.still_there().map_err(|error| JournalError::CommitUnknown(error.to_string()))?;
                    Ok((answers, events))
                }
                Err(error) => {
                    conn.discard().await;
                    Err(after_commit(error))
                }
            },
            Err(error) => {
                // No words more to a store that does not answer.
                if matches!(error, JournalError::Unavailable(_)) || conn.rollback().await.is_err() {
                    conn.discard().await;
                }
                Err(error)
            }
        }
    }

    /// Everything between BEGIN and COMMIT.
    async fn write_group(&self, tx: &mut Tx, group: &[Request]) -> Result<(Answers, Vec<Event>), JournalError> {
        let keys: Vec<&Idempotency> = group.iter().filter_map(|request| request.idempotency.as_ref()).collect();
        let known = if keys.is_empty() { HashMap::new() } else { idempotency::look_up(&mut tx.conn, &keys).await? };
        // Whose place in the group a key's fresh outcome has.
        let mut firsts: HashMap<&str, usize> = HashMap::new();
        let mut done = Vec::with_capacity(group.len());
        for (place, request) in group.iter().enumerate() {
            let Some(key) = &request.idempotency else {
                done.push(self.run_one(tx, &request.work).await?);
                continue;
            };
            done.push(match (known.get(key.idem()), firsts.get(key.idem())) {
                (Some(known), _) => Done::Settled(known.clone().into_answer()),
                (None, Some(first)) if group[*first].idempotency.as_ref() == Some(key) => Done::Repeat(*first),
                (None, Some(_)) => Done::Settled(Known::Conflict.into_answer()),
                (None, None) => match self.run_one(tx, &request.work).await? {
                    Done::Settled(Err(error)) => settled_meanwhile(tx, key, error).await?,
                    done => {
                        firsts.insert(key.idem(), place);
                        done
                    }
                },
            });
        }
        let now_ms = tx.now_ms;
        let events = log::append(&mut tx.conn, std::mem::take(&mut tx.events), now_ms).await?;
        let answers = answers_of(done, &events, now_ms);
        let fresh: Vec<(&Idempotency, &Outcome)> = group
            .iter()
            .zip(&answers)
            .filter_map(|(request, answer)| Some((request.idempotency.as_ref()?, answer.as_ref().ok()?)))
            .filter(|(_, outcome)| !outcome.replayed)
            .collect();
        if !fresh.is_empty() {
            idempotency::keep(&mut tx.conn, &fresh, now_ms).await?;
        }
        Ok((answers, events))
    }

    /// Runs one request's work. An error ends the transaction; what ends only this request is settled.
    async fn run_one(&self, tx: &mut Tx, work: &Work) -> Result<Done, JournalError> {
        let start = tx.events.len();
        let unit = match work {
            Work::Publish(events) => {
                tx.events.extend(events.iter().cloned());
                return Ok(Done::Fresh("null".into(), start..tx.events.len()));
            }
            Work::Unit(unit) => unit,
        };
        tx.conn.run(SqlStr::from_static("SAVEPOINT unit")).await?;
        tx.failed = false;
        match self.run_unit(tx, unit.as_ref()).await {
            Ok(answer) => {
                tx.conn.run(SqlStr::from_static("RELEASE SAVEPOINT unit")).await?;
                Ok(Done::Fresh(answer, start..tx.events.len()))
            }
            Err(UnitError::Store(error)) if error.ends_transaction() => Err(error),
            Err(error) => {
                if let UnitError::Store(error) = &error {
                    tracing::error!(error = %error, "a command failed in the store");
                }
                tx.events.truncate(start);
                tx.conn.run(SqlStr::from_static("ROLLBACK TO SAVEPOINT unit")).await?;
                tx.conn.run(SqlStr::from_static("RELEASE SAVEPOINT unit")).await?;
                Ok(Done::Settled(Err(error)))
            }
        }
    }

    /// A command inside its savepoint, its time limit and its panics.
    async fn run_unit(&self, tx: &mut Tx, unit: &dyn Unit) -> Result<String, UnitError> {
        let limit_ms = self.limits.command_ms_max;
        let work = AssertUnwindSafe(async { unit.run(tx).await }).catch_unwind();
        match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
            Ok(Ok(Ok(_))) if tx.failed => {
                Err(JournalError::Statement("a command went on after a failed statement".into()).into())
            }
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(JournalError::Panicked.into()),
            Err(_) => Err(JournalError::Timeout(limit_ms).into()),
        }
    }
}

/// What a request of a group came to before the commit.
enum Done {
    /// Carried out: its answer, and which of the commit's events are its own.
    Fresh(String, Range<usize>),
    /// The same key and body as the request at this place of the group.
    Repeat(usize),
    /// Refused, failed, or answered as it was before.
    Settled(Result<Outcome, UnitError>),
}

/// A command that failed on PostgreSQL may have stumbled over the very request that it repeats, which another connection committed
/// after the keys were looked up. Then that one's answer is its answer. (SQLite's write lock keeps the two apart.)
async fn settled_meanwhile(tx: &mut Tx, key: &Idempotency, error: UnitError) -> Result<Done, JournalError> {
    if matches!(tx.conn, Conn::Sqlite(_)) {
        return Ok(Done::Settled(Err(error)));
    }
    let known = idempotency::look_up(&mut tx.conn, &[key]).await?.remove(key.idem());
    Ok(Done::Settled(known.map_or(Err(error), Known::into_answer)))
}

impl Work {
    fn events(&self) -> usize {
        match self {
            Self::Publish(events) => events.len(),
            Self::Unit(_) => 1,
        }
    }
}

fn answers_of(done: Vec<Done>, events: &[Event], now_ms: i64) -> Answers {
    let mut answers: Answers = Vec::with_capacity(done.len());
    for done in done {
        let answer = match done {
            Done::Settled(answer) => answer,
            Done::Repeat(first) => {
                let first = answers[first].as_ref().expect("only a request that was carried out is repeated");
                Ok(Outcome { replayed: true, ..first.clone() })
            }
            Done::Fresh(answer, range) => Ok(outcome_of(answer, &events[range], now_ms)),
        };
        answers.push(answer);
    }
    answers
}

fn outcome_of(answer: String, events: &[Event], now_ms: i64) -> Outcome {
    Outcome {
        answer,
        events: events.iter().map(|event| Placed { id: event.id, channel: event.channel.clone(), seq: event.seq }).collect(),
        recorded_at_ms: events.last().map_or(now_ms, |event| event.recorded_at_ms),
        replayed: false,
    }
}

/// What an error of COMMIT itself means. A full disk or a lock is told before the commit record is whole, a conflict is a rollback;
/// anything else may have reached the disk, and a later recovery may bring it back.
fn after_commit(error: JournalError) -> JournalError {
    match error {
        JournalError::Full(_) | JournalError::Busy(_) | JournalError::Conflict(_) => error,
        other => JournalError::CommitUnknown(other.to_string()),
    }
}

/// A lane that takes one request: commands on PostgreSQL. It runs in its own task, because a caller that goes away must not leave a
/// connection inside a transaction. The place in the lane's queue is free again when the request is answered.
pub(crate) fn commit_alone(writer: &Arc<Writer>, request: Request, place: OwnedSemaphorePermit) {
    let writer = Arc::clone(writer);
    tokio::spawn(async move {
        writer.commit(vec![request]).await;
        drop(place);
    });
}
