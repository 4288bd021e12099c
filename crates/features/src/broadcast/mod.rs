//! The host's producer functions as commands: events of other features, by name, with data that passes as it was given.

mod http;
mod notification;
mod permission;
mod sheet_update;
mod sync_event;

#[cfg(test)]
mod tests;

pub use notification::{BROADCAST_BYTES_MAX, BROADCAST_PEOPLE_MAX, BroadcastNotification};
pub use sheet_update::{BroadcastAttendanceUpdate, BroadcastExamScoreUpdate, BroadcastGradeUpdate};
pub use sync_event::BroadcastSyncEvent;

use campanile_contract::{CommandType, Feature};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "broadcast",
    migrations: &[],
    channel_kinds: &[],
    events: &[],
    commands: &[
        CommandType::of::<BroadcastGradeUpdate>(),
        CommandType::of::<BroadcastAttendanceUpdate>(),
        CommandType::of::<BroadcastExamScoreUpdate>(),
        CommandType::of::<BroadcastNotification>(),
        CommandType::of::<BroadcastSyncEvent>(),
    ],
    routes: http::ROUTES,
    views: &[],
    jobs: &[],
};
