//! Views: latest state, kept in memory on every node, fed by the ordered events.

use campanile_journal::{JournalError, Reader};
use campanile_wire::{Event, Id};
use futures_util::future::BoxFuture;

/// A state machine that is rebuilt from tables at start and then fed every event in order, so that every node shows the same.
pub trait View: Send + 'static {
    /// Takes in an event; answers the keys whose picture changed.
    fn apply(&mut self, event: &Event) -> Vec<Id>;

    /// The picture of one key as JSON.
    fn show(&self, key: &Id) -> serde_json::Value;
}

type Build = for<'a> fn(&'a mut Reader) -> BoxFuture<'a, Result<Box<dyn View>, JournalError>>;

/// A view as a feature lists it.
#[derive(Clone, Copy)]
pub struct ViewType {
    /// As `subscribe` frames name it.
    pub name: &'static str,
    /// Readers of key `k` must be members of `{channel_kind}:{k}`.
    pub channel_kind: &'static str,
    /// Rebuilds the state from tables, at the moment of the reader's snapshot.
    pub build: Build,
}
