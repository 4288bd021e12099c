//! Migrations: numbered per feature, run at start in one transaction, never edited afterwards.

use crate::db::{Conn, Value};
use crate::error::JournalError;
use crate::idempotency::hex;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use std::collections::HashMap;

/// One step of one feature's schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Whose tables these are.
    pub feature: &'static str,
    /// 1, 2, 3 … within the feature.
    pub number: i64,
    /// Portable SQL. `BIGKEY` is a 64-bit primary key that is given, `SERIALKEY` one that the engine counts.
    pub sql: &'static str,
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migration (feature TEXT NOT NULL, number BIGINT NOT NULL, \
     checksum TEXT NOT NULL, applied_at_ms BIGINT NOT NULL, PRIMARY KEY (feature, number))";

/// Brings the schema up to date, or refuses with a sentence.
pub(crate) async fn run(conn: &mut Conn, migrations: &[Migration], now_ms: i64) -> Result<(), JournalError> {
    conn.begin().await?;
    conn.lift_time_limits().await?;
    if matches!(conn, Conn::Postgres(_)) {
        // Two nodes that start at once: the second waits and then finds the work done. The number is arbitrary and ours.
        conn.run(SqlStr::from_static("SELECT pg_advisory_xact_lock(7236152)")).await?;
    }
    let result = apply(conn, migrations, now_ms).await;
    match &result {
        Ok(()) => conn.commit().await?,
        // Should this fail too, the connection is closed instead; the first error is the one to tell.
        Err(_) => drop(conn.rollback().await),
    }
    result
}

async fn apply(conn: &mut Conn, migrations: &[Migration], now_ms: i64) -> Result<(), JournalError> {
    conn.run(SqlStr::from_static(CREATE)).await?;
    let applied = applied(conn).await?;
    refuse_the_future(&applied, migrations)?;
    for migration in migrations {
        let checksum = hex(Sha256::new().chain_update(migration.sql));
        match applied.get(&(migration.feature.to_owned(), migration.number)) {
            Some(known) if *known == checksum => {}
            Some(_) => {
                return Err(JournalError::Unusable(format!(
                    "migration {} of {} was edited after it ran on this database; put the old text back and add a new number",
                    migration.number, migration.feature
                )));
            }
            None => {
                conn.run(AssertSqlSafe(for_engine(conn, migration.sql)).into_sql_str()).await?;
                let values = [migration.feature.into(), migration.number.into(), checksum.into(), Value::from(now_ms)];
                let sql = "INSERT INTO migration (feature, number, checksum, applied_at_ms) VALUES ($1, $2, $3, $4)";
                conn.execute(SqlStr::from_static(sql), &values).await?;
            }
        }
    }
    Ok(())
}

/// The checksums of what ran on this database, by feature and number.
pub(crate) async fn applied(conn: &mut Conn) -> Result<HashMap<(String, i64), String>, JournalError> {
    let mut applied = HashMap::new();
    for row in conn.fetch(SqlStr::from_static("SELECT feature, number, checksum FROM migration"), &[]).await? {
        applied.insert((row.text("feature")?, row.int("number")?), row.text("checksum")?);
    }
    Ok(applied)
}

/// A newer program may have changed the meaning of what is stored: an older one must not write into it.
pub(crate) fn refuse_the_future(
    applied: &HashMap<(String, i64), String>,
    migrations: &[Migration],
) -> Result<(), JournalError> {
    for (feature, number) in applied.keys() {
        let newest = migrations.iter().filter(|known| known.feature == feature).map(|known| known.number).max();
        if let Some(newest) = newest
            && *number > newest
        {
            return Err(JournalError::Unusable(format!(
                "this database comes from a newer campanile: it has migration {number} of {feature}, this program knows up to \
                 {newest}; start the newer program, or restore a backup from before the upgrade"
            )));
        }
    }
    Ok(())
}

fn for_engine(conn: &Conn, sql: &str) -> String {
    let (bigkey, serialkey) = match conn {
        Conn::Sqlite(_) => ("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        Conn::Postgres(_) => ("BIGINT PRIMARY KEY", "BIGSERIAL PRIMARY KEY"),
    };
    // Comments may name the placeholders too; replacing there does no harm.
    sql.replace("SERIALKEY", serialkey).replace("BIGKEY", bigkey)
}
