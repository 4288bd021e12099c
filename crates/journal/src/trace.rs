//! Traces ride beside the log, never in it: a request's context goes with it to the writer, and with its events to the follower.
//!
//! Off, this costs a look at a task-local per request and at an empty list per commit.

use campanile_wire::{Event, EventId};
use std::sync::Arc;
use std::time::SystemTime;

/// A span that is being recorded, by its ids in the W3C sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole way's id.
    pub trace_id: u128,
    /// The span that what follows is a child of.
    pub span_id: u64,
}

/// A group's commit, told to one of its traced requests.
#[derive(Debug)]
pub struct CommitTrace<'a> {
    /// The request's own span.
    pub request: TraceContext,
    /// All traced requests of the group.
    pub group: &'a [TraceContext],
    /// Requests of the group, traced or not.
    pub requests: usize,
    /// When BEGIN was sent.
    pub begun: SystemTime,
    /// When COMMIT had answered.
    pub ended: SystemTime,
}

/// One event on a node.
#[derive(Debug)]
pub struct ApplyTrace<'a> {
    /// The event.
    pub event: &'a Event,
    /// The span of the commit, when this process made it for a traced request.
    pub commit: Option<TraceContext>,
    /// When the node began to apply it.
    pub begun: SystemTime,
    /// When it began to hand the event to sessions.
    pub dispatched: SystemTime,
    /// When it had.
    pub ended: SystemTime,
    /// To how many sessions.
    pub sessions: usize,
}

/// Whoever records spans.
pub trait Tracer: Send + Sync {
    /// A commit; answers its span, which goes with the request's events.
    fn committed(&self, commit: &CommitTrace<'_>) -> TraceContext;

    /// An event that was applied and dispatched.
    fn applied(&self, apply: &ApplyTrace<'_>);
}

/// A commit's events on their way to this process's followers.
#[derive(Debug)]
pub struct Committed {
    /// In order.
    pub events: Vec<Event>,
    /// The commit's span for those that were traced.
    pub traces: Vec<(EventId, TraceContext)>,
}

impl Committed {
    /// The commit's span of an event.
    pub fn trace_of(&self, id: EventId) -> Option<TraceContext> {
        self.traces.iter().find(|(traced, _)| *traced == id).map(|(_, trace)| *trace)
    }
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Runs a request's work so that what it commits is traced.
pub async fn traced<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Set once, before the first request.
pub(crate) type TracerPlace = std::sync::OnceLock<Arc<dyn Tracer>>;
