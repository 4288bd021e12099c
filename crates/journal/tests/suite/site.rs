//! A store of its own for each test, on either engine, and short words for what tests write into it.

use campanile_journal::{
    Idempotency, Journal, JournalError, JournalLimits, ManualClock, Migration, NewEvent, Outcome, Tx, Unit, UnitError,
};
use campanile_wire::{Channel, Effect, ErrorCode, Event, Id};
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use tempfile::TempDir;

/// Runs each rule on both engines, as `on_sqlite::rule` and `on_postgres::rule`.
macro_rules! on_both {
    ($($rule:ident,)*) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(&$crate::site::Site::sqlite()).await;
            }
        )*}
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let Some(site) = $crate::site::Site::postgres().await else { return };
                super::$rule(&site).await;
                site.drop_database().await;
            }
        )*}
    };
}

/// The instant at which every manual clock starts, in unix milliseconds.
pub const START_MS: i64 = 1_700_000_000_000;

/// A feature's table for commands to write into.
pub const NOTES: Migration =
    Migration { feature: "note", number: 1, sql: "CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL UNIQUE)" };

/// One empty store.
pub struct Site {
    /// What [`Journal::open`] takes.
    pub url: String,
    /// Every journal of this site shows this clock.
    pub clock: Arc<ManualClock>,
    place: Place,
}

enum Place {
    File(TempDir),
    Database { base: String, name: String },
}

impl Site {
    /// A new file.
    pub fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite://{}/site.db", dir.path().display());
        Self { url, clock: ManualClock::at(START_MS), place: Place::File(dir) }
    }

    /// A new database on the server that the tests were given; none, and one line, when they were given none.
    pub async fn postgres() -> Option<Self> {
        static SAID: Once = Once::new();
        let Ok(base) = std::env::var("CAMPANILE_TEST_POSTGRES") else {
            SAID.call_once(|| {
                say("CAMPANILE_TEST_POSTGRES is not set: the rules are not tested on PostgreSQL (scripts/with-postgres)");
            });
            return None;
        };
        Some(Self::on_server(&base).await)
    }

    /// A new database on this server.
    pub async fn on_server(base: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("campanile_journal_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let mut conn = PgConnection::connect(base).await.unwrap();
        conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await.unwrap();
        let server = base.rsplit_once('/').unwrap().0;
        let place = Place::Database { base: base.to_owned(), name: name.clone() };
        Self { url: format!("{server}/{name}"), clock: ManualClock::at(START_MS), place }
    }

    /// After the test, so that a server which lives longer is left as it was.
    pub async fn drop_database(&self) {
        let Place::Database { base, name } = &self.place else { return };
        let mut conn = PgConnection::connect(base).await.unwrap();
        conn.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// The database's name on its server.
    pub fn database(&self) -> &str {
        match &self.place {
            Place::Database { name, .. } => name,
            Place::File(_) => panic!("a file is no database of a server"),
        }
    }

    /// SQLite's file.
    pub fn file(&self) -> std::path::PathBuf {
        match &self.place {
            Place::File(dir) => dir.path().join("site.db"),
            Place::Database { .. } => panic!("PostgreSQL has no file"),
        }
    }

    /// A node: a journal with its own connections.
    pub async fn open(&self) -> Journal {
        self.open_with(JournalLimits::default()).await
    }

    pub async fn open_with(&self, limits: JournalLimits) -> Journal {
        self.try_open(&[NOTES], limits).await.unwrap()
    }

    pub async fn try_open(&self, migrations: &[Migration], limits: JournalLimits) -> Result<Journal, JournalError> {
        Journal::open(&self.url, migrations, limits, self.clock.clone()).await
    }

    /// Statements past the journal, on a connection of their own.
    pub async fn raw(&self, sql: &str) {
        if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
            conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        } else {
            let mut conn = PgConnection::connect(&self.url).await.unwrap();
            conn.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        }
    }

    /// Texts with a number each, past the journal.
    pub async fn rows(&self, sql: &str) -> Vec<(String, i64)> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
        } else {
            let mut conn = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap()
        }
    }

    /// One number past the journal.
    pub async fn number(&self, sql: &str) -> i64 {
        if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
            conn.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
        } else {
            let mut conn = PgConnection::connect(&self.url).await.unwrap();
            conn.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
        }
    }
}

/// One plain line, past the harness's capture.
pub fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

pub fn channel(id: i64) -> Channel {
    Channel::new("course", &Id::from(id))
}

pub fn event(channel_id: i64, data: &str) -> NewEvent {
    NewEvent { channel: channel(channel_id), kind: "note".into(), data: format!("\"{data}\"").into(), effects: Vec::new() }
}

/// An event that changes who is a member.
pub fn change(effects: Vec<Effect>) -> NewEvent {
    NewEvent { effects, ..event(0, "change") }
}

pub fn grant(person: i64, channel_id: i64) -> Effect {
    Effect::Grant { person: Id::from(person), channel: channel(channel_id) }
}

pub fn revoke(person: i64, channel_id: i64) -> Effect {
    Effect::Revoke { person: Id::from(person), channel: channel(channel_id) }
}

/// A key of one caller on one route.
pub fn key(key: &str, body: &str) -> Option<Idempotency> {
    Some(Idempotency::new("caller", "POST /api/events", key, body.as_bytes()))
}

struct Command<F>(F);

impl<F> Unit for Command<F>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> + Send + Sync + 'static,
{
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        (self.0)(tx)
    }
}

/// A command that does this.
pub fn command<F>(work: F) -> Box<dyn Unit>
where
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> + Send + Sync + 'static,
{
    Box::new(Command(work))
}

/// A command that writes a note and tells of it.
pub fn write_note(id: i64, text: &str) -> Box<dyn Unit> {
    let text = text.to_owned();
    command(move |tx| {
        let text = text.clone();
        Box::pin(async move {
            tx.execute("INSERT INTO note (id, text) VALUES ($1, $2)", &[id.into(), text.as_str().into()]).await?;
            tx.emit(event(id, &text));
            Ok(format!("{{\"id\":{id}}}"))
        })
    })
}

/// The code that a caller is told.
pub fn code(result: Result<Outcome, UnitError>) -> ErrorCode {
    campanile_wire::Refusal::from(result.expect_err("this should have been refused")).code
}

/// The ids of an outcome.
pub fn ids(outcome: &Outcome) -> Vec<u64> {
    outcome.events.iter().map(|event| event.id).collect()
}

/// The whole log; panics when its ids or a channel's seqs are not dense, or `recorded_at` runs backwards.
pub async fn whole_log(journal: &Journal) -> Vec<Event> {
    let events = journal.read(0, u64::MAX, u64::MAX).await.unwrap();
    assert_dense(&events);
    events
}

/// Ids from 1 and every channel's seqs from 1, both without holes; `recorded_at` only forward.
pub fn assert_dense(events: &[Event]) {
    let mut seqs = std::collections::HashMap::new();
    let mut recorded_at_ms = i64::MIN;
    for (event, id) in events.iter().zip(1..) {
        assert_eq!(event.id, id, "the ids have a hole");
        let seq = seqs.entry(event.channel.as_str()).or_insert(0_u64);
        *seq += 1;
        assert_eq!(event.seq, *seq, "the seqs of {} have a hole at id {id}", event.channel);
        assert!(event.recorded_at_ms >= recorded_at_ms, "recorded_at ran backwards at id {id}");
        recorded_at_ms = event.recorded_at_ms;
    }
}
