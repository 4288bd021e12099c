//! Looking at jobs, lending a hand, and forgetting what has finished.

use super::stand::check;
use crate::{JobCounts, JobError, JobLimits, JobState, NewJob, run_due};

#[tokio::test]
async fn a_dead_job_can_be_retried_with_all_its_attempts() {
    check(async |stand| {
        let handlers = stand.handlers("mail", stand.effect().fails(1, || JobError::Dead("no such mailbox".into())));
        stand.enqueue(vec![NewJob::new("mail", "")]).await;
        let id = run_due(&stand.journal, &handlers).await.unwrap()[0].job.id;
        assert!(stand.journal.retry_job(id).await.unwrap());
        let job = stand.jobs(JobState::Ready).await.remove(0);
        assert_eq!((job.attempts, job.finished_at_ms, job.last_error.as_deref()), (0, None, Some("no such mailbox")));
        run_due(&stand.journal, &handlers).await.unwrap();
        assert_eq!(stand.effects().await, ["mail"]);
        assert!(!stand.journal.retry_job(id).await.unwrap(), "a job that is done is not retried");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_is_not_running_can_be_dropped() {
    check(async |stand| {
        stand.enqueue(vec![NewJob::new("mail", ""), NewJob::new("mail", "")]).await;
        let running = stand.runner("a", stand.writing(&["mail"])).claim("default", 1).await.unwrap()[0].id;
        let ready = stand.jobs(JobState::Ready).await[0].id;
        assert!(!stand.journal.drop_job(running).await.unwrap());
        assert!(stand.journal.drop_job(ready).await.unwrap());
        assert!(!stand.journal.drop_job(ready).await.unwrap());
        assert_eq!(stand.jobs(JobState::Running).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn jobs_are_listed_by_state_in_pages() {
    check(async |stand| {
        stand.enqueue((0..5).map(|place| NewJob::new("mail", format!("{place}"))).collect()).await;
        stand.runner("a", stand.writing(&["mail"])).claim("default", 1).await.unwrap();
        let page = stand.journal.list_jobs(JobState::Ready, 0, 3).await.unwrap();
        assert_eq!(page.iter().map(|job| job.payload.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
        let rest = stand.journal.list_jobs(JobState::Ready, page[2].id, 3).await.unwrap();
        assert_eq!(rest.iter().map(|job| job.payload.as_str()).collect::<Vec<_>>(), ["4"]);
    })
    .await;
}

#[tokio::test]
async fn jobs_are_counted_by_state_with_the_age_of_the_oldest_that_waits() {
    check(async |stand| {
        assert_eq!(stand.journal.count_jobs().await.unwrap(), JobCounts::default());
        let later = NewJob { run_at_ms: Some(stand.now_ms() + 60_000), ..NewJob::new("ok", "") };
        stand.enqueue(vec![NewJob::new("ok", ""), NewJob::new("bad", ""), NewJob::new("ok", ""), later]).await;
        let worker =
            stand.runner("a", stand.writing(&["ok"]).with("bad", stand.effect().fails(1, || JobError::Dead("x".into()))));
        for job in worker.claim("default", 2).await.unwrap() {
            worker.run(job).await;
        }
        let by_kind = stand.journal.count_jobs_by_kind().await.unwrap();
        let spelled: Vec<String> = by_kind.iter().map(|of| format!("{} {} {}", of.kind, of.state.as_str(), of.jobs)).collect();
        assert_eq!(spelled, ["bad dead 1", "ok ready 2"], "done ones are left out");
        stand.clock.advance_ms(1_500);
        let counts = JobCounts { ready: 2, running: 0, done: 1, dead: 1, oldest_waiting_ms: 1_500 };
        assert_eq!(stand.journal.count_jobs().await.unwrap(), counts);
        worker.claim("default", 2).await.unwrap();
        let counts = JobCounts { ready: 1, running: 1, oldest_waiting_ms: 0, ..counts };
        assert_eq!(stand.journal.count_jobs().await.unwrap(), counts);
    })
    .await;
}

#[tokio::test]
async fn finished_jobs_are_removed_after_the_time_they_are_kept() {
    check(async |stand| {
        let handlers = stand.writing(&["ok"]).with("bad", stand.effect().fails(9, || JobError::Dead("x".into())));
        stand.enqueue((0..5).map(|_| NewJob::new("ok", "")).chain([NewJob::new("bad", "")]).collect()).await;
        run_due(&stand.journal, &handlers).await.unwrap();
        stand.enqueue(vec![NewJob::new("ok", "")]).await;
        let limits = JobLimits { done_kept_ms: 1_000, dead_kept_ms: 2_000, sweep_jobs_max: 2, ..JobLimits::default() };
        for (advance_ms, swept) in [(1_000, 0), (1, 5), (999, 0), (1, 1), (1_000_000, 0)] {
            stand.clock.advance_ms(advance_ms);
            assert_eq!(stand.journal.sweep_jobs(&limits).await.unwrap(), swept, "after {advance_ms} ms more");
        }
        assert_eq!(stand.jobs(JobState::Ready).await.len(), 1);
    })
    .await;
}
