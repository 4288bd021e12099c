//! Retention per event type: pruning in small steps, with `pruned_through` told per channel in the same transaction.

use crate::db::Value;
use crate::error::JournalError;
use crate::journal::Journal;
use crate::tx::{Tx, Unit, UnitError};
use campanile_wire::EventId;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;

/// Events removed in one transaction, so that pruning never holds writers up for long.
const STEP_EVENTS_MAX: i64 = 1_000;

/// How long events of a type are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// For good.
    Forever,
    /// For so many milliseconds after they were recorded.
    AgeMs(i64),
    /// The newest so many of each channel.
    Newest(u64),
}

impl Journal {
    /// Removes what a type no longer keeps; answers how many events went.
    ///
    /// # Errors
    /// When the store fails; what was removed before stays removed and told.
    pub async fn prune(&self, kind: &str, retention: Retention) -> Result<u64, JournalError> {
        let limit = match retention {
            Retention::Forever => return Ok(0),
            Retention::AgeMs(age_ms) => Limit::Through(self.cursor_at(self.clock().now_ms() - age_ms).await?),
            Retention::Newest(count) => Limit::Newest(count),
        };
        let mut pruned = 0;
        loop {
            let step = Prune { kind: kind.to_owned(), limit };
            let outcome = self.run(Box::new(step), None).await.map_err(|error| match error {
                UnitError::Store(error) => error,
                UnitError::Refused(refusal) => JournalError::Statement(refusal.to_string()),
            })?;
            let count: u64 = outcome.answer.parse().unwrap_or(0);
            pruned += count;
            if count < STEP_EVENTS_MAX as u64 {
                return Ok(pruned);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Limit {
    Through(EventId),
    Newest(u64),
}

struct Prune {
    kind: String,
    limit: Limit,
}

// An event that changes who may see what stays, whatever its type's retention: a node that is behind learns of the change from it.

const DELETE_THROUGH: &str = "DELETE FROM event WHERE id IN \
     (SELECT id FROM event WHERE type = $1 AND id <= $2 AND effects IS NULL ORDER BY id LIMIT $3) RETURNING id, channel";

const DELETE_BEYOND_NEWEST: &str = "DELETE FROM event WHERE id IN (SELECT id FROM \
     (SELECT id, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY id DESC) AS place FROM event WHERE type = $1 AND effects IS NULL) AS ranked \
     WHERE place > $2 ORDER BY id LIMIT $3) RETURNING id, channel";

const TELL: &str = "UPDATE channel_head SET pruned_through = $2 WHERE channel = $1 AND pruned_through < $2";

impl Unit for Prune {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let (sql, bound) = match self.limit {
                Limit::Through(id) => (DELETE_THROUGH, id),
                Limit::Newest(count) => (DELETE_BEYOND_NEWEST, count),
            };
            let gone = tx.fetch(sql, &[self.kind.as_str().into(), bound.into(), STEP_EVENTS_MAX.into()]).await?;
            let mut through: BTreeMap<String, EventId> = BTreeMap::new();
            for row in &gone {
                let newest = through.entry(row.text("channel")?).or_default();
                *newest = (*newest).max(row.count("id")?);
            }
            for (channel, id) in through {
                tx.execute(TELL, &[Value::from(channel), id.into()]).await?;
            }
            Ok(gone.len().to_string())
        })
    }
}
