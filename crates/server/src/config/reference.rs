//! What an operator reads about the configuration, written from its description: the reference, and example files to copy from.

use super::judge::expected;
use super::keys::{Key, Kind, Node, VARIABLE_PREFIX, holds_tables, keys};
use super::spelling::child;
use serde_json::Value;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `campanile config reference`; a test compares. Change the sentences in crates/server/src/config/. -->

Values are given in four layers; each lies over those before it:

1. **defaults**, which stand below;
2. **campanile.toml**: the file that `--config` or `CAMPANILE_CONFIG` names, else the one in the working directory, if there is one;
3. **the environment**: `CAMPANILE_<KEY>`, with two underscores between a section and its key. Lists of words are written with commas,
   lists of tables as TOML or JSON. An empty variable is none. `<VARIABLE>_FILE` names a file that holds the value: for secrets;
4. **flags**: `--set limits.body_bytes=1000` for any key, as often as needed; `--listen`, `--store` and `--log-level` for the usual ones.

A key that is not known, a value of a wrong kind or out of its range stops the start, with the place where it was given and the nearest
known name. `campanile check-config` says the same without starting, shows the value in force of every key and where it comes from.
Files that campanile.toml names lie beside it.

**Reload.** `kill -HUP <pid>`, `campanile reload --pid <pid>` or `systemctl reload` reads all layers again and changes the keys marked
*reload* at once, all of them or, if anything is wrong, none; the log names the changed keys and those that wait for a restart. Nobody
is disconnected: who came in by a token key that is gone stays until the token's own end, and an API key that is gone is refused from
its next request on. A process keeps the environment that it was started with, but the files that `<VARIABLE>_FILE` names are read
again. A server with `--dev` does not reload.

**Under systemd** use `Type=notify` and `ExecReload=kill -HUP $MAINPID`: the server says when it is ready, reloads and stops.

campanile.example.toml and .env.example hold every key to copy from; `campanile config reference|env|example|schema` prints this
page, both files and the JSON schema for editors.
";

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let head = "\n| key | what | values | default | variable, flag | changes with |\n|---|---|---|---|---|---|\n";
    let _ = write!(text, "\n## At the top\n{head}");
    for key in keys() {
        if holds_tables(key.node) {
            let _ = write!(text, "\n## `{}`\n\n{}\n{head}", header(&key), key.node.description());
        } else {
            let _ = writeln!(text, "{}", row(&key));
        }
    }
    text
}

fn row(key: &Key) -> String {
    let name = key.names.last().expect("a key has a name");
    let given = match (key.variable(), flag(key)) {
        (Some(variable), Some(flag)) => format!("`{variable}`, `{flag}`"),
        (Some(variable), None) => format!("`{variable}`"),
        (None, _) => "–".into(),
    };
    let default = match key.node.default() {
        Some(value) if is_empty(value) => "none".into(),
        Some(value) => spelled(name, value).map_or_else(|| code(value), |words| format!("{} ({words})", code(value))),
        None if key.is_required => "required".into(),
        None => "none".into(),
    };
    let changes = if key.reloads { "reload" } else { "restart" };
    let cells = [format!("`{name}`"), key.node.description(), values(key), default, given, changes.into()];
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn code(value: &Value) -> String {
    format!("`{}`", inline(value))
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The values that a key may have, in words.
fn values(key: &Key) -> String {
    let kind = expected(&key.node.kind());
    let unit = key.names.last().and_then(|name| unit(name)).map(|unit| format!(" {unit}")).unwrap_or_default();
    let number = |bound: f64| thousands(bound as u64);
    let secret = if key.node.is_secret() { ", secret" } else { "" };
    match key.node.range() {
        (Some(least), Some(most)) => format!("{kind}, {} to {}{unit}", number(least), number(most)),
        _ => format!("{kind}{unit}{secret}"),
    }
}

/// What a key's name says of its unit.
fn unit(name: &str) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('_').collect();
    let has = |part: &str| parts.contains(&part);
    let units = [("bytes", "bytes"), ("ms", "milliseconds"), ("s", "seconds"), ("days", "days")];
    units.into_iter().find(|(part, _)| has(part)).map(|(_, unit)| unit)
}

/// A number as docs/limits.md writes it, where that is another spelling: `4 MiB`, `5 s`, `10,000`.
pub fn spelled(name: &str, value: &Value) -> Option<String> {
    let number = value.as_u64()?;
    let text = match unit(name) {
        Some("bytes") if number > 0 && number.is_multiple_of(1 << 20) => format!("{} MiB", number >> 20),
        Some("bytes") if number > 0 && number.is_multiple_of(1 << 10) => format!("{} KiB", number >> 10),
        Some("milliseconds") if number > 0 && number.is_multiple_of(1_000) => format!("{} s", number / 1_000),
        Some("milliseconds") => format!("{number} ms"),
        _ => thousands(number),
    };
    (text != number.to_string()).then_some(text)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits are ASCII")).collect();
    groups.join(",")
}

/// How a key is given on the command line, beside `--set`.
fn flag(key: &Key) -> Option<&'static str> {
    match key.path().as_str() {
        "listen" => Some("--listen"),
        "store" => Some("--store"),
        "log.level" => Some("--log-level"),
        _ => None,
    }
}

