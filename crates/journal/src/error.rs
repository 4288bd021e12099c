//! What can go wrong with the store, in the caller's terms.

use campanile_wire::{ErrorCode, Refusal};

/// A failure of the store. Inside text (the driver's words) is for the log only.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the database's lock; nothing was written.
    #[error("the database is locked by another process: {0}")]
    Busy(String),
    /// The disk or the database is full; nothing was written.
    #[error("the disk or the database is full: {0}")]
    Full(String),
    /// The database cannot be reached; nothing was written.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The answer to a COMMIT was lost: it may have happened.
    #[error("the answer to the commit was lost: {0}")]
    CommitUnknown(String),
    /// The transaction met another one (deadlock, serialization, a concurrent repeat of an idempotency key) and can simply run again.
    #[error("the transaction met another one: {0}")]
    Conflict(String),
    /// The command ran into its time limit.
    #[error("the command ran into its time limit of {0} ms")]
    Timeout(u64),
    /// The writer's queue is full.
    #[error("the writer's queue is full")]
    QueueFull,
    /// The journal is shutting down.
    #[error("the journal is closed")]
    Closed,
    /// The database cannot be used as it is: from the future, unsafe settings, changed migrations.
    #[error("{0}")]
    Unusable(String),
    /// A command panicked; its caller's work was undone.
    #[error("a command panicked")]
    Panicked,
    /// A programmer's error in SQL or decoding.
    #[error("the database refused a statement: {0}")]
    Statement(String),
}

impl JournalError {
    /// Whether the whole transaction is lost, not only the statement.
    pub(crate) fn ends_transaction(&self) -> bool {
        !matches!(self, Self::Statement(_) | Self::Timeout(_) | Self::Panicked)
    }

    /// The documented code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Busy(_) | Self::Conflict(_) => ErrorCode::StoreBusy,
            Self::Full(_) => ErrorCode::StoreFull,
            Self::Unavailable(_) | Self::Closed | Self::Unusable(_) => ErrorCode::StoreUnavailable,
            Self::CommitUnknown(_) => ErrorCode::CommitUnknown,
            Self::Timeout(_) => ErrorCode::CommandTimeout,
            Self::QueueFull => ErrorCode::ServerBusy,
            Self::Statement(_) | Self::Panicked => ErrorCode::InternalError,
        }
    }

    /// A copy for each caller of a failed group.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Busy(text) => Self::Busy(text.clone()),
            Self::Full(text) => Self::Full(text.clone()),
            Self::Unavailable(text) => Self::Unavailable(text.clone()),
            Self::CommitUnknown(text) => Self::CommitUnknown(text.clone()),
            Self::Conflict(text) => Self::Conflict(text.clone()),
            Self::Timeout(limit) => Self::Timeout(*limit),
            Self::QueueFull => Self::QueueFull,
            Self::Panicked => Self::Panicked,
            Self::Closed => Self::Closed,
            Self::Unusable(text) => Self::Unusable(text.clone()),
            Self::Statement(text) => Self::Statement(text.clone()),
        }
    }
}

impl From<JournalError> for Refusal {
    /// Only the documented sentence goes out.
    fn from(error: JournalError) -> Self {
        error.code().into()
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => of_code(database.code().as_deref().unwrap_or(""), text),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(text),
            _ => Self::Statement(text),
        }
    }
}

/// SQLite's (extended) result codes are numbers of up to four digits, PostgreSQL's SQLSTATEs have five characters.
fn of_code(code: &str, text: String) -> JournalError {
    if code.len() == 5 && code != "00000" {
        return match code {
            "40P01" | "40001" => JournalError::Conflict(text),
            // It has waited its full time already: running it again would multiply that.
            "55P03" => JournalError::Busy(text),
            "23505" if text.contains("idempotency_pkey") => JournalError::Conflict(text),
            "53100" => JournalError::Full(text),
            "57014" => JournalError::Timeout(0),
            "25006" | "25P03" | "53300" => JournalError::Unavailable(text),
            _ if code.starts_with("08") || code.starts_with("57") || code.starts_with("58") => JournalError::Unavailable(text),
            _ => JournalError::Statement(text),
        };
    }
    // The low byte of an extended code is the primary one.
    match code.parse::<u32>().unwrap_or(0) & 0xff {
        5 | 6 => JournalError::Busy(text),
        13 => JournalError::Full(text),
        8 | 10 | 11 | 14 | 26 => JournalError::Unavailable(text),
        _ => JournalError::Statement(text),
    }
}
