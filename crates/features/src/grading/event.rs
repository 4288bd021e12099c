//! What a cadet and the staff are told when a sheet changes: by our own commands, or by a host that keeps the sheets itself.
//!
//! A host may send any part of the data, and fields of its own, which pass through; what a command emits is always whole.

use campanile_contract::{Class, DataCheck, EventType, Id, Line, Origin, Retention, Subject, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// News of a sheet are kept for a year: longer than any school year lasts.
const SHEET_LIFE_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// A merit or demerit was given, changed or taken back.
pub const GRADE_UPDATE: EventType = EventType {
    name: Cow::Borrowed("grade_update"),
    channel_kind: Cow::Borrowed("cadet"),
    class: Class::Grade,
    subject: Subject::ChannelOwner,
    origin: Origin::Host,
    retention: Retention::AgeMs(SHEET_LIFE_MS),
    data: DataCheck::typed::<GradeUpdate>(),
};

/// A cadet's attendance at a training day was marked.
pub const ATTENDANCE_UPDATE: EventType = EventType {
    name: Cow::Borrowed("attendance_update"),
    channel_kind: Cow::Borrowed("cadet"),
    class: Class::Attendance,
    subject: Subject::ChannelOwner,
    origin: Origin::Host,
    retention: Retention::AgeMs(SHEET_LIFE_MS),
    data: DataCheck::typed::<AttendanceUpdate>(),
};

/// Exam scores were written.
pub const EXAM_SCORE_UPDATE: EventType = EventType {
    name: Cow::Borrowed("exam_score_update"),
    channel_kind: Cow::Borrowed("cadet"),
    class: Class::Grade,
    subject: Subject::ChannelOwner,
    origin: Origin::Host,
    retention: Retention::AgeMs(SHEET_LIFE_MS),
    data: DataCheck::typed::<ExamScoreUpdate>(),
};

/// The data of `grade_update`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GradeUpdate {
    /// Whose.
    pub cadet_id: Option<Id>,
    /// `merit` or `demerit`; a host may have other words.
    #[serde(rename = "type")]
    pub kind: Option<Line<64>>,
    /// The points of the merit or demerit as it is now; 0 when it was taken back.
    pub points: Option<i64>,
    /// The sum of all merits now.
    pub merit_points: Option<i64>,
    /// The sum of all demerits now.
    pub demerit_points: Option<i64>,
    /// What it is for.
    pub reason: Option<Text<20_000>>,
    /// How many training days the cadet was present at.
    pub attendance_present: Option<i64>,
    /// Null until there is one.
    pub prelim_score: Option<f64>,
    /// Null until there is one.
    pub midterm_score: Option<f64>,
    /// Null until there is one.
    pub final_score: Option<f64>,
}

/// The data of `attendance_update`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttendanceUpdate {
    /// Whose.
    pub cadet_id: Option<Id>,
    /// When.
    pub training_day_id: Option<Id>,
    /// `present`, `absent`, `late` or `excused`; a host may have other words.
    pub status: Option<Line<64>>,
    /// How many training days the cadet was present at.
    pub attendance_present: Option<i64>,
    /// A time on the wall, as `08:00:00`.
    pub time_in: Option<Line<64>>,
    /// A time on the wall.
    pub time_out: Option<Line<64>>,
}

/// The data of `exam_score_update`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExamScoreUpdate {
    /// Whose.
    pub cadet_id: Option<Id>,
    /// Null until there is one.
    pub prelim_score: Option<f64>,
    /// Null until there is one.
    pub midterm_score: Option<f64>,
    /// Null until there is one.
    pub final_score: Option<f64>,
    /// Only those that are different now, by the names above.
    pub changed_scores: Option<BTreeMap<String, Option<f64>>>,
}
