//! Eager mode: jobs run inside the test that enqueued them, without workers, tasks or sleeps.

use crate::error::JournalError;
use crate::job::handler::Handlers;
use crate::job::limits::JobLimits;
use crate::job::run::{Ran, Runner};
use crate::journal::Journal;
use std::sync::Arc;

/// Jobs that one call runs; beyond it jobs are taken to enqueue each other without end.
pub const EAGER_JOBS_MAX: usize = 10_000;

/// The job that is due longest, of all queues.
const NEXT: &str = "SELECT queue, kind FROM job WHERE (state = 'ready' AND run_at_ms <= $1) \
     OR (state = 'running' AND lease_until_ms <= $1) ORDER BY run_at_ms, id LIMIT 1";

/// Runs every due job, one after the other and the longest due first, until none is due: also those that jobs enqueue. Failed
/// attempts wait by the default limits, without spread, and come when the journal's clock has been moved past their wait.
///
/// # Errors
/// When the store fails.
///
/// # Panics
/// When a due job's kind has no handler, or after [`EAGER_JOBS_MAX`] jobs.
pub async fn run_due(journal: &Journal, handlers: &Handlers) -> Result<Vec<Ran>, JournalError> {
    let runner = Runner {
        journal: journal.clone(),
        handlers: handlers.clone(),
        limits: JobLimits::default(),
        jitter: Arc::new(|| 1.0),
        name: "eager".into(),
    };
    let mut ran = Vec::new();
    while let Some(queue) = next_queue(journal, handlers).await? {
        for job in runner.claim(&queue, 1).await? {
            assert!(ran.len() < EAGER_JOBS_MAX, "{EAGER_JOBS_MAX} jobs ran and more are due: do they enqueue each other?");
            ran.push(runner.run_inline(job).await);
        }
    }
    Ok(ran)
}

async fn next_queue(journal: &Journal, handlers: &Handlers) -> Result<Option<String>, JournalError> {
    let rows = journal.reader().await?.fetch(NEXT, &[journal.clock().now_ms().into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let kind = row.text("kind")?;
    assert!(handlers.of(&kind).is_some(), "a job of the kind {kind} is due, and eager mode was given no handler for it");
    row.text("queue").map(Some)
}
