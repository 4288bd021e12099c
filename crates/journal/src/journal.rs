//! The journal of one site: opening a store, writing into its log and reading from it.

use crate::clock::Clock;
use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::idempotency::{self, Idempotency};
use crate::log::{self, NewEvent};
use crate::membership::{self, Membership};
use crate::metrics::JournalMetrics;
use crate::migrate::{self, Migration};
use crate::revocation::{self, Revocation};
use crate::store::Store;
use crate::sync;
use crate::trace::{self, Committed, Tracer, TracerPlace};
use crate::tx::{Unit, UnitError};
use crate::writer::{Outcome, Request, Work, Writer, commit_alone};
use campanile_wire::{Channel, Event, EventId};
use sqlx::SqlStr;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, oneshot};

/// Every limit of the store, with its unit.
#[derive(Clone, Debug)]
pub struct JournalLimits {
    /// Requests waiting for the group lane, and commands under way on PostgreSQL; one more is answered `server_busy`.
    pub queue_requests_max: usize,
    /// Requests in one commit.
    pub group_requests_max: usize,
    /// Events in one commit (the last request may go over it).
    pub group_events_max: usize,
    /// How long a command may run inside its transaction.
    pub command_ms_max: u64,
    /// How long to wait for another process's lock or a free connection.
    pub lock_wait_ms_max: u64,
    /// How long to wait for a connection to SQLite, which only this process's own work can hold up.
    pub connection_wait_ms_max: u64,
    /// How often a transaction that met another one is run again.
    pub conflict_retries_max: u32,
    /// Reading connections.
    pub read_connections_max: u32,
    /// Writing connections on PostgreSQL; SQLite has one writer.
    pub write_connections_max: u32,
    /// Commits that a follower may lag behind in memory before it reads the log.
    pub commits_in_memory_max: usize,
    /// Whether COMMIT waits for the flush.
    pub durability: Durability,
}

/// Whether COMMIT waits for the flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What is acknowledged is flushed. The server knows nothing else.
    Flushed,
    /// SQLite without flushes: exists so that the power-cut test can be seen to catch it.
    UnsafeNoFlush,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self {
            queue_requests_max: 10_000,
            group_requests_max: 512,
            group_events_max: 4_096,
            command_ms_max: 5_000,
            lock_wait_ms_max: 5_000,
            connection_wait_ms_max: 30_000,
            conflict_retries_max: 8,
            read_connections_max: 8,
            write_connections_max: 16,
            commits_in_memory_max: 1_024,
            durability: Durability::Flushed,
        }
    }
}

/// The tables of this crate.
pub(crate) const OWN_MIGRATIONS: [Migration; 4] = [
    Migration { feature: "journal", number: 1, sql: include_str!("schema/0001.sql") },
    Migration { feature: "journal", number: 2, sql: include_str!("schema/0002.sql") },
    Migration { feature: "journal", number: 3, sql: include_str!("schema/0003.sql") },
    sync::MIGRATION,
];

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest event's id; 0 in an empty log.
    pub id: EventId,
    /// When it was recorded, in unix milliseconds.
    pub recorded_at_ms: i64,
    /// Raised by every restore.
    pub epoch: u64,
    /// Ids up to here belong to earlier epochs.
    pub epoch_floor: EventId,
}

/// One moment of the store: the head, who is a member of what at it, and which credentials have ended.
#[derive(Debug)]
pub struct Snapshot {
    /// The end of the log at this moment.
    pub head: Head,
    /// Every interval of membership up to it.
    pub memberships: Vec<Membership>,
    /// Credentials that ended before their time.
    pub revocations: Vec<Revocation>,
}

/// The durable half of a site. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    pub(crate) writer: Arc<Writer>,
    pub(crate) queue: mpsc::Sender<Request>,
    /// Places of the lane in which each command has its own transaction.
    pub(crate) alone: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// A reading connection for queries.
pub struct Reader(Conn);

impl Reader {
    /// Runs a query; answers all its rows.
    ///
    /// # Errors
    /// When the store fails or refuses the statement.
    pub async fn fetch(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, JournalError> {
        self.0.fetch(SqlStr::from_static(sql), values).await
    }
}

impl Journal {
    /// Opens `sqlite://path/to.db` or `postgres://…`, brings the schema up to date and checks that acknowledged means flushed.
    ///
    /// # Errors
    /// When the store cannot be reached, comes from the future, or is set up so that it could lose what it acknowledged.
    pub async fn open(
        url: &str,
        migrations: &[Migration],
        limits: JournalLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        let store = Store::open(url, &limits).await?;
        let mut conn = store.writing().await?;
        store.check_flushes(&mut conn, limits.durability).await?;
        migrate::run(&mut conn, &[&OWN_MIGRATIONS, migrations].concat(), clock.now_ms()).await?;
        drop(conn);
        let (committed, _) = broadcast::channel(limits.commits_in_memory_max);
        let (queue, requests) = mpsc::channel(limits.queue_requests_max);
        let alone = Arc::new(Semaphore::new(limits.queue_requests_max));
        let (store, jobs_enqueued) = (Arc::new(store), Notify::new());
        let (metrics, tracer) = (JournalMetrics::default(), TracerPlace::new());
        let writer = Arc::new(Writer { store, limits, clock: Arc::clone(&clock), committed, jobs_enqueued, metrics, tracer });
        tokio::spawn(Arc::clone(&writer).run(requests));
        Ok(Self { writer, queue, alone, clock })
    }

