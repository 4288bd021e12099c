//! A site: one school, one journal, one registry. Everything hangs on this value, so that a process can hold many.

use crate::fields::Fields;
use crate::publish::PublishBody;
use crate::query::QueryType;
use crate::registry::Registry;
use campanile_journal::{Clock, Idempotency, Journal, JournalError, JournalLimits, Outcome, UnitError};
use campanile_wire::{Caller, Refusal};
use std::sync::Arc;

/// The durable half of a school, and the door through which everything enters it.
#[derive(Clone)]
pub struct Site {
    /// Its store.
    pub journal: Journal,
    /// What is declared.
    pub registry: Arc<Registry>,
}

/// A request's promise to be the same request when it is repeated: the key, and the bytes that it covers.
pub struct Repeatable<'a> {
    /// The client's key.
    pub key: &'a str,
    /// The method and path, or the command frame's name.
    pub route: &'a str,
    /// The body as it came.
    pub body: &'a [u8],
}

impl Site {
    /// Opens the store and brings its schema up to what the registry's features need.
    ///
    /// # Errors
    /// When the store cannot be reached or used.
    pub async fn open(
        store: &str,
        registry: Registry,
        limits: JournalLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        let journal = Journal::open(store, registry.migrations(), limits, clock).await?;
        Ok(Self { journal, registry: Arc::new(registry) })
    }

    /// Commits plain publishes, all or nothing.
    ///
    /// # Errors
    /// The first publish's refusal, or the store's.
    pub async fn publish(
        &self,
        caller: &Caller,
        body: &PublishBody,
        repeatable: Option<Repeatable<'_>>,
    ) -> Result<Outcome, UnitError> {
        let check = |(place, publish): (usize, &crate::Publish)| {
            publish.check(caller, &self.registry).map_err(|refusal| match body.is_batch {
                true => Refusal::new(refusal.code, format!("events[{place}]: {}", refusal.message)),
                false => refusal,
            })
        };
        let events = body.events.iter().enumerate().map(check).collect::<Result<Vec<_>, _>>()?;
        self.journal.publish(events, idempotency(caller, repeatable)).await
    }

    /// Runs a command, by name or from a route.
    ///
    /// # Errors
    /// The command's refusal, or the store's.
    pub async fn command(
        &self,
        caller: &Caller,
        command: &crate::CommandType,
        fields: impl Into<Fields>,
        repeatable: Option<Repeatable<'_>>,
    ) -> Result<Outcome, UnitError> {
        let unit = (command.prepare)(&fields.into(), caller, &self.registry)?;
        self.journal.run(unit, idempotency(caller, repeatable)).await
    }

    /// Answers a query as JSON.
    ///
    /// # Errors
    /// The query's refusal, or the store's.
    pub async fn query(&self, caller: &Caller, query: &QueryType, fields: serde_json::Value) -> Result<String, UnitError> {
        let mut reader = self.journal.reader().await?;
        (query.read)(fields, caller, &mut reader).await
    }
}

fn idempotency(caller: &Caller, repeatable: Option<Repeatable<'_>>) -> Option<Idempotency> {
    repeatable.map(|given| Idempotency::new(&caller.key(), given.route, given.key, given.body))
}
