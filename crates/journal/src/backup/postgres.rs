//! PostgreSQL: through `pg_dump`, `pg_restore` and `psql`, in one snapshot out and in one transaction in.

use super::{Backup, BackupProgress, OnProgress, Restored, file, head_after, refused};
use crate::error::JournalError;
use crate::journal::Head;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// How often progress is told.
const PROGRESS_MS: u64 = 200;
/// How long the sessions of a server that has ended are waited for.
const IN_USE_WAIT_MS: u64 = 3_000;
/// How much of a tool's own words is told.
const WORDS_BYTES_MAX: u64 = 2_000;

/// Where the store is, as the tools take it: the password is in no command line, where everybody could read it.
struct Target {
    address: String,
    password: Option<String>,
}

pub(super) async fn backup(
    store: &str,
    to: &Path,
    tables: &[String],
    progress: OnProgress<'_>,
) -> Result<Backup, JournalError> {
    let mut conn = connect(store).await?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut conn).await?;
    let head = head(&mut conn).await?.ok_or_else(|| refused("there is no log in this store"))?;
    let events = number(&mut conn, "SELECT COUNT(*) FROM event").await?;
    let tables = present(&mut conn, tables).await?;
    let mut bytes_about = 0;
    for table in &tables {
        bytes_about += number(&mut conn, &format!("SELECT pg_total_relation_size('{table}')")).await?;
    }
    let snapshot: String = sqlx::query("SELECT pg_export_snapshot()").fetch_one(&mut conn).await?.try_get(0)?;
    let mut dump = Target::of(store)?.tool("pg_dump");
    dump.args(["--format=custom", "--no-owner", "--no-privileges"]).arg(format!("--snapshot={snapshot}")).arg("--file").arg(to);
    dump.args(tables.iter().map(|table| format!("--table={table}")));
    let mut child = start(&mut dump, "pg_dump")?;
    let mut ended = Box::pin(finish(&mut child, "pg_dump"));
    loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            () = tokio::time::sleep(Duration::from_millis(PROGRESS_MS)) => {
                let bytes = std::fs::metadata(to).map_or(0, |metadata| metadata.len());
                progress(BackupProgress { step: "writing", bytes, bytes_about });
            }
        }
    }
    progress(BackupProgress { step: "verifying", bytes: bytes_about, bytes_about });
    let found = verify(to).await?;
    if (found.head, found.events, found.tables) != (head, events, tables.len() as u64) {
        return Err(refused(format!(
            "the backup ends at {} with {} events and {} tables, the store at {} with {events} and {}",
            found.head.id,
            found.events,
            found.tables,
            head.id,
            tables.len()
        )));
    }
    Ok(found)
}

/// Reads a backup: its list, its head and each of its events.
async fn verify(from: &Path) -> Result<Backup, JournalError> {
    let list = list(from).await?;
    let tables = list.lines().filter(|line| line.contains(" TABLE DATA ")).count() as u64;
    let head = rows(from, "log_head").await?.first;
    let head: Option<Vec<i64>> = head.map(|line| line.split('\t').filter_map(|field| field.parse().ok()).collect());
    let Some([_, id, recorded_at_ms, epoch, floor]) = head.as_deref() else {
        return Err(refused(format!("{} is no backup of a log", from.display())));
    };
    let [id, epoch, epoch_floor] = [id, epoch, floor].map(|number| number.unsigned_abs());
    let events = rows(from, "event").await?.count;
    Ok(Backup { head: Head { id, recorded_at_ms: *recorded_at_ms, epoch, epoch_floor }, events, tables, bytes: 0 })
}

/// What the archive lists, one entry a line.
async fn list(from: &Path) -> Result<String, JournalError> {
    let mut command = Command::new("pg_restore");
    let mut child = start(command.arg("--list").arg(from).stdout(Stdio::piped()), "pg_restore")?;
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("it was asked for");
    stdout.read_to_string(&mut text).await.map_err(|error| refused(format!("reading pg_restore's list: {error}")))?;
    finish(&mut child, "pg_restore").await?;
    Ok(text)
}

/// The rows of one table in an archive.
struct Rows {
    first: Option<String>,
    count: u64,
}

