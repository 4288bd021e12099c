//! One-use tickets: stored by their hash, so that any node can take them and a stolen database holds none.

use crate::error::JournalError;
use crate::idempotency::hex;
use crate::journal::Journal;
use crate::tx::{Tx, Unit, UnitError};
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

impl Journal {
    /// Stores a ticket that stands for `caller` (any JSON) until `expires_at_ms`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn issue_ticket(&self, ticket: &str, caller: String, expires_at_ms: i64) -> Result<(), UnitError> {
        self.run(Box::new(Issue { hash: hash(ticket), caller, expires_at_ms }), None).await.map(drop)
    }

    /// Takes a ticket; answers its caller the first time, and none when it is unknown, used or ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn redeem_ticket(&self, ticket: &str) -> Result<Option<String>, UnitError> {
        let outcome = self.run(Box::new(Redeem { hash: hash(ticket) }), None).await?;
        serde_json::from_str(&outcome.answer).map_err(|error| JournalError::Statement(error.to_string()).into())
    }
}

fn hash(ticket: &str) -> String {
    hex(Sha256::new().chain_update(ticket))
}

struct Issue {
    hash: String,
    caller: String,
    expires_at_ms: i64,
}

impl Unit for Issue {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let sql = "INSERT INTO ticket (hash, caller, expires_at_ms) VALUES ($1, $2, $3)";
            let values = [self.hash.as_str().into(), self.caller.as_str().into(), self.expires_at_ms.into()];
            tx.execute(sql, &values).await?;
            Ok("null".into())
        })
    }
}

struct Redeem {
    hash: String,
}

impl Unit for Redeem {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let sql = "DELETE FROM ticket WHERE hash = $1 RETURNING caller, expires_at_ms";
            let rows = tx.fetch(sql, &[self.hash.as_str().into()]).await?;
            let caller = match rows.first() {
                Some(row) if row.int("expires_at_ms")? > tx.now_ms() => Some(row.text("caller")?),
                _ => None,
            };
            serde_json::to_string(&caller).map_err(|error| JournalError::Statement(error.to_string()).into())
        })
    }
}
