//! Sync events: rows of any table become events exactly once, whoever reads them how often and whatever dies in between.

use crate::server::Server;
use crate::site::{Site, whole_log};
use campanile_journal::{
    Journal, JournalError, JournalLimits, NewEvent, SYNC_KEPT_MS, SyncColumns, SyncRow, SyncSource, SyncSpec, SyncTurn,
};
use campanile_wire::{Channel, Id};
use futures_util::future::join;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

on_both! {
    rows_of_our_own_table_become_events_in_the_order_of_their_ids,
    a_row_that_commits_late_with_a_lower_id_is_found,
    a_rolled_back_row_never_appears,
    a_process_killed_between_commit_and_mark_makes_no_second_event,
    rows_that_cannot_become_events_are_told_why_and_hold_nobody_up,
    a_failed_row_that_is_set_back_is_tried_again,
    an_id_that_is_given_out_again_stands_for_another_row,
    two_processors_at_once_make_a_thousand_rows_a_thousand_events,
    a_processor_lets_the_one_whose_turn_it_is_go_on,
    a_foreign_table_may_call_its_columns_and_itself_as_it_likes,
    a_row_that_its_own_store_holds_fast_does_not_keep_the_others,
    processed_rows_and_their_keys_are_forgotten_after_seven_days,
    a_key_stays_for_as_long_as_its_row_waits,
    what_is_no_source_is_refused_with_a_sentence,
}

/// Data of more bytes are not read.
const BYTES_MAX: u64 = 200;

/// What the rows of these tests come to.
fn map(row: &SyncRow) -> Result<NewEvent, String> {
    let payload = row.payload.clone()?;
    if row.event_type == "unknown" {
        return Err("unknown is no known event type".into());
    }
    let cadet = row.cadet_id.as_deref().ok_or("a row of it has a cadet_id")?;
    let channel = Channel::new("cadet", &Id::new(cadet).map_err(|error| error.to_string())?);
    Ok(NewEvent { channel, kind: row.event_type.as_str().into(), data: payload.into(), effects: Vec::new() })
}

fn own(journal: &Journal) -> SyncSource {
    SyncSource::new(journal, SyncSpec::own(BYTES_MAX)).unwrap()
}

/// A platform's table in a store of its own, as Django would make it, and a source that reads it.
fn foreign(journal: &Journal, platform: &Site) -> SyncSource {
    SyncSource::new(journal, foreign_spec(platform)).unwrap()
}

fn foreign_spec(platform: &Site) -> SyncSpec {
    let columns = SyncColumns { error: Some("error".into()), ..SyncColumns::default() };
    let own = SyncSpec::own(BYTES_MAX);
    let (name, store) = ("lms".into(), Some(platform.url.clone()));
    SyncSpec { name, store, table: "rows".into(), columns, delete_after_ms: None, install_trigger: false, ..own }
}

/// Another store of the same engine.
async fn platform_beside(site: &Site) -> Site {
    if site.is_sqlite() {
        let platform = Site::sqlite();
        std::fs::write(platform.file(), []).unwrap();
        platform
    } else {
        Site::postgres().await.unwrap()
    }
}

/// Such a store with such a table.
async fn platform(site: &Site) -> Site {
    let platform = platform_beside(site).await;
    let sql = "CREATE TABLE rows (id BIGINT PRIMARY KEY, event_type VARCHAR(50), cadet_id INTEGER, payload TEXT, \
               processed BOOLEAN NOT NULL DEFAULT FALSE, created_at TEXT DEFAULT 'now', error TEXT)";
    platform.raw(sql).await;
    platform
}

async fn insert(site: &Site, table: &str, ids: std::ops::RangeInclusive<i64>) {
    let rows = ids.map(|id| format!("({id}, 'grade_update', 1, '{{\"n\": {id}}}')")).collect::<Vec<_>>().join(",");
    site.raw(&format!("INSERT INTO {table} (id, event_type, cadet_id, payload) VALUES {rows}")).await;
}

