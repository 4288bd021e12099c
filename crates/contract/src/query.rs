//! Queries: reads that a feature answers from its tables.

use crate::command::schema_of;
use crate::read;
use campanile_journal::{JournalError, Reader, UnitError};
use campanile_wire::{Caller, Refusal};
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// Something a caller may ask for that changes nothing. Its fields come from the path and the query, as texts.
pub trait Query: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// `verb_noun`.
    const NAME: &'static str;
    /// What the caller is told.
    type Answer: Serialize + JsonSchema;

    /// Whether this caller may ask.
    ///
    /// # Errors
    /// `forbidden`, usually.
    fn permit(&self, caller: &Caller) -> Result<(), Refusal>;

    /// Reads the answer, for this caller.
    fn read(&self, caller: &Caller, reader: &mut Reader) -> impl Future<Output = Result<Self::Answer, UnitError>> + Send;
}

type Read = for<'a> fn(serde_json::Value, &'a Caller, &'a mut Reader) -> BoxFuture<'a, Result<String, UnitError>>;

/// A query with its type erased, as a feature lists it.
#[derive(Clone, Copy)]
pub struct QueryType {
    /// [`Query::NAME`].
    pub name: &'static str,
    /// The JSON schema of its fields.
    pub schema: fn() -> Schema,
    /// The JSON schema of its answer.
    pub answer_schema: fn() -> Schema,
    /// Reads its fields, asks whether the caller may, and reads the answer as JSON.
    pub read: Read,
}

impl QueryType {
    /// The erased form of a query.
    pub const fn of<Q: Query>() -> Self {
        Self { name: Q::NAME, schema: schema_of::<Q>, answer_schema: schema_of::<Q::Answer>, read: read::<Q> }
    }
}

fn read<'a, Q: Query>(
    fields: serde_json::Value,
    caller: &'a Caller,
    reader: &'a mut Reader,
) -> BoxFuture<'a, Result<String, UnitError>> {
    Box::pin(async move {
        let query: Q = read::from_fields(fields)?;
        query.permit(caller)?;
        let answer = query.read(caller, reader).await?;
        serde_json::to_string(&answer).map_err(|error| JournalError::Statement(error.to_string()).into())
    })
}
