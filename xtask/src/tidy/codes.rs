//! Error codes and close reasons stand in PROTOCOL.md as the code has them, and the other way round.

use super::Finding;
use super::documents::{Cell, table_rows};
use crate::house::House;
use crate::rust::Kind;

const PROTOCOL: &str = "PROTOCOL.md";

/// One registry in the code and its table in PROTOCOL.md.
struct Registry {
    path: &'static str,
    invocation: &'static str,
    heading: &'static str,
    /// Which column of the table holds the words, and which the number.
    word_column: usize,
    number_column: usize,
}

/// A word and its number, where it stands.
#[derive(Debug)]
struct Entry {
    word: String,
    number: String,
    line: usize,
}

/// `error_codes!` against section 9.
pub fn error_codes(house: &House) -> Vec<Finding> {
    let path = "crates/wire/src/error_code.rs";
    compare(house, &Registry { path, invocation: "error_codes ! {", heading: "## 9. Errors", word_column: 0, number_column: 1 })
}

/// `close_reasons!` against the table of close codes.
pub fn close_reasons(house: &House) -> Vec<Finding> {
    let path = "crates/wire/src/close.rs";
    compare(
        house,
        &Registry { path, invocation: "close_reasons ! {", heading: "### Close codes", word_column: 1, number_column: 0 },
    )
}

fn compare(house: &House, registry: &Registry) -> Vec<Finding> {
    let declared = declared(house, registry);
    let documented = documented(house, registry);
    if declared.is_empty() {
        return vec![Finding::new(
            registry.path,
            0,
            format!("no `{}` with entries found here", registry.invocation.replace(' ', "")),
        )];
    }
    if documented.is_empty() {
        return vec![Finding::new(PROTOCOL, 0, format!("no table found under `{}`", registry.heading))];
    }
    let undocumented = declared.iter().filter_map(|entry| {
        let sentence = match documented.iter().find(|other| other.word == entry.word) {
            None => format!("`{}` is not documented: add its row under `{}` of {PROTOCOL}", entry.word, registry.heading),
            Some(row) if row.number != entry.number => {
                format!("`{}` is {} here and {} in {PROTOCOL}:{}", entry.word, entry.number, row.number, row.line)
            }
            Some(_) => return None,
        };
        Some(Finding::new(registry.path, entry.line, sentence))
    });
    let unknown = documented.iter().filter(|row| declared.iter().all(|entry| entry.word != row.word));
    let unknown = unknown.map(|row| {
        Finding::new(
            PROTOCOL,
            row.line,
            format!("`{}` is documented, but {} does not declare it: remove the row", row.word, registry.path),
        )
    });
    undocumented.chain(unknown).collect()
}

/// `Name = "word", 400, …;` and `Name = 4010, "word";`: after each `=` one word and one number, in either order.
fn declared(house: &House, registry: &Registry) -> Vec<Entry> {
    let Some(source) = house.sources.get(registry.path) else { return Vec::new() };
    let Some(start) = source.find(registry.invocation).last() else { return Vec::new() };
    let open = start + registry.invocation.split(' ').count() - 1;
    let inside = &source.tokens[open..source.closing(open)];
    inside
        .windows(4)
        .filter(|part| part[0].is("=") && part[2].is(","))
        .filter_map(|part| {
            let (word, number) = if part[1].kind == Kind::Text { (&part[1], &part[3]) } else { (&part[3], &part[1]) };
            let fits = word.kind == Kind::Text && number.kind == Kind::Number;
            fits.then(|| Entry { word: word.text.clone(), number: number.text.clone(), line: word.line })
        })
        .collect()
}

fn documented(house: &House, registry: &Registry) -> Vec<Entry> {
    let text = house.files.get(PROTOCOL).map_or("", String::as_str);
    let mut entries = Vec::new();
    for row in table_rows(text, registry.heading) {
        let number = row.cells.get(registry.number_column).map_or("", Cell::text).to_owned();
        for word in row.cells.get(registry.word_column).map(Cell::words).unwrap_or_default() {
            entries.push(Entry { word, number: number.clone(), line: row.line });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::{close_reasons, error_codes};

    const CODE: &str = "crates/wire/src/error_code.rs";
    const TABLE: &str = "## 9. Errors\n\n| code | HTTP | when |\n|---|---|---|\n| `a` | 400 | x |\n";

    fn errors(entries: &str, table: &str, expected: &[&str]) {
        let code = format!("//! X.\nmacro_rules! error_codes {{ () => {{}} }}\nerror_codes! {{\n{entries}}}\n");
        check(error_codes, &[(CODE, &code), ("PROTOCOL.md", table)], expected);
    }

    #[test]
    fn an_undocumented_code_is_found() {
        errors("A = \"a\", 400, \"x\";\nB = \"b\", 404, \"y\";\n", TABLE, &["error_code.rs:5: `b` is not documented"]);
    }

    #[test]
    fn another_status_is_found() {
        errors("A = \"a\", 401, \"x\";\n", TABLE, &["`a` is 401 here and 400 in PROTOCOL.md:5"]);
    }

    #[test]
    fn a_row_without_a_code_is_found() {
        errors("A = \"a\", 400, \"x\";\n", &format!("{TABLE}| `c` | 400 | z |\n"), &["PROTOCOL.md:6: `c` is documented, but"]);
    }

    #[test]
    fn a_missing_registry_is_found() {
        check(error_codes, &[("PROTOCOL.md", TABLE)], &["no `error_codes!{`"]);
    }

    #[test]
    fn several_close_reasons_share_a_row() {
        let table = "### Close codes\n\n| code | reasons | m |\n|---|---|---|\n| 4001 | `a`, `b` | x |\n\n## 4. Next\n| 1 | `z` | y |\n";
        let code =
            "//! X.\nclose_reasons! {\n    /// A.\n    A = 4001, \"a\";\n    B = 4003, \"b\";\n    C = 4001, \"c\";\n}\n";
        let expected = ["close.rs:5: `b` is 4003 here and 4001", "close.rs:6: `c` is not documented"];
        check(close_reasons, &[("crates/wire/src/close.rs", code), ("PROTOCOL.md", table)], &expected);
    }
}
