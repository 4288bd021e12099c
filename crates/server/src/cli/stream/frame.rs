//! A frame of PROTOCOL.md section 3 as a client reads it.

use crate::cli::terminal::{harmless, shortened};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Frames that are no events.
const OTHERS: [&str; 14] = [
    "connection_established",
    "heartbeat",
    "gap",
    "replay_complete",
    "pong",
    "reply",
    "refreshed",
    "subscribed",
    "unsubscribed",
    "signal",
    "view",
    "reconnect",
    "error",
    "auth",
];

/// A frame. What is not named here stays in `text`.
#[derive(Deserialize)]
pub(in crate::cli) struct Frame {
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    #[serde(default)]
    pub(in crate::cli) id: Option<u64>,
    #[serde(default)]
    pub(in crate::cli) channel: Option<String>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    pub(in crate::cli) data: Option<Box<RawValue>>,
    #[serde(default)]
    timestamp: Option<Value>,
    #[serde(default)]
    pub(in crate::cli) cursor: Option<u64>,
    #[serde(default)]
    pub(in crate::cli) epoch: Option<u64>,
    #[serde(default)]
    pub(in crate::cli) retry_after_ms: Option<u64>,
    // `from` is a number in a gap and a person in a signal.
    #[serde(default)]
    from: Option<Value>,
    #[serde(default)]
    to: Option<Value>,
    #[serde(default)]
    reason: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    /// As it came.
    #[serde(skip)]
    pub(in crate::cli) text: String,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// A sentence, when it is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let frame: Self = serde_json::from_str(text).map_err(|_| "the server sent something that is no frame".to_owned())?;
        Ok(Self { text: text.to_owned(), ..frame })
    }

    /// Whether it is a stored event.
    pub(in crate::cli) fn is_event(&self) -> bool {
        !OTHERS.contains(&self.kind.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match name {
            "from" => self.from.as_ref()?.as_u64(),
            _ => self.to.as_ref()?.as_u64(),
        }
    }

    /// The frame in one line for a person, without anything that steers a terminal.
    pub(in crate::cli) fn line(&self) -> String {
        let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
        let line = match self.kind.as_str() {
            "gap" => {
                let number = |name| self.number(name).map_or("?".to_owned(), |number| number.to_string());
                format!(
                    "── gap from {} to {}: {} ── what lies between must be fetched by REST",
                    number("from"),
                    number("to"),
                    text(&self.reason)
                )
            }
            "error" => format!("── error: {} ({}) ──", text(&self.message), text(&self.code)),
            _ => {
                let id = self.id.map_or("      –".to_owned(), |id| format!("{:>7}", format!("#{id}")));
                let channel = self.channel.as_deref().unwrap_or("–");
                let seq = self.seq.map(|seq| format!("/{seq}")).unwrap_or_default();
                let data = self.data.as_deref().map_or("", RawValue::get);
                format!("{} {id} {channel}{seq} {} {data}", text(&self.timestamp), self.kind)
            }
        };
        shortened(&harmless(&line), LINE_SIGNS_MAX)
    }
}

/// Signs of a line for people; `--json` shows everything.
const LINE_SIGNS_MAX: usize = 2_000;
