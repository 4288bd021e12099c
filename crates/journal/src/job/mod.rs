//! The job queue: work that a commit promises and a worker carries out.
//!
//! Invariant: a job exists exactly when the transaction that enqueued it committed, and what its handler writes into this store is
//! committed together with the job's end, so it happens once, however often the job was begun.
//!
//! ```text
//! ready ── claim ──> running ── settle ──> done ── kept a while ──> removed
//!   ^                  │  └── last attempt, or JobError::Dead ──> dead ── retry_job ──> ready
//!   └── failed, released, or lease ended ──┘
//! ```

mod backoff;
mod eager;
mod handler;
mod inspect;
mod lease;
mod limits;
mod queue;
mod run;
mod schedule;
pub(crate) mod statement;
mod worker;

pub use backoff::{Jitter, random_jitter};
pub use eager::{EAGER_JOBS_MAX, run_due};
pub use handler::{Handler, Handlers, JobError};
pub use inspect::{JobCounts, JobsOfKind};
pub use limits::JobLimits;
pub use queue::{ATTEMPTS_MAX_DEFAULT, DEFAULT_QUEUE, Job, JobState, NewJob};
pub use run::{Ran, Verdict};
pub use schedule::{Schedule, ScheduleError, Scheduler};
pub use worker::Worker;

#[cfg(test)]
mod tests;
