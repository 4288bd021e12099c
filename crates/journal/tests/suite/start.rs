//! Starting: migrations run once and are never edited, and a store that could lose what it acknowledged is refused.

use crate::site::{NOTES, Site, event};
use campanile_journal::{Durability, JournalLimits, Migration, Probed, probe};
use campanile_wire::ErrorCode;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection};
use std::path::Path;

const SECOND: Migration = Migration { feature: "note", number: 2, sql: "ALTER TABLE note ADD COLUMN stars BIGINT" };

on_both! {
    a_migration_runs_once,
    an_edited_migration_is_refused,
    a_database_from_the_future_is_refused,
    a_migration_that_fails_leaves_nothing,
    a_look_changes_nothing_and_tells_what_a_start_would_meet,
    nodes_that_start_at_once_all_succeed,
    every_sql_text_prepares,
}

async fn refusal(site: &Site, migrations: &[Migration]) -> String {
    let error = site.try_open(migrations, JournalLimits::default()).await.err().expect("this store should have been refused");
    assert_eq!(error.code(), ErrorCode::StoreUnavailable);
    error.to_string()
}

async fn a_migration_runs_once(site: &Site) {
    for migrations in [&[NOTES][..], &[NOTES], &[NOTES, SECOND], &[NOTES, SECOND], &[SECOND, NOTES]] {
        drop(site.try_open(migrations, JournalLimits::default()).await.unwrap());
    }
    assert_eq!(site.number("SELECT COUNT(*) FROM migration WHERE feature = 'note'").await, 2);
    // A feature that was taken out of the program leaves its tables behind and bothers nobody.
    drop(site.try_open(&[], JournalLimits::default()).await.unwrap());
}

async fn an_edited_migration_is_refused(site: &Site) {
    drop(site.open().await);
    let edited = Migration { sql: "CREATE TABLE note (id BIGINT PRIMARY KEY)", ..NOTES };
    let sentence = refusal(site, &[edited]).await;
    assert!(sentence.contains("migration 1 of note was edited after it ran"), "{sentence}");
    drop(site.open().await);
}

async fn a_database_from_the_future_is_refused(site: &Site) {
    drop(site.try_open(&[NOTES, SECOND], JournalLimits::default()).await.unwrap());
    let sentence = refusal(site, &[NOTES]).await;
    assert!(sentence.contains("comes from a newer campanile: it has migration 2 of note"), "{sentence}");
    site.raw("INSERT INTO migration (feature, number, checksum, applied_at_ms) VALUES ('journal', 999, '', 0)").await;
    let sentence = refusal(site, &[NOTES, SECOND]).await;
    assert!(sentence.contains("migration 999 of journal"), "{sentence}");
}

async fn a_migration_that_fails_leaves_nothing(site: &Site) {
    let broken = Migration { sql: "CREATE TABLE star (id BIGINT); CREATE TABEL oops (id BIGINT)", ..SECOND };
    assert!(site.try_open(&[NOTES, broken], JournalLimits::default()).await.is_err());
    drop(site.try_open(&[NOTES, SECOND], JournalLimits::default()).await.unwrap());
    assert_eq!(site.number("SELECT COUNT(*) FROM migration WHERE feature = 'note'").await, 2);
}

async fn a_look_changes_nothing_and_tells_what_a_start_would_meet(site: &Site) {
    let look = async || probe(&site.url, &[NOTES], &JournalLimits::default()).await;
    // Twice: the first look made nothing.
    for _ in 0..2 {
        let expected = if site.url.starts_with("sqlite:") { Probed::Absent } else { Probed::Empty };
        assert_eq!(look().await.unwrap(), expected);
    }
    let journal = site.open().await;
    assert_eq!(look().await.unwrap(), Probed::Log(0));
    journal.publish(vec![event(1, "hello"), event(1, "again")], None).await.unwrap();
    assert_eq!(look().await.unwrap(), Probed::Log(2), "beside a node that writes");
    drop(journal);
    site.raw("INSERT INTO migration (feature, number, checksum, applied_at_ms) VALUES ('journal', 999, '', 0)").await;
    let sentence = look().await.unwrap_err().to_string();
    assert!(sentence.contains("comes from a newer campanile: it has migration 999 of journal"), "{sentence}");
}

async fn nodes_that_start_at_once_all_succeed(site: &Site) {
    let nodes = futures_util::future::join_all((0..4).map(|_| site.open())).await;
    for (node, id) in nodes.iter().zip(1..) {
        assert_eq!(node.publish(vec![event(1, "hello")], None).await.unwrap().events[0].id, id);
    }
}

