//! The job as a row, and how a command enqueues one.

use crate::db::{Row, Value};
use crate::error::JournalError;
use crate::tx::Tx;
use serde::{Deserialize, Serialize};

/// The queue of jobs that name no other.
pub const DEFAULT_QUEUE: &str = "default";

/// Attempts of a job that names no other number.
pub const ATTEMPTS_MAX_DEFAULT: u64 = 10;

/// A job that has not been committed yet.
///
/// ```
/// use campanile_journal::NewJob;
/// let job = NewJob { unique_key: Some("welcome-mail:17".into()), ..NewJob::new("mail", r#"{"person":17}"#) };
/// assert_eq!(job.queue, "default");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Which workers take it.
    pub queue: String,
    /// Which handler carries it out.
    pub kind: String,
    /// What the handler is told; usually JSON.
    pub payload: String,
    /// After so many failed or crashed attempts it is dead.
    pub max_attempts: u64,
    /// Not before this instant, in unix milliseconds; none means at once.
    pub run_at_ms: Option<i64>,
    /// While a job of this key is in the store, finished or not, another one is not enqueued.
    pub unique_key: Option<String>,
}

impl NewJob {
    /// A job of the default queue, to be run at once.
    pub fn new(kind: impl Into<String>, payload: impl Into<String>) -> Self {
        Self {
            queue: DEFAULT_QUEUE.into(),
            kind: kind.into(),
            payload: payload.into(),
            max_attempts: ATTEMPTS_MAX_DEFAULT,
            run_at_ms: None,
            unique_key: None,
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its instant or for a worker.
    Ready,
    /// A worker holds its lease.
    Running,
    /// Settled.
    Done,
    /// Given up; kept for somebody to look at.
    Dead,
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Counted by the store; later jobs have higher ids, not always dense.
    pub id: u64,
    /// Which workers take it.
    pub queue: String,
    /// Which handler carries it out.
    pub kind: String,
    /// What the handler is told.
    pub payload: String,
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun; inside a handler the running attempt's number, from 1.
    pub attempts: u64,
    /// After so many it is dead.
    pub max_attempts: u64,
    /// Not before this instant, in unix milliseconds.
    pub run_at_ms: i64,
    /// When its lease ends, in unix milliseconds, while it is running.
    pub lease_until_ms: Option<i64>,
    /// Which worker runs it.
    pub leased_by: Option<String>,
    /// `name@tick_ms` for a schedule's tick, with the tick in unix milliseconds.
    pub unique_key: Option<String>,
    /// Why the last failed attempt failed.
    pub last_error: Option<String>,
    /// When it was enqueued, in unix milliseconds.
    pub created_at_ms: i64,
    /// When it was done or dead, in unix milliseconds.
    pub finished_at_ms: Option<i64>,
}

const INSERT: &str = "INSERT INTO job (queue, kind, payload, state, attempts, max_attempts, run_at_ms, unique_key, created_at_ms) \
     VALUES ($1, $2, $3, 'ready', 0, $4, $5, $6, $7) ON CONFLICT (unique_key) DO NOTHING RETURNING id";

impl Tx {
    /// Adds a job to this commit: it exists exactly when the command's rows and events do. Answers its id, or none when a job of
    /// its unique key is in the store already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Option<u64>, JournalError> {
        let now_ms = self.now_ms;
        let values = [
            Value::from(job.queue),
            job.kind.into(),
            job.payload.into(),
            job.max_attempts.into(),
            job.run_at_ms.unwrap_or(now_ms).into(),
            job.unique_key.into(),
            now_ms.into(),
        ];
        let rows = self.fetch(INSERT, &values).await?;
        self.enqueued |= !rows.is_empty();
        rows.first().map(|row| row.count("id")).transpose()
    }
}

// === impl JobState ===

impl JobState {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    pub(crate) fn from_column(text: &str) -> Result<Self, JournalError> {
        [Self::Ready, Self::Running, Self::Done, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| JournalError::Statement(format!("{text} is not a job's state")))
    }
}

// === impl Job ===

/// What [`Job::from_row`] reads: a macro, so that it can stand inside of constant texts.
macro_rules! columns {
    () => {
        "id, queue, kind, payload, state, attempts, max_attempts, run_at_ms, lease_until_ms, leased_by, \
         unique_key, last_error, created_at_ms, finished_at_ms"
    };
}
pub(crate) use columns;

impl Job {
    pub(crate) fn from_row(row: &Row) -> Result<Self, JournalError> {
        Ok(Self {
            id: row.count("id")?,
            queue: row.text("queue")?,
            kind: row.text("kind")?,
            payload: row.text("payload")?,
            state: JobState::from_column(&row.text("state")?)?,
            attempts: row.count("attempts")?,
            max_attempts: row.count("max_attempts")?,
            run_at_ms: row.int("run_at_ms")?,
            lease_until_ms: row.int_or_null("lease_until_ms")?,
            leased_by: row.text_or_null("leased_by")?,
            unique_key: row.text_or_null("unique_key")?,
            last_error: row.text_or_null("last_error")?,
            created_at_ms: row.int("created_at_ms")?,
            finished_at_ms: row.int_or_null("finished_at_ms")?,
        })
    }
}
