//! Event types: declared in a feature's `event.rs`, listed in its `mod.rs`, documented in PROTOCOL.md.

use super::Finding;
use super::documents::{Cell, table_rows};
use crate::house::House;
use crate::rust::{Kind, Source, Token};

const PROTOCOL: &str = "PROTOCOL.md";
const HEADING: &str = "## 6. Publish";
const FEATURES: &str = "crates/features/src/";

struct Declared<'a> {
    path: &'a str,
    constant: &'a Token,
    name: &'a Token,
}

/// Every rule about event types.
pub fn check(house: &House) -> Vec<Finding> {
    let documented = documented(house);
    let declared: Vec<Declared<'_>> = house.sources.iter().flat_map(|(path, source)| declared_in(path, source)).collect();
    let mut found = Vec::new();
    for one in &declared {
        if !documented.iter().any(|(name, _)| *name == one.name.text) {
            let sentence =
                format!("event type `{}` is not documented: add its row under `{HEADING}` of {PROTOCOL}", one.name.text);
            found.push(Finding::new(one.path, one.name.line, sentence));
        }
        found.extend(unregistered(house, one));
    }
    // Without a feature there is nothing to hold the table against.
    if !declared.is_empty() {
        let unknown = documented.iter().filter(|(name, _)| declared.iter().all(|one| one.name.text != *name));
        found.extend(unknown.map(|(name, line)| {
            Finding::new(
                PROTOCOL,
                *line,
                format!("event type `{name}` is documented, but no feature declares it: remove the row"),
            )
        }));
    }
    found
}

fn unregistered(house: &House, one: &Declared<'_>) -> Option<Finding> {
    let Some(folder) = one.path.strip_suffix("event.rs") else {
        return Some(Finding::new(
            one.path,
            one.constant.line,
            "an event type is declared outside its feature's event.rs: move it there",
        ));
    };
    let list = format!("{folder}mod.rs");
    let listed = house.sources.get(&list).map(listed_events).unwrap_or_default();
    let constant = &one.constant.text;
    let sentence = format!("`{constant}` is not registered: add `&event::{constant}` to `events: &[…]` in {list}");
    (!listed.iter().any(|name| name == constant)).then(|| Finding::new(one.path, one.constant.line, sentence))
}

/// `const NAME: …EventType… = …name: "registered"…;` outside tests.
fn declared_in<'a>(path: &'a str, source: &'a Source) -> Vec<Declared<'a>> {
    if !path.starts_with(FEATURES) {
        return Vec::new();
    }
    let constants = source.find("const").chain(source.find("static")).filter(|&at| !source.tokens[at].in_test);
    constants
        .filter_map(|at| {
            let tokens = &source.tokens[at..];
            let equals = tokens.iter().position(|token| token.is("=") || token.is("{") || token.is(";"))?;
            let of_type = tokens[..equals].iter().any(|token| token.is("EventType"))
                && !tokens[..equals].iter().any(|token| token.is("["));
            let end = tokens.iter().position(|token| token.is(";")).unwrap_or(tokens.len());
            let literal = of_type.then(|| name_in(&tokens[equals..end]))??;
            Some(Declared { path, constant: &tokens[1], name: literal })
        })
        .collect()
}

/// The literal of the field `name`, or the first literal where a constructor is called.
fn name_in(tokens: &[Token]) -> Option<&Token> {
    let field = tokens.windows(3).find(|part| part[0].is("name") && part[1].is(":") && part[2].kind == Kind::Text);
    field.map(|part| &part[2]).or_else(|| tokens.iter().find(|token| token.kind == Kind::Text))
}

/// The words between the brackets of every `events: &[…]`.
fn listed_events(source: &Source) -> Vec<String> {
    let lists = source.find("events : & [").map(|at| at + 3).chain(source.find("events : vec ! [").map(|at| at + 4));
    lists
        .flat_map(|open| &source.tokens[open..source.closing(open)])
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.text.clone())
        .collect()
}

fn documented(house: &House) -> Vec<(String, usize)> {
    let text = house.files.get(PROTOCOL).map_or("", String::as_str);
    let rows = table_rows(text, HEADING);
    rows.iter()
        .flat_map(|row| row.cells.first().map(Cell::words).unwrap_or_default().into_iter().map(|name| (name, row.line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check as check_house;
    use super::check;

    const TABLE: &str = "## 6. Publish: `POST`\n\n| type | channel | data |\n|---|---|---|\n| `registered` | `user` | x |\n";
    const EVENT: &str = "//! Events.\npub const REGISTERED: EventType = EventType { class: \"x\", name: \"registered\" };\n";
    const LIST: &str = "//! Roster.\npub const FEATURE: Feature = Feature { events: &[&event::REGISTERED] };\n";

    fn planted(event: &str, list: &str, table: &str, expected: &[&str]) {
        let files = [
            ("crates/features/src/roster/event.rs", event),
            ("crates/features/src/roster/mod.rs", list),
            ("PROTOCOL.md", table),
        ];
        check_house(check, &files, expected);
    }

    #[test]
    fn a_registered_and_documented_type_is_fine() {
        planted(EVENT, LIST, TABLE, &[]);
    }

    #[test]
    fn an_undocumented_type_is_found() {
        planted(
            EVENT,
            LIST,
            &TABLE.replace("registered", "withdrawn"),
            &["event.rs:2: event type `registered`", "no feature declares it"],
        );
    }

    #[test]
    fn an_unregistered_type_is_found() {
        planted(EVENT, &LIST.replace("&event::REGISTERED", ""), TABLE, &["`REGISTERED` is not registered"]);
    }

    #[test]
    fn a_type_outside_event_rs_is_found() {
        let files = [("crates/features/src/roster/http.rs", EVENT), ("PROTOCOL.md", TABLE)];
        check_house(check, &files, &["http.rs:2: an event type is declared outside"]);
    }
}