#[tokio::test]
async fn sqlite_that_does_not_flush_is_opened_only_when_asked_for() {
    let site = Site::sqlite();
    let limits = JournalLimits { durability: Durability::UnsafeNoFlush, ..JournalLimits::default() };
    drop(site.open_with(limits).await);
    drop(site.open().await);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_a_sentence() {
    for (url, expected) in [
        ("mysql://localhost/x", "sqlite://path/to.db or postgres://"),
        ("sqlite:///nowhere/at/all.db", "cannot be reached"),
        ("postgres://localhost:1/x", "cannot be reached"),
    ] {
        let limits = JournalLimits { lock_wait_ms_max: 200, ..JournalLimits::default() };
        let clock = campanile_journal::ManualClock::at(0);
        let error = campanile_journal::Journal::open(url, &[], limits, clock).await.err().expect("this is no store");
        assert!(error.to_string().contains(expected), "{url}: {error}");
    }
    let site = Site::sqlite();
    std::fs::write(site.file(), "this is a text, and long enough that it could be taken for a database's header".repeat(20))
        .unwrap();
    assert_eq!(site.try_open(&[], JournalLimits::default()).await.err().unwrap().code(), ErrorCode::StoreUnavailable);
}

/// Every text of this crate that is SQL, found in its sources, so that none can be forgotten.
async fn every_sql_text_prepares(site: &Site) {
    drop(site.open().await);
    let mut texts = Vec::new();
    collect_sql(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut texts);
    texts.retain(|text| !speaks_to_the_other(text, site.is_sqlite()));
    assert!(texts.len() > 25, "only {} SQL texts were found", texts.len());
    if site.is_sqlite() {
        prepare_all(&mut SqliteConnection::connect(&site.url).await.unwrap(), texts).await;
    } else {
        prepare_all(&mut PgConnection::connect(&site.url).await.unwrap(), texts).await;
    }
}

async fn prepare_all<C>(conn: &mut C, texts: Vec<String>)
where
    for<'c> &'c mut C: Executor<'c>,
{
    for text in texts {
        let prepared = conn.prepare(AssertSqlSafe(text.clone()).into_sql_str()).await.map(drop);
        assert!(prepared.is_ok(), "{text}: {}", prepared.unwrap_err());
    }
}

fn collect_sql(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("tests") || path.ends_with("tests.rs") {
            continue;
        }
        if path.is_dir() {
            collect_sql(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let literals = string_literals(&std::fs::read_to_string(&path).unwrap());
            texts.extend(literals.into_iter().filter_map(|literal| complete(&literal)));
        }
    }
}

/// The plain string literals of a Rust source, with line continuations joined.
fn string_literals(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut literals = Vec::new();
    let mut rest = code.replace("'\"'", "");
    while let Some(start) = rest.find('"') {
        let mut literal = String::new();
        let mut chars = rest[start + 1..].char_indices();
        let end = loop {
            match chars.next() {
                Some((place, '"')) => break start + 2 + place,
                Some((_, '\\')) => match chars.next() {
                    Some((_, '\n')) => {
                        while chars.clone().next().is_some_and(|(_, next)| next.is_whitespace()) {
                            chars.next();
                        }
                    }
                    Some((_, '"')) => literal.push('"'),
                    _ => {}
                },
                Some((_, char)) => literal.push(char),
                None => return literals,
            }
        };
        literals.push(literal);
        rest = rest.split_off(end);
    }
    literals
}

/// Whether a text asks an engine about itself, which only that one understands.
fn speaks_to_the_other(sql: &str, is_sqlite: bool) -> bool {
    let (of_postgres, of_sqlite) =
        (sql.contains("pg_") || sql.contains("to_regclass"), sql.contains("pragma_") || sql.contains("sqlite_"));
    if is_sqlite { of_postgres } else { of_sqlite }
}

/// A whole statement from a text: an IN list gets one value, the head of a multi-row insert one row. None when the text is a part of a
/// statement that is put together elsewhere.
fn complete(text: &str) -> Option<String> {
    let is_sql = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|word| text.starts_with(word));
    // PostgreSQL wants parameters without holes in their numbers.
    let next = format!("IN (${})", (1..).find(|number| !text.contains(&format!("${number}")))?);
    let sql = text.replace("IN ({})", &next).replace("IN ({list})", &next);
    if !is_sql || sql.ends_with(' ') || sql.contains('{') {
        return None;
    }
    if !sql.starts_with("INSERT ") || sql.contains("VALUES") || sql.contains("SELECT") {
        return Some(sql);
    }
    let columns = sql.matches(',').count() + 1;
    let values: Vec<String> = (1..=columns).map(|number| format!("${number}")).collect();
    Some(format!("{sql} VALUES ({})", values.join(",")))
}
