//! A single statement as a unit of work of its own.

use crate::db::Value;
use crate::error::JournalError;
use crate::journal::Journal;
use crate::tx::{Tx, Unit, UnitError};
use futures_util::future::BoxFuture;

struct Statement {
    sql: &'static str,
    values: Vec<Value>,
}

/// Commits one statement; answers how many rows it changed.
pub(crate) async fn change(journal: &Journal, sql: &'static str, values: Vec<Value>) -> Result<u64, JournalError> {
    let answer = answer_of(journal, Statement { sql, values }).await?;
    answer.parse().map_err(|_| JournalError::Statement("a statement did not answer a count".into()))
}

/// Commits a unit that refuses nothing; answers what it answered.
pub(crate) async fn answer_of(journal: &Journal, unit: impl Unit) -> Result<String, JournalError> {
    match journal.run(Box::new(unit), None).await {
        Ok(outcome) => Ok(outcome.answer),
        Err(UnitError::Store(error)) => Err(error),
        Err(UnitError::Refused(refusal)) => Err(JournalError::Statement(refusal.to_string())),
    }
}

impl Unit for Statement {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move { Ok(tx.execute(self.sql, &self.values).await?.to_string()) })
    }
}
