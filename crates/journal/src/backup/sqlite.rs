//! SQLite: `VACUUM INTO` a new file, read again before it counts; restoring puts a copy in the old file's place.

use super::file::{self, failed};
use super::{Backup, BackupProgress, OnProgress, Restored, head_after, refused};
use crate::error::JournalError;
use crate::journal::Head;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How often progress is told.
const PROGRESS_MS: u64 = 200;
/// How long another process's lock is waited for before the store counts as in use.
const IN_USE_WAIT_MS: u64 = 1_000;
/// How long a backup waits for a lock of the server; it needs none but at moments.
const LOCK_WAIT_MS: u64 = 10_000;

pub(super) async fn backup(store: &str, to: &Path, progress: OnProgress<'_>) -> Result<Backup, JournalError> {
    let mut conn = open(path_of(store)?, LOCK_WAIT_MS).await?;
    let before = head(&mut conn).await?.ok_or_else(|| refused("there is no log in this store"))?;
    let pages = number(&mut conn, "PRAGMA page_count").await?;
    let bytes_about = pages * number(&mut conn, "PRAGMA page_size").await?;
    let target = to.to_str().ok_or_else(|| refused("the file's name is not UTF-8"))?.to_owned();
    let mut writing = Box::pin(sqlx::query("VACUUM INTO $1").bind(target).execute(&mut conn));
    loop {
        tokio::select! {
            done = &mut writing => break done.map(drop)?,
            () = tokio::time::sleep(Duration::from_millis(PROGRESS_MS)) => {
                let bytes = fs::metadata(to).map_or(0, |metadata| metadata.len());
                progress(BackupProgress { step: "writing", bytes, bytes_about });
            }
        };
    }
    drop(writing);
    progress(BackupProgress { step: "verifying", bytes: bytes_about, bytes_about });
    let found = verify(to).await?;
    // The store may have gone on meanwhile: up to the backup's head it must hold no more than the backup does.
    let sql = format!("SELECT COUNT(*) FROM event WHERE id <= {}", found.head.id);
    let events = number(&mut conn, &sql).await?;
    let tables = number(&mut conn, TABLES).await?;
    if found.head.id < before.id || found.events < events || found.tables < tables {
        return Err(refused(format!(
            "the backup ends at {} with {} events and {} tables, the store at {} with {events} and {tables}",
            found.head.id, found.events, found.tables, before.id
        )));
    }
    Ok(found)
}

const TABLES: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";

/// Reads a whole backup, which nobody writes.
async fn verify(path: &Path) -> Result<Backup, JournalError> {
    read_whole(path).await.map_err(|error| match error {
        JournalError::Unusable(_) => error,
        other => refused(format!("{} is no backup of a SQLite store: {other}", path.display())),
    })
}

async fn read_whole(path: &Path) -> Result<Backup, JournalError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true).disable_statement_logging();
    let mut conn = options.connect().await?;
    let answers = sqlx::query("PRAGMA integrity_check").fetch_all(&mut conn).await?;
    let answer: String = answers.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    if answer != "ok" {
        return Err(refused(format!("{} is damaged: {answer}", path.display())));
    }
    let head = head(&mut conn).await?.ok_or_else(|| refused(format!("{} is no backup of a log", path.display())))?;
    let (events, tables) = (number(&mut conn, "SELECT COUNT(*) FROM event").await?, number(&mut conn, TABLES).await?);
    conn.close().await?;
    Ok(Backup { head, events, tables, bytes: 0 })
}

pub(super) async fn restore(
    store: &str,
    from: &Path,
    replace: bool,
    progress: OnProgress<'_>,
) -> Result<Restored, JournalError> {
    let target = path_of(store)?;
    let bytes_about = fs::metadata(from).map_err(|error| failed("reading", from, &error))?.len();
    progress(BackupProgress { step: "verifying", bytes: 0, bytes_about });
    let backup = verify(from).await?;
    let replaced = if target.exists() { replaceable(&target, replace).await? } else { None };
    progress(BackupProgress { step: "writing", bytes: 0, bytes_about });
    let head = head_after(backup.head, replaced);
    let restoring = file::beside(&target, ".restoring");
    copy(from, &restoring)?;
    begin_epoch(&restoring, head).await?;
    file::flush(&restoring)?;
    set_aside(&target)?;
    fs::rename(&restoring, &target).map_err(|error| failed("renaming", &restoring, &error))?;
    file::flush_folder(&target)?;
    Ok(Restored { from: backup.head, head, events: backup.events })
}

