//! What happens behind the connections: the store, a worker that takes a job, and error monitoring.

use super::STEP_MAX;
use crate::app::{open_site, sqlite_path};
use crate::cli::finding::Finding;
use crate::config::Config;
use anyhow::Result;
use campanile_contract::{Site, UnitError};
use campanile_journal::{JobState, JournalError, NewJob, Tx, Unit};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};

/// How often the job is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// Opens the store, and lets a worker of the running server carry out a job: one more round of maintenance, which is harmless.
pub(super) async fn store_and_worker(config: &Config) -> Vec<Finding> {
    let began = Instant::now();
    if sqlite_path(&config.store).is_some_and(|path| !path.exists()) {
        let advice = "name the server's store with --store or --config, or leave it out with --skip-store";
        return vec![Finding::problem("store", "there is no such database", advice)];
    }
    let site = match open_site(config).await {
        Ok(site) => site,
        Err(error) => return vec![Finding::problem("store", format!("{error:#}"), "--skip-store leaves it out")],
    };
    let store = match site.journal.head().await {
        Ok(head) => Finding::ok("store", format!("answers; its log ends at {}", head.id)).in_time(began.elapsed()),
        Err(error) => Finding::problem("store", error.to_string(), "`campanile doctor` says more"),
    };
    vec![store, worker(&site).await]
}

async fn worker(site: &Site) -> Finding {
    const CHECK: &str = "worker";
    let began = Instant::now();
    let ran = tokio::time::timeout(STEP_MAX, run_job(site)).await;
    match ran {
        Ok(Ok(JobState::Done)) => Finding::ok(CHECK, "a worker of the server took a job and ended it").in_time(began.elapsed()),
        Ok(Ok(_)) => Finding::problem(CHECK, "the job failed for good", "`campanile jobs list --state dead` says why"),
        Ok(Err(error)) => Finding::problem(CHECK, error.to_string(), "`campanile doctor` says more"),
        Err(_) => Finding::problem(
            CHECK,
            format!("no worker took a job within {} s", STEP_MAX.as_secs()),
            "does the server run on this very store? `campanile jobs list` shows what waits",
        ),
    }
}

/// Enqueues the job and waits until it is over.
async fn run_job(site: &Site) -> Result<JobState, JournalError> {
    let outcome = site.journal.run(Box::new(Enqueue), None).await.map_err(|error| match error {
        UnitError::Store(error) => error,
        UnitError::Refused(refusal) => JournalError::Statement(refusal.to_string()),
    })?;
    let id: u64 = outcome.answer.parse().map_err(|_| JournalError::Statement("the job got no number".into()))?;
    loop {
        for state in [JobState::Done, JobState::Dead] {
            let found = site.journal.list_jobs(state, id - 1, 1).await?;
            if found.first().is_some_and(|job| job.id == id) {
                return Ok(state);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Enqueue;

impl Unit for Enqueue {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let id = tx.enqueue(NewJob::new(crate::maintenance::MAINTAIN, "{}")).await?;
            Ok(id.unwrap_or_default().to_string())
        })
    }
}

/// Is error monitoring configured?
pub(super) fn monitoring(config: &Config) -> Finding {
    const CHECK: &str = "error monitoring";
    match &config.telemetry.sentry_dsn {
        Some(_) => Finding::ok(CHECK, "telemetry.sentry_dsn is set"),
        None => Finding::warning(
            CHECK,
            "telemetry.sentry_dsn is not set",
            "errors stand in the log only, unless something else watches it",
        ),
    }
}
