//! One attempt at a job: act under the lease, then settle and mark it done in one commit, or tell why not.

use crate::error::JournalError;
use crate::job::backoff::{self, Jitter, millis};
use crate::job::handler::{Handler, Handlers, JobError};
use crate::job::lease::{self, Claim};
use crate::job::limits::JobLimits;
use crate::job::queue::{Job, JobState};
use crate::job::statement::{answer_of, change};
use crate::journal::Journal;
use crate::tx::{Tx, Unit, UnitError};
use campanile_wire::{ErrorCode, Refusal};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of an error's text is kept.
const ERROR_CHARS_MAX: usize = 2_000;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Settled and done, in one commit.
    Done,
    /// Failed; waits for its next attempt.
    Retried,
    /// Failed for good.
    Dead,
    /// The lease was lost, or the store could not be told: whoever holds or gets the lease goes on.
    Abandoned,
}

impl Verdict {
    /// Every verdict, in order.
    pub const ALL: [Self; 4] = [Self::Done, Self::Retried, Self::Dead, Self::Abandoned];

    /// As labels and logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Abandoned => "abandoned",
        }
    }
}

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The job, as it was claimed.
    pub job: Job,
    /// What the attempt came to.
    pub verdict: Verdict,
}

/// Claims jobs and carries them out, under one worker's name.
pub(crate) struct Runner {
    pub(crate) journal: Journal,
    pub(crate) handlers: Handlers,
    pub(crate) limits: JobLimits,
    pub(crate) jitter: Jitter,
    pub(crate) name: String,
}

/// Why an attempt did not succeed.
enum Failure {
    Error(JobError),
    LeaseLost,
}

impl Runner {
    /// Takes due jobs of a queue, at most `jobs_max`, the longest due first.
    pub(crate) async fn claim(&self, queue: &str, jobs_max: usize) -> Result<Vec<Job>, JournalError> {
        let kinds: Vec<String> = self.handlers.kinds().into_iter().map(str::to_owned).collect();
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let (queue, worker) = (queue.to_owned(), self.name.clone());
        let claim = Claim { queue, kinds, worker, jobs_max, lease_ms: millis(self.limits.lease_ms) };
        let answer = answer_of(&self.journal, claim).await?;
        serde_json::from_str(&answer).map_err(|error| JournalError::Statement(error.to_string()))
    }

    /// An attempt as a worker makes it: with heartbeats and a time limit.
    pub(crate) async fn run(&self, job: Job) -> Ran {
        let handler = self.handler(&job);
        let acted = tokio::select! {
            acted = act(&*handler, &job) => acted,
            () = self.keep_lease(&job) => Err(Failure::LeaseLost),
            () = tokio::time::sleep(Duration::from_millis(self.limits.act_ms_max)) => {
                Err(retry(format!("acting ran into its time limit of {} ms", self.limits.act_ms_max)))
            }
        };
        self.finish(handler, job, acted).await
    }

    /// An attempt without timers, for eager mode.
    pub(crate) async fn run_inline(&self, job: Job) -> Ran {
        let handler = self.handler(&job);
        let acted = act(&*handler, &job).await;
        self.finish(handler, job, acted).await
    }

    /// Extends the lease again and again; ends when it is lost.
    async fn keep_lease(&self, job: &Job) {
        let mut until_ms = job.lease_until_ms.unwrap_or(i64::MIN);
        loop {
            tokio::time::sleep(Duration::from_millis(self.limits.heartbeat_ms)).await;
            let next_ms = self.journal.clock().now_ms().saturating_add(millis(self.limits.lease_ms));
            match self.extend(job, next_ms).await {
                Ok(true) => until_ms = next_ms,
                Ok(false) => return,
                // Another worker may have the job by then; until then the store may come back.
                Err(_) if self.journal.clock().now_ms() >= until_ms => return,
                Err(error) => tracing::warn!(job = job.id, error = %error, "a lease could not be extended"),
            }
        }
    }

    /// Moves the lease; answers whether it is still ours.
    pub(crate) async fn extend(&self, job: &Job, until_ms: i64) -> Result<bool, JournalError> {
        let mut values = lease::held(job).to_vec();
        values.push(until_ms.into());
        Ok(change(&self.journal, lease::EXTEND, values).await? > 0)
    }

