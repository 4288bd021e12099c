//! The facts of the roster, and the two that hosts publish about courses.

use crate::roster::Role;
use campanile_contract::{Class, DataCheck, EventType, Id, Line, Origin, Percent, Retention, Subject, Text, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// News of a course and progress in it are kept for a year: longer than any presentation lasts.
const COURSE_LIFE_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// Something that a whole course is told. Published by hosts.
pub const ANNOUNCEMENT: EventType = EventType {
    name: Cow::Borrowed("announcement"),
    channel_kind: Cow::Borrowed("course"),
    class: Class::Course,
    subject: Subject::Nobody,
    origin: Origin::Host,
    retention: Retention::AgeMs(COURSE_LIFE_MS),
    data: DataCheck::typed::<Announcement>(),
};

/// How far a person is, for all devices of that person. Published by hosts.
pub const PROGRESS_UPDATE: EventType = EventType {
    name: Cow::Borrowed("progress_update"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Host,
    retention: Retention::AgeMs(COURSE_LIFE_MS),
    data: DataCheck::typed::<ProgressUpdate>(),
};

/// A person is new, or has another name, role or cadet.
pub const PERSON_SAVED: EventType = EventType {
    name: Cow::Borrowed("person_saved"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Technical,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<PersonSaved>(),
};

/// A person is approved again.
pub const PERSON_APPROVED: EventType = EventType {
    name: Cow::Borrowed("person_approved"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Technical,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<ApprovalChanged>(),
};

/// A person is not approved any more: nothing with a later id reaches them.
pub const PERSON_UNAPPROVED: EventType = EventType {
    name: Cow::Borrowed("person_unapproved"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Technical,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<ApprovalChanged>(),
};

/// A person is registered in a course, or has another role there.
pub const REGISTERED: EventType = EventType {
    name: Cow::Borrowed("registered"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<Registered>(),
};

/// A person has left a course: nothing of it with a later id reaches them.
pub const WITHDRAWN: EventType = EventType {
    name: Cow::Borrowed("withdrawn"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<Withdrawn>(),
};

/// A course is new, or has another title.
pub const COURSE_SAVED: EventType = EventType {
    name: Cow::Borrowed("course_saved"),
    channel_kind: Cow::Borrowed("course"),
    class: Class::Course,
    subject: Subject::Nobody,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<CourseSaved>(),
};

/// The data of `announcement`. Hosts may add fields of their own, which pass through.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    /// The headline.
    pub title: Line<200>,
    /// The message.
    pub body: Text<20_000>,
}

/// The data of `progress_update`. Hosts may add fields of their own, which pass through.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProgressUpdate {
    /// The course.
    pub course_id: Id,
    /// The lesson, where the progress is one in a lesson.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesson_id: Option<Id>,
    /// How much of it is done.
    pub percent: Percent,
    /// Whether it counts as completed, which some hosts say before 100 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
    /// When it was so, by the host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// The data of `person_saved`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PersonSaved {
    /// The person.
    pub person_id: Id,
    /// What they are called.
    pub name: Line<200>,
    /// What they are on this campus.
    pub role: Role,
    /// The cadet whose data they may see.
    pub cadet_id: Option<Id>,
}

/// The data of `person_approved` and `person_unapproved`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalChanged {
    /// The person.
    pub person_id: Id,
}

/// The data of `registered`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// Where.
    pub course_id: Id,
    /// Who.
    pub person_id: Id,
    /// What they are in this course.
    pub role: Role,
}

/// The data of `withdrawn`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Withdrawn {
    /// From where.
    pub course_id: Id,
    /// Who.
    pub person_id: Id,
}

/// The data of `course_saved`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CourseSaved {
    /// The course.
    pub course_id: Id,
    /// What it is called.
    pub title: Line<200>,
}
