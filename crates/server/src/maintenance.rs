//! The workers of this process: the features' jobs, and maintenance as a scheduled one, once a tick for a whole cluster.

use crate::sync::{self, Processor};
use anyhow::Result;
use campanile_contract::Site;
use campanile_journal::{
    DEFAULT_QUEUE, Handler, Handlers, Job, JobError, JobLimits, Schedule, Scheduler, Tx, Worker, random_jitter,
};
use futures_util::future::BoxFuture;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The job's kind and its schedule's name.
pub(crate) const MAINTAIN: &str = "maintain";
/// Every ten minutes.
const EVERY: &str = "*/10 * * * *";

/// The workers of this process: they end with `stop`, after their running jobs. The handles tell whether they still run.
pub(crate) fn start(
    site: &Site,
    sync: &Processor,
    token_life_ms_max: Option<i64>,
    stop: &CancellationToken,
) -> Result<(TaskTracker, [AbortHandle; 2])> {
    let limits = JobLimits::default();
    let maintain = Maintain { site: site.clone(), token_life_ms_max };
    let own = Handlers::default().with(MAINTAIN, maintain).with_shared(sync::CLEAN, sync.cleaner());
    let handlers = site.registry.jobs().fold(own, |all, job| all.with_shared(job.kind, (job.handler)()));
    let worker = Worker::new(&site.journal, DEFAULT_QUEUE, handlers, limits.clone(), random_jitter());
    let mut schedules = vec![
        Schedule::new(MAINTAIN, EVERY, MAINTAIN, "{}")?,
        Schedule::new(sync::CLEAN, sync::CLEAN_EVERY, sync::CLEAN, "{}")?,
    ];
    for job in site.registry.jobs() {
        if let Some(cron) = job.cron {
            schedules.push(Schedule::new(job.kind, cron, job.kind, "{}")?);
        }
    }
    let scheduler = Scheduler::new(&site.journal, schedules, limits);
    let tasks = TaskTracker::new();
    let running = [tasks.spawn(worker.run(stop.clone())), tasks.spawn(scheduler.run(stop.clone()))];
    tasks.close();
    Ok((tasks, running.map(|task| task.abort_handle())))
}

/// Removes what types no longer keep, and what repeats can no longer ask for. Doing it twice does nothing more, so all of it is `act`.
struct Maintain {
    site: Site,
    token_life_ms_max: Option<i64>,
}

impl Handler for Maintain {
    fn act<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async {
            for kind in self.site.registry.event_types() {
                let events = self.site.journal.prune(&kind.name, kind.retention).await?;
                if events > 0 {
                    tracing::info!(kind = %kind.name, events, "events were pruned");
                }
            }
            self.site.journal.forget_expired().await?;
            if let Some(life_ms) = self.token_life_ms_max {
                self.site.journal.forget_revocations(life_ms).await?;
            }
            Ok(String::new())
        })
    }

    fn settle<'a>(&'a self, _: &'a Job, _: &'a str, _: &'a mut Tx) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
