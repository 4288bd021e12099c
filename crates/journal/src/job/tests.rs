//! What the job queue promises, one sentence a test, on SQLite and on a real PostgreSQL.

mod keeping;
mod leases;
mod schedules;
mod stand;
mod working;

use crate::job::backoff::wait_ms;
use crate::job::tests::stand::{Effect, Stand, check};
use crate::{JobError, JobLimits, JobState, NewJob, Verdict, run_due};

#[tokio::test]
async fn a_job_exists_exactly_when_its_command_is_committed() {
    check(async |stand| {
        assert!(stand.command(vec![NewJob::new("refused", "")], true).await.is_err());
        assert_eq!(stand.kinds(JobState::Ready).await, [""; 0]);
        stand.command(vec![NewJob::new("accepted", "")], false).await.unwrap();
        assert_eq!(stand.kinds(JobState::Ready).await, ["accepted"]);
    })
    .await;
}

#[tokio::test]
async fn a_unique_key_is_taken_until_its_job_is_removed() {
    check(async |stand| {
        let job = || NewJob { unique_key: Some("welcome:17".into()), ..NewJob::new("mail", "") };
        stand.enqueue(vec![job(), job()]).await;
        stand.enqueue(vec![job()]).await;
        assert_eq!(stand.kinds(JobState::Ready).await, ["mail"]);
        let id = stand.jobs(JobState::Ready).await[0].id;
        assert!(stand.journal.drop_job(id).await.unwrap());
        stand.enqueue(vec![job()]).await;
        assert_eq!(stand.kinds(JobState::Ready).await, ["mail"]);
    })
    .await;
}

#[tokio::test]
async fn jobs_run_the_longest_due_first_and_none_before_its_instant() {
    check(async |stand| {
        let at = |kind: &str, run_at_ms| NewJob { run_at_ms: Some(run_at_ms), ..NewJob::new(kind, "") };
        let now_ms = stand.now_ms();
        stand.enqueue(vec![at("late", now_ms + 1), at("second", now_ms), at("first", now_ms - 1)]).await;
        let handlers = stand.writing(&["late", "second", "first"]);
        run_due(&stand.journal, &handlers).await.unwrap();
        assert_eq!(stand.effects().await, ["first", "second"]);
        stand.clock.advance_ms(1);
        run_due(&stand.journal, &handlers).await.unwrap();
        assert_eq!(stand.effects().await, ["first", "second", "late"]);
    })
    .await;
}

