//! What the fields of a query are read into: they come from the path and the query, so a number is spelled as text there.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::str::FromStr;

/// Rows of a page, when the asker says nothing else.
pub const PAGE_ROWS: u64 = 100;
/// Rows of a page at most.
pub const PAGE_ROWS_MAX: u64 = 1_000;

/// A value that may be spelled as text: `5` and `"5"`, `true` and `"true"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<T>(pub T);

/// How many rows a page has: 1 to [`PAGE_ROWS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Asked<u64>")]
pub struct PageLimit(u64);

// === impl Asked ===

impl<'de, T: FromStr + DeserializeOwned> Deserialize<'de> for Asked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let read = match &value {
            Value::String(text) => text.parse().ok(),
            _ => T::deserialize(&value).ok(),
        };
        read.map(Self).ok_or_else(|| D::Error::custom(format!("{value} cannot be read here: another kind of value is needed")))
    }
}

impl<T: JsonSchema> JsonSchema for Asked<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

// === impl PageLimit ===

impl PageLimit {
    /// The number.
    pub fn rows(self) -> u64 {
        self.0
    }

    /// Whether a page with so many rows is full, so that another may follow.
    pub fn is_full(self, rows: usize) -> bool {
        rows as u64 >= self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(PAGE_ROWS)
    }
}

impl TryFrom<Asked<u64>> for PageLimit {
    type Error = String;

    fn try_from(Asked(rows): Asked<u64>) -> Result<Self, String> {
        match rows {
            1..=PAGE_ROWS_MAX => Ok(Self(rows)),
            _ => Err(format!("a page has 1 to {PAGE_ROWS_MAX} rows")),
        }
    }
}

impl JsonSchema for PageLimit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PageLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS})
    }
}
