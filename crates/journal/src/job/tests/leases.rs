//! Leases: a job is run by one worker at a time, a crash frees it, and its effects happen once.

use super::stand::{check, runner, soon};
use crate::job::statement::change;
use crate::{JobLimits, JobState, NewJob, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const LEASE_MS: i64 = 60_000;

#[tokio::test]
async fn a_claim_takes_the_longest_due_first_and_none_before_its_instant() {
    check(async |stand| {
        let now_ms = stand.now_ms();
        let due =
            [now_ms + 1, now_ms, now_ms - 2, now_ms - 1].map(|at| NewJob { run_at_ms: Some(at), ..NewJob::new("mail", "") });
        stand.enqueue(due.to_vec()).await;
        let jobs = stand.runner("a", stand.writing(&["mail"])).claim("default", 4).await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.run_at_ms - now_ms).collect::<Vec<_>>(), [-2, -1, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_crashed_workers_lease_frees_the_job_and_its_effects_happen_once() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let (crashed, second) = (stand.runner("a", stand.writing(&["mail"])), stand.runner("b", stand.writing(&["mail"])));
        assert_eq!(crashed.claim("default", 1).await.unwrap().len(), 1);
        stand.clock.advance_ms(LEASE_MS - 1);
        assert_eq!(second.claim("default", 1).await.unwrap(), []);
        stand.clock.advance_ms(1);
        let job = second.claim("default", 1).await.unwrap().remove(0);
        assert_eq!(job.attempts, 2);
        assert_eq!(second.run(job).await.verdict, Verdict::Done);
        assert_eq!(stand.effects().await, ["mail"]);
        assert_eq!(second.claim("default", 1).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_lost_its_lease_cannot_settle() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let (slow, second) = (stand.runner("a", stand.writing(&["mail"])), stand.runner("b", stand.writing(&["mail"])));
        let slow_job = slow.claim("default", 1).await.unwrap().remove(0);
        stand.clock.advance_ms(LEASE_MS);
        let second_job = second.claim("default", 1).await.unwrap().remove(0);
        assert_eq!(slow.run_inline(slow_job.clone()).await.verdict, Verdict::Abandoned);
        assert_eq!(stand.effects().await, [""; 0]);
        assert_eq!(second.run_inline(second_job).await.verdict, Verdict::Done);
        assert_eq!(slow.run_inline(slow_job).await.verdict, Verdict::Abandoned);
        assert_eq!(stand.effects().await, ["mail"]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_took_its_own_job_again_settles_only_the_later_attempt() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let worker = stand.runner("a", stand.writing(&["mail"]));
        let first = worker.claim("default", 1).await.unwrap().remove(0);
        stand.clock.advance_ms(LEASE_MS);
        let second = worker.claim("default", 1).await.unwrap().remove(0);
        assert_eq!(worker.run_inline(first).await.verdict, Verdict::Abandoned);
        assert_eq!(worker.run_inline(second).await.verdict, Verdict::Done);
        assert_eq!(stand.effects().await, ["mail"]);
    })
    .await;
}

#[tokio::test]
async fn a_failure_of_a_worker_that_lost_the_job_changes_nothing() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let slow = stand.runner("a", stand.handlers("mail", stand.effect().panics_in_act()));
        let second = stand.runner("b", stand.writing(&["mail"]));
        let job = slow.claim("default", 1).await.unwrap().remove(0);
        stand.clock.advance_ms(LEASE_MS);
        second.claim("default", 1).await.unwrap();
        assert_eq!(slow.run_inline(job).await.verdict, Verdict::Abandoned);
        let running = stand.jobs(JobState::Running).await.remove(0);
        assert_eq!(running.leased_by.as_deref(), Some("b"));
    })
    .await;
}

#[tokio::test]
async fn a_job_that_crashes_its_worker_each_time_is_dead_after_its_last_attempt() {
    check(async |stand| {
        stand.enqueue(vec![NewJob { max_attempts: 2, ..NewJob::new("mail", "") }]).await;
        let worker = stand.runner("a", stand.writing(&["mail"]));
        for _ in 0..2 {
            assert_eq!(worker.claim("default", 1).await.unwrap().len(), 1);
            stand.clock.advance_ms(LEASE_MS);
        }
        assert_eq!(worker.claim("default", 1).await.unwrap(), []);
        let dead = stand.jobs(JobState::Dead).await.remove(0);
        assert_eq!(dead.last_error.as_deref(), Some("the lease ended: its worker crashed or stalled"));
        assert_eq!(dead.finished_at_ms, Some(stand.now_ms()));
    })
    .await;
}

