//! Looks at a store without changing it: whether a start would find it, and find it usable.

use crate::db::Conn;
use crate::error::JournalError;
use crate::journal::{JournalLimits, OWN_MIGRATIONS};
use crate::migrate::{self, Migration};
use crate::store::Store;
use sqlx::SqlStr;

/// What stands where a store is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// No file yet: the first start makes it.
    Absent,
    /// A database without our tables: the first start makes them.
    Empty,
    /// A log with its head's id.
    Log(u64),
}

/// Looks at the store. Nothing is made, migrated or locked.
///
/// # Errors
/// When it cannot be reached, comes from the future, or is set up so that it could lose what it acknowledged.
pub async fn probe(url: &str, migrations: &[Migration], limits: &JournalLimits) -> Result<Probed, JournalError> {
    let Some(store) = Store::open_to_look(url, limits).await? else { return Ok(Probed::Absent) };
    let mut conn = store.reading().await?;
    if let Conn::Postgres(_) = &conn {
        store.check_flushes(&mut conn, limits.durability).await?;
    }
    match migrate::applied(&mut conn).await {
        // The table that every store of ours has is not there.
        Err(JournalError::Statement(_)) => return Ok(Probed::Empty),
        applied => migrate::refuse_the_future(&applied?, &[&OWN_MIGRATIONS, migrations].concat())?,
    }
    let rows = conn.fetch(SqlStr::from_static("SELECT head FROM log_head WHERE singleton = 1"), &[]).await?;
    let head = rows.first().ok_or_else(|| JournalError::Unusable("the log's head row is missing".into()))?;
    Ok(Probed::Log(head.count("head")?))
}
