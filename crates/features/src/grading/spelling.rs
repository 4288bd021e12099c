//! How ids were first spelled: a later `"7"` from a path must not turn everybody's `7` into a text.

use campanile_contract::{Id, JournalError};

/// An id from its `_json` column.
pub fn of_json(json: &str) -> Result<Id, JournalError> {
    Id::from_json_text(json).ok_or_else(|| JournalError::Statement("a stored id is broken".into()))
}

/// An id for its `_json` column.
pub fn to_json(id: &Id) -> String {
    id.to_json().to_string()
}