/// The data of all events, in order.
async fn data(journal: &Journal) -> Vec<String> {
    whole_log(journal).await.iter().map(|event| event.data.to_string()).collect()
}

fn numbered(ids: impl IntoIterator<Item = i64>) -> Vec<String> {
    ids.into_iter().map(|id| format!("{{\"n\": {id}}}")).collect()
}

async fn rows_of_our_own_table_become_events_in_the_order_of_their_ids(site: &Site) {
    let journal = site.open().await;
    site.raw("INSERT INTO sync_events (event_type, cadet_id, payload) VALUES ('grade_update', 1, '{ \"a\" : 1.0 }')").await;
    site.raw("INSERT INTO sync_events (event_type, cadet_id, payload) VALUES ('exam_score_update', '2', '{\"a\":null}')").await;
    let source = own(&journal);
    assert_eq!(source.backlog().await.unwrap(), 2);
    let pass = source.pass(SyncTurn::Polite, &map).await.unwrap();
    assert_eq!((pass.processed, pass.failed, pass.unmarked, pass.held), (2, 0, 0, false));
    let log = whole_log(&journal).await;
    let told: Vec<_> = log.iter().map(|event| (&*event.kind, event.channel.as_str(), &*event.data)).collect();
    let first = ("grade_update", "cadet:1", "{ \"a\" : 1.0 }");
    assert_eq!(told, [first, ("exam_score_update", "cadet:2", "{\"a\":null}")], "data passes through byte for byte");
    let marked = "SELECT COUNT(*) FROM sync_events WHERE processed AND processed_at IS NOT NULL AND created_at IS NOT NULL";
    assert_eq!(site.number(marked).await, 2);
    assert_eq!(source.pass(SyncTurn::Polite, &map).await.unwrap().processed, 0);
    assert_eq!(source.backlog().await.unwrap(), 0);
}

async fn a_row_that_commits_late_with_a_lower_id_is_found(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    let source = foreign(&journal, &platform);
    if site.is_sqlite() {
        insert(&platform, "rows", 2..=3).await;
        source.pass(SyncTurn::Now, &map).await.unwrap();
        insert(&platform, "rows", 1..=1).await;
    } else {
        let mut late = PgConnection::connect(&platform.url).await.unwrap();
        late.execute("BEGIN; INSERT INTO rows (id, event_type, cadet_id, payload) VALUES (1, 'grade_update', 1, '{\"n\": 1}')")
            .await
            .unwrap();
        insert(&platform, "rows", 2..=3).await;
        source.pass(SyncTurn::Now, &map).await.unwrap();
        assert_eq!(data(&journal).await, numbered([2, 3]));
        late.execute("COMMIT").await.unwrap();
    }
    source.pass(SyncTurn::Now, &map).await.unwrap();
    assert_eq!(data(&journal).await, numbered([2, 3, 1]));
    platform.drop_database().await;
}

async fn a_rolled_back_row_never_appears(site: &Site) {
    let journal = site.open().await;
    let source = own(&journal);
    let row = "INSERT INTO sync_events (event_type, cadet_id, payload) VALUES ('grade_update', 1, '{}')";
    if site.is_sqlite() {
        site.raw(&format!("BEGIN; {row}; ROLLBACK")).await;
    } else {
        let mut other = PgConnection::connect(&site.url).await.unwrap();
        other.execute(AssertSqlSafe(format!("BEGIN; {row}"))).await.unwrap();
        source.pass(SyncTurn::Now, &map).await.unwrap();
        other.execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().processed, 0);
    assert_eq!(data(&journal).await, numbered([]));
}

