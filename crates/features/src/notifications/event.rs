//! What a person is notified of, and what they have read on another device.

use campanile_contract::{Class, DataCheck, EventType, Id, Line, Origin, Retention, Subject, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Notifications are told for a year, to a device that was away; the list of them is kept for good.
const NOTIFICATION_LIFE_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// A person is notified. Hosts may send any part of the data, and fields of their own, which pass through.
pub const NOTIFICATION: EventType = EventType {
    name: Cow::Borrowed("notification"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Host,
    retention: Retention::AgeMs(NOTIFICATION_LIFE_MS),
    data: DataCheck::typed::<Notification>(),
};

/// A person has read notifications: their other devices follow.
pub const NOTIFICATION_READ: EventType = EventType {
    name: Cow::Borrowed("notification_read"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::AgeMs(NOTIFICATION_LIFE_MS),
    data: DataCheck::typed::<NotificationRead>(),
};

/// The data of `notification`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// The notification's own id, which is not the event's.
    pub id: Option<Id>,
    /// What it says.
    pub message: Option<Text<20_000>>,
    /// What kind it is, as `admin_message`.
    #[serde(rename = "type")]
    pub kind: Option<Line<64>>,
    /// Whether it was read.
    pub is_read: Option<bool>,
    /// When it was written.
    pub created_at: Option<Timestamp>,
}

/// The data of `notification_read`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NotificationRead {
    /// Those that are read from now on, by number.
    pub ids: Vec<u64>,
}
