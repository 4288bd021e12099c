//! What documents promise, they prove: each row of the threat model, and of the table of requirements, names tests that exist.

use super::Finding;
use super::documents::{Cell, table_rows};
use crate::house::House;

/// Each document, and the heading above its table.
const TABLES: [(&str, &str); 2] = [("docs/security.md", "## Threats"), ("docs/rotc.md", "## Requirements")];
/// Which column of the table holds the tests.
const TEST_COLUMN: usize = 2;

/// Rows without a test, and tests that are not there.
pub fn check(house: &House) -> Vec<Finding> {
    TABLES.iter().flat_map(|(document, heading)| check_table(house, document, heading)).collect()
}

fn check_table(house: &House, document: &str, heading: &str) -> Vec<Finding> {
    let Some(text) = house.files.get(document) else { return Vec::new() };
    let rows = table_rows(text, heading);
    if rows.is_empty() {
        return vec![Finding::new(document, 0, format!("no table found under `{heading}`"))];
    }
    let mut findings = Vec::new();
    for row in rows {
        let tests = row.cells.get(TEST_COLUMN).map(Cell::words).unwrap_or_default();
        if tests.is_empty() {
            findings.push(Finding::new(
                document,
                row.line,
                "this row names no test: write one, or say in words that it is open",
            ));
        }
        for test in tests.iter().filter(|test| !exists(house, test)) {
            findings.push(Finding::new(
                document,
                row.line,
                format!("no test is called `{test}`: it was renamed, or never written"),
            ));
        }
    }
    findings
}

fn exists(house: &House, test: &str) -> bool {
    let in_rust = house.sources.values().any(|source| source.find(&format!("fn {test} (")).next().is_some());
    let definition = format!("def {test}(");
    in_rust || house.files.iter().any(|(path, text)| path.ends_with(".py") && text.contains(&definition))
}

#[cfg(test)]
mod tests {
    use super::super::check as check_house;
    use super::check;

    fn model(cell: &str) -> String {
        format!("# Security\n\n## Threats\n\n| threat | control | tests |\n|---|---|---|\n| x | y | {cell} |\n")
    }

    const RUST: (&str, &str) = ("crates/a/src/tests.rs", "//! X.\n#[test]\nfn a_rule_holds() {}\n");
    const PYTHON: (&str, &str) = ("tests/clients/test_a.py", "    def test_a_rule(self) -> None:\n");

    #[test]
    fn tests_of_both_languages_are_found() {
        check_house(check, &[("docs/security.md", &model("`a_rule_holds`, `test_a_rule`")), RUST, PYTHON], &[]);
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        check_house(
            check,
            &[("docs/security.md", &model("`a_rule`")), RUST, PYTHON],
            &["security.md:7: no test is called `a_rule`"],
        );
    }

    #[test]
    fn a_threat_without_a_test_is_found() {
        check_house(check, &[("docs/security.md", &model("none")), RUST], &["security.md:7: this row names no test"]);
        check_house(check, &[("docs/security.md", "# Security\n"), RUST], &["no table found"]);
    }
}
