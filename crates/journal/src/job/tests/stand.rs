//! The test stand: a journal with a clock to move, handlers whose effects can be counted, on each store in turn.

use crate::job::handler::{Handler, Handlers};
use crate::job::run::Runner;
use crate::tx::{Tx, Unit, UnitError};
use crate::{Job, JobError, JobLimits, JobState, Journal, JournalLimits, ManualClock, Migration, NewJob};
use campanile_wire::{ErrorCode, Refusal};
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// 2026-11-02 10:00:00 UTC, a Monday.
pub const START_MS: i64 = 1_793_613_600_000;

const MIGRATION: Migration = Migration { feature: "effects", number: 1, sql: "CREATE TABLE effect (id SERIALKEY, text TEXT)" };

/// One store under test.
pub struct Stand {
    pub journal: Journal,
    pub clock: Arc<ManualClock>,
    pub url: String,
    pub _folder: Option<tempfile::TempDir>,
}

/// Runs a test's body on SQLite, and on PostgreSQL when there is one.
pub async fn check(body: impl AsyncFn(&Stand)) {
    body(&Stand::on_sqlite().await).await;
    let Ok(base) = std::env::var("CAMPANILE_TEST_POSTGRES") else {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| println!("CAMPANILE_TEST_POSTGRES is not set: the job queue was tested on SQLite only"));
        return;
    };
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let name = format!("campanile_job_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&base).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    let (server, _) = base.rsplit_once('/').expect("the base URL names a database");
    body(&Stand::open(format!("{server}/{name}"), None).await).await;
    let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
    sqlx::raw_sql(drop).execute(&mut admin).await.unwrap();
}

/// What a worker is about to do. It is waited for, not slept for; when it does not come, the test fails instead of hanging.
pub async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), happening).await.expect("it did not happen within 30 s")
}

impl Stand {
    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", folder.path().display());
        Self::open(url, Some(folder)).await
    }

    async fn open(url: String, folder: Option<tempfile::TempDir>) -> Self {
        let clock = ManualClock::at(START_MS);
        let journal = open(&url, &clock).await;
        Self { journal, clock, url, _folder: folder }
    }

    /// The same store as another node sees it, with the same clock.
    pub async fn second_node(&self) -> Journal {
        open(&self.url, &self.clock).await
    }

    pub fn now_ms(&self) -> i64 {
        use crate::Clock;
        self.clock.now_ms()
    }

    /// A command that enqueues jobs, and is then refused or not.
    pub async fn command(&self, jobs: Vec<NewJob>, refused: bool) -> Result<(), UnitError> {
        self.journal.run(Box::new(Enqueue { jobs, refused }), None).await.map(drop)
    }

    pub async fn enqueue(&self, jobs: Vec<NewJob>) {
        self.command(jobs, false).await.unwrap();
    }

    pub async fn jobs(&self, state: JobState) -> Vec<Job> {
        self.journal.list_jobs(state, 0, 1_000).await.unwrap()
    }

    pub async fn kinds(&self, state: JobState) -> Vec<String> {
        self.jobs(state).await.into_iter().map(|job| job.kind).collect()
    }

    /// The kinds of the jobs whose effects are in the store, in the order in which they came.
    pub async fn effects(&self) -> Vec<String> {
        let rows = self.journal.reader().await.unwrap().fetch("SELECT text FROM effect ORDER BY id", &[]).await.unwrap();
        rows.iter().map(|row| row.text("text").unwrap()).collect()
    }

    pub fn effect(&self) -> Effect {
        Effect::default()
    }

    pub fn handlers(&self, kind: &str, effect: Effect) -> Handlers {
        Handlers::default().with(kind, effect)
    }

    /// Handlers that only write their effects.
    pub fn writing(&self, kinds: &[&str]) -> Handlers {
        kinds.iter().fold(Handlers::default(), |handlers, kind| handlers.with(kind, Effect::default()))
    }

    /// A worker's hands without its loop, on this node.
    pub fn runner(&self, name: &str, handlers: Handlers) -> Runner {
        runner(&self.journal, name, handlers, JobLimits::default())
    }
}

pub fn runner(journal: &Journal, name: &str, handlers: Handlers, limits: JobLimits) -> Runner {
    Runner { journal: journal.clone(), handlers, limits, jitter: Arc::new(|| 0.5), name: name.into() }
}

async fn open(url: &str, clock: &Arc<ManualClock>) -> Journal {
    Journal::open(url, &[MIGRATION], JournalLimits::default(), Arc::clone(clock) as _).await.unwrap()
}

struct Enqueue {
    jobs: Vec<NewJob>,
    refused: bool,
}

impl Unit for Enqueue {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            for job in &self.jobs {
                tx.enqueue(job.clone()).await?;
            }
            if self.refused { Err(Refusal::from(ErrorCode::InvalidData).into()) } else { Ok("null".into()) }
        })
    }
}

/// A handler that writes its job's kind into a table, and can be told to misbehave after that.
#[derive(Default)]
pub struct Effect {
    failures: Option<(AtomicU32, fn() -> JobError)>,
    next: Option<NewJob>,
    sql: Option<&'static str>,
    panics_in_act: bool,
    panics_in_settle: bool,
    /// Tells that an act has begun, then waits for a permit.
    gate: Option<(mpsc::UnboundedSender<u64>, Arc<Semaphore>)>,
}

impl Effect {
    /// The first so many settles fail.
    pub fn fails(self, times: u32, error: fn() -> JobError) -> Self {
        Self { failures: Some((AtomicU32::new(times), error)), ..self }
    }

    pub fn enqueues(self, next: NewJob) -> Self {
        Self { next: Some(next), ..self }
    }

    pub fn runs(self, sql: &'static str) -> Self {
        Self { sql: Some(sql), ..self }
    }

    pub fn panics_in_act(self) -> Self {
        Self { panics_in_act: true, ..self }
    }

    pub fn panics_in_settle(self) -> Self {
        Self { panics_in_settle: true, ..self }
    }

    /// Acts only as far as `permits` lets it; every beginning is told with the job's id.
    pub fn waits_for(self, permits: &Arc<Semaphore>) -> (Self, mpsc::UnboundedReceiver<u64>) {
        let (begun, beginnings) = mpsc::unbounded_channel();
        (Self { gate: Some((begun, Arc::clone(permits))), ..self }, beginnings)
    }
}

impl Handler for Effect {
    fn act<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, JobError>> {
        assert!(!self.panics_in_act, "this handler was told to panic");
        Box::pin(async move {
            if let Some((begun, permits)) = &self.gate {
                begun.send(job.id).unwrap();
                permits.acquire().await.unwrap().forget();
            }
            Ok(job.kind.clone())
        })
    }

    fn settle<'a>(&'a self, _: &'a Job, acted: &'a str, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async move {
            tx.execute("INSERT INTO effect (text) VALUES ($1)", &[acted.into()]).await?;
            if let Some(next) = &self.next {
                tx.enqueue(next.clone()).await?;
            }
            if let Some(sql) = self.sql {
                tx.execute(sql, &[]).await?;
            }
            assert!(!self.panics_in_settle, "this handler was told to panic");
            if let Some((left, error)) = &self.failures
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
            {
                return Err(error());
            }
            Ok(())
        })
    }
}
