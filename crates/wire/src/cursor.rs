//! Cursors as clients spell them: an event id, or an instant that stands for the first event recorded at or after it.

use crate::instant;
use serde_json::Value;

/// Where a client wants to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Everything after this id. 0 is the beginning of what is kept.
    Id(u64),
    /// Everything recorded at or after this instant, in unix milliseconds.
    Instant(i64),
}

impl Cursor {
    /// Reads an id or an ISO 8601 instant from a query or header.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Ids stay below 2^63 so that every store can hold them; a larger number is a cursor from the future.
            return Ok(Self::Id(text.parse::<u64>().unwrap_or(u64::MAX).min(i64::MAX as u64)));
        }
        // In a query an unescaped + arrives as a space.
        instant::parse(text).or_else(|| instant::parse(&text.replace(' ', "+"))).map(Self::Instant).ok_or(InvalidCursor)
    }

    /// Reads what a frame's `last_event_id` holds: an integer, or a text as in [`Cursor::parse`].
    ///
    /// # Errors
    /// When the value is neither.
    pub fn from_json(value: &Value) -> Result<Self, InvalidCursor> {
        match value {
            Value::Number(number) => number.as_u64().map(|id| Self::Id(id.min(i64::MAX as u64))).ok_or(InvalidCursor),
            Value::String(text) => Self::parse(text),
            _ => Err(InvalidCursor),
        }
    }
}

/// Neither an id nor an instant.
#[derive(Debug, thiserror::Error)]
#[error("a cursor is the id of an event (0, 1, 2 …) or an ISO 8601 instant such as 2026-01-15T10:30:00Z")]
pub struct InvalidCursor;
