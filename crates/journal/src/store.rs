//! The two stores: their connections, and the settings under which acknowledged means flushed.

use crate::db::{Conn, Held};
use crate::error::JournalError;
use crate::journal::{Durability, JournalLimits};
use crate::metrics::PoolLoad;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, PgPool, SqlStr, SqlitePool};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How much longer than PostgreSQL's own limit on a statement its answer may take.
const ANSWER_GRACE_MS: u64 = 1_000;

/// The pools of one store.
pub(crate) enum Store {
    Sqlite { write: SqlitePool, read: SqlitePool, path: PathBuf, inode: u64 },
    Postgres { write: PgPool, read: PgPool, answer_max: Duration },
}

impl Store {
    pub(crate) async fn open(url: &str, limits: &JournalLimits) -> Result<Self, JournalError> {
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url, limits).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url, limits).await
        } else {
            Err(JournalError::Unusable("store is sqlite://path/to.db or postgres://user@host/database".into()))
        }
    }

    /// Opens a store for reading alone, without making anything; none when SQLite's file is not there.
    pub(crate) async fn open_to_look(url: &str, limits: &JournalLimits) -> Result<Option<Self>, JournalError> {
        if !url.starts_with("sqlite:") {
            return Self::open(url, limits).await.map(Some);
        }
        let options = SqliteConnectOptions::from_str(url)?.create_if_missing(false).read_only(true);
        let options = options.busy_timeout(Duration::from_millis(limits.lock_wait_ms_max)).disable_statement_logging();
        let path = options.get_filename().to_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !path.exists() && folder.is_dir() {
            return Ok(None);
        }
        let wait = Duration::from_millis(limits.connection_wait_ms_max);
        let read = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait).connect_with(options).await?;
        let inode = inode_of(&path)?;
        Ok(Some(Self::Sqlite { write: read.clone(), read, path, inode }))
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
        flush_leftover(&path)?;
        let wait = Duration::from_millis(limits.connection_wait_ms_max);
        // Local connections do not age, and a file's last connection to close would take the write-ahead log with it.
        let pool = || SqlitePoolOptions::new().acquire_timeout(wait).idle_timeout(None).max_lifetime(None);
        // One writer: SQLite has one write lock, and a fair queue before it is better than its busy loop.
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        let options = options.create_if_missing(false);
        // Whoever connects again later must find this database, not make an empty one where it was.
        write.set_connect_options(options.clone());
        let read = pool().max_connections(limits.read_connections_max).connect_with(options.read_only(true)).await?;
        let inode = inode_of(&path)?;
        Ok(Self::Sqlite { write, read, path, inode })
    }

    async fn open_postgres(url: &str, limits: &JournalLimits) -> Result<Self, JournalError> {
        let wait_ms = limits.lock_wait_ms_max.to_string();
        // The server gives up a little after we do, so that no transaction outlives its command; and we give the server up after that.
        let statement_ms_max = limits.command_ms_max.max(limits.lock_wait_ms_max) * 2;
        let answer_max = Duration::from_millis(statement_ms_max + ANSWER_GRACE_MS);
        let statement_ms = statement_ms_max.to_string();
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
        let read_only = options.options([("default_transaction_read_only", "on")]);
        let read = pool(limits.read_connections_max).connect_with(read_only).await?;
        Ok(Self::Postgres { write, read, answer_max })
    }

    pub(crate) async fn writing(&self) -> Result<Conn, JournalError> {
        Ok(match self {
            Self::Sqlite { write, .. } => Conn::Sqlite(Held::new(write.acquire().await.map_err(local)?, None)),
            Self::Postgres { write, answer_max, .. } => Conn::Postgres(Held::new(write.acquire().await?, Some(*answer_max))),
        })
    }

    pub(crate) async fn reading(&self) -> Result<Conn, JournalError> {
        Ok(match self {
            Self::Sqlite { read, .. } => Conn::Sqlite(Held::new(read.acquire().await.map_err(local)?, None)),
            Self::Postgres { read, answer_max, .. } => Conn::Postgres(Held::new(read.acquire().await?, Some(*answer_max))),
        })
    }

    /// The engine's name, and who holds its connections.
    pub(crate) fn pools(&self) -> (&'static str, [PoolLoad; 2]) {
        match self {
            Self::Sqlite { write, read, .. } => ("sqlite", [load("write", write), load("read", read)]),
            Self::Postgres { write, read, .. } => ("postgres", [load("write", write), load("read", read)]),
        }
    }

    /// SQLite goes on writing into files that somebody deleted or replaced; what is acknowledged there is lost with the process.
    /// To be asked inside a transaction: the write-ahead log exists while a connection is open.
    pub(crate) fn still_there(&self) -> Result<(), JournalError> {
        let Self::Sqlite { path, inode, .. } = self else { return Ok(()) };
        match inode_of(path) {
            Ok(now) if now == *inode && wal_of(path).exists() => Ok(()),
            _ => Err(JournalError::Unavailable("the database file was deleted or replaced while it was open; restart".into())),
        }
    }

    /// Acknowledged means flushed: refuses settings under which that is not so.
    pub(crate) async fn check_flushes(&self, conn: &mut Conn, durability: Durability) -> Result<(), JournalError> {
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

fn load<DB: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<DB>) -> PoolLoad {
    let (open, idle) = (pool.size() as usize, pool.num_idle());
    // Both numbers move while they are read.
    PoolLoad { name, in_use: open.saturating_sub(idle), idle, connections_max: pool.options().get_max_connections() as usize }
}

fn inode_of(path: &Path) -> Result<u64, JournalError> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|metadata| metadata.ino()).map_err(|error| JournalError::Unavailable(error.to_string()))
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A process that was killed between writing a commit and flushing it leaves a whole commit that only the page cache holds. Whoever
/// opens the store next sees it, so it is flushed before anybody is told of it. (PostgreSQL does the same when it starts.)
fn flush_leftover(path: &Path) -> Result<(), JournalError> {
    let flushed = std::fs::File::open(wal_of(path)).and_then(|wal| wal.sync_all());
    match flushed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(JournalError::Unavailable(error.to_string())),
        _ => Ok(()),
    }
}

/// A local connection that does not come in time is one that others hold.
fn local(error: sqlx::Error) -> JournalError {
    match error {
        sqlx::Error::PoolTimedOut => JournalError::Busy("every connection is in use".into()),
        other => other.into(),
    }
}
