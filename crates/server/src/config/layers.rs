//! The layers of the configuration: a file, the environment, flags. Every value remembers where it was given.

use super::fault::Fault;
use super::keys::{Kind, Node, VARIABLE_PREFIX, values};
use super::spelling::{self, nearest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    File {
        /// The file as it was named.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// By an environment variable.
    Variable(String),
    /// By a flag of the command line.
    Flag(String),
}

impl Place {
    /// The layer's name.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Flag(name) => write!(f, "the flag {name}"),
        }
    }
}

/// A value that a flag gives: the key's path, the text, and the flag's name.
#[derive(Clone)]
pub struct Flag {
    /// The key, as `limits.body_bytes`.
    pub path: String,
    /// The value.
    pub text: String,
    /// What the operator typed before it.
    pub name: String,
}

/// One layer, or several merged.
#[derive(Clone, Default)]
pub struct Layered {
    /// What was given.
    pub values: Map<String, Value>,
    places: BTreeMap<String, Place>,
}

impl Layered {
    /// Where the value of this path was given, or else the nearest thing around it.
    pub fn place(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            match (self.places.get(path), path.rfind(['.', '['])) {
                (Some(place), _) => return Some(place),
                (None, Some(end)) => path = &path[..end],
                (None, None) => return None,
            }
        }
    }

    /// What was given at a path of names.
    pub fn get(&self, names: &[String]) -> Option<&Value> {
        let (first, rest) = names.split_first()?;
        rest.iter().try_fold(self.values.get(first)?, |value, name| value.get(name))
    }

    /// Lays another layer over this one: tables are merged, everything else is replaced.
    pub fn lay(&mut self, upper: Self) {
        merge(&mut self.values, upper.values);
        self.places.extend(upper.places);
    }

    /// Sets one value.
    pub fn set(&mut self, names: &[String], value: Value, place: &Place) {
        let Some((last, tables)) = names.split_last() else { return };
        self.note(spelling::path(names), &value, place);
        let mut table = &mut self.values;
        for name in tables {
            let inner = table.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            table = inner;
        }
        table.insert(last.clone(), value);
    }

    /// Takes one value away, and the tables that are empty then: an empty table is not the same as none.
    pub fn unset(&mut self, names: &[String]) {
        unset(&mut self.values, names);
    }

    /// Notes one place for a value and all that is in it.
    fn note(&mut self, path: String, value: &Value, place: &Place) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.note(spelling::child(&path, name), field, place);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.note(format!("{path}[{index}]"), item, place);
                }
            }
            _ => {}
        }
        self.places.insert(path, place.clone());
    }
}

fn unset(table: &mut Map<String, Value>, names: &[String]) {
    let Some((first, rest)) = names.split_first() else { return };
    if let (Some(Value::Object(inner)), false) = (table.get_mut(first), rest.is_empty()) {
        unset(inner, rest);
        if !inner.is_empty() {
            return;
        }
    } else if !rest.is_empty() {
        return;
    }
    table.remove(first);
}

fn merge(lower: &mut Map<String, Value>, upper: Map<String, Value>) {
    for (name, value) in upper {
        match (lower.get_mut(&name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => drop(lower.insert(name, value)),
        }
    }
}

/// Reads the text of a configuration file.
///
/// # Errors
/// The place and kind of a mistake in the TOML; never the line itself, which may hold a secret.
pub fn read_file(file: &Path, text: &str) -> Result<Layered, Fault> {
    let place = |offset: usize| {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place::File { file: file.display().to_string(), line, column }
    };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        Fault::at(place(start), format!("this is no TOML: {}", error.message()))
    })?;
    let mut layer = Layered::default();
    layer.values = read_table("", table.get_ref(), &mut |path, offset| drop(layer.places.insert(path, place(offset))))?;
    Ok(layer)
}

fn read_table(path: &str, table: &DeTable<'_>, note: &mut dyn FnMut(String, usize)) -> Result<Map<String, Value>, Fault> {
    let mut fields = Map::new();
    for (name, value) in table {
        let path = spelling::child(path, name.get_ref());
        note(path.clone(), name.span().start);
        fields.insert(name.get_ref().to_string(), read_value(&path, value, note)?);
    }
    Ok(fields)
}

fn read_value(path: &str, value: &Spanned<DeValue<'_>>, note: &mut dyn FnMut(String, usize)) -> Result<Value, Fault> {
    let unusable = || Fault::new(format!("`{path}` holds a number that is too large, or none"));
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::from(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| unusable())?.into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().and_then(finite).ok_or_else(unusable)?,
        DeValue::Boolean(is_on) => Value::from(*is_on),
        DeValue::Datetime(instant) => Value::from(instant.to_string()),
        DeValue::Array(items) => {
            let mut values = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                note(path.clone(), item.span().start);
                values.push(read_value(&path, item, note)?);
            }
            Value::Array(values)
        }
        DeValue::Table(table) => Value::Object(read_table(path, table, note)?),
    })
}