async fn a_process_killed_between_commit_and_mark_makes_no_second_event(site: &Site) {
    let platform = platform(site).await;
    insert(&platform, "rows", 1..=250).await;
    let journal = site.open().await;
    let killed = foreign(&journal, &platform);
    assert_eq!(killed.pass_without_marks(&map).await.unwrap().processed, 250);
    drop((killed, journal));
    assert_eq!(platform.number("SELECT COUNT(*) FROM rows WHERE processed").await, 0);
    insert(&platform, "rows", 251..=260).await;
    let journal = site.open().await;
    let next = foreign(&journal, &platform);
    assert_eq!(next.pass(SyncTurn::Polite, &map).await.unwrap().processed, 10, "only what had not become an event");
    assert_eq!(data(&journal).await, numbered(1..=260));
    assert_eq!(platform.number("SELECT COUNT(*) FROM rows WHERE NOT processed").await, 0);
    platform.drop_database().await;
}

async fn rows_that_cannot_become_events_are_told_why_and_hold_nobody_up(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    insert(&platform, "rows", 1..=1).await;
    let long = "x".repeat(300);
    let poison = format!(
        "INSERT INTO rows (id, event_type, cadet_id, payload) VALUES (2, 'unknown', 1, '{{}}'), (3, 'grade_update', NULL, '{{}}'), \
         (4, 'grade_update', 1, NULL), (5, 'grade_update', 1, '{long}'), (6, NULL, NULL, NULL)"
    );
    platform.raw(&poison).await;
    insert(&platform, "rows", 7..=8).await;
    let pass = foreign(&journal, &platform).pass(SyncTurn::Now, &map).await.unwrap();
    assert_eq!((pass.processed, pass.failed, pass.unmarked), (3, 5, 0));
    assert_eq!(data(&journal).await, numbered([1, 7, 8]));
    let told = platform.rows("SELECT error, id FROM rows WHERE processed AND error IS NOT NULL ORDER BY id").await;
    let told: Vec<_> = told.iter().map(|(error, id)| (*id, error.as_str())).collect();
    assert_eq!(
        told,
        [
            (2, "unknown is no known event type"),
            (3, "a row of it has a cadet_id"),
            (4, "payload is NULL"),
            (5, "payload has 300 bytes, at most 200 are taken"),
            (6, "payload is NULL"),
        ]
    );
    assert_eq!(site.number("SELECT COUNT(*) FROM sync_row WHERE error IS NOT NULL").await, 5);
    platform.drop_database().await;
}

async fn a_failed_row_that_is_set_back_is_tried_again(site: &Site) {
    let journal = site.open().await;
    site.raw("INSERT INTO sync_events (event_type, cadet_id, payload) VALUES ('unknown', 1, '{}')").await;
    let source = own(&journal);
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().failed, 1);
    assert_eq!(site.number("SELECT COUNT(*) FROM sync_events WHERE processed AND error LIKE 'unknown%'").await, 1);
    site.raw("UPDATE sync_events SET processed = FALSE").await;
    let knows_it = |row: &SyncRow| {
        let mut row = row.clone();
        row.event_type = "grade_update".into();
        map(&row)
    };
    assert_eq!(source.pass(SyncTurn::Now, &knows_it).await.unwrap().processed, 1);
    assert_eq!(site.number("SELECT COUNT(*) FROM sync_events WHERE processed AND error IS NULL").await, 1);
    site.raw("UPDATE sync_events SET processed = FALSE").await;
    assert_eq!(source.pass(SyncTurn::Now, &knows_it).await.unwrap().processed, 0, "what became an event becomes no second one");
    assert_eq!(whole_log(&journal).await.len(), 1);
}

async fn an_id_that_is_given_out_again_stands_for_another_row(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    let source = foreign(&journal, &platform);
    insert(&platform, "rows", 1..=1).await;
    source.pass(SyncTurn::Now, &map).await.unwrap();
    platform
        .raw("DELETE FROM rows; INSERT INTO rows (id, event_type, cadet_id, payload) VALUES (1, 'x', 1, '{\"n\": 9}')")
        .await;
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().processed, 1);
    assert_eq!(data(&journal).await, numbered([1, 9]));
    platform.drop_database().await;
}

