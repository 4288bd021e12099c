//! The journal of one site: opening a store, writing into its log and reading from it.

use crate::clock::Clock;
use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::idempotency::{self, Idempotency};
use crate::log::{self, NewEvent};
use crate::membership::{self, Membership};
use crate::migrate::{self, Migration};
use crate::tx::{Unit, UnitError};
use crate::writer::{Outcome, Request, Work, Writer, commit_alone};
use campanile_wire::{Channel, Event, EventId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, PgPool, SqlStr, SqlitePool};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Every limit of the store, with its unit.
#[derive(Clone, Debug)]
pub struct JournalLimits {
    /// Requests waiting for the group lane; one more is answered `server_busy`.
    pub queue_requests_max: usize,
    /// Requests in one commit.
    pub group_requests_max: usize,
    /// Events in one commit (the last request may go over it).
    pub group_events_max: usize,
    /// How long a command may run inside its transaction.
    pub command_ms_max: u64,
    /// How long to wait for another process's lock or a free connection.
    pub lock_wait_ms_max: u64,
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
            conflict_retries_max: 8,
            read_connections_max: 8,
            write_connections_max: 16,
            commits_in_memory_max: 1_024,
            durability: Durability::Flushed,
        }
    }
}

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

/// One moment of the store: the head, and who is a member of what at it.
#[derive(Debug)]
pub struct Snapshot {
    /// The end of the log at this moment.
    pub head: Head,
    /// Every interval of membership up to it.
    pub memberships: Vec<Membership>,
}

/// The durable half of a site. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    writer: Arc<Writer>,
    queue: mpsc::Sender<Request>,
    clock: Arc<dyn Clock>,
}

/// The pools of one store.
pub(crate) enum Store {
    Sqlite { write: SqlitePool, read: SqlitePool, path: PathBuf, inode: u64 },
    Postgres { write: PgPool, read: PgPool },
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
        let mut all = vec![Migration { feature: "journal", number: 1, sql: include_str!("schema/0001.sql") }];
        all.extend_from_slice(migrations);
        migrate::run(&mut conn, &all, clock.now_ms()).await?;
        drop(conn);
        let (committed, _) = broadcast::channel(limits.commits_in_memory_max);
        let (queue, requests) = mpsc::channel(limits.queue_requests_max);
        let writer = Arc::new(Writer { store: Arc::new(store), limits, clock: Arc::clone(&clock), committed });
        tokio::spawn(Arc::clone(&writer).run(requests));
        Ok(Self { writer, queue, clock })
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
        let request = Request { work, idempotency, reply };
        if alone {
            commit_alone(&self.writer, request);
        } else {
            self.queue.try_send(request).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => JournalError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => JournalError::Closed,
            })?;
        }
        answer.await.unwrap_or_else(|_| Err(JournalError::CommitUnknown("the writer ended".into()).into()))
    }

    /// This process's commits from now on, in commit order on SQLite and nearly so on PostgreSQL. A receiver that lags reads the log.
    pub fn commits(&self) -> broadcast::Receiver<Arc<Vec<Event>>> {
        self.writer.committed.subscribe()
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
        self.in_snapshot(async |conn| Ok(Snapshot { head: read_head(conn).await?, memberships: membership::load(conn).await? }))
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
        after: EventId,
        upto: EventId,
        limit: u64,
    ) -> Result<(Vec<Event>, Vec<(String, EventId)>), JournalError> {
        self.in_snapshot(async |conn| {
            let events = log::read_channels(conn, channels, after, upto, limit).await?;
            let sql = "SELECT channel, pruned_through FROM channel_head WHERE pruned_through > $1";
            let pruned = conn.fetch(SqlStr::from_static(sql), &[after.into()]).await?;
            let pruned = pruned.iter().map(|row| Ok((row.text("channel")?, row.count("pruned_through")?)));
            Ok((events, pruned.collect::<Result<_, JournalError>>()?))
        })
        .await
    }

    /// The cursor that stands for an instant: the id before the first kept event recorded at or after it. Ids are dense and
    /// `recorded_at` never runs backwards, so a binary search over ids needs no index.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cursor_at(&self, instant_ms: i64) -> Result<EventId, JournalError> {
        self.in_snapshot(async |conn| {
            let (mut low, mut high) = (0, read_head(conn).await?.id);
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

    async fn in_snapshot<T>(&self, read: impl AsyncFnOnce(&mut Conn) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut conn = self.writer.store.reading().await?;
        conn.begin_snapshot().await?;
        let result = read(&mut conn).await;
        match (&result, conn.rollback().await) {
            (Ok(_), Ok(())) => {}
            _ => conn.discard().await,
        }
        result
    }

    /// Forgets outcomes whose idempotency keys are older than a day, and used or ended tickets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_expired(&self) -> Result<(), JournalError> {
        let mut conn = self.writer.store.writing().await?;
        let now_ms = self.clock.now_ms();
        let sql = "DELETE FROM idempotency WHERE created_at_ms < $1";
        conn.execute(SqlStr::from_static(sql), &[(now_ms - idempotency::KEPT_MS).into()]).await?;
        conn.execute(SqlStr::from_static("DELETE FROM ticket WHERE expires_at_ms < $1"), &[now_ms.into()]).await?;
        Ok(())
    }
}

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

