//! Reads all layers, judges each, merges them and reads the result once: defaults, then the file, the environment, the flags.

use super::fault::{Fault, Faults};
use super::keys::{self, Kind, Node};
use super::layers::{self, Flag, Layered, Place};
use super::{Config, judge};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where a configuration comes from. It can be read again.
#[derive(Clone, Default)]
pub struct Given {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The variables of the environment.
    pub variables: Vec<(String, String)>,
    /// What the command line says, in its order.
    pub flags: Vec<Flag>,
}

/// A configuration that was read.
#[derive(Clone)]
pub struct Loaded {
    /// Its values.
    pub config: Config,
    /// What was given, and where.
    layers: Layered,
}

/// One value of the effective configuration, as it may be shown.
pub struct Setting {
    /// Its key.
    pub path: String,
    /// Its value without secrets; none when nobody gave one and there is no default.
    pub value: Option<Value>,
    /// Where it was given; none for a default.
    pub place: Option<Place>,
}

/// A key whose value is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub path: String,
    /// Whether a reload may change it.
    pub reloads: bool,
}

impl Given {
    /// Reads it.
    ///
    /// # Errors
    /// Every mistake of every layer, each with its place.
    pub fn load(&self) -> Result<Loaded, Faults> {
        let (mut all, mut faults) = (Layered::default(), Vec::new());
        let file =
            self.file.as_deref().map_or_else(|| Ok(Layered::default()), |file| read_file(file).map_err(|fault| vec![fault]));
        for layer in [file, layers::read_environment(&self.variables), layers::read_flags(&self.flags)] {
            match layer {
                Ok(layer) => {
                    faults.extend(judge::judge_layer(&layer));
                    all.lay(layer);
                }
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() {
            faults = judge::judge_whole(&all);
        }
        if faults.is_empty() { Loaded::of(all).map_err(|fault| Faults(vec![fault])) } else { Err(Faults(faults)) }
    }
}

fn read_file(file: &Path) -> Result<Layered, Fault> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Fault::new(format!("{} cannot be read: {error}", file.display())))?;
    let mut layer = layers::read_file(file, &text)?;
    layers::place_files(&mut layer, file.parent().unwrap_or(Path::new(".")));
    Ok(layer)
}

impl Loaded {
    fn of(layers: Layered) -> Result<Self, Fault> {
        let values = Value::Object(layers.values.clone());
        match serde_path_to_error::deserialize(values) {
            Ok(config) => Ok(Self { config, layers }),
            Err(error) => {
                let path = error.path().to_string();
                let names: Vec<String> = path.split('.').map(str::to_owned).collect();
                let is_secret = Node::root().at(&names).is_none_or(Node::is_secret);
                // A type's own sentence may quote the value.
                let why = if is_secret { "its value cannot be used".to_owned() } else { error.inner().to_string() };
                Err(Fault::maybe_at(layers.place(&path), format!("`{path}`: {why}")))
            }
        }
    }

    /// Every value with where it comes from, secrets masked.
    pub fn settings(&self) -> Vec<Setting> {
        let setting = |key: keys::Key| {
            let given = self.layers.get(&key.names);
            let place = given.and_then(|_| self.layers.place(&key.path())).cloned();
            let value = given.or_else(|| key.node.default()).map(|value| shown(value, key.node));
            Setting { path: key.path(), value, place }
        };
        keys::values().map(setting).collect()
    }

    /// The keys whose values differ, by name alone.
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let differs = |key: &keys::Key| {
            let value = |loaded: &Self| loaded.layers.get(&key.names).or_else(|| key.node.default()).cloned();
            value(self) != value(next)
        };
        keys::values().filter(differs).map(|key| Change { path: key.path(), reloads: key.reloads }).collect()
    }

    /// The next configuration as far as a reload may go: what needs a restart stays as it is here.
    ///
    /// # Errors
    /// When old and new values together are none that can be read.
    pub fn reloaded_as(&self, next: &Self) -> Result<Self, Fault> {
        let mut layers = next.layers.clone();
        for key in keys::values().filter(|key| !key.reloads) {
            match (self.layers.get(&key.names), self.layers.place(&key.path())) {
                (Some(value), Some(place)) => layers.set(&key.names, value.clone(), place),
                _ => layers.unset(&key.names),
            }
        }
        Self::of(layers)
    }
}

/// A value as it may be shown: secrets as `[set]`, addresses without their passwords.
fn shown(value: &Value, node: Node<'_>) -> Value {
    match (value, node.kind()) {
        _ if node.is_secret() => "[set]".into(),
        (Value::String(text), _) if text.contains("://") => crate::app::without_password(text).into(),
        (Value::Object(fields), Kind::Table(_) | Kind::Entries(_)) => {
            let field = |(name, value): (&String, &Value)| {
                (name.clone(), node.child(name).map_or_else(|| "[set]".into(), |node| shown(value, node)))
            };
            Value::Object(fields.iter().map(field).collect())
        }
        (Value::Array(items), Kind::List(item)) => Value::Array(items.iter().map(|value| shown(value, item)).collect()),
        _ => value.clone(),
    }
}
