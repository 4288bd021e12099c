//! The threat model names its tests: each threat has one, and each named one exists.

use super::Finding;
use super::documents::{Cell, table_rows};
use crate::house::House;

const MODEL: &str = "docs/security.md";
const HEADING: &str = "## Threats";
/// Which column of the table holds the tests.
const TEST_COLUMN: usize = 2;

/// Threats without a test, and tests that are not there.
pub fn check(house: &House) -> Vec<Finding> {
    let Some(text) = house.files.get(MODEL) else { return Vec::new() };
    let rows = table_rows(text, HEADING);
    if rows.is_empty() {
        return vec![Finding::new(MODEL, 0, format!("no table found under `{HEADING}`"))];
    }
    let mut findings = Vec::new();
    for row in rows {
        let tests = row.cells.get(TEST_COLUMN).map(Cell::words).unwrap_or_default();
        if tests.is_empty() {
            findings.push(Finding::new(
                MODEL,
                row.line,
                "this threat names no test: write one, or say in words that it is open",
            ));
        }
        for test in tests.iter().filter(|test| !exists(house, test)) {
            findings.push(Finding::new(
                MODEL,
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
        check_house(check, &[("docs/security.md", &model("none")), RUST], &["security.md:7: this threat names no test"]);
        check_house(check, &[("docs/security.md", "# Security\n"), RUST], &["no table found"]);
    }
}
