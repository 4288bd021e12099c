//! What a kind of job does, in two phases: act outside of any transaction, then settle inside the one that ends the job.

use crate::error::JournalError;
use crate::job::queue::Job;
use crate::tx::Tx;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kinds that one worker can serve: they stand in one list of a statement.
const KINDS_MAX: usize = 256;

/// The work of one kind of job.
pub trait Handler: Send + Sync + 'static {
    /// The slow or remote part: mails, certificates, calls. It runs outside of any transaction and **at least once**: a crash after it
    /// repeats it. What blocks belongs into `spawn_blocking`: the lease is extended from the same task. Answers text for [`settle`](Self::settle); does nothing by default.
    fn act<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, JobError>> {
        let _ = job;
        Box::pin(async { Ok(String::new()) })
    }

    /// What it changes in our store, inside the transaction that also marks the job done: **exactly once**. If the lease was lost
    /// meanwhile, or an error is answered, nothing of it remains. It may run again when the transaction meets another one, so it
    /// changes only the transaction.
    fn settle<'a>(&'a self, job: &'a Job, acted: &'a str, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), JobError>>;
}

/// Why an attempt failed. The text is kept as the job's `last_error`, for operators only.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Worth another attempt, while there is one left.
    #[error("{0}")]
    Retry(String),
    /// No attempt will succeed: the job is dead at once.
    #[error("{0}")]
    Dead(String),
    /// The store failed inside `settle`. Transactions that met each other run again at once; otherwise like `Retry`.
    #[error(transparent)]
    Store(#[from] JournalError),
}

/// The handlers of one process, by kind. A worker claims only these kinds, so a job of a newer program waits for a newer node.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<String, Arc<dyn Handler>>);

impl Handlers {
    /// These handlers and one more.
    ///
    /// # Panics
    /// When the kind has a handler already, or there are more kinds than one statement can list.
    #[must_use]
    pub fn with(self, kind: &str, handler: impl Handler) -> Self {
        self.with_shared(kind, Arc::new(handler))
    }

    /// As [`Handlers::with`], for a handler that is shared.
    ///
    /// # Panics
    /// As [`Handlers::with`].
    #[must_use]
    pub fn with_shared(mut self, kind: &str, handler: Arc<dyn Handler>) -> Self {
        let earlier = self.0.insert(kind.to_owned(), handler);
        assert!(earlier.is_none(), "two handlers claim the job kind {kind}");
        assert!(self.0.len() <= KINDS_MAX, "a worker serves at most {KINDS_MAX} kinds of jobs; use another queue");
        self
    }

    pub(crate) fn of(&self, kind: &str) -> Option<Arc<dyn Handler>> {
        self.0.get(kind).cloned()
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handlers").field(&self.kinds()).finish()
    }
}
