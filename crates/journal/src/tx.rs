//! The transaction as a command sees it: SQL, events and jobs that become one commit, or nothing.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::log::NewEvent;
use campanile_wire::Refusal;
use futures_util::future::BoxFuture;
use sqlx::SqlStr;

/// An open writing transaction.
pub struct Tx {
    pub(crate) conn: Conn,
    pub(crate) now_ms: i64,
    pub(crate) events: Vec<NewEvent>,
    /// Whether this commit has jobs for the workers of this process.
    pub(crate) enqueued: bool,
    /// Whether a statement of this unit failed. PostgreSQL refuses whatever comes after it, and SQLite may have ended the whole
    /// transaction: on both, a unit is over with its first failed statement.
    pub(crate) failed: bool,
}

/// One command's work inside a transaction. It may run more than once (deadlocks are retried), so it changes only the transaction.
pub trait Unit: Send + Sync + 'static {
    /// Does the work; answers JSON for the caller.
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>>;
}

/// Why a unit of work was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The command's own answer: not allowed, not valid, not found. Not kept under an idempotency key.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] JournalError),
}

impl From<UnitError> for Refusal {
    fn from(error: UnitError) -> Self {
        match error {
            UnitError::Refused(refusal) => refusal,
            UnitError::Store(error) => error.into(),
        }
    }
}

impl Tx {
    pub(crate) fn new(conn: Conn, now_ms: i64) -> Self {
        Self { conn, now_ms, events: Vec::new(), enqueued: false, failed: false }
    }

    /// Runs a statement; answers how many rows it changed. Parameters are `$1`, `$2` …
    ///
    /// # Errors
    /// When the store fails or refuses the statement.
    pub async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, JournalError> {
        self.refuse_after_failure()?;
        let result = self.conn.execute(SqlStr::from_static(sql), values).await;
        self.failed |= result.is_err();
        result
    }

    /// Runs a query; answers all its rows.
    ///
    /// # Errors
    /// When the store fails or refuses the statement.
    pub async fn fetch(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, JournalError> {
        self.refuse_after_failure()?;
        let result = self.conn.fetch(SqlStr::from_static(sql), values).await;
        self.failed |= result.is_err();
        result
    }

    fn refuse_after_failure(&self) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Statement("a statement of this command failed before; nothing may follow it".into()));
        }
        Ok(())
    }

    /// Adds an event to this commit. It gets its id when the transaction commits.
    pub fn emit(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// The instant of this transaction, in unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }
}
