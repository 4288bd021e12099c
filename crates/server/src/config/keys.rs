//! The one description of every key, read from the sections' own types: what judges values, and what the reference is written from.

use super::Config;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// The JSON schema of the whole configuration. `x-secret`, `x-file` and `x-reload` are marks of this house.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Config>().into()
    })
}

/// The description of one place in the configuration.
#[derive(Clone, Copy)]
pub struct Node<'a>(&'a Value);

/// What a place holds.
pub enum Kind<'a> {
    /// Named keys, each described.
    Table(&'a Map<String, Value>),
    /// Keys that the operator names, all of one kind.
    Entries(Node<'a>),
    /// A list of one kind.
    List(Node<'a>),
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// True or false.
    Switch,
    /// One of these words.
    Choice(Vec<&'a str>),
    /// Whatever the operator likes.
    Free,
}

impl Node<'static> {
    /// The whole configuration.
    pub fn root() -> Self {
        Self(schema())
    }
}

impl<'a> Node<'a> {
    /// What stands here.
    pub fn kind(self) -> Kind<'a> {
        let inner = self.without_null();
        let choices = choices(inner);
        if !choices.is_empty() {
            return Kind::Choice(choices);
        }
        match type_of(inner) {
            Some("object") => match (inner["properties"].as_object(), &inner["additionalProperties"]) {
                (Some(properties), _) => Kind::Table(properties),
                (None, entry @ Value::Object(_)) => Kind::Entries(Node(entry)),
                _ => Kind::Free,
            },
            Some("array") => Kind::List(Node(&inner["items"])),
            Some("string") => Kind::Text,
            Some("integer") => Kind::Whole,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Switch,
            _ => Kind::Free,
        }
    }

    /// An optional value is described as itself or null; TOML knows no null.
    fn without_null(self) -> &'a Value {
        let others = self.0["anyOf"].as_array().into_iter().flatten();
        others.into_iter().find(|other| type_of(other) != Some("null")).unwrap_or(self.0)
    }

    /// The key of this name.
    pub fn child(self, name: &str) -> Option<Self> {
        match self.kind() {
            Kind::Table(keys) => keys.get(name).map(Node),
            Kind::Entries(entry) => Some(entry),
            _ => None,
        }
    }

    /// The place that a path of names leads to.
    pub fn at(self, names: &[String]) -> Option<Self> {
        names.iter().try_fold(self, |node, name| node.child(name))
    }

    /// The keys that an entry must have.
    pub fn required(self) -> Vec<&'a str> {
        self.without_null()["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// What it is for, in one line.
    pub fn description(self) -> String {
        let text = self.0["description"].as_str().or_else(|| self.without_null()["description"].as_str());
        text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Its value when nobody gives one.
    pub fn default(self) -> Option<&'a Value> {
        self.0.get("default").filter(|value| !value.is_null())
    }

    /// A value to show where there is no default.
    pub fn example(self) -> Option<&'a Value> {
        self.0["examples"].get(0)
    }

    /// The smallest and largest value.
    pub fn range(self) -> (Option<f64>, Option<f64>) {
        let inner = self.without_null();
        let bound = |name: &str| self.0[name].as_f64().or_else(|| inner[name].as_f64());
        (bound("minimum"), bound("maximum"))
    }

    /// Whether its value must never be shown.
    pub fn is_secret(self) -> bool {
        self.0["x-secret"] == true || self.0["writeOnly"] == true
    }

    /// Whether it names a file beside the configuration file.
    pub fn is_file(self) -> bool {
        self.0["x-file"] == true
    }

    /// Whether a reload may change it.
    pub fn reloads(self) -> bool {
        self.0["x-reload"] == true
    }
}

/// A key of the reference. Lists of tables and what is in them are keys both: `api_key`, `api_key[].name`.
pub struct Key {
    /// Its names; a list's entries are named `[]`.
    pub names: Vec<String>,
    /// Its description.
    pub node: Node<'static>,
    /// Whether an entry must have it.
    pub is_required: bool,
    /// Whether a reload may change it: said of it, or of what it stands in.
    pub reloads: bool,
}

impl Key {
    /// Its path as the operator writes it: `limits.body_bytes`, `api_key[].name`.
    pub fn path(&self) -> String {
        self.names.join(".").replace(".[]", "[]")
    }

    /// Whether it stands in an entry of a list, or in a table that the operator names.
    pub fn is_inside_entry(&self) -> bool {
        self.names.iter().any(|name| name == "[]")
    }

    /// Its environment variable, if it can be given alone.
    pub fn variable(&self) -> Option<String> {
        (!self.is_inside_entry()).then(|| format!("{VARIABLE_PREFIX}{}", self.names.join("__").to_uppercase()))
    }
}

/// What the variables of the configuration begin with.
pub const VARIABLE_PREFIX: &str = "CAMPANILE_";

/// Every key, in the order of the reference: single values before tables, what an entry must have first, each in the order of the
/// alphabet.
pub fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    collect(Node::root(), &[], false, &mut keys);
    keys
}

/// The keys that hold a value as a whole: everything but tables and what is inside of entries.
pub fn values() -> impl Iterator<Item = Key> {
    keys().into_iter().filter(|key| !key.is_inside_entry() && !matches!(key.node.kind(), Kind::Table(_)))
}

fn collect(node: Node<'static>, names: &[String], reloads: bool, keys: &mut Vec<Key>) {
    let required = node.required();
    let inside: Vec<(&str, Node<'static>)> = match node.kind() {
        Kind::Table(properties) => {
            let mut inside: Vec<_> = properties.iter().map(|(name, value)| (name.as_str(), Node(value))).collect();
            // The order of a map in memory depends on how its crate was built; the reference must not.
            inside.sort_by_key(|(name, node)| (holds_tables(*node), !required.contains(name), *name));
            inside
        }
        Kind::List(item) | Kind::Entries(item) if matches!(item.kind(), Kind::Table(_)) => {
            return collect(item, &[names, &["[]".to_owned()]].concat(), reloads, keys);
        }
        _ => return,
    };
    for (name, child) in inside {
        let names = [names, &[name.to_owned()]].concat();
        let reloads = reloads || child.reloads();
        keys.push(Key { names: names.clone(), node: child, is_required: required.contains(&name), reloads });
        collect(child, &names, reloads, keys);
    }
}

/// Whether the place is written with a header of its own.
pub fn holds_tables(node: Node<'_>) -> bool {
    match node.kind() {
        Kind::Table(_) => true,
        Kind::List(item) | Kind::Entries(item) => matches!(item.kind(), Kind::Table(_)),
        _ => false,
    }
}

fn type_of(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// The words of an enumeration, however it is spelled.
fn choices(schema: &Value) -> Vec<&str> {
    let alone = schema["const"].as_str().into_iter();
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let described = schema["oneOf"].as_array().into_iter().flatten().flat_map(choices);
    alone.chain(listed).chain(described).collect()
}
