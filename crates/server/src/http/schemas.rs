//! The JSON schemas of a document, under one roof: `#/components/schemas`.
//!
//! Invariant: every `$ref` that comes out of here points into the components of the same document.

use campanile_contract::{DataCheck, EventType, Registry, Retention};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ROOF: &str = "#/components/schemas/";
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The schemas of one document by name.
///
/// Names of Rust types are words; what is named by the registry has a dot (`event.announcement`): the two never meet.
#[derive(Default)]
pub(crate) struct Schemas {
    placed: Map<String, Value>,
    /// How each schema read before its references were moved: the same type comes along with many roots.
    originals: BTreeMap<String, Value>,
}

/// Where a root and its definitions stand now.
struct Moved {
    owner: String,
    prefix: String,
}

/// A reference to the schema of this name.
pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{ROOF}{}", component_name(name)) })
}

/// A name as components may have it: letters, digits, `_` and `.`. Any other sign, which hosts may use, becomes its number.
pub(crate) fn component_name(name: &str) -> String {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.');
    name.chars().map(|sign| if is_plain(sign) { sign.to_string() } else { format!("-{:x}-", u32::from(sign)) }).collect()
}

/// An instant on the wire.
pub(crate) fn instant() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// The id of an event, a cursor or a head.
pub(crate) fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

/// A schema that any of these fits; none fits nothing.
pub(crate) fn any_of(schemas: Vec<Value>) -> Value {
    if schemas.is_empty() { Value::Bool(false) } else { json!({ "anyOf": schemas }) }
}

/// Places the data of every event type and its native frame; `Event` is any of them.
pub(crate) fn place_events(schemas: &mut Schemas, registry: &Registry) {
    let frames = registry.event_types().map(|kind| place_event(schemas, kind)).collect();
    schemas.place("Event", any_of(frames));
}

fn place_event(schemas: &mut Schemas, kind: &EventType) -> Value {
    let data_name = format!("data.{}", kind.name);
    let data = match &kind.data {
        DataCheck::Typed { schema, .. } => {
            let root = schemas.take_in(&data_name, schema());
            schemas.place(&data_name, root)
        }
        DataCheck::Schema(_, schema) => schemas.place_foreign(&data_name, schema.clone()),
        DataCheck::Any => schemas.place(&data_name, json!({ "type": "object" })),
    };
    let frame = json!({
        "type": "object",
        "description": describe(kind),
        "required": ["type", "id", "channel", "seq", "data", "timestamp"],
        "properties": {
            "type": { "const": kind.name },
            "id": { "type": "integer", "minimum": 1, "description": "the place in the site's one order" },
            "channel": { "type": "string", "pattern": format!("^{}:", kind.channel_kind) },
            "seq": { "type": "integer", "minimum": 1, "description": "the dense place within the channel" },
            "data": data,
            "timestamp": { "type": "string", "format": "date-time", "description": "when it was recorded" },
        },
    });
    schemas.place(&format!("event.{}", kind.name), frame)
}

/// Where events of a type stand, and for how long.
pub(crate) fn describe(kind: &EventType) -> String {
    let kept = match kind.retention {
        Retention::Forever => "kept for good".to_owned(),
        Retention::AgeMs(age_ms) => format!("kept for {} days", age_ms / DAY_MS),
        Retention::Newest(count) => format!("the newest {count} of a channel are kept"),
    };
    format!("`{}`, on `{}` channels; {kept}.", kind.name, kind.channel_kind)
}

/// Moves every reference of a schema. A `$ref` inside a `const` is not told apart: nobody spells one there.
fn move_references(value: &mut Value, moved: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "$ref" => *text = moved(text).unwrap_or_else(|| std::mem::take(text)),
                    field => move_references(field, moved),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| move_references(element, moved)),
        _ => {}
    }
}

// === impl Schemas ===

impl Schemas {
    /// Places a schema whose references are right already.
    pub(crate) fn place(&mut self, name: &str, schema: Value) -> Value {
        let component = component_name(name);
        self.originals.insert(component.clone(), schema.clone());
        self.placed.insert(component, schema);
        reference(name)
    }

    /// Places a Rust type under its own name, so that whoever has it among its definitions shares it.
    pub(crate) fn place_type<T: JsonSchema>(&mut self) {
        let mut generator = SchemaGenerator::default();
        let _ = generator.subschema_for::<T>();
        self.place_definitions(&T::schema_name(), generator.take_definitions(true));
    }

    /// Places the definitions of a root schema and hands back the root, with its references moved. `owner` is the name under
    /// which the root itself is placed: a recursive root means itself by `#`.
    pub(crate) fn take_in(&mut self, owner: &str, root: Schema) -> Value {
        let mut root = root.to_value();
        let definitions = root.as_object_mut().and_then(|root| {
            root.remove("$schema");
            root.remove("$defs")
        });
        let definitions = if let Some(Value::Object(definitions)) = definitions { definitions } else { Map::new() };
        let moved = self.place_definitions(owner, definitions);
        move_references(&mut root, &|reference| moved.reference(reference));
        root
    }

    /// Places a host's schema whole, and untouched but for its references: its definitions may have any names.
    pub(crate) fn place_foreign(&mut self, name: &str, mut schema: Value) -> Value {
        let here = Moved { owner: component_name(name), prefix: String::new() };
        // With an `$id` its references are relative to itself wherever it stands.
        if schema.get("$id").is_none() {
            move_references(&mut schema, &|reference| here.own_reference(reference));
        }
        self.place(name, schema)
    }

    /// All of them.
    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.placed)
    }

    /// Two features may have different types of the same name: the later root's definitions then carry their owner's.
    fn place_definitions(&mut self, owner: &str, definitions: Map<String, Value>) -> Moved {
        let owner = component_name(owner);
        let differs = |(name, schema): (&String, &Value)| self.originals.get(name).is_some_and(|known| known != schema);
        let prefix = if definitions.iter().any(differs) { format!("{owner}.") } else { String::new() };
        let moved = Moved { owner, prefix };
        for (name, mut schema) in definitions {
            let name = format!("{}{name}", moved.prefix);
            self.originals.insert(name.clone(), schema.clone());
            move_references(&mut schema, &|reference| moved.reference(reference));
            self.placed.insert(name, schema);
        }
        moved
    }
}

// === impl Moved ===

impl Moved {
    /// Where a reference of schemars points now: to a definition, or to the root.
    fn reference(&self, reference: &str) -> Option<String> {
        match reference.strip_prefix("#/$defs/") {
            Some(name) => Some(format!("{ROOF}{}{name}", self.prefix)),
            None => self.own_reference(reference),
        }
    }

    /// Where a reference into the root points now. An anchor is a name, not a place, and stays.
    fn own_reference(&self, reference: &str) -> Option<String> {
        let rest = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        Some(format!("{ROOF}{}{rest}", self.owner))
    }
}

#[cfg(test)]
pub(crate) mod tests;
