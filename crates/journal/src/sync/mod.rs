//! Sync events: rows that any program writes into a table become events of the log, exactly once.
//!
//! Invariant: an event and the key of its row are one commit; marking the row as processed comes after and may be repeated. Nothing
//! remembers how far reading has come, so a row that commits late with a low id is found like any other.

mod batch;
mod clean;
mod identifier;
mod listen;
mod mark;
mod place;
mod row;
mod source;
mod spec;
mod table;

pub use row::SyncRow;
pub use source::{SyncMap, SyncPass, SyncSource, SyncTurn};
pub use spec::{SYNC_BATCH_ROWS_MAX, SYNC_KEPT_MS, SyncColumns, SyncSpec};

use crate::migrate::Migration;

/// The tables of this station.
pub(crate) const MIGRATION: Migration = Migration { feature: "sync", number: 1, sql: include_str!("0001.sql") };

/// The log's component, as operators filter by it.
const LOG: &str = "campanile::sync";