async fn two_processors_at_once_make_a_thousand_rows_a_thousand_events(site: &Site) {
    let platform = platform(site).await;
    insert(&platform, "rows", 1..=1_000).await;
    let (one, other) = (site.open().await, site.open().await);
    let (first, second) = (foreign(&one, &platform), foreign(&other, &platform));
    let (first, second) = join(first.pass(SyncTurn::Now, &map), second.pass(SyncTurn::Now, &map)).await;
    assert_eq!(first.unwrap().processed + second.unwrap().processed, 1_000);
    let mut told = data(&one).await;
    told.sort_unstable();
    let mut expected = numbered(1..=1_000);
    expected.sort_unstable();
    assert_eq!(told, expected);
    assert_eq!(platform.number("SELECT COUNT(*) FROM rows WHERE NOT processed").await, 0);
    platform.drop_database().await;
}

async fn a_processor_lets_the_one_whose_turn_it_is_go_on(site: &Site) {
    let (one, other) = (site.open().await, site.open().await);
    let (first, second) = (own(&one), own(&other));
    insert(site, "sync_events", 1..=2).await;
    assert_eq!(first.pass(SyncTurn::Polite, &map).await.unwrap().processed, 2);
    insert(site, "sync_events", 3..=4).await;
    let polite = second.pass(SyncTurn::Polite, &map).await.unwrap();
    assert_eq!((polite.held, polite.processed), (true, 0));
    site.clock.advance_ms(5_000);
    assert_eq!(second.pass(SyncTurn::Polite, &map).await.unwrap().processed, 2, "a dead node's turn ends");
    assert_eq!(data(&one).await, numbered(1..=4));
}

async fn a_foreign_table_may_call_its_columns_and_itself_as_it_likes(site: &Site) {
    let (journal, platform) = (site.open().await, platform_beside(site).await);
    let (schema, uuid, json, at) = match site.is_sqlite() {
        true => ("main", "TEXT", "JSON", "INTEGER"),
        false => ("\"The LMS\"", "UUID", "JSONB", "BIGINT"),
    };
    if !site.is_sqlite() {
        platform.raw("CREATE SCHEMA \"The LMS\"").await;
    }
    platform
        .raw(&format!(
            "CREATE TABLE {schema}.\"Sync \"\"Rows\" (\"Key\" {uuid} PRIMARY KEY, kind TEXT, cadet TEXT, body {json}, done INTEGER, \
             made INTEGER, told {at})"
        ))
        .await;
    platform
        .raw(&format!(
            "INSERT INTO {schema}.\"Sync \"\"Rows\" VALUES \
             ('00000000-0000-4000-8000-000000000002', 'x', '7', '{{\"n\": 2}}', 0, 5, NULL), \
             ('00000000-0000-4000-8000-000000000001', 'x', '7', '{{\"n\": 1}}', NULL, 5, NULL), \
             ('00000000-0000-4000-8000-000000000003', 'x', '7', '{{\"n\": 3}}', 1, 5, NULL)"
        ))
        .await;
    let name = |text: &str| text.to_owned();
    let columns = SyncColumns {
        id: name("\"Key\""),
        event_type: name("Kind"),
        cadet_id: name("cadet"),
        payload: name("body"),
        processed: name("done"),
        created_at: name("made"),
        error: None,
        processed_at: Some(name("told")),
    };
    let table = format!("{schema}.\"Sync \"\"Rows\"");
    let source = SyncSource::new(&journal, SyncSpec { table, columns, batch_rows: 1, ..foreign_spec(&platform) }).unwrap();
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().processed, 2);
    assert_eq!(data(&journal).await, numbered([1, 2]), "in the order of the ids, batch after batch");
    let marked = format!("SELECT COUNT(*) FROM {schema}.\"Sync \"\"Rows\" WHERE done = 1 AND told > 1000000000000");
    assert_eq!(platform.number(&marked).await, 2);
    platform.drop_database().await;
}

