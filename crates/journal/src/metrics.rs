//! What the store and the job workers of this process count; the server renders it.

use crate::histogram::{COUNT_BOUNDS, DURATION_BOUNDS_US, Histogram, HistogramReading, LONG_DURATION_BOUNDS_US};
use crate::job::Verdict;
use crate::journal::Journal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Everything that is counted where commits are made and jobs are run.
#[derive(Debug)]
pub struct JournalMetrics {
    /// Transactions that were committed with their groups.
    pub commits: AtomicU64,
    /// Groups whose commit failed for good.
    pub commits_failed: AtomicU64,
    /// Transactions that met another one and ran again.
    pub conflicts: AtomicU64,
    /// Events that this process committed.
    pub events_committed: AtomicU64,
    /// Requests by group.
    pub group_requests: Histogram,
    /// From BEGIN to the answer of COMMIT, in microseconds.
    pub commit_us: Histogram,
    jobs: Mutex<BTreeMap<String, JobMeasures>>,
}

/// One kind's attempts in this process.
#[derive(Debug)]
struct JobMeasures {
    by_verdict: [u64; Verdict::ALL.len()],
    took_us: Histogram,
}

/// One kind's attempts, as they are rendered.
#[derive(Clone, Debug)]
pub struct JobReading {
    /// The job's kind.
    pub kind: String,
    /// Attempts by what they came to.
    pub by_verdict: Vec<(Verdict, u64)>,
    /// How long the attempts took, in microseconds.
    pub took_us: HistogramReading,
}

/// What waits for the store, and who holds its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLoad {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Requests that wait for the writer.
    pub queue_requests: usize,
    /// Requests that may wait.
    pub queue_requests_max: usize,
    /// The writing and the reading connections.
    pub pools: [PoolLoad; 2],
}

/// One pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLoad {
    /// `write` or `read`.
    pub name: &'static str,
    /// Connections that somebody holds.
    pub in_use: usize,
    /// Open connections that nobody holds.
    pub idle: usize,
    /// How many there may be.
    pub connections_max: usize,
}

impl Default for JournalMetrics {
    fn default() -> Self {
        Self {
            commits: AtomicU64::new(0),
            commits_failed: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            events_committed: AtomicU64::new(0),
            group_requests: Histogram::new(COUNT_BOUNDS),
            commit_us: Histogram::new(DURATION_BOUNDS_US),
            jobs: Mutex::default(),
        }
    }
}

impl JournalMetrics {
    pub(crate) fn committed(&self, requests: usize, events: usize, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.events_committed.fetch_add(events as u64, Ordering::Relaxed);
        self.group_requests.record(requests as u64);
        self.commit_us.record_duration(took);
    }

    pub(crate) fn job_ran(&self, kind: &str, verdict: Verdict, took: Duration) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if !jobs.contains_key(kind) {
            let fresh = JobMeasures { by_verdict: Default::default(), took_us: Histogram::new(LONG_DURATION_BOUNDS_US) };
            jobs.insert(kind.to_owned(), fresh);
        }
        let measures = jobs.get_mut(kind).expect("it was put there just now");
        measures.by_verdict[verdict as usize] += 1;
        measures.took_us.record_duration(took);
    }

    /// The attempts of every kind of job that ran in this process.
    pub fn jobs(&self) -> Vec<JobReading> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = |(kind, measures): (&String, &JobMeasures)| JobReading {
            kind: kind.clone(),
            by_verdict: Verdict::ALL.iter().map(|verdict| (*verdict, measures.by_verdict[*verdict as usize])).collect(),
            took_us: measures.took_us.read(),
        };
        jobs.iter().map(reading).collect()
    }
}

impl Journal {
    /// What this process counts.
    pub fn metrics(&self) -> &JournalMetrics {
        &self.writer.metrics
    }

    /// What waits for the store now.
    pub fn load(&self) -> StoreLoad {
        let max = self.writer.limits.queue_requests_max;
        // Commands on PostgreSQL do not queue for the group lane; they hold places of their own.
        let alone = max - self.alone.available_permits().min(max);
        let queue_requests = self.queue.max_capacity() - self.queue.capacity() + alone;
        let (engine, pools) = self.writer.store.pools();
        StoreLoad { engine, queue_requests, queue_requests_max: max, pools }
    }
}
