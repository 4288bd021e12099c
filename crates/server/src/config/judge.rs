//! Holds a layer against the description: unknown keys, wrong kinds, values out of range, what an entry lacks.

use super::fault::Fault;
use super::keys::{Kind, Node};
use super::layers::{Layered, nearest_path};
use super::spelling::{child, nearest, suggestion};
use serde_json::{Map, Value};

/// Everything in one layer that the description does not allow. What a table lacks may stand in another layer.
pub fn judge_layer(layer: &Layered) -> Vec<Fault> {
    judge(layer, false)
}

/// The same for all layers together.
pub fn judge_whole(layers: &Layered) -> Vec<Fault> {
    judge(layers, true)
}

fn judge(layer: &Layered, is_whole: bool) -> Vec<Fault> {
    let mut judge = Judge { layer, is_whole, faults: Vec::new() };
    judge.table("", &layer.values, Node::root());
    judge.faults
}

struct Judge<'a> {
    layer: &'a Layered,
    is_whole: bool,
    faults: Vec<Fault>,
}

impl Judge<'_> {
    fn fault(&mut self, path: &str, sentence: String) {
        self.faults.push(Fault::maybe_at(self.layer.place(path), sentence));
    }

    fn table(&mut self, path: &str, fields: &Map<String, Value>, node: Node<'_>) {
        for (name, value) in fields {
            let inner = child(path, name);
            match node.child(name) {
                Some(node) => self.value(&inner, value, node),
                None => {
                    let Kind::Table(known) = node.kind() else { continue };
                    let near = nearest(name, known.keys().map(String::as_str)).map(|near| child(path, &near));
                    let sentence = format!("unknown key `{inner}`{}", suggestion(near.or_else(|| nearest_path(&inner))));
                    self.fault(&inner, sentence);
                }
            }
        }
        // An entry of a list comes from one layer.
        if !self.is_whole && !path.ends_with(']') {
            return;
        }
        for name in node.required().into_iter().filter(|name| !fields.contains_key(*name)) {
            self.fault(path, format!("`{path}` lacks `{name}`"));
        }
    }

    fn value(&mut self, path: &str, value: &Value, node: Node<'_>) {
        match (node.kind(), value) {
            (Kind::Table(_) | Kind::Entries(_), Value::Object(fields)) => self.table(path, fields, node),
            (Kind::List(item), Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), value, item);
                }
            }
            (Kind::Choice(words), Value::String(word)) => {
                if !words.contains(&word.as_str()) {
                    let near = suggestion(nearest(word, words.iter().copied()));
                    self.fault(path, format!("`{path}` is one of {}{near}", spoken(&words)));
                }
            }
            (Kind::Whole | Kind::Number, Value::Number(number)) if is_number(number, &node) => self.range(path, number, node),
            (Kind::Text, Value::String(_)) | (Kind::Switch, Value::Bool(_)) | (Kind::Free, _) => {}
            (kind, value) => {
                self.fault(path, format!("`{path}` is {}, where {} is expected", found(value), expected(&kind)));
            }
        }
    }

    fn range(&mut self, path: &str, number: &serde_json::Number, node: Node<'_>) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let sentence = match node.range() {
            (Some(least), _) if value < least => format!("`{path}` is {number}; it is at least {least}"),
            (_, Some(most)) if value > most => format!("`{path}` is {number}; it is at most {most}"),
            _ => return,
        };
        self.fault(path, sentence);
    }
}

fn is_number(number: &serde_json::Number, node: &Node<'_>) -> bool {
    matches!(node.kind(), Kind::Number) || !number.is_f64()
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// A kind in words.
pub fn expected(kind: &Kind<'_>) -> String {
    match kind {
        Kind::Table(_) | Kind::Entries(_) => "a table".into(),
        Kind::List(item) => match item.kind() {
            Kind::Table(_) => "a list of tables".into(),
            Kind::Text => "a list of texts".into(),
            kind => format!("a list, each {}", expected(&kind)),
        },
        Kind::Text => "text".into(),
        Kind::Whole => "a whole number".into(),
        Kind::Number => "a number".into(),
        Kind::Switch => "true or false".into(),
        Kind::Choice(words) => format!("one of {}", spoken(words)),
        Kind::Free => "anything".into(),
    }
}

fn spoken(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
