//! What people are notified of: an entry in their list and an event to all their devices, until they have read it on one.

pub mod event;
mod http;
mod list_notifications;
mod people;
mod permission;
mod read_notifications;
mod send_notification;

#[cfg(test)]
mod tests;

pub use list_notifications::ListNotifications;
pub use people::RECIPIENTS_MAX;
pub use read_notifications::{READ_ALL_MAX, READ_IDS_MAX, ReadNotifications};
pub use send_notification::{BroadcastMessage, SendNotification};

use campanile_contract::{CommandType, Feature, Migration};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "notifications",
    migrations: &[Migration { feature: "notifications", number: 1, sql: include_str!("0001.sql") }],
    channel_kinds: &[],
    events: &[event::NOTIFICATION, event::NOTIFICATION_READ],
    commands: &[
        CommandType::of::<SendNotification>(),
        CommandType::of::<ReadNotifications>(),
        CommandType::of::<BroadcastMessage>(),
    ],
    routes: http::ROUTES,
    views: &[],
    jobs: &[],
};
