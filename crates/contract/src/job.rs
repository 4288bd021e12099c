//! Jobs as a feature lists them: what a commit promises, or the clock asks for, carried out by a worker.

use campanile_journal::Handler;
use std::sync::Arc;

/// A kind of job. A command enqueues one with `ctx.tx().enqueue(NewJob::new(kind, payload))`, in its own commit.
#[derive(Clone, Copy)]
pub struct JobType {
    /// `verb_noun`, unique in the house.
    pub kind: &'static str,
    /// Makes its handler, once a process.
    pub handler: fn() -> Arc<dyn Handler>,
    /// When the clock enqueues it, once a tick for a whole cluster: five cron fields, UTC.
    pub cron: Option<&'static str>,
}