/// The TOML header under which a key's own keys stand.
fn header(key: &Key) -> String {
    match key.node.kind() {
        Kind::List(_) => format!("[[{}]]", key.path()),
        Kind::Entries(_) => format!("[{}]", child(&key.path(), entry_name(key.node))),
        _ => format!("[{}]", key.path()),
    }
}

/// The name of an entry that the operator names, as the example has it.
fn entry_name(node: Node<'static>) -> &'static str {
    node.example().and_then(Value::as_object).and_then(|example| example.keys().next()).map_or("name", String::as_str)
}

/// campanile.example.toml: every key with its default, or else an example, commented out.
pub fn toml_example() -> String {
    let mut text =
        "# Every key of campanile.toml. What stands here commented out is the default, or an example where there is none.\n\
                    # Written by `campanile config example`; docs/configuration.md explains the layers above this file.\n"
            .to_owned();
    for key in keys() {
        let name = key.names.last().expect("a key has a name");
        if holds_tables(key.node) {
            // A table of keys that have defaults may stand empty; an entry of a list may not.
            let may_be_empty = matches!(key.node.kind(), Kind::Table(_)) && key.node.required().is_empty();
            let mark = if may_be_empty { "" } else { "#" };
            let _ = write!(text, "\n# {}\n{mark}{}\n", key.node.description(), header(&key));
        } else {
            let _ = write!(text, "# {}\n#{name} = {}\n", comment(&key), inline(&shown(&key)));
        }
    }
    text
}

fn comment(key: &Key) -> String {
    format!("{} ({})", key.node.description().trim_end_matches('.'), values(key))
}

/// .env.example: every variable with its default, or else an example, commented out.
pub fn env_example() -> String {
    let mut text = format!(
        "# Every variable of the configuration, commented out. What stands here is the default, or an example where there is none.\n\
         # Written by `campanile config env`. Any of them may be given as <VARIABLE>_FILE: a file that holds the value.\n\
         # {VARIABLE_PREFIX}CONFIG names the configuration file.\n"
    );
    for key in keys() {
        let Some(variable) = key.variable().filter(|_| !matches!(key.node.kind(), Kind::Table(_))) else { continue };
        let value = match shown(&key) {
            Value::String(text) if !text.contains([' ', '"']) => text,
            Value::Array(words) if words.iter().all(Value::is_string) => {
                words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::String(text) => format!("'{text}'"),
            value @ (Value::Array(_) | Value::Object(_)) => format!("'{}'", inline(&value)),
            value => inline(&value),
        };
        let _ = write!(text, "\n# {}\n#{variable}={value}\n", comment(&key));
    }
    text
}

/// A value to show: the default, the example, or for a table what it must have.
fn shown(key: &Key) -> Value {
    let default = key.node.default().filter(|value| !is_empty(value));
    default.or_else(|| key.node.example()).cloned().unwrap_or_else(|| sample(key.node))
}

fn sample(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::Table(_) => {
            let field = |name: &str| Some((name.to_owned(), node.child(name)?.example()?.clone()));
            Value::Object(node.required().into_iter().filter_map(field).collect())
        }
        Kind::List(item) => Value::Array(vec![sample(item)]),
        Kind::Entries(item) => Value::Object(serde_json::Map::from_iter([("name".to_owned(), sample(item))])),
        Kind::Choice(words) => words.first().copied().unwrap_or_default().into(),
        Kind::Whole | Kind::Number => node.range().0.map_or(0, |least| least as i64).into(),
        Kind::Switch => true.into(),
        _ => "…".into(),
    }
}

/// A value as TOML writes it on one line.
fn inline(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", list(items.iter().map(inline).collect())),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            // The order of a map in memory depends on how its crate was built.
            fields.sort_by_key(|(name, _)| *name);
            format!(
                "{{ {} }}",
                list(fields.iter().map(|(name, value)| format!("{} = {}", child("", name), inline(value))).collect())
            )
        }
        value => value.to_string(),
    }
}
