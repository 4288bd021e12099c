//! How paths and values are spelled in variables and flags, and what a misspelled name may have meant.

use super::keys::{Kind, Node};
use serde_json::Value;
use toml::de::DeTable;

/// The path of a key inside of another, quoted where TOML would want it.
pub fn child(path: &str, name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign));
    let name = if is_bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The path of these names.
pub fn path(names: &[String]) -> String {
    names.iter().fold(String::new(), |path, name| child(&path, name))
}

/// The names of a path as TOML spells it: `route."/ws".reject`.
///
/// # Errors
/// A sentence.
pub fn read_path(path: &str) -> Result<Vec<String>, String> {
    let no_path = || format!("`{path}` is no path of a key, as `limits.body_bytes` is one");
    let text = format!("{path} = 0");
    let table = DeTable::parse(&text).map_err(|_| no_path())?;
    let (mut names, mut table) = (Vec::new(), table.get_ref());
    loop {
        let Some((name, value)) = table.iter().next().filter(|_| table.len() == 1) else { return Err(no_path()) };
        names.push(name.get_ref().to_string());
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => return Ok(names),
        }
    }
}

/// Reads a variable's or flag's text as a value of this kind: lists of words by commas, tables and lists of tables as TOML or JSON.
///
/// # Errors
/// What is expected; never the text, which may be a secret.
pub fn read(text: &str, node: Node<'_>) -> Result<Value, String> {
    match node.kind() {
        Kind::Text | Kind::Choice(_) => Ok(text.into()),
        Kind::Whole => match text.replace('_', "").parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err("a whole number is expected".into()),
        },
        Kind::Number => match text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
            Some(number) => Ok(Value::Number(number)),
            None => Err("a number is expected".into()),
        },
        Kind::Switch => text.parse::<bool>().map(Value::from).map_err(|_| "true or false is expected".into()),
        Kind::List(item) if !text.trim_start().starts_with('[') && !matches!(item.kind(), Kind::Table(_)) => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Ok(Value::Array(words.map(|word| read(word, item)).collect::<Result<_, _>>()?))
        }
        Kind::List(_) => {
            read_structured(text).ok_or_else(|| "a list as TOML or JSON is expected, such as [{ name = … }]".into())
        }
        Kind::Table(_) | Kind::Entries(_) | Kind::Free => {
            read_structured(text).ok_or_else(|| "a table as TOML or JSON is expected, such as { name = … }".into())
        }
    }
}

fn read_structured(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut table: toml::Table = toml::from_str(&format!("value = {}", text.trim())).ok()?;
    let value = table.remove("value").filter(|_| table.is_empty())?;
    serde_json::to_value(value).ok()
}

/// The known name that looks most like this one, if any does.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let (distance, other) = known.map(|other| (distance(other), other)).min()?;
    // A third of a name may be wrong; what is further away is another name.
    (distance <= (name.chars().count() / 3).max(1)).then(|| other.to_owned())
}

/// The end of a sentence about an unknown name.
pub fn suggestion(nearest: Option<String>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
