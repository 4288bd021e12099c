//! Field types that check themselves while they are read, for commands and event data alike.
//!
//! Text is plain text: it is stored, sent and shown as it came, or refused; nothing here trims, escapes or replaces.

use campanile_wire::instant;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One line of plain text: 1 to `CHARS_MAX` characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line<const CHARS_MAX: usize>(String);

/// Plain text of at most `CHARS_MAX` characters, perhaps none; of the control characters only line ends and tabs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const CHARS_MAX: usize>(String);

/// A share of the whole, from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(f64);

/// An ISO 8601 instant with its offset, as it was spelled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(String);

/// What is wrong with a field, as a sentence for whoever sent it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidField(String);

// === impl Line ===

impl<const CHARS_MAX: usize> Line<CHARS_MAX> {
    /// A line.
    ///
    /// # Errors
    /// When the text is empty, too long, or holds a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = text.into();
        match text.chars().count() {
            1.. if text.chars().any(char::is_control) => Err(InvalidField("a line of text has no control characters".into())),
            count if (1..=CHARS_MAX).contains(&count) => Ok(Self(text)),
            count => Err(InvalidField(format!("a text of 1 to {CHARS_MAX} characters is needed, not of {count}"))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const CHARS_MAX: usize> TryFrom<String> for Line<CHARS_MAX> {
    type Error = InvalidField;

    fn try_from(text: String) -> Result<Self, InvalidField> {
        Self::new(text)
    }
}

impl<const CHARS_MAX: usize> From<Line<CHARS_MAX>> for String {
    fn from(line: Line<CHARS_MAX>) -> Self {
        line.0
    }
}

impl<const CHARS_MAX: usize> JsonSchema for Line<CHARS_MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Line{CHARS_MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": CHARS_MAX, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"})
    }
}

// === impl Text ===

impl<const CHARS_MAX: usize> Text<CHARS_MAX> {
    /// A text.
    ///
    /// # Errors
    /// When it is too long or holds a control character other than line ends and tabs.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidField> {
        let text = text.into();
        let count = text.chars().count();
        if count > CHARS_MAX {
            return Err(InvalidField(format!("a text of at most {CHARS_MAX} characters is needed, not of {count}")));
        }
        if text.chars().any(|sign| sign.is_control() && !matches!(sign, '\n' | '\r' | '\t')) {
            return Err(InvalidField("a text has no control characters besides line ends and tabs".into()));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const CHARS_MAX: usize> TryFrom<String> for Text<CHARS_MAX> {
    type Error = InvalidField;

    fn try_from(text: String) -> Result<Self, InvalidField> {
        Self::new(text)
    }
}

impl<const CHARS_MAX: usize> From<Text<CHARS_MAX>> for String {
    fn from(text: Text<CHARS_MAX>) -> Self {
        text.0
    }
}

impl<const CHARS_MAX: usize> JsonSchema for Text<CHARS_MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{CHARS_MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": CHARS_MAX})
    }
}

// === impl Percent ===

impl Percent {
    /// The number.
    pub fn as_f64(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = InvalidField;

    fn try_from(number: f64) -> Result<Self, InvalidField> {
        match (0.0..=100.0).contains(&number) {
            true => Ok(Self(number)),
            false => Err(InvalidField("a number from 0 to 100 is needed".into())),
        }
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 100})
    }
}

// === impl Timestamp ===

impl Timestamp {
    /// This instant, with milliseconds: `2026-01-15T10:30:00.000Z`.
    pub fn at_ms(unix_ms: i64) -> Self {
        Self(instant::format(unix_ms))
    }

    /// The whole second of this instant: `2026-01-15T10:30:00Z`.
    pub fn at_second(unix_ms: i64) -> Self {
        let with_ms = instant::format(unix_ms);
        let (second, _) = with_ms.split_once('.').expect("instants are formatted with milliseconds");
        Self(format!("{second}Z"))
    }

    /// The instant in unix milliseconds.
    pub fn unix_ms(&self) -> i64 {
        instant::parse(&self.0).expect("a timestamp was checked when it was made")
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidField;

    fn try_from(text: String) -> Result<Self, InvalidField> {
        match instant::parse(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(InvalidField("an ISO 8601 instant is needed, as 2026-01-15T10:30:00Z".into())),
        }
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}
