//! The two lanes into the log. Publishes go in groups; commands in groups under savepoints on SQLite, one transaction each on PostgreSQL.
//!
//! Invariant: a caller is answered, and followers are handed the events, only after COMMIT returned, and COMMIT returns after the flush.

use crate::clock::Clock;
use crate::error::JournalError;
use crate::idempotency::{self, Idempotency, Known};
use crate::journal::{JournalLimits, Store};
use crate::log::{self, NewEvent};
use crate::tx::{Tx, Unit, UnitError};
use campanile_wire::{Channel, ErrorCode, Event, EventId, Refusal};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sqlx::SqlStr;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

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
}

/// Writes requests in groups, one commit a group, until every sender is gone.
pub(crate) struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) limits: JournalLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) committed: broadcast::Sender<Arc<Vec<Event>>>,
}

type Answers = Vec<Result<Outcome, UnitError>>;

impl Writer {
    /// The group lane: takes what has queued up while the last commit was being flushed.
    pub(crate) async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<Request>) {
        let mut carried = VecDeque::new();
        while let Some(group) = self.next_group(&mut queue, &mut carried).await {
            self.commit(group).await;
        }
    }

    /// The next group, or none when the journal closes. A second request with a key of the group waits for the group's outcome.
    async fn next_group(&self, queue: &mut mpsc::Receiver<Request>, carried: &mut VecDeque<Request>) -> Option<Vec<Request>> {
        let first = match carried.pop_front() {
            Some(request) => request,
            None => queue.recv().await?,
        };
        let (mut keys, mut events) = (HashSet::new(), 0);
        let mut group = Vec::new();
        let mut later = VecDeque::new();
        let mut next = Some(first);
        while let Some(request) = next {
            if request.idempotency.as_ref().is_some_and(|key| !keys.insert(key.idem().to_owned())) {
                later.push_back(request);
            } else {
                events += request.work.events();
                group.push(request);
            }
            if group.len() >= self.limits.group_requests_max || events >= self.limits.group_events_max {
                break;
            }
            next = carried.pop_front().or_else(|| queue.try_recv().ok());
        }
        later.append(carried);
        *carried = later;
        Some(group)
    }

    /// Commits a group and answers everybody in it.
    pub(crate) async fn commit(&self, mut group: Vec<Request>) {
        // A caller that has gone away before its work began needs none of it.
        group.retain(|request| !request.reply.is_closed());
        if group.is_empty() {
            return;
        }
        match self.commit_with_retries(&group).await {
            Ok((answers, events)) => {
                if !events.is_empty() {
                    // Nobody may be following; whoever is and lags reads the log.
                    let _ = self.committed.send(Arc::new(events));
                }
                for (request, answer) in group.into_iter().zip(answers) {
                    let _ = request.reply.send(answer);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, requests = group.len(), "a commit failed");
                for request in group {
                    let _ = request.reply.send(Err(error.again().into()));
                }
            }
        }
    }

    async fn commit_with_retries(&self, group: &[Request]) -> Result<(Answers, Vec<Event>), JournalError> {
        for attempt in 1.. {
            match self.commit_once(group).await {
                Err(JournalError::Conflict(text)) if attempt <= self.limits.conflict_retries_max => {
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
        self.store.still_there()?;
        let mut conn = self.store.writing().await?;
        if let Err(error) = conn.begin().await {
            conn.discard().await;
            return Err(error);
        }
        let mut tx = Tx::new(conn, self.clock.now_ms());
        let written = self.write_group(&mut tx, group).await;
        let mut conn = tx.conn;
        match written {
            Ok((answers, events)) => match conn.commit().await {
                Ok(()) => {
                    self.store.still_there().map_err(|error| JournalError::CommitUnknown(error.to_string()))?;
                    Ok((answers, events))
                }
                Err(error) => {
                    conn.discard().await;
                    Err(after_commit(error))
                }
            },
            Err(error) => {
                if conn.rollback().await.is_err() || matches!(error, JournalError::Unavailable(_)) {
                    conn.discard().await;
                }
                Err(error)
            }
        }
    }

    /// Everything between BEGIN and COMMIT.
    async fn write_group(&self, tx: &mut Tx, group: &[Request]) -> Result<(Answers, Vec<Event>), JournalError> {
        let keys: Vec<&Idempotency> = group.iter().filter_map(|request| request.idempotency.as_ref()).collect();
        let mut known = if keys.is_empty() { HashMap::new() } else { idempotency::look_up(&mut tx.conn, &keys).await? };
        let mut done: Vec<Result<(String, Range<usize>), Result<Outcome, UnitError>>> = Vec::with_capacity(group.len());
        for request in group {
            let kept = request.idempotency.as_ref().and_then(|key| known.remove(key.idem()));
            done.push(match kept {
                Some(Known::Same(outcome)) => Err(Ok(outcome)),
                Some(Known::Conflict) => Err(Err(Refusal::from(ErrorCode::IdempotencyConflict).into())),
                None => self.run_one(tx, &request.work, group.len() > 1).await?.map_err(Err),
            });
        }
        let now_ms = tx.now_ms;
        let events = log::append(&mut tx.conn, std::mem::take(&mut tx.events), now_ms).await?;
        let answers: Answers = done.into_iter().map(|done| outcome_of(done, &events, now_ms)).collect();
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

    /// Runs one request's work. The outer error ends the transaction, the inner one only this request.
    async fn run_one(
        &self,
        tx: &mut Tx,
        work: &Work,
        in_group: bool,
    ) -> Result<Result<(String, Range<usize>), UnitError>, JournalError> {
        let start = tx.events.len();
        let unit = match work {
            Work::Publish(events) => {
                tx.events.extend(events.iter().cloned());
                return Ok(Ok(("null".into(), start..tx.events.len())));
            }
            Work::Unit(unit) => unit,
        };
        tx.conn.run(SqlStr::from_static("SAVEPOINT unit")).await?;
        let limit_ms = self.limits.command_ms_max;
        let result = match tokio::time::timeout(Duration::from_millis(limit_ms), unit.run(tx)).await {
            Ok(result) => result,
            Err(_) => Err(JournalError::Timeout(limit_ms).into()),
        };
        match result {
            Ok(answer) => {
                tx.conn.run(SqlStr::from_static("RELEASE SAVEPOINT unit")).await?;
                Ok(Ok((answer, start..tx.events.len())))
            }
            Err(UnitError::Store(error)) if error.ends_transaction() => Err(error),
            Err(error) => {
                if let UnitError::Store(error) = &error {
                    tracing::error!(error = %error, in_group, "a command failed in the store");
                }
                tx.events.truncate(start);
                tx.conn.run(SqlStr::from_static("ROLLBACK TO SAVEPOINT unit")).await?;
                tx.conn.run(SqlStr::from_static("RELEASE SAVEPOINT unit")).await?;
                Ok(Err(error))
            }
        }
    }
}

impl Work {
    fn events(&self) -> usize {
        match self {
            Self::Publish(events) => events.len(),
            Self::Unit(_) => 1,
        }
    }
}

fn outcome_of(
    done: Result<(String, Range<usize>), Result<Outcome, UnitError>>,
    events: &[Event],
    now_ms: i64,
) -> Result<Outcome, UnitError> {
    let (answer, range) = match done {
        Ok(fresh) => fresh,
        Err(settled) => return settled,
    };
    let events = &events[range];
    Ok(Outcome {
        answer,
        events: events.iter().map(|event| Placed { id: event.id, channel: event.channel.clone(), seq: event.seq }).collect(),
        recorded_at_ms: events.last().map_or(now_ms, |event| event.recorded_at_ms),
        replayed: false,
    })
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
/// connection inside a transaction.
pub(crate) fn commit_alone(writer: &Arc<Writer>, request: Request) {
    let writer = Arc::clone(writer);
    tokio::spawn(async move { writer.commit(vec![request]).await });
}
