//! A batch of rows as one commit of the journal: the rows' keys, and the events of those rows whose key is new.

use crate::error::JournalError;
use crate::insert::Insert;
use crate::log::NewEvent;
use crate::sync::mark::{Marked, mark};
use crate::sync::row::SyncRow;
use crate::sync::table::{Table, shortened};
use crate::tx::{Tx, Unit, UnitError};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// How long a node that committed a batch keeps its turn.
const LEASE_MS: i64 = 5_000;

/// A row that had failed may be tried again, and an id that was given out again is another row; any other repeat changes nothing.
const INSERT_KEYS: Insert = Insert {
    head: "INSERT INTO sync_row (source, row_id, fingerprint, error, processed_at_ms)",
    columns: 5,
    tail: "ON CONFLICT (source, row_id) DO UPDATE SET fingerprint = excluded.fingerprint, error = excluded.error, \
           processed_at_ms = excluded.processed_at_ms \
           WHERE sync_row.error IS NOT NULL OR sync_row.fingerprint <> excluded.fingerprint RETURNING row_id",
};

const TAKE_TURN: &str = "INSERT INTO sync_lease (source, held_by, until_ms) VALUES ($1, $2, $3) \
     ON CONFLICT (source) DO UPDATE SET held_by = excluded.held_by, until_ms = excluded.until_ms \
     WHERE sync_lease.held_by = excluded.held_by OR sync_lease.until_ms <= $4";

/// A row, and what it comes to: an event, or a sentence that says why there is none.
pub(crate) type Mapped = (SyncRow, Result<NewEvent, String>);

/// The commit.
pub(crate) struct Batch {
    pub(crate) source: String,
    /// Whose turn it must be; none takes nobody's turn into account.
    pub(crate) turn_of: Option<String>,
    pub(crate) rows: Arc<Vec<Mapped>>,
    /// Our own table, whose rows are marked in the same commit.
    pub(crate) own: Option<Arc<Table>>,
}

/// What the commit came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Committed {
    /// Another node is at it; nothing was written.
    pub(crate) held: bool,
    /// The keys that were new.
    pub(crate) fresh: HashSet<String>,
}

impl Unit for Batch {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let held = !self.take_turn(tx).await?;
            let fresh = if held { HashSet::new() } else { self.insert_keys(tx).await? };
            for (row, event) in self.rows.iter() {
                if let Ok(event) = event
                    && fresh.contains(&row.key)
                {
                    tx.emit(event.clone());
                }
            }
            if let (false, Some(table)) = (held, &self.own) {
                let marked: Vec<Marked<'_>> =
                    self.rows.iter().map(|(row, event)| (row.id.as_str(), event.as_ref().err().map(String::as_str))).collect();
                mark(&mut tx.conn, table, &marked).await?;
            }
            let answer = serde_json::to_string(&Committed { held, fresh });
            answer.map_err(|error| JournalError::Statement(error.to_string()).into())
        })
    }
}

impl Batch {
    async fn take_turn(&self, tx: &mut Tx) -> Result<bool, JournalError> {
        let Some(node) = &self.turn_of else { return Ok(true) };
        let now_ms = tx.now_ms;
        let values = [self.source.as_str().into(), node.as_str().into(), (now_ms + LEASE_MS).into(), now_ms.into()];
        Ok(tx.execute(TAKE_TURN, &values).await? > 0)
    }

    async fn insert_keys(&self, tx: &mut Tx) -> Result<HashSet<String>, JournalError> {
        let mut values = Vec::with_capacity(self.rows.len() * INSERT_KEYS.columns);
        for (row, event) in self.rows.iter() {
            let error = event.as_ref().err().map(|error| shortened(error));
            values.extend([
                self.source.as_str().into(),
                row.key.as_str().into(),
                row.fingerprint.as_str().into(),
                error.into(),
                tx.now_ms.into(),
            ]);
        }
        INSERT_KEYS.rows(&mut tx.conn, &values).await?.iter().map(|row| row.text("row_id")).collect()
    }
}