#[tokio::test]
async fn eager_mode_also_runs_the_jobs_that_jobs_enqueue_of_every_queue() {
    check(async |stand| {
        let next = NewJob { queue: "mails".into(), ..NewJob::new("child", "") };
        let handlers = stand.writing(&["child"]).with("parent", stand.effect().enqueues(next));
        stand.enqueue(vec![NewJob::new("parent", "")]).await;
        let ran = run_due(&stand.journal, &handlers).await.unwrap();
        assert_eq!(ran.iter().map(|ran| ran.verdict).collect::<Vec<_>>(), [Verdict::Done; 2]);
        assert_eq!(stand.effects().await, ["parent", "child"]);
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "a job of the kind unknown is due, and eager mode was given no handler for it")]
async fn eager_mode_names_the_kind_that_has_no_handler() {
    let stand = Stand::on_sqlite().await;
    stand.enqueue(vec![NewJob::new("unknown", "")]).await;
    let _ = run_due(&stand.journal, &stand.writing(&[])).await;
}

#[test]
fn retries_wait_exponentially_longer_with_jitter() {
    let limits = JobLimits { retry_base_ms: 1_000, retry_factor: 3, retry_ms_max: 20_000, ..JobLimits::default() };
    let waits = |fraction| [1, 2, 3, 4, 1_000].map(|attempts| wait_ms(&limits, attempts, fraction));
    assert_eq!(waits(1.0), [1_000, 3_000, 9_000, 20_000, 20_000]);
    assert_eq!(waits(0.5), [750, 2_250, 6_750, 15_000, 15_000]);
    assert_eq!(waits(0.0), [500, 1_500, 4_500, 10_000, 10_000]);
}

#[tokio::test]
async fn a_failed_job_runs_again_when_its_wait_has_passed_and_not_before() {
    check(async |stand| {
        let handlers = stand.handlers("flaky", stand.effect().fails(2, || JobError::Retry("not yet".into())));
        stand.enqueue(vec![NewJob::new("flaky", "")]).await;
        for wait_ms in [1_000, 2_000] {
            assert_eq!(run_due(&stand.journal, &handlers).await.unwrap()[0].verdict, Verdict::Retried);
            stand.clock.advance_ms(wait_ms - 1);
            assert_eq!(run_due(&stand.journal, &handlers).await.unwrap(), []);
            stand.clock.advance_ms(1);
        }
        assert_eq!(run_due(&stand.journal, &handlers).await.unwrap()[0].verdict, Verdict::Done);
        assert_eq!(stand.effects().await, ["flaky"]);
    })
    .await;
}

#[tokio::test]
async fn the_wait_is_spread_by_the_jitter_that_was_passed_in() {
    check(async |stand| {
        let handlers = stand.handlers("flaky", stand.effect().fails(1, || JobError::Retry("not yet".into())));
        stand.enqueue(vec![NewJob::new("flaky", "")]).await;
        let runner = stand.runner("a", handlers);
        let job = runner.claim("default", 1).await.unwrap().remove(0);
        runner.run(job).await;
        assert_eq!(stand.jobs(JobState::Ready).await[0].run_at_ms, stand.now_ms() + 750);
    })
    .await;
}

#[tokio::test]
async fn a_failing_job_is_dead_after_its_last_attempt_with_its_error_kept() {
    check(async |stand| {
        let handlers = stand.handlers("broken", stand.effect().fails(9, || JobError::Retry("no such mailbox".into())));
        stand.enqueue(vec![NewJob { max_attempts: 2, ..NewJob::new("broken", "") }]).await;
        run_due(&stand.journal, &handlers).await.unwrap();
        stand.clock.advance_ms(3_600_000);
        assert_eq!(run_due(&stand.journal, &handlers).await.unwrap()[0].verdict, Verdict::Dead);
        let dead = stand.jobs(JobState::Dead).await.remove(0);
        assert_eq!((dead.attempts, dead.last_error.as_deref()), (2, Some("no such mailbox")));
        assert_eq!(dead.finished_at_ms, Some(stand.now_ms()));
        stand.clock.advance_ms(3_600_000);
        assert_eq!(run_due(&stand.journal, &handlers).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_cannot_succeed_is_dead_at_once() {
    check(async |stand| {
        let handlers = stand.handlers("hopeless", stand.effect().fails(1, || JobError::Dead("unknown person".into())));
        stand.enqueue(vec![NewJob::new("hopeless", "")]).await;
        assert_eq!(run_due(&stand.journal, &handlers).await.unwrap()[0].verdict, Verdict::Dead);
        assert_eq!(stand.jobs(JobState::Dead).await[0].last_error.as_deref(), Some("unknown person"));
    })
    .await;
}

/// Fails after its effect was written in the transaction; nothing of it may remain.
async fn check_failed_settle(effect: fn(Effect) -> Effect, expected_error: &str) {
    check(async |stand| {
        let handlers = stand.handlers("failing", effect(stand.effect()));
        stand.enqueue(vec![NewJob::new("failing", "")]).await;
        assert_eq!(run_due(&stand.journal, &handlers).await.unwrap()[0].verdict, Verdict::Retried);
        assert_eq!(stand.effects().await, [""; 0]);
        let error = stand.jobs(JobState::Ready).await.remove(0).last_error.unwrap();
        assert!(error.contains(expected_error), "{error}");
        // The store goes on.
        stand.enqueue(vec![NewJob::new("failing", "")]).await;
    })
    .await;
}

#[tokio::test]
async fn a_settle_that_fails_leaves_none_of_its_effects() {
    check_failed_settle(|effect| effect.fails(1, || JobError::Retry("changed my mind".into())), "changed my mind").await;
}

#[tokio::test]
async fn a_settle_whose_statement_is_refused_leaves_none_of_its_effects() {
    check_failed_settle(|effect| effect.runs("INSERT INTO no_such_table (a) VALUES (1)"), "no_such_table").await;
}

#[tokio::test]
async fn a_settle_that_panics_leaves_none_of_its_effects() {
    check_failed_settle(Effect::panics_in_settle, "panicked").await;
}

#[tokio::test]
async fn an_act_that_panics_is_a_failed_attempt() {
    check_failed_settle(Effect::panics_in_act, "the handler panicked while acting").await;
}