async fn a_row_that_its_own_store_holds_fast_does_not_keep_the_others(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    let trigger = match site.is_sqlite() {
        true => "CREATE TRIGGER fast BEFORE UPDATE ON rows WHEN OLD.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END",
        false => {
            "CREATE FUNCTION fast() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
             CREATE TRIGGER fast BEFORE UPDATE ON rows FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION fast()"
        }
    };
    platform.raw(trigger).await;
    insert(&platform, "rows", 1..=5).await;
    let spec = SyncSpec { batch_rows: 2, ..foreign_spec(&platform) };
    let source = SyncSource::new(&journal, spec).unwrap();
    for processed in [5, 0] {
        let pass = source.pass(SyncTurn::Now, &map).await.unwrap();
        assert_eq!((pass.processed, pass.unmarked), (processed, 1));
    }
    assert_eq!(data(&journal).await, numbered(1..=5));
    let waiting = platform.rows("SELECT event_type, id FROM rows WHERE NOT processed").await;
    assert_eq!(waiting, [("grade_update".to_owned(), 2)]);
    platform.drop_database().await;
}

async fn processed_rows_and_their_keys_are_forgotten_after_seven_days(site: &Site) {
    let journal = site.open().await;
    let source = own(&journal);
    insert(site, "sync_events", 1..=300).await;
    source.pass(SyncTurn::Now, &map).await.unwrap();
    site.clock.advance_ms(1);
    insert(site, "sync_events", 301..=301).await;
    source.pass(SyncTurn::Now, &map).await.unwrap();
    insert(site, "sync_events", 302..=302).await;
    site.clock.advance_ms(SYNC_KEPT_MS - 1);
    assert_eq!(source.clean().await.unwrap(), 0, "not a moment earlier");
    site.clock.advance_ms(1);
    assert_eq!(source.clean().await.unwrap(), 300);
    let left = site.rows("SELECT event_type, id FROM sync_events ORDER BY id").await;
    assert_eq!(left.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [301, 302], "what waits stays, however old it is");
    assert_eq!(site.number("SELECT COUNT(*) FROM sync_row").await, 1);
    assert_eq!(whole_log(&journal).await.len(), 301, "the events are the log's");
}

async fn a_key_stays_for_as_long_as_its_row_waits(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    let source = foreign(&journal, &platform);
    insert(&platform, "rows", 1..=3).await;
    source.pass(SyncTurn::Now, &map).await.unwrap();
    platform.raw("UPDATE rows SET processed = FALSE WHERE id = 2").await;
    site.clock.advance_ms(SYNC_KEPT_MS + 1);
    assert_eq!(source.clean().await.unwrap(), 2);
    assert_eq!(platform.number("SELECT COUNT(*) FROM rows").await, 3, "a platform's rows are deleted only when it says so");
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().processed, 0);
    assert_eq!(whole_log(&journal).await.len(), 3);
    let spec = SyncSpec { delete_after_ms: Some(SYNC_KEPT_MS), ..foreign_spec(&platform) };
    insert(&platform, "rows", 4..=4).await;
    source.pass(SyncTurn::Now, &map).await.unwrap();
    site.clock.advance_ms(SYNC_KEPT_MS + 1);
    insert(&platform, "rows", 5..=5).await;
    SyncSource::new(&journal, spec).unwrap().clean().await.unwrap();
    let left = platform.rows("SELECT event_type, id FROM rows ORDER BY id").await;
    assert_eq!(left.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [1, 3, 5], "keys of 1 and 3 were forgotten before");
    platform.drop_database().await;
}

