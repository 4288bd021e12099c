//! Schedules: once per tick for a whole cluster, and only the latest of those that were missed.

use super::stand::{START_MS, check, soon};
use crate::{JobLimits, JobState, Journal, Schedule, Scheduler, run_due};
use tokio_util::sync::CancellationToken;

const HOUR_MS: i64 = 3_600_000;

fn nightly() -> Schedule {
    Schedule::new("cleanup", "0 3 * * *", "cleanup", "{}").unwrap()
}

fn scheduler(journal: &Journal) -> Scheduler {
    Scheduler::new(journal, vec![nightly()], JobLimits::default())
}

#[tokio::test]
async fn a_new_schedule_begins_with_its_next_tick() {
    check(async |stand| {
        let scheduler = scheduler(&stand.journal);
        assert_eq!(scheduler.tick().await.unwrap(), 0);
        stand.clock.advance_ms(17 * HOUR_MS - 1);
        assert_eq!(scheduler.tick().await.unwrap(), 0);
        stand.clock.advance_ms(1);
        assert_eq!(scheduler.tick().await.unwrap(), 1);
        let tick_ms = START_MS + 17 * HOUR_MS;
        let job = stand.jobs(JobState::Ready).await.remove(0);
        assert_eq!((job.kind.as_str(), job.payload.as_str()), ("cleanup", "{}"));
        assert_eq!(job.unique_key, Some(format!("cleanup@{tick_ms}")));
        assert_eq!(scheduler.tick().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_enqueued_once_by_two_schedulers() {
    check(async |stand| {
        let first = scheduler(&stand.journal);
        let second = scheduler(&stand.second_node().await);
        first.tick().await.unwrap();
        for day in 1..=5 {
            stand.clock.advance_ms(24 * HOUR_MS);
            let (left, right) = tokio::join!(first.tick(), second.tick());
            assert_eq!(left.unwrap() + right.unwrap(), 1, "on day {day}");
        }
        assert_eq!(stand.jobs(JobState::Ready).await.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn missed_nights_enqueue_only_the_latest_tick() {
    check(async |stand| {
        scheduler(&stand.journal).tick().await.unwrap();
        stand.clock.advance_ms(5 * 24 * HOUR_MS);
        assert_eq!(scheduler(&stand.journal).tick().await.unwrap(), 1);
        let latest_ms = START_MS + 4 * 24 * HOUR_MS + 17 * HOUR_MS;
        assert_eq!(stand.jobs(JobState::Ready).await[0].unique_key, Some(format!("cleanup@{latest_ms}")));
    })
    .await;
}

#[tokio::test]
async fn a_tick_does_not_come_back_when_its_finished_job_was_swept_out_or_the_clock_set_back() {
    check(async |stand| {
        let scheduler = scheduler(&stand.journal);
        scheduler.tick().await.unwrap();
        stand.clock.advance_ms(17 * HOUR_MS);
        scheduler.tick().await.unwrap();
        run_due(&stand.journal, &stand.writing(&["cleanup"])).await.unwrap();
        stand.clock.advance_ms(1);
        let limits = JobLimits { done_kept_ms: 0, ..JobLimits::default() };
        assert_eq!(stand.journal.sweep_jobs(&limits).await.unwrap(), 1);
        assert_eq!(scheduler.tick().await.unwrap(), 0);
        stand.clock.advance_ms(-24 * HOUR_MS);
        assert_eq!(scheduler.tick().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_scheduler_enqueues_for_the_queue_of_its_schedule_and_stops_when_told() {
    check(async |stand| {
        let schedules = vec![nightly().on_queue("night")];
        let limits = JobLimits { schedule_poll_ms_max: 1, ..JobLimits::default() };
        let scheduler = Scheduler::new(&stand.journal, schedules, limits);
        scheduler.tick().await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(scheduler.run(stop.clone()));
        stand.clock.advance_ms(24 * HOUR_MS);
        soon(async {
            while stand.jobs(JobState::Ready).await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        stop.cancel();
        soon(running).await.unwrap();
        assert_eq!(stand.jobs(JobState::Ready).await[0].queue, "night");
    })
    .await;
}

#[test]
fn a_cron_line_that_cannot_be_read_or_never_comes_is_refused() {
    let refusal = |cron| Schedule::new("cleanup", cron, "cleanup", "").unwrap_err().to_string();
    assert!(refusal("every night").starts_with("the schedule cleanup has the cron line `every night`: "));
    assert!(refusal("0 0 30 2 *").contains("no instant matches it"));
    assert!(Schedule::new("leap", "0 0 29 2 *", "leap", "").is_ok());
}
