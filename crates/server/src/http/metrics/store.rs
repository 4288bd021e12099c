//! The log, its writer and the job queue.

use super::text::{Family, Text, US};
use crate::app::App;
use crate::measures::Glance;
use std::sync::atomic::Ordering;

static POSITION: Family = Family::gauge("campanile_log_position", &[], "The id up to which this node has applied the log.");
static HEAD: Family = Family::gauge("campanile_log_head", &[], "The newest id in the store, at most 5 s old.");
static LAG_EVENTS: Family =
    Family::gauge("campanile_follower_lag_events", &[], "Events in the store that this node had not applied.");
static LAG_SECONDS: Family =
    Family::gauge("campanile_follower_lag_seconds", &[], "How long the oldest event not applied had been in the log.");
static COMMITS: Family = Family::counter("campanile_commits_total", &[], "Groups committed and flushed.");
static COMMITS_FAILED: Family = Family::counter("campanile_commits_failed_total", &[], "Groups whose commit failed for good.");
static CONFLICTS: Family =
    Family::counter("campanile_commit_conflicts_total", &[], "Transactions that met another one and ran again.");
static EVENTS: Family = Family::counter("campanile_events_committed_total", &[], "Events that this process committed.");
static GROUP_REQUESTS: Family = Family::histogram("campanile_commit_group_requests", &[], "Requests by committed group.");
static COMMIT: Family =
    Family::histogram("campanile_commit_duration_seconds", &[], "From BEGIN to the answer of COMMIT, flush included.");
static QUEUE: Family = Family::gauge("campanile_writer_queue_requests", &[], "Requests that wait for the writer.");
static QUEUE_MAX: Family =
    Family::gauge("campanile_writer_queue_requests_max", &[], "Requests that may wait; one more is refused as server_busy.");
static POOL: Family =
    Family::gauge("campanile_store_connections", &["pool", "state"], "Open connections to the store: in_use or idle.");
static POOL_MAX: Family =
    Family::gauge("campanile_store_connections_max", &["pool"], "Connections to the store that may be open.");
static JOBS: Family =
    Family::gauge("campanile_jobs", &["kind", "state"], "Jobs that are ready, running or dead in the store, at most 5 s old.");
static OLDEST_JOB: Family =
    Family::gauge("campanile_jobs_oldest_due_seconds", &[], "How long the oldest due job has waited; 0 when none is due.");
static ATTEMPTS: Family = Family::counter(
    "campanile_job_attempts_total",
    &["kind", "outcome"],
    "Attempts at jobs in this process: done, retried, dead or abandoned.",
);
static ATTEMPT: Family =
    Family::histogram("campanile_job_attempt_duration_seconds", &["kind"], "How long attempts at jobs took in this process.");
static GLANCES_FAILED: Family = Family::counter(
    "campanile_store_glances_failed_total",
    &[],
    "Looks at the store for these metrics that it did not answer.",
);

pub(super) fn write(text: &mut Text, app: &App, glance: Option<&Glance>) {
    text.one(&POSITION, app.node.position());
    text.one(&GLANCES_FAILED, app.measures.glances_failed.load(Ordering::Relaxed));
    // A store that does not answer leaves these out: an old number would look like a fresh one.
    if let Some(glance) = glance {
        text.one(&HEAD, glance.head.id);
        text.one(&LAG_EVENTS, glance.behind_events);
        text.one(&LAG_SECONDS, glance.behind_ms as f64 / 1e3);
        text.begin(&JOBS);
        glance.jobs.iter().for_each(|jobs| text.sample(&[&jobs.kind, jobs.state.as_str()], jobs.jobs));
        text.one(&OLDEST_JOB, glance.oldest_due_job_ms as f64 / 1e3);
    }
    write_writer(text, app);
    let jobs = app.site.journal.metrics().jobs();
    text.begin(&ATTEMPTS);
    for job in &jobs {
        job.by_verdict.iter().for_each(|(verdict, count)| text.sample(&[&job.kind, verdict.as_str()], count));
    }
    text.begin(&ATTEMPT);
    jobs.iter().for_each(|job| text.histogram(&[&job.kind], &job.took_us, US));
}

fn write_writer(text: &mut Text, app: &App) {
    let metrics = app.site.journal.metrics();
    text.one(&COMMITS, metrics.commits.load(Ordering::Relaxed));
    text.one(&COMMITS_FAILED, metrics.commits_failed.load(Ordering::Relaxed));
    text.one(&CONFLICTS, metrics.conflicts.load(Ordering::Relaxed));
    text.one(&EVENTS, metrics.events_committed.load(Ordering::Relaxed));
    text.begin(&GROUP_REQUESTS);
    text.histogram(&[], &metrics.group_requests.read(), 1.0);
    text.begin(&COMMIT);
    text.histogram(&[], &metrics.commit_us.read(), US);
    let load = app.site.journal.load();
    text.one(&QUEUE, load.queue_requests);
    text.one(&QUEUE_MAX, load.queue_requests_max);
    text.begin(&POOL);
    for pool in &load.pools {
        text.sample(&[pool.name, "in_use"], pool.in_use);
        text.sample(&[pool.name, "idle"], pool.idle);
    }
    text.begin(&POOL_MAX);
    load.pools.iter().for_each(|pool| text.sample(&[pool.name], pool.connections_max));
}
