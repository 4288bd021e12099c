//! The fields of a command as they came: JSON text, so that what a command passes on keeps the spelling of its numbers and the order
//! of its keys.

use crate::read;
use campanile_wire::{ErrorCode, Refusal};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A command's fields. [`Value`] becomes one too, for callers inside the house that have nothing to preserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(String);

impl Fields {
    /// The fields of a body, and beside them those of the path. No body is no fields. An id in a path has no JSON type: a whole number is
    /// taken as one, as nearly every platform counts its rows.
    ///
    /// # Errors
    /// `malformed_json`, or `invalid_data` when the body is no object or repeats what stands in the path.
    pub fn parse(body: &[u8], path: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut fields = fields_of(body)?;
        for (name, value) in path {
            if fields.contains_key(&name) {
                let message = format!("{name} stands in the path; leave it out of the rest");
                return Err(Refusal::new(ErrorCode::InvalidData, message));
            }
            let value = id_of_path(&name, value);
            fields.insert(name, raw(&value));
        }
        Ok(Self(serde_json::to_string(&fields).expect("JSON texts by name serialise")))
    }

    /// The fields of a frame, which was only skipped over until now.
    ///
    /// # Errors
    /// `invalid_data` where a text or a number in it is none.
    pub fn of_frame(fields: &RawValue) -> Result<Self, Refusal> {
        let invalid = |error: serde_json::Error| Refusal::new(ErrorCode::InvalidData, format!("data: {error}"));
        serde_json::from_str::<Value>(fields.get()).map_err(invalid)?;
        Ok(Self(fields.get().to_owned()))
    }

    /// As JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        read::from_command_fields(&self.0)
    }
}

impl From<Value> for Fields {
    fn from(fields: Value) -> Self {
        Self(fields.to_string())
    }
}

fn id_of_path(name: &str, text: String) -> Value {
    match text.parse::<i64>() {
        Ok(number) if name.ends_with("_id") && number.to_string() == text => number.into(),
        _ => text.into(),
    }
}

fn fields_of(body: &[u8]) -> Result<BTreeMap<String, Box<RawValue>>, Refusal> {
    if body.is_empty() {
        return Ok(BTreeMap::new());
    }
    let malformed = |error: serde_json::Error| Refusal::new(ErrorCode::MalformedJson, error.to_string());
    // A raw value is only skipped over: half a surrogate, a number beyond all numbers or a thousand brackets would pass through it.
    match serde_json::from_slice(body).map_err(malformed)? {
        Value::Object(_) => serde_json::from_slice(body).map_err(malformed),
        _ => Err(Refusal::new(ErrorCode::InvalidData, "the body is an object")),
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value serialises")
}
