//! What a feature declares, and all that it may use.
//!
//! Invariant: nothing here knows a socket, a session or HTTP; a feature that imports only this crate cannot reach one.

mod asked;
mod authenticate;
pub mod bench;
mod command;
mod event_type;
mod feature;
mod field;
mod fields;
mod job;
mod publish;
mod query;
mod read;
mod registry;
mod route;
mod site;
mod view;

pub use asked::{Asked, PAGE_ROWS, PAGE_ROWS_MAX, PageLimit};
pub use authenticate::Authenticate;
pub use campanile_journal::{
    Handler, Job, JobError, JournalError, Migration, NewJob, Reader, Retention, Row, UnitError, Value,
};
pub use campanile_wire::{Caller, Channel, Effect, ErrorCode, Event, Id, Refusal};
pub use command::{Command, CommandType, Ctx};
pub use event_type::{ChannelKind, Class, DataCheck, EventType, History, Origin, Subject};
pub use feature::Feature;
pub use field::{Line, Percent, Text, Timestamp};
pub use fields::Fields;
pub use job::JobType;
pub use publish::{DATA_BYTES_MAX, DATA_DEPTH_MAX, PUBLISH_EVENTS_MAX, Publish, PublishBody};
pub use query::{Query, QueryType};
pub use registry::Registry;
pub use route::{Action, Method, Route};
pub use site::{Repeatable, Site};
pub use view::{View, ViewType};

#[cfg(test)]
mod tests;