async fn rows(from: &Path, table: &str) -> Result<Rows, JournalError> {
    let mut command = Command::new("pg_restore");
    command.args(["--data-only", "--file=-"]).arg(format!("--table={table}")).arg(from);
    let mut child = start(command.stdout(Stdio::piped()), "pg_restore")?;
    let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).split(b'\n');
    let (mut rows, mut is_data) = (Rows { first: None, count: 0 }, false);
    while let Some(line) = lines.next_segment().await.map_err(|error| refused(format!("reading the archive: {error}")))? {
        match line.as_slice() {
            b"\\." => is_data = false,
            row if is_data => {
                rows.count += 1;
                rows.first.get_or_insert_with(|| String::from_utf8_lossy(row).into_owned());
            }
            row => is_data = row.starts_with(b"COPY "),
        }
    }
    finish(&mut child, "pg_restore").await?;
    Ok(rows)
}

pub(super) async fn restore(
    store: &str,
    from: &Path,
    tables: &[String],
    replace: bool,
    progress: OnProgress<'_>,
) -> Result<Restored, JournalError> {
    let bytes_about = file::flush(from)?;
    progress(BackupProgress { step: "verifying", bytes: 0, bytes_about });
    let backup = verify(from).await?;
    let mut conn = connect(store).await?;
    let present = present(&mut conn, tables).await?;
    if !present.is_empty() && !replace {
        return Err(refused("the store is not empty; --replace puts the backup in its place"));
    }
    refuse_while_in_use(&mut conn).await?;
    let head = head_after(backup.head, head(&mut conn).await?);
    conn.close().await?;
    progress(BackupProgress { step: "writing", bytes: 0, bytes_about });
    let list = list(from).await?;
    let log_head = list.lines().find(|line| line.contains(" TABLE DATA ") && line.contains(" log_head "));
    let schema = log_head.and_then(|line| line.split_whitespace().rev().nth(2)).unwrap_or("public");
    let drop = if present.is_empty() { String::new() } else { format!("DROP TABLE {};\n", present.join(", ")) };
    let epoch = format!(
        "\nUPDATE \"{}\".log_head SET head = {}, epoch = {}, epoch_floor = {} WHERE singleton = 1;\n",
        schema.replace('"', "\"\""),
        head.id,
        head.epoch,
        head.epoch_floor
    );
    replay(store, from, &list, &drop, &epoch).await?;
    Ok(Restored { from: backup.head, head, events: backup.events })
}

/// The sessions of a server that has just ended may stay for a moment.
async fn refuse_while_in_use(conn: &mut PgConnection) -> Result<(), JournalError> {
    let servers = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'campanile' AND pid <> pg_backend_pid()";
    let deadline = Instant::now() + Duration::from_millis(IN_USE_WAIT_MS);
    while number(conn, servers).await? > 0 {
        if Instant::now() > deadline {
            return Err(refused("the store is in use; stop every server that works on it first"));
        }
        tokio::time::sleep(Duration::from_millis(PROGRESS_MS)).await;
    }
    Ok(())
}

