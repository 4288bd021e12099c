//! The store of a source: ours, or the platform's, which we neither create nor set up.

use crate::error::JournalError;
use crate::store::Store;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, PgPool};
use std::str::FromStr;
use std::time::Duration;

/// Connections to a platform's store, beside the one that listens.
const CONNECTIONS_MAX: u32 = 2;
/// How long a free connection to it, or another's lock in it, is waited for.
const WAIT_MS_MAX: u64 = 5_000;
/// How long one of its answers may take.
const ANSWER_MS_MAX: u64 = 15_000;

/// A platform's store, whose address is known to be one. Nothing is connected yet: it may come up later than we do.
pub(crate) fn foreign(url: &str) -> Result<Store, JournalError> {
    let wait = Duration::from_millis(WAIT_MS_MAX);
    if url.starts_with("sqlite:") {
        let options =
            SqliteConnectOptions::from_str(url)?.create_if_missing(false).busy_timeout(wait).disable_statement_logging();
        let path = options.get_filename().to_owned();
        // One connection: SQLite has one write lock, and two of ours need not wait for each other.
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait).connect_lazy_with(options);
        return Ok(Store::Sqlite { write: pool.clone(), read: pool, path, inode: 0 });
    }
    let (wait_ms, answer_ms) = (WAIT_MS_MAX.to_string(), ANSWER_MS_MAX.to_string());
    let options = PgConnectOptions::from_str(url)?
        .application_name("campanile")
        .options([("lock_timeout", wait_ms.as_str()), ("statement_timeout", answer_ms.as_str())])
        .disable_statement_logging();
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(wait).connect_lazy_with(options);
    Ok(Store::Postgres { write: pool.clone(), read: pool, answer_max: wait + Duration::from_millis(ANSWER_MS_MAX) })
}

/// A connection of its own to listen on, where the store can notify.
pub(crate) fn listening(store: &Store) -> Option<PgPool> {
    let Store::Postgres { write, .. } = store else { return None };
    let options = PgConnectOptions::clone(&write.connect_options());
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_millis(WAIT_MS_MAX));
    Some(pool.connect_lazy_with(options))
}
