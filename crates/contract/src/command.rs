//! Commands: one file each in a feature. The same door for HTTP, WebSocket and tests.

use crate::event_type::EventType;
use crate::fields::Fields;
use crate::publish::Publish;
use crate::registry::Registry;
use campanile_journal::{JournalError, NewEvent, Row, Tx, Unit, UnitError, Value};
use campanile_wire::{Caller, Channel, Effect, Refusal};
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::sync::Arc;

/// Something a caller may ask for that changes rows. Its fields are the request; unknown fields should be denied.
///
/// It may run more than once, because transactions that meet another are run again: everything it does goes through [`Ctx`].
pub trait Command: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// `verb_noun`, as `command` frames name it.
    const NAME: &'static str;
    /// What the caller is told when it is committed. Where it is a JSON object, the server adds `id`: the id of the last event that
    /// the command caused, which exists only after the commit. So no answer has an `id` of its own.
    type Answer: Serialize + JsonSchema;

    /// Whether this caller may ask for it at all; decided before the transaction.
    ///
    /// # Errors
    /// `forbidden`, usually.
    fn permit(&self, caller: &Caller) -> Result<(), Refusal>;

    /// Whether the fields make sense by themselves; decided before the transaction.
    ///
    /// # Errors
    /// `invalid_data` with a sentence that names the field.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// Writes the rows and emits the events, inside the transaction. Nothing slow or remote happens here.
    fn run(&self, ctx: &mut Ctx<'_>) -> impl Future<Output = Result<Self::Answer, UnitError>> + Send;
}

/// All that a command may use.
pub struct Ctx<'a> {
    tx: &'a mut Tx,
    caller: &'a Caller,
    registry: &'a Registry,
}

impl<'a> Ctx<'a> {
    /// A context inside a transaction, also for what runs there without being a command, as the effects of a job.
    pub fn new(tx: &'a mut Tx, caller: &'a Caller, registry: &'a Registry) -> Self {
        Self { tx, caller, registry }
    }

    /// Who asked.
    pub fn caller(&self) -> &Caller {
        self.caller
    }

    /// The instant of this transaction, in unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.tx.now_ms()
    }

    /// Runs a statement; answers how many rows it changed.
    ///
    /// # Errors
    /// When the store fails or refuses the statement.
    pub async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, JournalError> {
        self.tx.execute(sql, values).await
    }

    /// Runs a query; answers all its rows.
    ///
    /// # Errors
    /// When the store fails or refuses the statement.
    pub async fn fetch(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, JournalError> {
        self.tx.fetch(sql, values).await
    }

    /// The transaction itself, to put jobs into it.
    pub fn tx(&mut self) -> &mut Tx {
        self.tx
    }

    /// Adds an event to this commit.
    pub fn emit(&mut self, kind: &EventType, channel: Channel, data: &impl Serialize) {
        self.emit_with(kind, channel, data, Vec::new());
    }

    /// Adds an event whose type is known only by name, as [`Publish::fact`] checks it. Whether the caller may is the command's matter.
    ///
    /// # Errors
    /// A documented refusal with a sentence for the publisher.
    pub fn emit_fact(&mut self, fact: &Publish) -> Result<(), Refusal> {
        self.tx.emit(fact.fact(self.registry)?);
        Ok(())
    }

    /// Adds an event that changes who may see what.
    ///
    /// # Panics
    /// When the channel is not of the kind that the event type declares, or the data does not serialise: both are programmer errors.
    pub fn emit_with(&mut self, kind: &EventType, channel: Channel, data: &impl Serialize, effects: Vec<Effect>) {
        assert_eq!(channel.kind(), kind.channel_kind, "{} belongs to channels of another kind", kind.name);
        let data = serde_json::to_string(data).expect("event data serialises");
        self.tx.emit(NewEvent { channel, kind: (&*kind.name).into(), data: data.into(), effects });
    }
}

type Prepare = fn(&Fields, &Caller, &Arc<Registry>) -> Result<Box<dyn Unit>, Refusal>;

/// A command with its type erased, as a feature lists it.
#[derive(Clone, Copy)]
pub struct CommandType {
    /// [`Command::NAME`].
    pub name: &'static str,
    /// The JSON schema of its fields.
    pub schema: fn() -> Schema,
    /// The JSON schema of its answer.
    pub answer_schema: fn() -> Schema,
    /// Reads its fields, asks whether the caller may, and makes it ready to run.
    pub prepare: Prepare,
}

impl CommandType {
    /// The erased form of a command.
    pub const fn of<C: Command>() -> Self {
        Self { name: C::NAME, schema: schema_of::<C>, answer_schema: schema_of::<C::Answer>, prepare: prepare::<C> }
    }
}

pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    schemars::schema_for!(T)
}

fn prepare<C: Command>(fields: &Fields, caller: &Caller, registry: &Arc<Registry>) -> Result<Box<dyn Unit>, Refusal> {
    let command: C = fields.read()?;
    command.permit(caller)?;
    command.check()?;
    Ok(Box::new(Prepared { command, caller: caller.clone(), registry: Arc::clone(registry) }))
}

struct Prepared<C> {
    command: C,
    caller: Caller,
    registry: Arc<Registry>,
}

impl<C: Command> Unit for Prepared<C> {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let answer = self.command.run(&mut Ctx::new(tx, &self.caller, &self.registry)).await?;
            serde_json::to_string(&answer).map_err(|error| JournalError::Statement(error.to_string()).into())
        })
    }
}