/// Everything in one transaction: the old tables go, the archive's come, the new epoch begins.
async fn replay(store: &str, from: &Path, list: &str, before: &str, after: &str) -> Result<(), JournalError> {
    // The trigger that wakes the processor of sync events is put back by the next start, with its function.
    let kept: Vec<&str> = list.lines().filter(|line| !line.contains(" TRIGGER ")).collect();
    let kept = file::Lines::write(&kept.join("\n"))?;
    let mut script = Command::new("pg_restore");
    script.args(["--no-owner", "--no-privileges", "--file=-", "--use-list"]).arg(kept.path()).arg(from);
    let mut script = start(script.stdout(Stdio::piped()), "pg_restore")?;
    let mut psql = Target::of(store)?.tool("psql");
    psql.args(["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]);
    let mut psql = start(psql.stdin(Stdio::piped()), "psql")?;
    let mut into = psql.stdin.take().expect("it was asked for");
    let mut out = script.stdout.take().expect("it was asked for");
    let feed = async {
        into.write_all(before.as_bytes()).await?;
        tokio::io::copy(&mut out, &mut into).await?;
        Ok::<_, std::io::Error>(())
    };
    let fed = feed.await;
    let scripted = finish(&mut script, "pg_restore").await;
    if fed.is_ok() && scripted.is_ok() {
        // Without these last words psql would commit what it was given; with an archive cut short it is ended instead.
        let _ = into.write_all(after.as_bytes()).await;
    } else {
        psql.start_kill().map_err(|error| refused(format!("ending psql: {error}")))?;
    }
    drop(into);
    // psql's own words come first: it is who stops reading when a statement fails.
    match (finish(&mut psql, "psql").await, scripted, fed) {
        (Ok(()), Ok(()), Ok(())) => Ok(()),
        (_, Err(error), Ok(())) | (Err(error), _, _) => Err(error),
        (_, Err(error), _) => Err(error),
        (_, _, Err(error)) => Err(refused(format!("psql: {error}"))),
    }
}

async fn connect(store: &str) -> Result<PgConnection, JournalError> {
    // Another name than a server's: who looks for servers must not find us.
    let options = PgConnectOptions::from_str(store)?.application_name("campanile-backup").disable_statement_logging();
    Ok(options.connect().await?)
}

/// None where there is no log.
async fn head(conn: &mut PgConnection) -> Result<Option<Head>, JournalError> {
    if present(conn, &["log_head".to_owned()]).await?.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query("SELECT head, recorded_at_ms, epoch, epoch_floor FROM log_head WHERE singleton = 1");
    let row = row.fetch_one(conn).await?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let recorded_at_ms = row.try_get("recorded_at_ms")?;
    Ok(Some(Head { id: count("head")?, recorded_at_ms, epoch: count("epoch")?, epoch_floor: count("epoch_floor")? }))
}

/// Those of our tables that exist.
async fn present(conn: &mut PgConnection, tables: &[String]) -> Result<Vec<String>, JournalError> {
    let sql = "SELECT name FROM unnest(CAST($1 AS TEXT[])) AS name WHERE to_regclass(name) IS NOT NULL";
    let rows = sqlx::query(sql).bind(tables).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn number(conn: &mut PgConnection, sql: &str) -> Result<u64, JournalError> {
    // Constants of this file and names of our own tables.
    let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(conn).await?;
    Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
}

impl Target {
    fn of(store: &str) -> Result<Self, JournalError> {
        let broken = || refused("a PostgreSQL store is postgres://user@host/database");
        let (scheme, rest) = store.split_once("://").ok_or_else(broken)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let Some((user, host)) = authority.rsplit_once('@') else {
            return Ok(Self { address: store.to_owned(), password: None });
        };
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(decoded(password).ok_or_else(broken)?)),
            None => (user, None),
        };
        Ok(Self { address: format!("{scheme}://{name}@{host}{path}"), password })
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--dbname").arg(&self.address).arg("--no-password");
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }
}

/// Percent-encoding undone.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn start(command: &mut Command, program: &str) -> Result<Child, JournalError> {
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refused(format!(
            "{program} is not on the PATH; it comes with PostgreSQL's client programs (postgresql-client), of the server's version or newer"
        )),
        _ => refused(format!("starting {program}: {error}")),
    })
}

/// Waits for its end; its own words are the error.
async fn finish(child: &mut Child, program: &str) -> Result<(), JournalError> {
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr.take(WORDS_BYTES_MAX);
        // What it said is only told; its status decides.
        let _ = stderr.read_to_end(&mut words).await;
        let _ = tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await;
    }
    let status = child.wait().await.map_err(|error| refused(format!("waiting for {program}: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(refused(format!("{program} failed: {}", String::from_utf8_lossy(&words).trim())))
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn the_password_leaves_the_address_that_a_command_line_shows() {
        let check = |store: &str, address: &str, password: Option<&str>| {
            let target = Target::of(store).expect("an address");
            assert_eq!((target.address.as_str(), target.password.as_deref()), (address, password));
        };
        check("postgres://u:p%40%3a@h:5432/d?sslmode=require", "postgres://u@h:5432/d?sslmode=require", Some("p@:"));
        check("postgres://u@h/d", "postgres://u@h/d", None);
        check("postgresql:///d?host=/run", "postgresql:///d?host=/run", None);
        assert!(Target::of("postgres://u:%zz@h/d").is_err());
    }
}
