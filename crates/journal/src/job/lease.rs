//! Leases: who runs a job, until when, and how it is given back.
//!
//! Invariant: every change to a running job names its worker and its attempt, so a worker that lost a job can change nothing of it.

use crate::db::{Conn, Value};
use crate::error::JournalError;
use crate::insert::{in_list, list_size};
use crate::job::queue::{Job, columns};
use crate::tx::{Tx, Unit, UnitError};
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// Ended leases that one claim frees.
const FREED_JOBS_MAX: i64 = 1_000;

/// Takes due jobs of a queue, at most `jobs_max`; answers them as JSON, the longest due first.
pub(crate) struct Claim {
    pub(crate) queue: String,
    /// Never empty.
    pub(crate) kinds: Vec<String>,
    pub(crate) worker: String,
    pub(crate) jobs_max: usize,
    pub(crate) lease_ms: i64,
}

/// Moves one job's lease; changes no row when the job is another's by now.
pub(crate) const EXTEND: &str =
    "UPDATE job SET lease_until_ms = $4 WHERE id = $1 AND state = 'running' AND leased_by = $2 AND attempts = $3";

/// Ends one job well.
pub(crate) const DONE: &str = "UPDATE job SET state = 'done', finished_at_ms = $4, lease_until_ms = NULL, leased_by = NULL \
     WHERE id = $1 AND state = 'running' AND leased_by = $2 AND attempts = $3";

/// Ends one attempt badly: `ready` at a later instant, or `dead`.
pub(crate) const FAIL: &str = "UPDATE job SET state = $4, run_at_ms = $5, finished_at_ms = $6, last_error = $7, \
     lease_until_ms = NULL, leased_by = NULL \
     WHERE id = $1 AND state = 'running' AND leased_by = $2 AND attempts = $3";

/// Gives back all that a stopping worker still holds. The attempt does not count: the job did nothing wrong.
pub(crate) const RELEASE: &str = "UPDATE job SET state = 'ready', attempts = attempts - 1, lease_until_ms = NULL, leased_by = NULL \
     WHERE state = 'running' AND leased_by = $1";

/// The first three parameters of each statement above that names one job.
pub(crate) fn held(job: &Job) -> [Value; 3] {
    [job.id.into(), Value::Text(job.leased_by.clone()), job.attempts.into()]
}

impl Unit for Claim {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let now_ms = tx.now_ms;
            free_ended(&mut tx.conn, now_ms).await?;
            let jobs = self.take(&mut tx.conn, now_ms).await?;
            serde_json::to_string(&jobs).map_err(|error| JournalError::Statement(error.to_string()).into())
        })
    }
}

impl Claim {
    async fn take(&self, conn: &mut Conn, now_ms: i64) -> Result<Vec<Job>, JournalError> {
        let kinds = list_size(self.kinds.len()).expect("handlers are at most as many as the longest list");
        let mut values = vec![
            Value::from(self.queue.as_str()),
            now_ms.into(),
            (self.jobs_max as u64).into(),
            now_ms.saturating_add(self.lease_ms).into(),
            self.worker.as_str().into(),
        ];
        let padded = self.kinds.iter().chain(std::iter::repeat(&self.kinds[0])).take(kinds);
        values.extend(padded.map(|kind| Value::from(kind.as_str())));
        // Materialized, because PostgreSQL may run a plain subquery with a LIMIT more than once and then take more than the limit.
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT id FROM job \
             WHERE state = 'ready' AND queue = $1 AND run_at_ms <= $2 AND kind IN ({}) ORDER BY run_at_ms, id LIMIT $3{}) \
             UPDATE job SET state = 'running', attempts = attempts + 1, lease_until_ms = $4, leased_by = $5 \
             WHERE id IN (SELECT id FROM due) RETURNING {}",
            in_list(6, kinds),
            conn.skip_locked(),
            columns!(),
        );
        let rows = conn.fetch(AssertSqlSafe(sql).into_sql_str(), &values).await?;
        let mut jobs = rows.iter().map(Job::from_row).collect::<Result<Vec<_>, _>>()?;
        // RETURNING keeps no order.
        jobs.sort_by_key(|job| (job.run_at_ms, job.id));
        Ok(jobs)
    }
}

/// Frees the jobs of workers that crashed or stalled. The attempt counts: a job that kills its process must not do so for ever.
async fn free_ended(conn: &mut Conn, now_ms: i64) -> Result<(), JournalError> {
    let sql = format!(
        "WITH ended AS MATERIALIZED (SELECT id FROM job WHERE state = 'running' AND lease_until_ms <= $1 \
         ORDER BY lease_until_ms LIMIT $2{}) \
         UPDATE job SET state = CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'ready' END, \
         finished_at_ms = CASE WHEN attempts >= max_attempts THEN $1 ELSE NULL END, \
         last_error = $3, lease_until_ms = NULL, leased_by = NULL WHERE id IN (SELECT id FROM ended)",
        conn.skip_locked(),
    );
    let values = [now_ms.into(), FREED_JOBS_MAX.into(), "the lease ended: its worker crashed or stalled".into()];
    let freed = conn.execute(AssertSqlSafe(sql).into_sql_str(), &values).await?;
    if freed > 0 {
        tracing::warn!(jobs = freed, "leases ended before their jobs did");
    }
    Ok(())
}
