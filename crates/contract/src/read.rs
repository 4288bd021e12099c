//! Reading what strangers send into Rust types, with sentences that name the field.

use campanile_wire::{ErrorCode, Refusal};
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// Errors repeat what they met; this much of it goes out.
const SENTENCE_CHARS_MAX: usize = 300;

/// The fields of a query.
pub(crate) fn from_fields<T: DeserializeOwned>(fields: serde_json::Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(fields)
        .map_err(|error| Refusal::new(ErrorCode::InvalidData, sentence(error.path(), error.inner())))
}

/// The fields of a command. Line and column are those of a text that we wrote: whoever sent the fields never saw it.
pub(crate) fn from_command_fields<T: DeserializeOwned>(json: &str) -> Result<T, Refusal> {
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.inner().to_string();
        let place = format!(" at line {} column {}", error.inner().line(), error.inner().column());
        let inner = inner.strip_suffix(&place).unwrap_or(&inner);
        Refusal::new(ErrorCode::InvalidData, sentence(error.path(), &inner))
    })
}

/// The data of an event, which must be one JSON value and nothing after it.
pub(crate) fn from_text<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| sentence(error.path(), error.inner()))?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

fn sentence(path: &serde_path_to_error::Path, error: &impl Display) -> String {
    // The path of the whole value reads as a dot, and says nothing.
    let sentence = match path.iter().next() {
        Some(_) => format!("{path}: {error}"),
        None => error.to_string(),
    };
    sentence.chars().take(SENTENCE_CHARS_MAX).collect()
}
