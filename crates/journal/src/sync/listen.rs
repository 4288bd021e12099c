//! Waking without polling: PostgreSQL notifies on `campanile_sync_events`, by our trigger or by the platform's own NOTIFY.

use crate::db::{Conn, Value};
use crate::error::JournalError;
use crate::sync::identifier::{parse, quote};
use crate::sync::source::SyncSource;
use crate::sync::{LOG, place};
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgPool, SqlSafeStr, SqlStr};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The channel of PostgreSQL that wakes us.
const CHANNEL: &str = "campanile_sync_events";
/// How long after a failure listening begins again. Polling goes on meanwhile.
const AGAIN_MS: u64 = 1_000;

const HAS_TRIGGER: &str = "SELECT COUNT(*) AS found FROM pg_trigger \
     WHERE tgrelid = to_regclass($1) AND tgname = 'campanile_sync_notify' AND NOT tgisinternal";

const SCHEMA_OF: &str = "SELECT CAST(n.nspname AS TEXT) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.oid = to_regclass($1)";

/// Listens until `stop`, through every outage.
pub(crate) async fn listen(source: &SyncSource, wake: &Notify, stop: &CancellationToken) {
    let Some(pool) = place::listening(source.store()) else { return };
    let mut is_down = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Err(error) = hear(source, &pool, wake, &mut is_down) => {
                if !is_down {
                    tracing::warn!(target: LOG, source = source.spec().name, %error, "not listening for rows; they are polled");
                    is_down = true;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(AGAIN_MS)) => {}
        }
    }
}

async fn hear(source: &SyncSource, pool: &PgPool, wake: &Notify, was_down: &mut bool) -> Result<(), JournalError> {
    if source.spec().install_trigger
        && let Err(error) = install_trigger(source).await
    {
        // A role that may not is no reason not to listen: the platform may notify by itself.
        if matches!(error, JournalError::Unavailable(_)) {
            return Err(error);
        }
        tracing::info!(target: LOG, source = source.spec().name, %error, "the trigger cannot be put on the table; rows are polled");
    }
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    tracing::debug!(target: LOG, source = source.spec().name, "listening");
    *was_down = false;
    loop {
        // What came before we listened, or while the connection was down, told nobody.
        wake.notify_one();
        listener.try_recv().await?;
    }
}

/// Puts the trigger on the table, unless it is there.
async fn install_trigger(source: &SyncSource) -> Result<(), JournalError> {
    let parts = parse(&source.spec().table, 2)?;
    let table = parts.iter().map(|part| quote(part)).collect::<Vec<_>>().join(".");
    let mut conn = source.store().writing().await?;
    if has_trigger(&mut conn, &table).await? {
        return Ok(());
    }
    let schema = conn.fetch(SqlStr::from_static(SCHEMA_OF), &[Value::from(table.as_str())]).await?;
    let Some(schema) = schema.first() else { return Err(JournalError::Unusable(format!("there is no table {table}"))) };
    let function = format!("{}.campanile_sync_notify", quote(&schema.text("name")?));
    conn.begin().await?;
    // Two nodes that start at once: the second waits and then finds the work done. The number is arbitrary and ours.
    conn.run(SqlStr::from_static("SELECT pg_advisory_xact_lock(7236153)")).await?;
    if !has_trigger(&mut conn, &table).await? {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS \
             $campanile$ BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $campanile$; \
             CREATE TRIGGER campanile_sync_notify AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        );
        // Quoted names only; a connection that fails inside of a transaction is not given back to its pool.
        conn.run(AssertSqlSafe(sql).into_sql_str()).await?;
    }
    conn.commit().await
}

async fn has_trigger(conn: &mut Conn, table: &str) -> Result<bool, JournalError> {
    let found = conn.fetch(SqlStr::from_static(HAS_TRIGGER), &[table.into()]).await?;
    Ok(found.first().map(|row| row.count("found")).transpose()?.unwrap_or(0) > 0)
}