#[tokio::test]
async fn an_extended_lease_holds_and_a_lost_one_cannot_be_extended() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let (first, second) = (stand.runner("a", stand.writing(&["mail"])), stand.runner("b", stand.writing(&["mail"])));
        let job = first.claim("default", 1).await.unwrap().remove(0);
        stand.clock.advance_ms(LEASE_MS - 1);
        assert!(first.extend(&job, stand.now_ms() + LEASE_MS).await.unwrap());
        stand.clock.advance_ms(LEASE_MS - 1);
        assert_eq!(second.claim("default", 1).await.unwrap(), []);
        stand.clock.advance_ms(1);
        assert_eq!(second.claim("default", 1).await.unwrap().len(), 1);
        assert!(!first.extend(&job, stand.now_ms() + LEASE_MS).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_extends_the_lease_and_stops_the_act_when_it_is_lost() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let never = Arc::new(Semaphore::new(0));
        let (effect, mut begun) = stand.effect().waits_for(&never);
        let limits = JobLimits { heartbeat_ms: 1, ..JobLimits::default() };
        let slow = runner(&stand.journal, "a", stand.handlers("mail", effect), limits);
        let job = slow.claim("default", 1).await.unwrap().remove(0);
        let slow = tokio::spawn(async move { slow.run(job).await.verdict });
        soon(begun.recv()).await.unwrap();
        stand.clock.advance_ms(LEASE_MS / 2);
        let until_ms = stand.now_ms() + LEASE_MS;
        soon(async {
            while stand.jobs(JobState::Running).await[0].lease_until_ms != Some(until_ms) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Whoever runs it now, it is not this worker.
        let id = stand.jobs(JobState::Running).await[0].id;
        let sql = "UPDATE job SET leased_by = 'b' WHERE id = $1";
        change(&stand.journal, sql, vec![id.into()]).await.unwrap();
        assert_eq!(soon(slow).await.unwrap(), Verdict::Abandoned);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_cannot_reach_the_store_stops_the_act_when_its_lease_has_ended() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let (effect, mut begun) = stand.effect().waits_for(&Arc::new(Semaphore::new(0)));
        let limits = JobLimits { heartbeat_ms: 1, ..JobLimits::default() };
        let cut_off = runner(&stand.journal, "a", stand.handlers("mail", effect), limits);
        let job = cut_off.claim("default", 1).await.unwrap().remove(0);
        let cut_off = tokio::spawn(async move { cut_off.run(job).await.verdict });
        soon(begun.recv()).await.unwrap();
        // From now on every statement of a heartbeat fails.
        change(&stand.journal, "ALTER TABLE job RENAME TO unreachable", vec![]).await.unwrap();
        assert!(!cut_off.is_finished());
        stand.clock.advance_ms(LEASE_MS);
        assert_eq!(soon(cut_off).await.unwrap(), Verdict::Abandoned);
    })
    .await;
}

#[tokio::test]
async fn an_act_over_its_time_limit_is_a_failed_attempt() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let (effect, _begun) = stand.effect().waits_for(&Arc::new(Semaphore::new(0)));
        let limits = JobLimits { act_ms_max: 1, ..JobLimits::default() };
        let worker = runner(&stand.journal, "a", stand.handlers("mail", effect), limits);
        let job = worker.claim("default", 1).await.unwrap().remove(0);
        assert_eq!(soon(worker.run(job)).await.verdict, Verdict::Retried);
        let error = stand.jobs(JobState::Ready).await.remove(0).last_error;
        assert_eq!(error.as_deref(), Some("acting ran into its time limit of 1 ms"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_run_one_job_at_once() {
    check(async |stand| {
        const JOBS: usize = 200;
        stand.enqueue((0..JOBS).map(|_| NewJob::new("mail", "")).collect()).await;
        let nodes = [stand.journal.clone(), stand.second_node().await];
        let mut workers = JoinSet::new();
        for place in 0..8 {
            let worker = runner(&nodes[place % 2], &format!("{place}"), stand.writing(&["mail"]), JobLimits::default());
            workers.spawn(async move {
                let (mut taken, mut ended) = (Vec::new(), Vec::new());
                loop {
                    let jobs = worker.claim("default", 7).await.unwrap();
                    assert!(jobs.len() <= 7, "{} jobs in a claim of 7", jobs.len());
                    if jobs.is_empty() {
                        return (taken, ended);
                    }
                    for job in jobs {
                        taken.push(job.id);
                        ended.push(worker.run_inline(job).await.verdict);
                    }
                }
            });
        }
        let (mut taken, mut ended) = (Vec::new(), Vec::new());
        while let Some(worker) = workers.join_next().await {
            let (ids, verdicts) = worker.unwrap();
            taken.extend(ids);
            ended.extend(verdicts);
        }
        // On PostgreSQL a claim passes over rows that another one holds, so all workers may leave with jobs left over.
        let rest = stand.jobs(JobState::Ready).await.len();
        assert_eq!(taken.len() + rest, JOBS);
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len(), "a job was claimed twice");
        assert!(ended.iter().all(|verdict| *verdict == Verdict::Done));
        assert_eq!(stand.effects().await.len(), taken.len());
    })
    .await;
}