// === impl Store ===

impl Store {
    async fn open(url: &str, limits: &JournalLimits) -> Result<Self, JournalError> {
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url, limits).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url, limits).await
        } else {
            Err(JournalError::Unusable("store is sqlite://path/to.db or postgres://user@host/database".into()))
        }
    }

    async fn open_sqlite(url: &str, limits: &JournalLimits) -> Result<Self, JournalError> {
        let synchronous = match limits.durability {
            Durability::Flushed => SqliteSynchronous::Full,
            Durability::UnsafeNoFlush => SqliteSynchronous::Off,
        };
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(Duration::from_millis(limits.lock_wait_ms_max))
            .statement_cache_capacity(256)
            .disable_statement_logging();
        let path = options.get_filename().to_owned();
        let wait = Duration::from_millis(limits.lock_wait_ms_max);
        // One writer: SQLite has one write lock, and a fair queue before it is better than its busy loop.
        let write = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait).connect_with(options.clone()).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(limits.read_connections_max)
            .acquire_timeout(wait)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await?;
        let inode = inode_of(&path)?;
        Ok(Self::Sqlite { write, read, path, inode })
    }

    async fn open_postgres(url: &str, limits: &JournalLimits) -> Result<Self, JournalError> {
        let wait_ms = limits.lock_wait_ms_max.to_string();
        // The server gives up a little after we do, so that no transaction outlives its command.
        let statement_ms = (limits.command_ms_max * 2).to_string();
        let options = PgConnectOptions::from_str(url)?
            .application_name("campanile")
            .statement_cache_capacity(256)
            .options([
                ("synchronous_commit", "on"),
                ("lock_timeout", wait_ms.as_str()),
                ("statement_timeout", statement_ms.as_str()),
                ("idle_in_transaction_session_timeout", statement_ms.as_str()),
            ])
            .disable_statement_logging();
        let pool = |connections| {
            PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_millis(limits.lock_wait_ms_max))
        };
        let write = pool(limits.write_connections_max).connect_with(options.clone()).await?;
        let read = pool(limits.read_connections_max).connect_with(options).await?;
        Ok(Self::Postgres { write, read })
    }

    pub(crate) async fn writing(&self) -> Result<Conn, JournalError> {
        Ok(match self {
            Self::Sqlite { write, .. } => Conn::Sqlite(write.acquire().await?),
            Self::Postgres { write, .. } => Conn::Postgres(write.acquire().await?),
        })
    }

    pub(crate) async fn reading(&self) -> Result<Conn, JournalError> {
        Ok(match self {
            Self::Sqlite { read, .. } => Conn::Sqlite(read.acquire().await?),
            Self::Postgres { read, .. } => Conn::Postgres(read.acquire().await?),
        })
    }

    /// SQLite goes on writing into a file that somebody deleted or replaced; what is acknowledged there is lost with the process.
    pub(crate) fn still_there(&self) -> Result<(), JournalError> {
        let Self::Sqlite { path, inode, .. } = self else { return Ok(()) };
        match inode_of(path) {
            Ok(now) if now == *inode => Ok(()),
            _ => Err(JournalError::Unavailable("the database file was deleted or replaced while it was open; restart".into())),
        }
    }

    /// Acknowledged means flushed: refuses settings under which that is not so.
    async fn check_flushes(&self, conn: &mut Conn, durability: Durability) -> Result<(), JournalError> {
        if durability == Durability::UnsafeNoFlush {
            return Ok(());
        }
        let settings: &[(&'static str, &str, &[&str])] = match self {
            Self::Sqlite { .. } => {
                &[("PRAGMA synchronous", "synchronous", &["2", "3"]), ("PRAGMA journal_mode", "journal_mode", &["wal"])]
            }
            Self::Postgres { .. } => &[
                ("SHOW fsync", "fsync", &["on"]),
                ("SHOW full_page_writes", "full_page_writes", &["on"]),
                ("SHOW synchronous_commit", "synchronous_commit", &["on", "remote_apply"]),
            ],
        };
        for (sql, column, allowed) in settings {
            let rows = conn.fetch(SqlStr::from_static(sql), &[]).await?;
            let row = rows.first().ok_or_else(|| JournalError::Unusable(format!("{sql} answered nothing")))?;
            let value = row.text(column).or_else(|_| row.int(column).map(|number| number.to_string()))?;
            if !allowed.contains(&value.as_str()) {
                return Err(JournalError::Unusable(format!(
                    "the database has {column} = {value}, so it could lose what it acknowledged; set it to {}",
                    allowed[0]
                )));
            }
        }
        Ok(())
    }
}

fn inode_of(path: &Path) -> Result<u64, JournalError> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|metadata| metadata.ino()).map_err(|error| JournalError::Unavailable(error.to_string()))
}
