//! Idempotency keys: the same key and body give the same answer for at least a day; another body is a conflict.
//!
//! The outcome is written in the transaction that it tells of, so it exists exactly when its effect does. Refusals are not kept.

use crate::db::{Conn, Value};
use crate::error::JournalError;
use crate::insert::{Insert, LIST_MAX, in_list, list_size};
use crate::tx::UnitError;
use crate::writer::Outcome;
use campanile_wire::{ErrorCode, Refusal};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::collections::HashMap;

/// How long an outcome is kept, in milliseconds: a day, and an hour so that a repeat at the last moment still meets it.
pub(crate) const KEPT_MS: i64 = 25 * 3_600_000;

/// A caller's promise that repeats of a request are the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    idem: String,
    body_hash: String,
}

/// What the store knows of a key.
#[derive(Clone)]
pub(crate) enum Known {
    /// Same key, same body: the answer of the first time.
    Same(Outcome),
    /// Same key, another body.
    Conflict,
}

impl Known {
    /// The answer to whoever comes with the key now.
    pub(crate) fn into_answer(self) -> Result<Outcome, UnitError> {
        match self {
            Self::Same(outcome) => Ok(outcome),
            Self::Conflict => Err(Refusal::from(ErrorCode::IdempotencyConflict).into()),
        }
    }
}

impl Idempotency {
    /// A key of this caller on this route, with the body's bytes.
    pub fn new(caller: &str, route: &str, key: &str, body: &[u8]) -> Self {
        let idem =
            hex(Sha256::new().chain_update(caller).chain_update([0]).chain_update(route).chain_update([0]).chain_update(key));
        Self { idem, body_hash: hex(Sha256::new().chain_update(body)) }
    }

    pub(crate) fn idem(&self) -> &str {
        &self.idem
    }
}

pub(crate) fn hex(digest: Sha256) -> String {
    use std::fmt::Write;
    digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Looks up keys in one statement; answers what is known of them by `idem`.
pub(crate) async fn look_up(conn: &mut Conn, keys: &[&Idempotency]) -> Result<HashMap<String, Known>, JournalError> {
    let mut known = HashMap::new();
    for chunk in keys.chunks(LIST_MAX) {
        let size = list_size(chunk.len()).expect("a chunk fits the largest list");
        let mut values: Vec<Value> = chunk.iter().map(|key| key.idem.as_str().into()).collect();
        values.resize(size, chunk[0].idem.as_str().into());
        let sql = format!("SELECT idem, body_hash, outcome FROM idempotency WHERE idem IN ({})", in_list(1, size));
        for row in conn.fetch(AssertSqlSafe(sql).into_sql_str(), &values).await? {
            let idem = row.text("idem")?;
            let same = chunk.iter().any(|key| key.idem == idem && key.body_hash == row.text("body_hash").unwrap_or_default());
            let entry = if same { Known::Same(Outcome::from_column(&row.text("outcome")?)?) } else { Known::Conflict };
            known.insert(idem, entry);
        }
    }
    Ok(known)
}

const INSERT: Insert =
    Insert { head: "INSERT INTO idempotency (idem, body_hash, outcome, created_at_ms)", columns: 4, tail: "" };

/// Keeps outcomes. A concurrent repeat on another connection fails here on the primary key and is run again by its writer.
pub(crate) async fn keep(conn: &mut Conn, outcomes: &[(&Idempotency, &Outcome)], now_ms: i64) -> Result<(), JournalError> {
    let mut values = Vec::with_capacity(outcomes.len() * 4);
    for (key, outcome) in outcomes {
        values.extend([
            Value::from(key.idem.as_str()),
            key.body_hash.as_str().into(),
            outcome.to_column().into(),
            now_ms.into(),
        ]);
    }
    INSERT.rows(conn, &values).await.map(drop)
}
