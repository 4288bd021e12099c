//! Looking at jobs and lending a hand: lists, counts, retrying or dropping one, sweeping out what has finished.

use crate::db::{Row, Value};
use crate::error::JournalError;
use crate::job::backoff::millis;
use crate::job::limits::JobLimits;
use crate::job::queue::{Job, JobState, columns};
use crate::job::statement::change;
use crate::journal::Journal;

/// How many jobs stand where, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Waiting, whether due or not.
    pub ready: u64,
    /// With a worker.
    pub running: u64,
    /// Settled and not swept out yet.
    pub done: u64,
    /// Given up and not swept out yet.
    pub dead: u64,
    /// How long the oldest due job has been due, in milliseconds; 0 when none is.
    pub oldest_waiting_ms: u64,
}

/// How many jobs of a kind stand in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobsOfKind {
    /// The job's kind.
    pub kind: String,
    /// Where they stand.
    pub state: JobState,
    /// How many they are.
    pub jobs: u64,
}

/// Done jobs are left out: a day of them lies in the store, and nobody waits for them.
const COUNT_BY_KIND: &str = "SELECT kind, state, COUNT(*) AS jobs FROM job WHERE state IN ('ready', 'running', 'dead') GROUP BY kind, state \
     ORDER BY kind, state";

const LIST: &str = concat!("SELECT ", columns!(), " FROM job WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3");

const COUNT: &str = "SELECT state, COUNT(*) AS jobs FROM job GROUP BY state";

const OLDEST: &str = "SELECT MIN(run_at_ms) AS oldest_ms FROM job WHERE state = 'ready' AND run_at_ms <= $1";

const RETRY: &str = "UPDATE job SET state = 'ready', attempts = 0, run_at_ms = $2, finished_at_ms = NULL \
     WHERE id = $1 AND state = 'dead'";

const SWEEP: &str = "DELETE FROM job WHERE id IN \
     (SELECT id FROM job WHERE state = $1 AND finished_at_ms < $2 ORDER BY finished_at_ms, id LIMIT $3)";

impl Journal {
    /// The jobs in a state whose ids lie after `after`, at most `limit`, in the order of their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_jobs(&self, state: JobState, after: u64, limit: u64) -> Result<Vec<Job>, JournalError> {
        let values = [state.as_str().into(), after.into(), limit.into()];
        let rows = self.reader().await?.fetch(LIST, &values).await?;
        rows.iter().map(Job::from_row).collect()
    }

    /// How many jobs stand where.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_jobs(&self) -> Result<JobCounts, JournalError> {
        let mut reader = self.reader().await?;
        let mut counts = JobCounts::default();
        for row in reader.fetch(COUNT, &[]).await? {
            let jobs = row.count("jobs")?;
            match JobState::from_column(&row.text("state")?)? {
                JobState::Ready => counts.ready = jobs,
                JobState::Running => counts.running = jobs,
                JobState::Done => counts.done = jobs,
                JobState::Dead => counts.dead = jobs,
            }
        }
        drop(reader);
        counts.oldest_waiting_ms = self.oldest_due_job_ms().await?;
        Ok(counts)
    }

    /// How many jobs of each kind wait, run or are dead.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_jobs_by_kind(&self) -> Result<Vec<JobsOfKind>, JournalError> {
        let rows = self.reader().await?.fetch(COUNT_BY_KIND, &[]).await?;
        let of_row = |row: &Row| {
            let state = JobState::from_column(&row.text("state")?)?;
            Ok(JobsOfKind { kind: row.text("kind")?, state, jobs: row.count("jobs")? })
        };
        rows.iter().map(of_row).collect()
    }

    /// How long the oldest due job has been due, in milliseconds; 0 when none is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn oldest_due_job_ms(&self) -> Result<u64, JournalError> {
        let now_ms = self.clock().now_ms();
        let oldest = self.reader().await?.fetch(OLDEST, &[now_ms.into()]).await?;
        let oldest_ms = oldest.first().map(|row| row.int_or_null("oldest_ms")).transpose()?.flatten();
        Ok(oldest_ms.map_or(0, |oldest_ms| now_ms.abs_diff(oldest_ms)))
    }

    /// Gives a dead job all its attempts again, at once; answers whether there was such a dead job.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn retry_job(&self, id: u64) -> Result<bool, JournalError> {
        let retried = change(self, RETRY, vec![id.into(), self.clock().now_ms().into()]).await? > 0;
        if retried {
            self.jobs_enqueued().notify_waiters();
        }
        Ok(retried)
    }

    /// Removes a job that is not running; answers whether there was one. A running job ends first: its effects may be on their way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_job(&self, id: u64) -> Result<bool, JournalError> {
        Ok(change(self, "DELETE FROM job WHERE id = $1 AND state <> 'running'", vec![id.into()]).await? > 0)
    }

    /// Removes jobs that have been done or dead for longer than they are kept; answers how many. Workers do so by themselves.
    ///
    /// # Errors
    /// When the store fails; what was removed before stays removed.
    pub async fn sweep_jobs(&self, limits: &JobLimits) -> Result<u64, JournalError> {
        let done = self.sweep_state(JobState::Done, limits.done_kept_ms, limits.sweep_jobs_max).await?;
        Ok(done + self.sweep_state(JobState::Dead, limits.dead_kept_ms, limits.sweep_jobs_max).await?)
    }

    async fn sweep_state(&self, state: JobState, kept_ms: u64, jobs_max: u64) -> Result<u64, JournalError> {
        let before_ms = self.clock().now_ms().saturating_sub(millis(kept_ms));
        let mut swept = 0;
        loop {
            let values = vec![Value::from(state.as_str()), before_ms.into(), jobs_max.into()];
            let count = change(self, SWEEP, values).await?;
            swept += count;
            if count < jobs_max.max(1) {
                return Ok(swept);
            }
        }
    }
}
