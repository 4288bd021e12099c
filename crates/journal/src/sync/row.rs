//! A row of a source as it was read, whatever its columns' types are.

use crate::db::Row;
use crate::error::JournalError;
use crate::idempotency::hex;
use sha2::{Digest, Sha256};

/// Longer ids, and ids with control characters, are kept by their hash.
const KEY_BYTES_MAX: usize = 255;
/// What the key of such an id begins with.
pub(crate) const HASHED: &str = "sha256:";

/// A row that waits to become an event.
#[derive(Clone, Debug)]
pub struct SyncRow {
    /// Its id as text.
    pub id: String,
    /// The event's type.
    pub event_type: String,
    /// Whose event it is, where it is a cadet's.
    pub cadet_id: Option<String>,
    /// The event's data, or a sentence that says why it cannot be read.
    pub payload: Result<String, String>,
    pub(crate) key: String,
    pub(crate) fingerprint: String,
}

impl SyncRow {
    /// None when not even its id can be read: no other can be told of it.
    pub(crate) fn read(row: &Row, payload_bytes_max: u64) -> Option<Self> {
        let id = row.text("row_id").ok()?;
        let unreadable = |what: &str| format!("{what} is not text in UTF-8");
        let texts = [row.text_or_null("event_type"), row.text_or_null("cadet_id"), row.text_or_null("created_at")];
        let broken = texts.iter().any(Result::is_err);
        let [event_type, cadet_id, created_at] = texts.map(|text: Result<_, JournalError>| text.ok().flatten());
        let bytes = row.int_or_null("payload_bytes").ok().flatten();
        let payload = match (row.text_or_null("payload"), bytes) {
            _ if broken => Err(unreadable("a column")),
            (Ok(Some(payload)), _) => Ok(payload),
            (Ok(None), Some(bytes)) => Err(format!("payload has {bytes} bytes, at most {payload_bytes_max} are taken")),
            (Ok(None), None) => Err("payload is NULL".into()),
            (Err(_), _) => Err(unreadable("payload")),
        };
        let mut hash = Sha256::new();
        let said = payload.as_ref().unwrap_or_else(|error| error).as_str();
        for part in [event_type.as_deref(), cadet_id.as_deref(), Some(said), created_at.as_deref()] {
            // Each part's end is told, so that no two rows come to the same text.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            hash.update(part.unwrap_or_default());
        }
        let key = match id.len() <= KEY_BYTES_MAX && !id.chars().any(char::is_control) {
            true => id.clone(),
            false => format!("{HASHED}{}", hex(Sha256::new().chain_update(&id))),
        };
        Some(Self { id, event_type: event_type.unwrap_or_default(), cadet_id, payload, key, fingerprint: hex(hash) })
    }
}
