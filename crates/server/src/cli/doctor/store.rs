//! What the store answers: who is approved, whether producers and workers do their part, what waits.

use super::Patient;
use crate::cli::finding::{Finding, Verdict};
use crate::cli::remote::Server;
use crate::cli::{duration, token};
use campanile_contract::Site;
use campanile_journal::{JobState, JournalError, Value};
use std::collections::HashMap;
use std::time::Duration;

/// A job that is due for longer has no worker.
const OVERDUE_MS: u64 = 60_000;
/// The server's own schedule ticks every 10 minutes; twice that and a little more without a tick means that no worker runs.
const TICK_AGE_MS_MAX: i64 = 25 * 60_000;
/// Rows that may wait between two looks of the processor: 100 a batch, every second.
const BACKLOG_MAX: i64 = 1_000;
/// Running jobs that are looked at.
const RUNNING_JOBS_MAX: u64 = 1_000;
/// How far a node may be behind the log.
const BEHIND_MAX: u64 = 1_000;

async fn rows(site: &Site, sql: &'static str, values: &[Value]) -> Result<Vec<campanile_journal::Row>, JournalError> {
    site.journal.reader().await?.fetch(sql, values).await
}

async fn count(site: &Site, sql: &'static str, values: &[Value]) -> Result<i64, JournalError> {
    rows(site, sql, values).await?.first().map_or(Ok(0), |row| row.int("found"))
}

/// Is the person approved?
pub(super) async fn approved(patient: &Patient, site: Option<&Site>, server: Option<&Server>) -> Finding {
    const CHECK: &str = "person";
    let Some(person) = &patient.person else {
        return Finding::cannot_tell(CHECK, "nobody was asked about", "give --token or --user-id");
    };
    if let Some(site) = site {
        let known = rows(site, "SELECT role FROM person WHERE person_id = $1", &[person.as_str().into()]).await;
        let suspended = "SELECT COUNT(*) AS found FROM membership WHERE person = $1 AND channel = $2 AND revoked_id IS NULL";
        let channel = format!("suspended:{person}");
        match count(site, suspended, &[person.as_str().into(), channel.as_str().into()]).await {
            Ok(0) => {}
            Ok(_) => {
                let advice = format!("approve them: PUT /api/roster/people/{person}/approval");
                return Finding::problem(CHECK, format!("{person} is not approved, so every connection is refused"), advice);
            }
            Err(error) => return Finding::cannot_tell(CHECK, error.to_string(), "look at the store first"),
        }
        if known.as_ref().is_ok_and(Vec::is_empty) {
            let found = format!("{person} is not in the roster: events for courses, roles and cadets do not reach them");
            return Finding::warning(
                CHECK,
                found,
                "is it the right id? PUT /api/roster/people/… or `campanile import` adds people",
            );
        }
    }
    let (Some(server), Some(token)) = (server, &patient.token) else {
        return Finding::of(
            Verdict::Ok,
            CHECK,
            format!("{person} is in the roster and not suspended"),
            "the token may still say is_approved: false",
        );
    };
    match server.get("/api/poll", Some(token)).await {
        Ok(_) => Finding::ok(CHECK, format!("{person} is approved: the server lets them in")),
        Err(failure) => {
            Finding::problem(CHECK, failure.to_string(), "the server itself refuses this token: see the lines above")
        }
    }
}

/// The store is the bus: a node that follows it is connected to all others.
pub(super) async fn backplane(site: &Site, metrics: Option<&HashMap<String, f64>>, is_up: bool) -> Finding {
    const CHECK: &str = "backplane";
    let head = match site.journal.head().await {
        Ok(head) => head,
        Err(error) => return Finding::problem(CHECK, error.to_string(), "the store is the backplane: mend it"),
    };
    let position = metrics.and_then(|metrics| metrics.get("campanile_log_position")).map(|position| *position as u64);
    match position {
        Some(position) if position + BEHIND_MAX < head.id => {
            let found = format!("the server has applied the log up to {position}, but it holds {}", head.id);
            Finding::problem(
                CHECK,
                found,
                "does the server use this very store? Compare the configurations; else its log says why it lags",
            )
        }
        Some(position) if position > head.id => {
            let found = format!("the server is at {position}, but this store ends at {}", head.id);
            Finding::problem(CHECK, found, "this is another store than the server's: name it with --store or --config")
        }
        Some(position) => {
            Finding::ok(CHECK, format!("the server follows the log: {position} of {} (no Redis is needed)", head.id))
        }
        None => {
            let found = format!("the log ends at {} (epoch {}); how far the server is was not told", head.id, head.epoch);
            let advice = if is_up { "give --key with the scope metrics" } else { "start the server" };
            Finding::cannot_tell(CHECK, found, advice)
        }
    }
}

/// Are producers wired?
pub(super) fn producers(patient: &Patient) -> Finding {
    let publishing = patient.config.api_key.iter().filter(|key| key.may_publish()).count();
    match publishing {
        0 => Finding::warning(
            "producers",
            "no API key has the scope publish",
            "add an [[api_key]] with scopes = [\"publish\"] for the platform, unless it writes sync_events",
        ),
        _ => Finding::ok("producers", format!("{publishing} API keys may publish")),
    }
}