async fn what_is_no_source_is_refused_with_a_sentence(site: &Site) {
    let (journal, platform) = (site.open().await, platform(site).await);
    platform
        .raw(
            "CREATE TABLE loose (id INTEGER, event_type TEXT, cadet_id TEXT, payload TEXT, processed BOOLEAN, created_at TEXT)",
        )
        .await;
    let columns = |id: &str| SyncColumns { id: id.into(), ..SyncColumns::default() };
    let cases = [
        ("none", columns("id"), "there is no table none"),
        ("rows", columns("number"), "the table has no column number"),
        ("loose", columns("id"), "id of loose has no unique index: a row cannot be told from others"),
    ];
    for (table, columns, sentence) in cases {
        let spec = SyncSpec { table: table.into(), columns, ..foreign_spec(&platform) };
        let error = SyncSource::new(&journal, spec).unwrap().pass(SyncTurn::Now, &map).await.unwrap_err();
        assert_eq!(error.to_string(), format!("sync_source lms: {sentence}"));
    }
    for (table, id, name) in [("rows; DROP TABLE rows", "id", "a"), ("rows", "id) --", "a"), ("rows", "id", "A b")] {
        let spec = SyncSpec { table: table.into(), columns: columns(id), name: name.into(), ..foreign_spec(&platform) };
        assert!(matches!(SyncSource::new(&journal, spec), Err(JournalError::Unusable(_))), "{table} {id} {name}");
    }
    platform.drop_database().await;
}

/// Waits for a wake-up that must come.
async fn woken(wake: &Notify) {
    tokio::time::timeout(Duration::from_secs(30), wake.notified()).await.expect("rows came, and nobody was woken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_into_postgresql_wakes_the_processor() {
    let Some(site) = Site::postgres().await else { return };
    let journal = site.open().await;
    let (source, wake, stop) = (own(&journal), Arc::new(Notify::new()), CancellationToken::new());
    let listening = tokio::spawn({
        let (source, wake, stop) = (source.clone(), Arc::clone(&wake), stop.clone());
        async move { source.listen(wake, stop).await }
    });
    woken(&wake).await;
    insert(&site, "sync_events", 1..=3).await;
    woken(&wake).await;
    assert_eq!(source.pass(SyncTurn::Polite, &map).await.unwrap().processed, 3);
    site.raw("NOTIFY campanile_sync_events").await;
    woken(&wake).await;
    stop.cancel();
    listening.await.unwrap();
    drop((source, journal));
    site.drop_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_whose_database_dies_and_comes_back_is_heard_again() {
    let Some(mut server) = Server::start() else { return };
    let platform = Site::on_server(&server.url()).await;
    platform.raw("CREATE TABLE rows (id BIGINT PRIMARY KEY, event_type TEXT, cadet_id INT, payload JSON, processed BOOLEAN NOT NULL DEFAULT FALSE, created_at TIMESTAMP, error TEXT)").await;
    let site = Site::sqlite();
    let journal = site.open_with(JournalLimits::default()).await;
    let source = SyncSource::new(&journal, SyncSpec { install_trigger: true, ..foreign_spec(&platform) }).unwrap();
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let listening = tokio::spawn({
        let (source, wake, stop) = (source.clone(), Arc::clone(&wake), stop.clone());
        async move { source.listen(wake, stop).await }
    });
    woken(&wake).await;
    insert(&platform, "rows", 1..=2).await;
    assert_eq!(source.pass(SyncTurn::Now, &map).await.unwrap().processed, 2);
    server.kill();
    assert!(source.pass(SyncTurn::Now, &map).await.is_err());
    server.restart(&[], &[]);
    insert(&platform, "rows", 3..=4).await;
    woken(&wake).await;
    let mut processed = 0;
    while processed < 2 {
        // A connection of the pool that died with the server is told so by its next use.
        processed += source.pass(SyncTurn::Now, &map).await.map_or(0, |pass| pass.processed);
    }
    assert_eq!(data(&journal).await, numbered(1..=4));
    stop.cancel();
    listening.await.unwrap();
}
