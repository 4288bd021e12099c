//! Rules of the components, and what the tests of both documents look at them with.

use super::{Schemas, component_name, place_events};
use crate::config::Config;
use campanile_contract::Registry;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Every feature, and a host that declares types with a schema of its own kind, and without one.
pub(crate) const HOST: &str = r##"
    [[event_type]]
    name = "lab/booked"
    channel_kind = "course"
    class = "course"
    keep_days = 30
    [event_type.schema]
    type = "object"
    required = ["slot"]
    properties.slot."$ref" = "#/definitions/lab%20slot"
    properties.next."$ref" = "#"
    definitions."lab slot".type = "integer"

    [[event_type]]
    name = "bell_rung"
    channel_kind = "role"
    class = "technical"
"##;

pub(crate) fn registry() -> Registry {
    let config: Config = toml::from_str(HOST).unwrap();
    Registry::new(campanile_features::ALL, config.event_types().unwrap()).unwrap()
}

/// What judges instances by a schema of the document.
pub(crate) fn validator(document: &Value, schema: &Value, draft: Draft) -> Validator {
    let rooted = json!({ "components": document["components"], "allOf": [schema] });
    let options = jsonschema::options().with_draft(draft).should_validate_formats(true);
    options.build(&rooted).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

/// Both dialects must agree on what fits.
pub(crate) fn assert_fits(document: &Value, schema: &Value, instance: &Value) {
    for draft in [Draft::Draft7, Draft::Draft202012] {
        let found: Vec<_> = validator(document, schema, draft).iter_errors(instance).map(|error| error.to_string()).collect();
        assert!(found.is_empty(), "{instance} does not fit {schema} by {draft:?}: {found:#?}");
    }
}

pub(crate) fn assert_differs(document: &Value, schema: &Value, instance: &Value) {
    for draft in [Draft::Draft7, Draft::Draft202012] {
        assert!(!validator(document, schema, draft).is_valid(instance), "{instance} fits {schema} by {draft:?}");
    }
}

/// Every reference of a document points at something in it, and every schema is one by both dialects.
pub(crate) fn assert_sound(document: &Value) {
    let mut references = Vec::new();
    gather(document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leaves the document"));
        let pointer = pointer.replace("%20", " ");
        assert!(document.pointer(&pointer).is_some(), "{reference} points at nothing");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
            "{name} is no component's name"
        );
        for draft in [Draft::Draft7, Draft::Draft202012] {
            validator(document, schema, draft);
        }
    }
}

fn gather(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| gather(field, references));
        }
        Value::Array(elements) => elements.iter().for_each(|element| gather(element, references)),
        _ => {}
    }
}

mod one {
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    pub struct Mark(u8);

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    pub struct Graded {
        pub mark: Mark,
        pub corrects: Option<Box<Graded>>,
    }
}

mod other {
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    pub struct Mark(String);

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    pub struct Graded {
        pub mark: Mark,
    }
}

#[test]
fn types_of_the_same_name_in_two_features_stay_apart() {
    let mut schemas = Schemas::default();
    for (name, root) in [("data.a", schemars::schema_for!(one::Graded)), ("data.b", schemars::schema_for!(other::Graded))] {
        let root = schemas.take_in(name, root);
        schemas.place(name, root);
    }
    let document = json!({ "components": { "schemas": schemas.into_json() } });
    assert_sound(&document);
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    assert_fits(&document, &schema("data.a"), &json!({ "mark": 3, "corrects": { "mark": 4 } }));
    assert_differs(&document, &schema("data.a"), &json!({ "mark": 3, "corrects": { "mark": "good" } }));
    assert_fits(&document, &schema("data.b"), &json!({ "mark": "good" }));
    assert_differs(&document, &schema("data.b"), &json!({ "mark": 3 }));
}

#[test]
fn a_hosts_schema_keeps_its_own_definitions() {
    let mut schemas = Schemas::default();
    place_events(&mut schemas, &registry());
    let document = json!({ "components": { "schemas": schemas.into_json() } });
    assert_sound(&document);
    let schema = json!({ "$ref": "#/components/schemas/data.lab-2f-booked" });
    assert_fits(&document, &schema, &json!({ "slot": 1, "next": { "slot": 2 } }));
    assert_differs(&document, &schema, &json!({ "slot": 1, "next": { "slot": "two" } }));
}

#[test]
fn a_components_name_tells_hosts_names_apart() {
    assert_eq!(component_name("grade_posted.v2"), "grade_posted.v2");
    assert_eq!(component_name("lab/booked"), "lab-2f-booked");
    assert_ne!(component_name("lab booked"), component_name("lab-20-booked"));
}