/// Do events come?
pub(super) async fn events_lately(site: &Site, quiet_after: Duration) -> Finding {
    const CHECK: &str = "events";
    let quiet_ms = i64::try_from(quiet_after.as_millis()).unwrap_or(i64::MAX);
    let now_ms = token::now_ms();
    let span = duration::spelled(quiet_after);
    let told = async {
        let head = site.journal.head().await?;
        let before = site.journal.cursor_at(now_ms.saturating_sub(quiet_ms)).await?;
        Ok::<_, JournalError>((head, head.id.saturating_sub(before)))
    };
    match told.await {
        Ok((_, count)) if count > 0 => Finding::ok(CHECK, format!("{count} in the last {span}")),
        Ok((head, _)) if head.id == 0 => Finding::warning(
            CHECK,
            "none has ever been published",
            "does the platform call POST /api/events, or write sync_events?",
        ),
        Ok((head, _)) => {
            let age = duration::spelled(Duration::from_millis((now_ms - head.recorded_at_ms).unsigned_abs()));
            let advice = "are the platform's signal handlers connected, and its API key and address right? Try `campanile publish event`";
            Finding::warning(CHECK, format!("none in the last {span}; the last one came {age} ago"), advice)
        }
        Err(error) => Finding::problem(CHECK, error.to_string(), "look at the store first"),
    }
}

/// Are sync_events made and processed?
pub(super) async fn sync_events(site: &Site) -> Finding {
    const CHECK: &str = "sync_events";
    let Ok(waiting) = count(site, "SELECT COUNT(*) AS found FROM sync_events WHERE NOT processed", &[]).await else {
        return Finding::cannot_tell(
            CHECK,
            "this store has no table sync_events",
            "a [[sync_source]] in a database of the platform is watched there",
        );
    };
    let done = count(site, "SELECT COUNT(*) AS found FROM sync_events WHERE processed", &[]).await.unwrap_or(0);
    let failed = count(site, "SELECT COUNT(*) AS found FROM sync_row WHERE error IS NOT NULL", &[]).await.unwrap_or(0);
    let found = format!("{waiting} wait, {done} are processed and still kept, {failed} were refused");
    if waiting > BACKLOG_MAX {
        return Finding::problem(
            CHECK,
            found,
            "nobody processes them: is the server up? `campanile process-sync-events` does it by hand",
        );
    }
    if failed > 0 {
        return Finding::warning(
            CHECK,
            found,
            "the column error of sync_row says why: SELECT row_id, error FROM sync_row WHERE error IS NOT NULL",
        );
    }
    Finding::ok(CHECK, found)
}

/// Are workers alive, and do jobs end?
pub(super) async fn workers(site: &Site, now_ms: i64) -> Vec<Finding> {
    let told = async {
        let counts = site.journal.count_jobs().await?;
        let running = site.journal.list_jobs(JobState::Running, 0, RUNNING_JOBS_MAX).await?;
        let ticks = rows(site, "SELECT MAX(tick_ms) AS tick_ms FROM schedule", &[]).await?;
        let tick_ms = ticks.first().map(|row| row.int_or_null("tick_ms")).transpose()?.flatten();
        Ok::<_, JournalError>((counts, running, tick_ms))
    };
    let (counts, running, tick_ms) = match told.await {
        Ok(told) => told,
        Err(error) => return vec![Finding::problem("workers", error.to_string(), "look at the store first")],
    };
    let lost = running.iter().filter(|job| job.lease_until_ms.is_some_and(|until_ms| until_ms < now_ms)).count();
    let tick_age_ms = tick_ms.map(|tick_ms| now_ms - tick_ms);
    let workers = if counts.oldest_waiting_ms > OVERDUE_MS {
        let waiting = duration::spelled(Duration::from_millis(counts.oldest_waiting_ms));
        Finding::problem(
            "workers",
            format!("a job has been due for {waiting}"),
            "no worker takes it: is a server running on this store?",
        )
    } else if lost > 0 {
        let advice = "a worker died or hangs; another one takes them over within a minute, if one is alive";
        Finding::warning("workers", format!("{lost} running jobs were given up by their workers"), advice)
    } else {
        match tick_age_ms {
            Some(age_ms) if age_ms <= TICK_AGE_MS_MAX => {
                let age = duration::spelled(Duration::from_millis(age_ms.unsigned_abs()));
                Finding::ok("workers", format!("the schedule's last tick is {age} old, and {} jobs run", counts.running))
            }
            Some(age_ms) => {
                let age = duration::spelled(Duration::from_millis(age_ms.unsigned_abs()));
                Finding::problem(
                    "workers",
                    format!("the schedule's last tick is {age} old"),
                    "no server runs on this store, or its worker is stuck",
                )
            }
            None => Finding::cannot_tell(
                "workers",
                "the schedule has not ticked yet",
                "it does so every 10 minutes while a server runs",
            ),
        }
    };
    let jobs = format!("{} ready, {} running, {} dead", counts.ready, counts.running, counts.dead);
    let jobs = match counts.dead {
        0 => Finding::ok("jobs", jobs),
        _ => Finding::warning(
            "jobs",
            jobs,
            "`campanile jobs list --state dead` says why; `campanile jobs retry --all-dead` tries again",
        ),
    };
    vec![workers, jobs]
}