    async fn finish(&self, handler: Arc<dyn Handler>, job: Job, acted: Result<String, Failure>) -> Ran {
        let job = Arc::new(job);
        let settled = match acted {
            Ok(acted) => self.settle(handler, &job, acted).await,
            Err(failure) => Err(failure),
        };
        let verdict = match settled {
            Ok(()) => Verdict::Done,
            Err(Failure::LeaseLost) => {
                tracing::warn!(job = job.id, kind = job.kind, attempt = job.attempts, "a job's lease was lost");
                Verdict::Abandoned
            }
            Err(Failure::Error(error)) => self.fail(&job, &error).await,
        };
        Ran { job: Arc::unwrap_or_clone(job), verdict }
    }

    async fn settle(&self, handler: Arc<dyn Handler>, job: &Arc<Job>, acted: String) -> Result<(), Failure> {
        let failure = Arc::new(Mutex::new(None));
        let settle = Settle { handler, job: Arc::clone(job), acted, failure: Arc::clone(&failure) };
        match self.journal.run(Box::new(settle), None).await {
            Ok(_) => Ok(()),
            Err(UnitError::Store(error)) => Err(Failure::Error(error.into())),
            Err(UnitError::Refused(refusal)) => {
                let noted = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(noted.unwrap_or_else(|| retry(refusal.to_string())))
            }
        }
    }

    /// Notes a failed attempt. If its commit had happened after all (`commit_unknown`), the job is done and nothing changes.
    async fn fail(&self, job: &Job, error: &JobError) -> Verdict {
        let now_ms = self.journal.clock().now_ms();
        let last = matches!(error, JobError::Dead(_)) || job.attempts >= job.max_attempts;
        let text: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
        let (verdict, state, run_at_ms) = if last {
            tracing::error!(job = job.id, kind = job.kind, attempt = job.attempts, error = text, "a job is dead");
            (Verdict::Dead, JobState::Dead, job.run_at_ms)
        } else {
            tracing::warn!(job = job.id, kind = job.kind, attempt = job.attempts, error = text, "a job failed");
            let wait_ms = backoff::wait_ms(&self.limits, job.attempts, (self.jitter)());
            (Verdict::Retried, JobState::Ready, now_ms.saturating_add(wait_ms))
        };
        let mut values = lease::held(job).to_vec();
        values.extend([state.as_str().into(), run_at_ms.into(), last.then_some(now_ms).into(), text.into()]);
        match change(&self.journal, lease::FAIL, values).await {
            Ok(1..) => verdict,
            Ok(0) => Verdict::Abandoned,
            Err(error) => {
                tracing::error!(job = job.id, error = %error, "a failed attempt could not be noted; its lease will end");
                Verdict::Abandoned
            }
        }
    }

    /// Gives back all that this worker still holds.
    pub(crate) async fn release(&self) -> Result<u64, JournalError> {
        change(&self.journal, lease::RELEASE, vec![self.name.as_str().into()]).await
    }

    fn handler(&self, job: &Job) -> Arc<dyn Handler> {
        self.handlers.of(&job.kind).expect("only kinds that have a handler are claimed")
    }
}

/// A handler that panics has failed, no more. In `settle` the writer sees to that.
async fn act(handler: &dyn Handler, job: &Job) -> Result<String, Failure> {
    match AssertUnwindSafe(async { handler.act(job).await }).catch_unwind().await {
        Ok(acted) => acted.map_err(Failure::Error),
        Err(_) => Err(retry("the handler panicked while acting".into())),
    }
}

fn retry(text: String) -> Failure {
    Failure::Error(JobError::Retry(text))
}

/// The transaction that ends a job: first the mark, which locks the row against everybody else, then the handler's effects.
struct Settle {
    handler: Arc<dyn Handler>,
    job: Arc<Job>,
    acted: String,
    /// A refusal carries no more than a sentence; the reason comes back here.
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Unit for Settle {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let mut values = lease::held(&self.job).to_vec();
            values.push(tx.now_ms.into());
            if tx.execute(lease::DONE, &values).await? == 0 {
                return Err(self.refuse(Failure::LeaseLost));
            }
            match self.handler.settle(&self.job, &self.acted, tx).await {
                Ok(()) => Ok("null".into()),
                // The writer knows which of these to run again.
                Err(JobError::Store(error)) => Err(error.into()),
                Err(error) => Err(self.refuse(Failure::Error(error))),
            }
        })
    }
}

impl Settle {
    fn refuse(&self, failure: Failure) -> UnitError {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        Refusal::from(ErrorCode::InternalError).into()
    }
}
