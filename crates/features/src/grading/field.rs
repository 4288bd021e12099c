//! Field types of grading: kinds of merits, states of attendance, points, dates and times on the wall.

use campanile_contract::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The most points of one merit or demerit.
pub const POINTS_MAX: i64 = 1_000_000;

/// Whether points are for or against the cadet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeritType {
    /// Counts in `merit_points`.
    Merit,
    /// Counts in `demerit_points`.
    Demerit,
}

/// Whether a cadet was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttendanceStatus {
    /// The one state that counts in `attendance_present`.
    Present,
    /// Not there.
    Absent,
    /// There, but too late to count.
    Late,
    /// Not there, with leave.
    Excused,
}

/// Points of one merit or demerit: a whole number from 0 to [`POINTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Points(i64);

/// A day of the calendar: `2026-01-15`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(String);

/// A time on the wall, without a zone: `08:00:00`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallTime(String);

// === impl MeritType ===

impl MeritType {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merit => "merit",
            Self::Demerit => "demerit",
        }
    }

    /// The kind with this word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Merit, Self::Demerit].into_iter().find(|kind| kind.as_str() == word)
    }
}

// === impl AttendanceStatus ===

impl AttendanceStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Late => "late",
            Self::Excused => "excused",
        }
    }

    /// The state with this word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Present, Self::Absent, Self::Late, Self::Excused].into_iter().find(|status| status.as_str() == word)
    }
}

// === impl Points ===

impl Points {
    /// The number.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Points {
    type Error = String;

    fn try_from(points: i64) -> Result<Self, String> {
        match points {
            0..=POINTS_MAX => Ok(Self(points)),
            _ => Err(format!("a whole number from 0 to {POINTS_MAX} is needed")),
        }
    }
}

impl From<Points> for i64 {
    fn from(points: Points) -> Self {
        points.0
    }
}

impl JsonSchema for Points {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Points".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": POINTS_MAX})
    }
}

// === impl Date ===

impl Date {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Date {
    type Error = &'static str;

    fn try_from(date: String) -> Result<Self, Self::Error> {
        // The calendar is the timestamps' matter.
        match date.len() == "2026-01-15".len() && Timestamp::try_from(format!("{date}T00:00:00Z")).is_ok() {
            true => Ok(Self(date)),
            false => Err("a date is needed, as 2026-01-15"),
        }
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.0
    }
}

impl JsonSchema for Date {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date"})
    }
}

// === impl WallTime ===

impl WallTime {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WallTime {
    type Error = &'static str;

    fn try_from(time: String) -> Result<Self, Self::Error> {
        match time.len() == "08:00:00".len() && Timestamp::try_from(format!("2026-01-15T{time}Z")).is_ok() {
            true => Ok(Self(time)),
            false => Err("a time on the wall is needed, as 08:00:00"),
        }
    }
}

impl From<WallTime> for String {
    fn from(time: WallTime) -> Self {
        time.0
    }
}

impl JsonSchema for WallTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WallTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}:[0-9]{2}$"})
    }
}
