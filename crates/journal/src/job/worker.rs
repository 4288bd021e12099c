//! The worker: claims due jobs of one queue, runs them side by side and stops gracefully.

use crate::job::backoff::Jitter;
use crate::job::handler::Handlers;
use crate::job::limits::JobLimits;
use crate::job::queue::Job;
use crate::job::run::{Ran, Runner};
use crate::journal::Journal;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Carries out the jobs of one queue. Any number of workers, on any number of nodes, may serve the same queue.
pub struct Worker {
    runner: Arc<Runner>,
    queue: String,
}

impl Worker {
    /// A worker that has not begun yet. Its name is new at each start: what an earlier process held is another's.
    pub fn new(journal: &Journal, queue: &str, handlers: Handlers, limits: JobLimits, jitter: Jitter) -> Self {
        let name = format!("{queue}-{:016x}", rand::random::<u64>());
        let runner = Runner { journal: journal.clone(), handlers, limits, jitter, name };
        Self { runner: Arc::new(runner), queue: queue.to_owned() }
    }

    /// Works until `stop` is cancelled; then waits for its running jobs, at most the grace, and gives the others back. A worker that
    /// is dropped instead leaves its jobs to their leases' end.
    pub async fn run(self, stop: CancellationToken) {
        let limits = &self.runner.limits;
        let mut running = JoinSet::new();
        let mut sweep = interval(Duration::from_millis(limits.sweep_ms.max(1)));
        while !stop.is_cancelled() {
            // Registered before looking: a commit between the look and the wait still wakes us.
            let enqueued = self.runner.journal.jobs_enqueued().notified();
            while running.try_join_next().is_some() {}
            let more = self.claim_into(&mut running).await;
            let has_room = running.len() < limits.jobs_at_once_max;
            if more && has_room {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = enqueued, if has_room => {}
                Some(_) = running.join_next() => {}
                () = sleep(Duration::from_millis(limits.poll_ms)) => {}
                _ = sweep.tick() => self.sweep().await,
            }
        }
        self.drain(running).await;
    }

    /// Claims as many jobs as there is room for; answers whether there may be more.
    async fn claim_into(&self, running: &mut JoinSet<Ran>) -> bool {
        let limits = &self.runner.limits;
        let jobs_max = limits.jobs_at_once_max.saturating_sub(running.len()).min(limits.claim_jobs_max);
        if jobs_max == 0 {
            return false;
        }
        let jobs = match self.runner.claim(&self.queue, jobs_max).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(queue = self.queue, error = %error, "jobs could not be claimed; trying again at the next poll");
                return false;
            }
        };
        let more = jobs.len() == jobs_max;
        for job in jobs {
            let runner = Arc::clone(&self.runner);
            running.spawn(async move { run_logged(&runner, job).await });
        }
        more
    }

    async fn sweep(&self) {
        if let Err(error) = self.runner.journal.sweep_jobs(&self.runner.limits).await {
            tracing::warn!(error = %error, "finished jobs could not be removed; trying again at the next sweep");
        }
    }

    async fn drain(&self, mut running: JoinSet<Ran>) {
        let grace = Duration::from_millis(self.runner.limits.stop_grace_ms);
        let finished = timeout(grace, async { while running.join_next().await.is_some() {} }).await.is_ok();
        if finished {
            return;
        }
        running.shutdown().await;
        match self.runner.release().await {
            Ok(jobs) => tracing::warn!(queue = self.queue, jobs, "the grace ended; unfinished jobs were given back"),
            Err(error) => {
                tracing::warn!(queue = self.queue, error = %error, "jobs could not be given back; their leases will end");
            }
        }
    }
}

async fn run_logged(runner: &Runner, job: Job) -> Ran {
    let begun = Instant::now();
    let ran = runner.run(job).await;
    let (took, journal) = (begun.elapsed(), &runner.journal);
    journal.metrics().job_ran(&ran.job.kind, ran.verdict, took);
    let elapsed_ms = took.as_millis();
    tracing::debug!(job = ran.job.id, kind = ran.job.kind, verdict = ?ran.verdict, elapsed_ms, "a job ran");
    ran
}