/// Sees that the store may be replaced and that nobody uses it, and makes it one whole file. Answers its head.
async fn replaceable(target: &Path, replace: bool) -> Result<Option<Head>, JournalError> {
    let unreadable = |error: JournalError| match error {
        JournalError::Unusable(_) => error,
        other => refused(format!("{} cannot be read ({other}); move it away and restore again", target.display())),
    };
    let mut conn = open(target.to_owned(), IN_USE_WAIT_MS).await?;
    let is_empty = number(&mut conn, TABLES).await.map_err(unreadable)? == 0;
    if !is_empty && !replace {
        return Err(refused(format!("{} is not empty; --replace puts the backup in its place", target.display())));
    }
    // Whoever has the file open with a write-ahead log keeps it from being closed.
    let mode = sqlx::query("PRAGMA journal_mode = DELETE").fetch_one(&mut conn).await;
    let mode: String = mode.and_then(|row| row.try_get(0)).unwrap_or_default();
    if mode != "delete" {
        return Err(refused(format!("{} is in use; stop the server first", target.display())));
    }
    let head = head(&mut conn).await.map_err(unreadable)?;
    conn.close().await?;
    Ok(head)
}

/// The old file stays under another name until somebody removes it. So does a write-ahead log that a lost file left behind: SQLite
/// would read it into the restored one.
fn set_aside(target: &Path) -> Result<(), JournalError> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let aside = file::beside(target, &format!(".replaced-{}", since.as_millis()));
    for ending in ["", "-wal", "-shm"] {
        let old = file::beside(target, ending);
        match fs::rename(&old, file::beside(&aside, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("renaming", &old, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), JournalError> {
    let mut source = fs::File::open(from).map_err(|error| failed("reading", from, &error))?;
    // What an earlier attempt left is of no use.
    let made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to);
    let mut target = made.map_err(|error| failed("creating", to, &error))?;
    target.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|error| failed("creating", to, &error))?;
    std::io::copy(&mut source, &mut target).map_err(|error| failed("writing", to, &error))?;
    Ok(())
}

async fn begin_epoch(path: &Path, head: Head) -> Result<(), JournalError> {
    let mut conn = open(path.to_owned(), LOCK_WAIT_MS).await?;
    let sql = "UPDATE log_head SET head = $1, epoch = $2, epoch_floor = $3 WHERE singleton = 1";
    let [id, epoch, floor] = [head.id, head.epoch, head.epoch_floor].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    sqlx::query(sql).bind(id).bind(epoch).bind(floor).execute(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

fn path_of(store: &str) -> Result<PathBuf, JournalError> {
    Ok(SqliteConnectOptions::from_str(store)?.get_filename().to_owned())
}

async fn open(path: PathBuf, lock_wait_ms: u64) -> Result<SqliteConnection, JournalError> {
    let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_millis(lock_wait_ms));
    let conn = options.disable_statement_logging().connect().await;
    conn.map_err(|error| refused(format!("{} cannot be read: {error}", path.display())))
}

/// None where there is no log.
async fn head(conn: &mut SqliteConnection) -> Result<Option<Head>, JournalError> {
    if number(conn, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'log_head'").await? == 0 {
        return Ok(None);
    }
    let row = sqlx::query("SELECT head, recorded_at_ms, epoch, epoch_floor FROM log_head WHERE singleton = 1");
    let row = row.fetch_one(conn).await?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let recorded_at_ms = row.try_get("recorded_at_ms")?;
    Ok(Some(Head { id: count("head")?, recorded_at_ms, epoch: count("epoch")?, epoch_floor: count("epoch_floor")? }))
}

async fn number(conn: &mut SqliteConnection, sql: &str) -> Result<u64, JournalError> {
    // Constants of this file and numbers.
    let row = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(conn).await?;
    Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
}
