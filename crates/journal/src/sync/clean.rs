//! Forgetting what was processed long ago: keys whose rows are marked, and rows where the source allows it.

use crate::db::Value;
use crate::error::JournalError;
use crate::insert::{LIST_MAX, in_list, list_size};
use crate::job::statement::answer_of;
use crate::sync::mark::padded;
use crate::sync::row::HASHED;
use crate::sync::source::SyncSource;
use crate::sync::spec::SYNC_KEPT_MS;
use crate::tx::{Tx, Unit, UnitError};
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::collections::HashSet;

/// Keys that are old enough, in steps; a key stays for as long as its row waits, or is known by a hash alone.
const OLD_KEYS: &str = "SELECT row_id, processed_at_ms FROM sync_row WHERE source = $1 AND processed_at_ms < $2 \
     AND (processed_at_ms > $3 OR (processed_at_ms = $3 AND row_id > $4)) ORDER BY processed_at_ms, row_id LIMIT $5";

impl SyncSource {
    /// Deletes rows that were processed before what is kept, where the source allows it, and then forgets their keys. Answers how many
    /// keys were forgotten. A row that waits (again) keeps its key, so that it becomes no second event.
    ///
    /// # Errors
    /// When a store fails; what was forgotten before stays forgotten.
    pub async fn clean(&self) -> Result<u64, JournalError> {
        let kept_ms = self.spec().delete_after_ms.unwrap_or(SYNC_KEPT_MS);
        let before_ms = self.journal().clock().now_ms().saturating_sub(kept_ms);
        let (mut after_ms, mut after_id, mut forgotten) = (i64::MIN, String::new(), 0);
        loop {
            let values = [
                self.spec().name.as_str().into(),
                before_ms.into(),
                after_ms.into(),
                after_id.as_str().into(),
                Value::from(LIST_MAX as u64),
            ];
            let rows = self.journal().reader().await?.fetch(OLD_KEYS, &values).await?;
            let Some(last) = rows.last() else { return Ok(forgotten) };
            (after_ms, after_id) = (last.int("processed_at_ms")?, last.text("row_id")?);
            let keys = rows.iter().map(|row| row.text("row_id")).collect::<Result<Vec<_>, _>>()?;
            let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !key.starts_with(HASHED)).collect();
            if !keys.is_empty() {
                forgotten += self.forget(&keys).await?;
            }
        }
    }

    /// One step: the rows first, so that no row outlives its key.
    async fn forget(&self, keys: &[&str]) -> Result<u64, JournalError> {
        let table = self.table().await?;
        let size = list_size(keys.len()).unwrap_or(LIST_MAX);
        if self.spec().delete_after_ms.is_some() {
            self.store().writing().await?.execute(table.delete(size), &padded(keys)).await?;
        }
        let waiting = self.fetch(table.still_waiting(size), &padded(keys)).await?;
        let waiting = waiting.iter().map(|row| row.text("row_id")).collect::<Result<HashSet<_>, _>>()?;
        let gone: Vec<String> = keys.iter().filter(|key| !waiting.contains(**key)).map(|key| (*key).to_owned()).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let answer = answer_of(self.journal(), Forget { source: self.spec().name.clone(), keys: gone }).await?;
        answer.parse().map_err(|_| JournalError::Statement("forgetting keys did not answer a count".into()))
    }
}

/// Removes keys.
struct Forget {
    source: String,
    keys: Vec<String>,
}

impl Unit for Forget {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
            let size = list_size(keys.len()).unwrap_or(LIST_MAX);
            let sql = format!("DELETE FROM sync_row WHERE source = ${} AND row_id IN ({})", size + 1, in_list(1, size));
            let mut values = padded(&keys);
            values.push(self.source.as_str().into());
            // Built from numbers only.
            Ok(tx.conn.execute(AssertSqlSafe(sql).into_sql_str(), &values).await?.to_string())
        })
    }
}
