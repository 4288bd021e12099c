//! Commands that go wrong harm nobody but themselves.

use crate::site::{Site, code, command, event, ids, whole_log, write_note};
use campanile_journal::{Journal, JournalLimits, Outcome, Unit, UnitError};
use campanile_wire::ErrorCode;
use futures_util::future::join_all;

on_both! {
    a_command_over_its_time_limit_leaves_nothing_and_its_group_is_committed,
    a_statement_over_the_commands_time_limit_leaves_nothing,
    group_members_survive_each_others_constraint_errors,
    a_panicking_command_leaves_nothing_and_its_group_is_committed,
    a_command_ends_with_its_first_failed_statement_whatever_it_makes_of_it,
    a_caller_that_goes_away_leaves_the_store_usable,
    one_request_more_than_the_queue_holds_is_told_that_the_server_is_busy,
    closing_and_opening_again_loses_nothing,
}

fn limits(command_ms_max: u64) -> JournalLimits {
    JournalLimits { command_ms_max, ..JournalLimits::default() }
}

/// Runs a bad command between good ones, as one group where the store has groups.
async fn among_good_ones(journal: &Journal, bad: Box<dyn Unit>) -> (Vec<Outcome>, Result<Outcome, UnitError>) {
    let mut units: Vec<Box<dyn Unit>> = (1..=3).map(|id| write_note(id, &format!("note {id}"))).collect();
    units.insert(1, bad);
    let mut answers = join_all(units.into_iter().map(|unit| journal.run(unit, None))).await;
    let bad = answers.remove(1);
    (answers.into_iter().map(Result::unwrap).collect(), bad)
}

/// The good ones are in the log and in their table, and nothing else is.
async fn assert_only_the_good(site: &Site, journal: &Journal, good: &[Outcome]) {
    let mut placed: Vec<u64> = good.iter().flat_map(ids).collect();
    placed.sort_unstable();
    assert_eq!(placed, [1, 2, 3]);
    assert_eq!(whole_log(journal).await.len(), 3);
    assert_eq!(site.number("SELECT CAST(SUM(id) AS BIGINT) FROM note").await, 6);
    assert_eq!(ids(&journal.run(write_note(4, "afterwards"), None).await.unwrap()), [4]);
}

async fn a_command_over_its_time_limit_leaves_nothing_and_its_group_is_committed(site: &Site) {
    let journal = site.open_with(limits(400)).await;
    let endless = command(|tx| {
        Box::pin(async move {
            tx.emit(event(1, "never"));
            tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[99_i64.into(), "never".into()]).await?;
            std::future::pending().await
        })
    });
    let (good, bad) = among_good_ones(&journal, endless).await;
    assert_eq!(code(bad), ErrorCode::CommandTimeout);
    assert_only_the_good(site, &journal, &good).await;
}

async fn a_statement_over_the_commands_time_limit_leaves_nothing(site: &Site) {
    let journal = site.open_with(limits(250)).await;
    let sql = if site.is_sqlite() {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT COUNT(*) AS count FROM n"
    } else {
        "SELECT 1 FROM pg_sleep(1)"
    };
    let slow = command(move |tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[99_i64.into(), "never".into()]).await?;
            tx.fetch(sql, &[]).await?;
            Ok("null".into())
        })
    });
    let (good, bad) = among_good_ones(&journal, slow).await;
    assert_eq!(code(bad), ErrorCode::CommandTimeout);
    assert_only_the_good(site, &journal, &good).await;
}

async fn group_members_survive_each_others_constraint_errors(site: &Site) {
    let journal = site.open().await;
    let same = (0..10).map(|id| journal.run(write_note(id, "the one text"), None));
    let answers = join_all(same.chain((20..30).map(|id| journal.run(write_note(id, &format!("note {id}")), None)))).await;
    let (carried, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(carried.len(), 11);
    assert!(failed.into_iter().map(code).all(|code| code == ErrorCode::InternalError));
    assert_eq!(whole_log(&journal).await.len(), 11);
    assert_eq!(site.number("SELECT COUNT(*) FROM note").await, 11);
}

async fn a_panicking_command_leaves_nothing_and_its_group_is_committed(site: &Site) {
    let journal = site.open().await;
    let panicking = command(|tx| {
        Box::pin(async move {
            tx.emit(event(1, "never"));
            tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[99_i64.into(), "never".into()]).await?;
            panic!("this test's command panics")
        })
    });
    let (good, bad) = among_good_ones(&journal, panicking).await;
    assert_eq!(code(bad), ErrorCode::InternalError);
    assert_only_the_good(site, &journal, &good).await;
}

/// PostgreSQL ends a transaction with its first failed statement; SQLite would go on. Features must not learn the difference.
async fn a_command_ends_with_its_first_failed_statement_whatever_it_makes_of_it(site: &Site) {
    let journal = site.open().await;
    let stubborn = command(|tx| {
        Box::pin(async move {
            tx.emit(event(1, "never"));
            let sql = "INSERT INTO note (id, text) VALUES ($1, $2)";
            tx.execute(sql, &[99_i64.into(), "never".into()]).await?;
            assert!(tx.execute(sql, &[99_i64.into(), "again".into()]).await.is_err());
            assert!(tx.execute(sql, &[98_i64.into(), "another".into()]).await.is_err());
            Ok("null".into())
        })
    });
    let (good, bad) = among_good_ones(&journal, stubborn).await;
    assert_eq!(code(bad), ErrorCode::InternalError);
    assert_only_the_good(site, &journal, &good).await;
}

async fn a_caller_that_goes_away_leaves_the_store_usable(site: &Site) {
    let journal = site.open_with(JournalLimits { write_connections_max: 2, ..limits(400) }).await;
    for id in 0..20 {
        let hanging = command(|tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[99_i64.into(), "never".into()]).await?;
                std::future::pending().await
            })
        });
        let unit = if id == 10 { hanging } else { write_note(id, &format!("note {id}")) };
        let mut run = Box::pin(journal.run(unit, None));
        assert!(futures_util::poll!(run.as_mut()).is_pending());
        drop(run);
    }
    // What was given up may have been carried out or not, but whole, and everybody else goes on.
    let last = journal.run(write_note(50, "afterwards"), None).await.unwrap();
    let log = whole_log(&journal).await;
    assert!(log.iter().any(|event| event.id == ids(&last)[0]));
}

async fn one_request_more_than_the_queue_holds_is_told_that_the_server_is_busy(site: &Site) {
    let limits = JournalLimits { queue_requests_max: 4, group_requests_max: 2, ..JournalLimits::default() };
    let journal = site.open_with(limits).await;
    let answers = join_all((0..200).map(|id| journal.run(write_note(id, &format!("note {id}")), None))).await;
    let (carried, busy): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(!busy.is_empty() && carried.len() >= 4, "{} were carried out, {} not", carried.len(), busy.len());
    assert!(busy.into_iter().map(code).all(|code| code == ErrorCode::ServerBusy));
    assert_eq!(whole_log(&journal).await.len(), carried.len());
}

async fn closing_and_opening_again_loses_nothing(site: &Site) {
    for id in 1..4 {
        let journal = site.open().await;
        assert_eq!(ids(&journal.run(write_note(id, &format!("note {id}")), None).await.unwrap()), [id as u64]);
        assert_eq!(whole_log(&journal).await.len() as i64, id);
    }
}
