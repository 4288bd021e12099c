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
/// Names of Rust types are words; what is made from names of the registry has a dot (`event.announcement`), so the two never meet.
#[derive(Default)]
pub(crate) struct Schemas {
    placed: Map<String, Value>,
    /// How each definition read before its references were moved: the same type comes along with many roots.
    originals: BTreeMap<String, Value>,
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

// === impl Schemas ===

impl Schemas {
    /// Places a schema whose references are right already.
    pub(crate) fn place(&mut self, name: &str, schema: Value) -> Value {
        self.originals.insert(component_name(name), schema.clone());
        self.placed.insert(component_name(name), schema);
        reference(name)
    }

    /// Places a Rust type under its own name, so that whoever has it among its definitions shares it.
    pub(crate) fn place_type<T: JsonSchema>(&mut self) {
        let mut generator = SchemaGenerator::default();
        let _ = generator.subschema_for::<T>();
        self.place_definitions(&T::schema_name(), generator.take_definitions(true));
    }

    /// Places the definitions of a root schema and hands back the root, with its references moved. `owner` is the root's own name:
    /// what a recursive root calls `#`.
    pub(crate) fn take_in(&mut self, owner: &str, root: Schema) -> Value {
        let mut root = root.to_value();
        let definitions = root.as_object_mut().and_then(|root| {
            root.remove("$schema");
            root.remove("$defs")
        });
        let definitions = match definitions {
            Some(Value::Object(definitions)) => definitions,
            _ => Map::new(),
        };
        let moved = self.place_definitions(owner, definitions);
        move_references(&mut root, &moved);
        root
    }

    /// Places a host's schema whole and untouched but for its references: its definitions may have any names.
    pub(crate) fn place_foreign(&mut self, name: &str, mut schema: Value) -> Value {
        // With an `$id` its references are relative to itself wherever it stands.
        if schema.get("$id").is_none() {
            let here = format!("{ROOF}{}", component_name(name));
            move_references(&mut schema, &|reference: &str| {
                let rest = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
                Some(format!("{here}{rest}"))
            });
        }
        self.place(name, schema)
    }

    /// All of them.
    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.placed)
    }

    /// Answers where references go now. Two features may have different types of the same name: the later root's get its owner's.
    fn place_definitions(&mut self, owner: &str, definitions: Map<String, Value>) -> impl Fn(&str) -> Option<String> + use<> {
        let owner = component_name(owner);
        let clashes = definitions.iter().any(|(name, schema)| self.originals.get(name).is_some_and(|known| known != schema));
        let place = move |name: &str| if clashes { format!("{owner}.{name}") } else { name.to_owned() };
        let moved_place = place.clone();
        let owner_place = place.clone();
        let _ = owner_place;
        let moved = move |reference: &str| match reference.strip_prefix("#/$defs/") {
            Some(name) => Some(format!("{ROOF}{}", moved_place(name))),
            None => None,
        };
        for (name, schema) in definitions {
            let name = place(&name);
            self.originals.insert(name.clone(), schema.clone());
            let mut schema = schema;
            move_references(&mut schema, &moved);
            self.placed.insert(name, schema);
        }
        moved
    }
}