fn finite(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// Variables of the same beginning that are not the configuration's: the command line's, the tests', and those that Kubernetes gives to every
/// container beside a service of this name.
fn is_foreign(name: &str) -> bool {
    const NAMES: [&str; 7] = ["CONFIG", "BIN", "VECTORS", "FIXTURES", "TOKEN", "KEY", "WRITE_DOCS"];
    const FAMILIES: [&str; 3] = ["TEST_", "SERVICE_", "PORT"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Reads the variables that begin with `CAMPANILE_`. An empty one is none; `NAME_FILE` names a file with the value.
///
/// # Errors
/// Every variable that names no key, or whose text is no value of its kind.
pub fn read_environment(variables: &[(String, String)]) -> Result<Layered, Vec<Fault>> {
    let (mut layer, mut faults) = (Layered::default(), Vec::new());
    let own = |(name, text): &'_ (String, String)| {
        let key = name.strip_prefix(VARIABLE_PREFIX)?.to_owned();
        (!is_foreign(&key) && !text.is_empty()).then(|| (name.clone(), key, text.clone()))
    };
    for (name, key, text) in variables.iter().filter_map(own) {
        let place = Place::Variable(name.clone());
        match read_variable(&name, &key, text, variables) {
            Ok((names, value)) => layer.set(&names, value, &place),
            Err(sentence) => faults.push(Fault::at(place, sentence)),
        }
    }
    if faults.is_empty() { Ok(layer) } else { Err(faults) }
}

fn read_variable(name: &str, key: &str, text: String, variables: &[(String, String)]) -> Result<(Vec<String>, Value), String> {
    let names_of = |key: &str| key.to_lowercase().split("__").map(str::to_owned).collect::<Vec<_>>();
    let names = names_of(key);
    if let Some(node) = Node::root().at(&names) {
        return Ok((names, spelling::read(&text, node)?));
    }
    if let Some(alone) = name.strip_suffix("_FILE")
        && let names = names_of(&key[..key.len() - "_FILE".len()])
        && let Some(node) = Node::root().at(&names)
    {
        if variables.iter().any(|(other, text)| other == alone && !text.is_empty()) {
            return Err(format!("{alone} is given as well; give one of the two"));
        }
        let held = std::fs::read_to_string(&text).map_err(|error| format!("the file that it names cannot be read: {error}"))?;
        return Ok((names, spelling::read(held.trim_end_matches(['\n', '\r']), node)?));
    }
    let known: Vec<String> = values().filter_map(|key| key.variable()).collect();
    let suggested = nearest(name, known.iter().map(String::as_str));
    Err(format!("no key of the configuration has this variable{}", spelling::suggestion(suggested)))
}

/// Reads flags, each a path and a text.
///
/// # Errors
/// Every flag whose path is none, or whose text is no value of its kind.
pub fn read_flags(flags: &[Flag]) -> Result<Layered, Vec<Fault>> {
    let (mut layer, mut faults) = (Layered::default(), Vec::new());
    for flag in flags {
        let place = Place::Flag(flag.name.clone());
        let value = spelling::read_path(&flag.path).and_then(|names| match Node::root().at(&names) {
            Some(node) => Ok((names, spelling::read(&flag.text, node)?)),
            None => Err(format!("unknown key `{}`{}", flag.path, spelling::suggestion(nearest_path(&flag.path)))),
        });
        match value {
            Ok((names, value)) => layer.set(&names, value, &place),
            Err(sentence) => faults.push(Fault::at(place, sentence)),
        }
    }
    if faults.is_empty() { Ok(layer) } else { Err(faults) }
}

/// The known path that looks most like this one.
pub fn nearest_path(path: &str) -> Option<String> {
    let known: Vec<String> = values().map(|key| key.path()).collect();
    // A right name in the wrong section is nearer than any misspelling.
    let last = path.rsplit('.').next().unwrap_or(path);
    let elsewhere = known.iter().find(|other| other.rsplit('.').next() == Some(last));
    elsewhere.cloned().or_else(|| nearest(path, known.iter().map(String::as_str)))
}

/// Makes the files that a file's layer names lie beside that file.
pub fn place_files(layer: &mut Layered, folder: &Path) {
    for (name, value) in &mut layer.values {
        if let Some(node) = Node::root().child(name) {
            place_file(value, node, folder);
        }
    }
}

fn place_file(value: &mut Value, node: Node<'_>, folder: &Path) {
    match (value, node.kind()) {
        (Value::String(text), _) if node.is_file() => *text = folder.join(&*text).display().to_string(),
        (Value::Object(fields), _) => {
            for (name, field) in fields {
                if let Some(node) = node.child(name) {
                    place_file(field, node, folder);
                }
            }
        }
        (Value::Array(items), Kind::List(item)) => items.iter_mut().for_each(|value| place_file(value, item, folder)),
        _ => {}
    }
}