    /// Commits events that need no domain SQL. All or nothing; answered after the flush.
    ///
    /// # Errors
    /// When the store fails, the queue is full, or the idempotency key was used with another body.
    pub async fn publish(&self, events: Vec<NewEvent>, idempotency: Option<Idempotency>) -> Result<Outcome, UnitError> {
        self.submit(Work::Publish(events), idempotency).await
    }

    /// Commits a command's work: its rows, events and jobs, all or nothing; answered after the flush.
    ///
    /// # Errors
    /// The command's own refusal, or when the store fails.
    pub async fn run(&self, unit: Box<dyn Unit>, idempotency: Option<Idempotency>) -> Result<Outcome, UnitError> {
        self.submit(Work::Unit(unit), idempotency).await
    }

    async fn submit(&self, work: Work, idempotency: Option<Idempotency>) -> Result<Outcome, UnitError> {
        let alone = matches!(work, Work::Unit(_)) && matches!(*self.writer.store, Store::Postgres { .. });
        let (reply, answer) = oneshot::channel();
        let request = Request { work, idempotency, reply, trace: trace::current() };
        if alone {
            let place = Arc::clone(&self.alone).try_acquire_owned().map_err(|_| JournalError::QueueFull)?;
            commit_alone(&self.writer, request, place);
        } else {
            self.queue.try_send(request).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => JournalError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => JournalError::Closed,
            })?;
        }
        answer.await.unwrap_or_else(|_| Err(JournalError::CommitUnknown("the writer ended".into()).into()))
    }

    /// This process's commits from now on, in commit order on SQLite and nearly so on PostgreSQL. A receiver that lags reads the log.
    pub fn commits(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.writer.committed.subscribe()
    }

    /// Has every traced request's commit told to the tracer, from now on; the first one stands.
    pub fn trace_with(&self, tracer: Arc<dyn Tracer>) {
        let _ = self.writer.tracer.set(tracer);
    }

    /// Whoever records spans, if anybody does.
    pub fn tracer(&self) -> Option<&Arc<dyn Tracer>> {
        self.writer.tracer.get()
    }

    /// Notified after each commit of this process that enqueued jobs.
    pub(crate) fn jobs_enqueued(&self) -> &Notify {
        &self.writer.jobs_enqueued
    }

    pub(crate) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.writer.store)
    }

    /// The clock that this journal was opened with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A connection for queries.
    ///
    /// # Errors
    /// When none is free in time or the store cannot be reached.
    pub async fn reader(&self) -> Result<Reader, JournalError> {
        self.writer.store.reading().await.map(Reader)
    }

    /// The end of the log.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn head(&self) -> Result<Head, JournalError> {
        let mut conn = self.writer.store.reading().await?;
        read_head(&mut conn).await
    }

    /// The head and the memberships at one moment.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn snapshot(&self) -> Result<Snapshot, JournalError> {
        Ok(self.snapshot_with(async |_| Ok(())).await?.0)
    }

    /// As [`Journal::snapshot`], and what `build` reads at the same moment.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn snapshot_with<T>(
        &self,
        build: impl AsyncFnOnce(&mut Reader) -> Result<T, JournalError>,
    ) -> Result<(Snapshot, T), JournalError> {
        self.in_snapshot(async |reader| {
            let head = read_head(&mut reader.0).await?;
            let memberships = membership::load(&mut reader.0).await?;
            let revocations = revocation::load(&mut reader.0).await?;
            Ok((Snapshot { head, memberships, revocations }, build(reader).await?))
        })
        .await
    }

    /// The events after `after` up to `upto`, at most `limit`, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read(&self, after: EventId, upto: EventId, limit: u64) -> Result<Vec<Event>, JournalError> {
        let mut conn = self.writer.store.reading().await?;
        log::read(&mut conn, after, upto, limit).await
    }

    /// The events of some channels after `after` up to `upto`, at most `limit`, in order, and how far each channel has been pruned
    /// beyond `after`, both at one moment. With very many channels other channels' events come along: the caller sifts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_channels(
        &self,
        channels: &[Channel],
        kinds: &[&str],
        after: EventId,
        upto: EventId,
        limit: u64,
    ) -> Result<(Vec<Event>, Vec<(String, EventId)>), JournalError> {
        self.in_snapshot(async |Reader(conn)| {
            let events = log::read_channels(conn, channels, kinds, after, upto, limit).await?;
            Ok((events, log::pruned_through(conn, channels, kinds, after).await?))
        })
        .await
    }

    /// The id up to which pruning has reached in any channel.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pruned_through_max(&self) -> Result<EventId, JournalError> {
        let sql = "SELECT COALESCE(MAX(pruned_through), 0) AS pruned_through FROM channel_head";
        let rows = self.reader().await?.fetch(sql, &[]).await?;
        rows.first().map_or(Ok(0), |row| row.count("pruned_through"))
    }

    /// The cursor that stands for an instant: after it come exactly the kept events recorded at or after the instant. Where events were
    /// pruned it is the lowest such cursor, so that a gap is rather told than missed. Ids are dense and `recorded_at` never runs
    /// backwards, so a binary search over ids needs no index.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cursor_at(&self, instant_ms: i64) -> Result<EventId, JournalError> {
        self.in_snapshot(async |Reader(conn)| {
            let head = read_head(conn).await?;
            if head.recorded_at_ms < instant_ms {
                return Ok(head.id);
            }
            let (mut low, mut high) = (0, head.id);
            while low < high {
                let middle = low + (high - low) / 2;
                let sql = "SELECT id, recorded_at_ms FROM event WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 1";
                let next = conn.fetch(SqlStr::from_static(sql), &[middle.into(), high.into()]).await?;
                match next.first() {
                    Some(row) if row.int("recorded_at_ms")? < instant_ms => low = row.count("id")?,
                    _ => high = middle,
                }
            }
            Ok(low)
        })
        .await
    }

    async fn in_snapshot<T>(&self, read: impl AsyncFnOnce(&mut Reader) -> Result<T, JournalError>) -> Result<T, JournalError> {
        // Whoever goes away in the middle drops the reader, and a connection inside a transaction is not given back to its pool.
        let mut reader = self.reader().await?;
        reader.0.begin_snapshot().await?;
        let result = read(&mut reader).await?;
        reader.0.rollback().await?;
        Ok(result)
    }

    /// Forgets outcomes whose idempotency keys are older than a day, and ended tickets.
    ///
    /// # Errors
    /// When the store fails; what was forgotten before stays forgotten.
    pub async fn forget_expired(&self) -> Result<(), JournalError> {
        let now_ms = self.clock.now_ms();
        self.delete_in_steps(FORGET_OUTCOMES, now_ms - idempotency::KEPT_MS).await?;
        self.delete_in_steps(FORGET_TICKETS, now_ms).await
    }

    /// Runs a deletion of few rows.
    pub(crate) async fn delete_where(&self, sql: &'static str, before_ms: i64) -> Result<(), JournalError> {
        let mut conn = self.writer.store.writing().await?;
        conn.execute(SqlStr::from_static(sql), &[before_ms.into()]).await.map(drop)
    }

    async fn delete_in_steps(&self, sql: &'static str, before_ms: i64) -> Result<(), JournalError> {
        let mut gone = FORGET_ROWS_MAX;
        while gone == FORGET_ROWS_MAX {
            let mut conn = self.writer.store.writing().await?;
            let values = [before_ms.into(), Value::from(FORGET_ROWS_MAX)];
            gone = conn.execute(SqlStr::from_static(sql), &values).await?;
        }
        Ok(())
    }
}

/// Rows forgotten in one transaction, so that writers are never held up for long.
const FORGET_ROWS_MAX: u64 = 1_000;

const FORGET_OUTCOMES: &str =
    "DELETE FROM idempotency WHERE idem IN (SELECT idem FROM idempotency WHERE created_at_ms < $1 LIMIT $2)";

const FORGET_TICKETS: &str = "DELETE FROM ticket WHERE hash IN (SELECT hash FROM ticket WHERE expires_at_ms < $1 LIMIT $2)";

async fn read_head(conn: &mut Conn) -> Result<Head, JournalError> {
    let sql = "SELECT head, recorded_at_ms, epoch, epoch_floor FROM log_head WHERE singleton = 1";
    let rows = conn.fetch(SqlStr::from_static(sql), &[]).await?;
    let row = rows.first().ok_or_else(|| JournalError::Unusable("the log's head row is missing".into()))?;
    Ok(Head {
        id: row.count("head")?,
        recorded_at_ms: row.int("recorded_at_ms")?,
        epoch: row.count("epoch")?,
        epoch_floor: row.count("epoch_floor")?,
    })
}
