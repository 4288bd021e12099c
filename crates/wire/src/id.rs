//! Ids of people, courses and cadets: opaque JSON scalars whose type survives the round trip.
//!
//! `7` and `"7"` are the same person: equality, order and hash are by the canonical string.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest id that is accepted, in bytes of its canonical string.
pub const ID_BYTES_MAX: usize = 128;

/// An opaque id. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Id {
    text: Arc<str>,
    is_number: bool,
}

impl Id {
    /// An id spelled as text.
    ///
    /// # Errors
    /// When the text is empty, longer than [`ID_BYTES_MAX`], or holds a control character (ids stand in log lines and SSE fields).
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() || text.len() > ID_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(InvalidId);
        }
        Ok(Self { text: text.into(), is_number: false })
    }

    /// An id from a JSON value: an integer, or a text that [`Id::new`] accepts.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                Some(Self { text: number.to_string().into(), is_number: true })
            }
            Value::String(text) => Self::new(text).ok(),
            _ => None,
        }
    }

    /// The canonical string, by which ids are compared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The JSON scalar as it was given.
    pub fn to_json(&self) -> Value {
        if self.is_number {
            if let Ok(number) = self.text.parse::<i64>() {
                return number.into();
            }
            if let Ok(number) = self.text.parse::<u64>() {
                return number.into();
            }
        }
        Value::from(&*self.text)
    }

    /// Reads what [`Id::to_json`] wrote into a database column: the JSON scalar as text.
    pub fn from_json_text(text: &str) -> Option<Self> {
        serde_json::from_str::<Value>(text).ok().and_then(|value| Self::from_json(&value))
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self { text: number.to_string().into(), is_number: true }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "an id is an integer or a text of 1 to {ID_BYTES_MAX} bytes without control characters"
            ))
        })
    }
}

impl schemars::JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["integer", "string"], "description": "opaque; equality is by its canonical string"})
    }
}

/// The text cannot be an id.
#[derive(Debug, thiserror::Error)]
#[error("an id is 1 to {ID_BYTES_MAX} bytes long and holds no control character")]
pub struct InvalidId;
