//! Everything durable: transaction, log, outbox, idempotency, memberships, jobs and migrations.
//!
//! Invariant: what this crate acknowledged is committed and flushed. It is the only place that knows SQLite from PostgreSQL; both run
//! the same SQL texts.

mod backup;
pub mod clock;
mod db;
mod error;
mod histogram;
mod idempotency;
mod insert;
mod job;
mod journal;
mod log;
mod membership;
mod metrics;
mod migrate;
mod probe;
mod retention;
mod revocation;
mod store;
mod sync;
mod ticket;
mod trace;
mod tx;
mod writer;

pub use backup::{Backup, BackupProgress, OnProgress, RESTORE_IDS_SKIPPED, Restored, backup, restore};
pub use clock::{Clock, ManualClock, SystemClock};
pub use db::{Row, Value};
pub use error::JournalError;
pub use histogram::{COUNT_BOUNDS, DURATION_BOUNDS_US, Histogram, HistogramReading};
pub use idempotency::Idempotency;
pub use job::{
    ATTEMPTS_MAX_DEFAULT, DEFAULT_QUEUE, EAGER_JOBS_MAX, Handler, Handlers, Jitter, Job, JobCounts, JobError, JobLimits,
    JobState, JobsOfKind, NewJob, Ran, Schedule, ScheduleError, Scheduler, Verdict, Worker, random_jitter, run_due,
};
pub use journal::{Durability, Head, Journal, JournalLimits, Reader, Snapshot};
pub use log::NewEvent;
pub use membership::Membership;
pub use metrics::{JobReading, JournalMetrics, PoolLoad, StoreLoad};
pub use migrate::Migration;
pub use probe::{Probed, probe};
pub use retention::Retention;
pub use revocation::Revocation;
pub use sync::{SYNC_BATCH_ROWS_MAX, SYNC_KEPT_MS, SyncColumns, SyncMap, SyncPass, SyncRow, SyncSource, SyncSpec, SyncTurn};
pub use trace::{ApplyTrace, CommitTrace, Committed, TraceContext, Tracer, traced};
pub use tx::{Tx, Unit, UnitError};
pub use writer::{Outcome, Placed};
