//! The worker's loop: woken by commits, bounded, and stopping gracefully.

use super::stand::{Stand, check, soon};
use crate::job::handler::Handlers;
use crate::{JobLimits, JobState, NewJob, Worker};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A worker that would find nothing by polling within a test's time.
fn woken_only() -> JobLimits {
    JobLimits { poll_ms: 3_600_000, sweep_ms: 3_600_000, ..JobLimits::default() }
}

fn start(stand: &Stand, handlers: Handlers, limits: JobLimits) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let worker = Worker::new(&stand.journal, "default", handlers, limits, Arc::new(|| 0.5));
    (stop.clone(), tokio::spawn(worker.run(stop)))
}

/// Until so many jobs are in a state.
async fn until(stand: &Stand, state: JobState, jobs: usize) {
    soon(async {
        while stand.jobs(state).await.len() != jobs {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_worker_is_woken_at_once_by_a_commit_of_its_process() {
    check(async |stand| {
        let permits = Arc::new(Semaphore::new(0));
        let (effect, mut begun) = stand.effect().waits_for(&permits);
        let (stop, worker) = start(stand, stand.handlers("mail", effect), woken_only());
        // Each next one is enqueued while the worker is anywhere between its look and its wait.
        for _ in 0..50 {
            stand.enqueue(vec![NewJob::new("mail", "")]).await;
            soon(begun.recv()).await.unwrap();
            permits.add_permits(1);
        }
        until(stand, JobState::Done, 50).await;
        stop.cancel();
        soon(worker).await.unwrap();
        assert_eq!(stand.effects().await.len(), 50);
    })
    .await;
}

#[tokio::test]
async fn a_dead_job_that_is_retried_wakes_the_worker() {
    check(async |stand| {
        let effect = stand.effect().fails(10, || crate::JobError::Dead("no such mailbox".into()));
        let (stop, worker) = start(stand, stand.handlers("mail", effect), woken_only());
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        // Several times, because the worker may happen to look by itself just then.
        for _ in 0..10 {
            until(stand, JobState::Dead, 1).await;
            assert!(stand.journal.retry_job(stand.jobs(JobState::Dead).await[0].id).await.unwrap());
        }
        until(stand, JobState::Done, 1).await;
        stop.cancel();
        soon(worker).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_worker_polls_for_the_jobs_of_other_processes() {
    check(async |stand| {
        let limits = JobLimits { poll_ms: 1, ..woken_only() };
        let (stop, worker) = start(stand, stand.writing(&["mail"]), limits);
        let other = Stand { journal: stand.second_node().await, ..Stand::on_sqlite().await };
        other.enqueue(vec![NewJob::new("mail", "")]).await;
        until(stand, JobState::Done, 1).await;
        stop.cancel();
        soon(worker).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_worker_runs_no_more_jobs_at_once_than_its_limit() {
    check(async |stand| {
        let permits = Arc::new(Semaphore::new(0));
        let (effect, mut begun) = stand.effect().waits_for(&permits);
        let limits = JobLimits { jobs_at_once_max: 3, claim_jobs_max: 2, ..woken_only() };
        let (stop, worker) = start(stand, stand.handlers("mail", effect), limits);
        stand.enqueue((0..5).map(|_| NewJob::new("mail", "")).collect()).await;
        for _ in 0..3 {
            soon(begun.recv()).await.unwrap();
        }
        // A wake-up at the limit claims nothing.
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!((stand.jobs(JobState::Running).await.len(), stand.jobs(JobState::Ready).await.len()), (3, 3));
        permits.add_permits(6);
        until(stand, JobState::Done, 6).await;
        stop.cancel();
        soon(worker).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_worker_leaves_the_jobs_of_other_queues_and_of_kinds_it_does_not_know() {
    check(async |stand| {
        let elsewhere = NewJob { queue: "mails".into(), ..NewJob::new("mail", "") };
        stand.enqueue(vec![NewJob::new("newer", ""), elsewhere, NewJob::new("mail", "")]).await;
        let (stop, worker) = start(stand, stand.writing(&["mail"]), woken_only());
        until(stand, JobState::Done, 1).await;
        stop.cancel();
        soon(worker).await.unwrap();
        assert_eq!(stand.kinds(JobState::Ready).await, ["newer", "mail"]);
    })
    .await;
}

#[tokio::test]
async fn a_stopping_worker_waits_for_its_running_jobs_and_claims_no_more() {
    check(async |stand| {
        let permits = Arc::new(Semaphore::new(0));
        let (effect, mut begun) = stand.effect().waits_for(&permits);
        let limits = JobLimits { jobs_at_once_max: 1, ..woken_only() };
        let (stop, worker) = start(stand, stand.handlers("mail", effect), limits);
        stand.enqueue(vec![NewJob::new("mail", ""), NewJob::new("mail", "")]).await;
        soon(begun.recv()).await.unwrap();
        stop.cancel();
        assert!(!worker.is_finished());
        permits.add_permits(2);
        soon(worker).await.unwrap();
        assert_eq!((stand.jobs(JobState::Done).await.len(), stand.jobs(JobState::Ready).await.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_finished_when_the_grace_ends_is_given_back_uncounted() {
    check(async |stand| {
        let (effect, mut begun) = stand.effect().waits_for(&Arc::new(Semaphore::new(0)));
        let limits = JobLimits { stop_grace_ms: 1, ..woken_only() };
        let (stop, worker) = start(stand, stand.handlers("mail", effect), limits);
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        soon(begun.recv()).await.unwrap();
        stop.cancel();
        soon(worker).await.unwrap();
        let job = stand.jobs(JobState::Ready).await.remove(0);
        assert_eq!((job.attempts, job.leased_by, job.lease_until_ms), (0, None, None));
    })
    .await;
}

#[tokio::test]
async fn a_worker_sweeps_out_what_has_finished_long_ago() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        crate::run_due(&stand.journal, &stand.writing(&["mail"])).await.unwrap();
        stand.clock.advance_ms(24 * 3_600_000 + 1);
        let (stop, worker) = start(stand, stand.writing(&["mail"]), woken_only());
        until(stand, JobState::Done, 0).await;
        stop.cancel();
        soon(worker).await.unwrap();
    })
    .await;
}
