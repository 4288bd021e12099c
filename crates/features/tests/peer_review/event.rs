//! The facts of peer review.

use campanile_contract::{Class, DataCheck, EventType, Id, Line, Origin, Retention, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Somebody asks the channel's owner for a review.
pub const REVIEW_REQUESTED: EventType = EventType {
    name: Cow::Borrowed("review_requested"),
    channel_kind: Cow::Borrowed("user"),
    class: Class::Course,
    subject: Subject::ChannelOwner,
    origin: Origin::Feature,
    retention: Retention::Forever,
    data: DataCheck::typed::<ReviewRequested>(),
};

/// The data of `review_requested`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReviewRequested {
    /// What to look over.
    pub submission_id: Id,
    /// Whose it is.
    pub author_id: Id,
    /// What it is called.
    pub title: Line<200>,
}
