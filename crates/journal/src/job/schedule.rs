//! Schedules: a job at each tick of a cron line, once for a whole cluster.
//!
//! Invariant: a tick is enqueued in the commit that raises the schedule's row past it, so no other node and no restart repeats it.

use crate::db::Value;
use crate::error::JournalError;
use crate::job::backoff::millis;
use crate::job::limits::JobLimits;
use crate::job::queue::NewJob;
use crate::job::statement::answer_of;
use crate::journal::Journal;
use crate::tx::{Tx, Unit, UnitError};
use chrono::{DateTime, Utc};
use croner::Cron;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A job that comes by the clock. Times are UTC.
#[derive(Clone, Debug)]
pub struct Schedule {
    name: String,
    cron: Cron,
    job: NewJob,
}

/// A cron line that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the schedule {name} has the cron line `{cron}`: {reason}")]
pub struct ScheduleError {
    name: String,
    cron: String,
    reason: String,
}

/// Enqueues what is due by the clock. Every node runs one.
pub struct Scheduler {
    journal: Journal,
    schedules: Vec<Schedule>,
    limits: JobLimits,
}

impl Schedule {
    /// A schedule whose every tick enqueues a job of this kind and payload. `name` is unique and stays: the store remembers its last
    /// tick. `cron` has five fields, or six with seconds first (POSIX, with the extensions of croner).
    ///
    /// # Errors
    /// When the cron line cannot be read or no instant ever matches it.
    pub fn new(name: &str, cron: &str, kind: &str, payload: &str) -> Result<Self, ScheduleError> {
        let refused = |reason: String| ScheduleError { name: name.to_owned(), cron: cron.to_owned(), reason };
        let parsed: Cron = cron.parse().map_err(|error: croner::errors::CronError| refused(error.to_string()))?;
        parsed
            .find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true)
            .map_err(|error| refused(format!("no instant matches it ({error})")))?;
        Ok(Self { name: name.to_owned(), cron: parsed, job: NewJob::new(kind, payload) })
    }

    /// The same schedule for the workers of another queue.
    #[must_use]
    pub fn on_queue(mut self, queue: &str) -> Self {
        queue.clone_into(&mut self.job.queue);
        self
    }

    /// The newest tick up to and with this instant, both in unix milliseconds.
    fn latest_tick_ms(&self, now_ms: i64) -> Option<i64> {
        let now = DateTime::from_timestamp(now_ms.div_euclid(1_000), 0)?;
        self.cron.find_previous_occurrence(&now, true).ok().map(|tick: DateTime<Utc>| tick.timestamp_millis())
    }

    /// The first tick after this instant, both in unix milliseconds.
    fn next_tick_ms(&self, now_ms: i64) -> Option<i64> {
        let now = DateTime::from_timestamp(now_ms.div_euclid(1_000), 0)?;
        self.cron.find_next_occurrence(&now, false).ok().map(|tick: DateTime<Utc>| tick.timestamp_millis())
    }
}

impl Scheduler {
    /// A scheduler that has not begun yet.
    ///
    /// # Panics
    /// When two schedules have one name.
    pub fn new(journal: &Journal, schedules: Vec<Schedule>, limits: JobLimits) -> Self {
        for (place, schedule) in schedules.iter().enumerate() {
            let twice = schedules[..place].iter().any(|earlier| earlier.name == schedule.name);
            assert!(!twice, "two schedules are called {}", schedule.name);
        }
        Self { journal: journal.clone(), schedules, limits }
    }

    /// Enqueues the latest tick of each schedule, unless it has been; answers how many this call enqueued. Ticks missed before the
    /// latest one stay missed, and a schedule that the store does not know yet begins with its next tick.
    ///
    /// # Errors
    /// When the store fails; the next call finds what this one left.
    pub async fn tick(&self) -> Result<u64, JournalError> {
        let known = self.known_ticks().await?;
        let mut enqueued = 0;
        for schedule in &self.schedules {
            // Before its first tick a schedule is noted all the same, so that the first one is its next.
            let tick_ms = schedule.latest_tick_ms(self.journal.clock().now_ms()).unwrap_or(0);
            if known.get(&schedule.name).is_some_and(|&known_ms| known_ms >= tick_ms) {
                continue;
            }
            let answer = answer_of(&self.journal, Tick { schedule: schedule.clone(), tick_ms }).await?;
            enqueued += u64::from(answer == "true");
        }
        Ok(enqueued)
    }

    async fn known_ticks(&self) -> Result<HashMap<String, i64>, JournalError> {
        let rows = self.journal.reader().await?.fetch("SELECT name, tick_ms FROM schedule", &[]).await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.int("tick_ms")?))).collect()
    }

    /// Enqueues each tick when it comes, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tick().await {
                tracing::warn!(error = %error, "ticks could not be enqueued; trying again at the next one");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(Duration::from_millis(self.wait_ms())) => {}
            }
        }
    }

    fn wait_ms(&self) -> u64 {
        let now_ms = self.journal.clock().now_ms();
        let next_ms = self.schedules.iter().filter_map(|schedule| schedule.next_tick_ms(now_ms)).min();
        let wait_ms = next_ms.map_or(i64::MAX, |next_ms| next_ms - now_ms);
        wait_ms.clamp(1, millis(self.limits.schedule_poll_ms_max).max(1)).unsigned_abs()
    }
}

struct Tick {
    schedule: Schedule,
    tick_ms: i64,
}

const BEGIN: &str = "INSERT INTO schedule (name, tick_ms) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

const RAISE: &str = "UPDATE schedule SET tick_ms = $2 WHERE name = $1 AND tick_ms < $2";

impl Unit for Tick {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let values = [Value::from(self.schedule.name.as_str()), self.tick_ms.into()];
            tx.execute(BEGIN, &values).await?;
            if tx.execute(RAISE, &values).await? == 0 {
                return Ok("false".into());
            }
            let unique_key = format!("{}@{}", self.schedule.name, self.tick_ms);
            let enqueued = tx.enqueue(NewJob { unique_key: Some(unique_key), ..self.schedule.job.clone() }).await?;
            Ok(enqueued.is_some().to_string())
        })
    }
}
