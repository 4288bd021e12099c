//! From a row to an event: its type decides the kind of channel, and the row or its payload says whose it is. Nothing is invented.

use campanile_contract::{Publish, Registry};
use campanile_journal::{NewEvent, SyncRow};
use campanile_wire::Id;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The event that a row stands for.
///
/// # Errors
/// A sentence for the program that wrote the row.
pub(crate) fn event_of(row: &SyncRow, registry: &Registry) -> Result<NewEvent, String> {
    let kind = registry.event_type(&row.event_type).map_err(|refusal| refusal.message)?;
    let payload = row.payload.as_deref().map_err(Clone::clone)?;
    if !payload.trim_start().starts_with('{') {
        return Err("payload is no JSON object".into());
    }
    let data = RawValue::from_string(payload.trim().to_owned()).map_err(|error| format!("payload is no JSON: {error}"))?;
    let owner = match &*kind.channel_kind {
        "cadet" => row.cadet_id.clone().ok_or_else(|| format!("{} belongs to a cadet, and cadet_id is NULL", kind.name))?,
        other => owner_in(&data, &format!("{other}_id")).ok_or_else(|| {
            format!("{} belongs to a {other}, and payload has no {other}_id that is an integer or a text", kind.name)
        })?,
    };
    let channel = format!("{}:{owner}", kind.channel_kind);
    let fact = Publish { kind: kind.name.to_string(), channel, data };
    fact.fact(registry).map_err(|refusal| refusal.message)
}

/// The id at this key of an object; the other values are only skipped.
fn owner_in(data: &RawValue, key: &str) -> Option<String> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(data.get()).ok()?;
    let value = serde_json::from_str(fields.get(key)?.get()).ok()?;
    Id::from_json(&value).map(|id| id.to_string())
}
