//! What is sent and what came back: data from an argument, a file or standard input, and receipts as a line.

use super::Producer;
use crate::cli::{Usage, terminal};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Read;

/// Bytes of data that are read; the server takes 64 KiB an event.
const DATA_BYTES_MAX: u64 = 1024 * 1024;

/// Data as an argument.
#[derive(Args)]
pub(in crate::cli) struct Data {
    /// The data, a JSON object; `@file` reads a file, `-` standard input.
    #[arg(long, value_name = "JSON")]
    data: String,
}

impl Data {
    /// The object, byte for byte as it was given.
    pub(super) fn read(&self, producer: &Producer) -> Result<Box<RawValue>> {
        let mut text = String::new();
        if self.data == "-" {
            if producer.reads_input() {
                return Err(Usage("--key - and --data - cannot both read standard input".into()).into());
            }
            std::io::stdin().take(DATA_BYTES_MAX).read_to_string(&mut text).context("reading the data")?;
        } else if let Some(path) = self.data.strip_prefix('@') {
            let file = std::fs::File::open(path).with_context(|| format!("opening {path}"))?;
            file.take(DATA_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {path}"))?;
        } else {
            text.clone_from(&self.data);
        }
        object(&text)
    }
}

/// A JSON object as it stands.
pub(super) fn object(text: &str) -> Result<Box<RawValue>> {
    let value: &RawValue = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => bail!("the data is not JSON: {error}"),
    };
    if !value.get().starts_with('{') {
        bail!("the data is JSON, but not an object: {{…}} is needed");
    }
    Ok(value.to_owned())
}

/// A body as JSON text.
pub(super) fn of(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("texts, ids and checked JSON serialise")
}

/// A receipt as a person reads it; an answer of another shape as it came.
pub(super) fn told(answer: &str, replayed: bool) -> String {
    let value: Value = serde_json::from_str(answer).unwrap_or_default();
    let repeat = if replayed { ", and was so already" } else { "" };
    if let Some(events) = value["events"].as_u64() {
        return format!("{events} {} stored{repeat}", if events == 1 { "event is" } else { "events are" });
    }
    match (value["id"].as_u64(), value["channel"].as_str(), value["seq"].as_u64()) {
        (Some(id), Some(channel), Some(seq)) => {
            format!("event {id} is stored in {}, its number {seq} there{repeat}", terminal::harmless(channel))
        }
        _ => terminal::harmless(answer).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{object, told};

    #[test]
    fn data_passes_through_as_it_was_typed() {
        assert_eq!(object(r#" {"b":1.50,"a":90.0} "#).unwrap().get(), r#"{"b":1.50,"a":90.0}"#);
        assert!(object("[1]").unwrap_err().to_string().contains("not an object"));
        assert!(object("{a:1}").unwrap_err().to_string().contains("not JSON"));
        assert!(object("").is_err());
    }

    #[test]
    fn a_receipt_is_told_in_words() {
        let answer = r#"{"id":121,"channel":"course:7","seq":14,"timestamp":"2026-01-15T10:30:00.000Z"}"#;
        assert_eq!(told(answer, false), "event 121 is stored in course:7, its number 14 there");
        assert!(told(answer, true).ends_with("was so already"));
        assert_eq!(told(r#"{"events":2}"#, false), "2 events are stored");
        assert_eq!(told(r#"{"events":[]}"#, false), r#"{"events":[]}"#);
    }
}
