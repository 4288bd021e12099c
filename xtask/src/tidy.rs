//! The rules of the house, one check a file; `CHECKS` is the table of contents.

mod codes;
mod documents;
mod events;
mod floors;
mod links;
mod names;
mod promises;
mod sizes;

use std::fmt;

use crate::house::House;

/// Every check, in the order of its findings.
const CHECKS: [fn(&House) -> Vec<Finding>; 11] = [
    floors::imports,
    floors::sources,
    codes::error_codes,
    codes::close_reasons,
    events::check,
    sizes::check,
    documents::check,
    names::names,
    names::leftovers,
    links::check,
    promises::check,
];

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: path from the root.
    pub path: String,
    /// Where: the line from 1; 0 stands for the whole file.
    pub line: usize,
    /// What is wrong, and what to do about it, in a sentence.
    pub sentence: String,
}

impl Finding {
    /// A finding at a line.
    pub fn new(path: &str, line: usize, sentence: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, sentence: sentence.into() }
    }
}

/// What all checks found, and the share of long functions.
pub struct Report {
    findings: Vec<Finding>,
    tally: String,
}

impl Report {
    /// Whether every rule holds.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { path, line, sentence } in &self.findings {
            match line {
                0 => writeln!(f, "{path}: {sentence}")?,
                _ => writeln!(f, "{path}:{line}: {sentence}")?,
            }
        }
        writeln!(f, "tidy: {} findings; {}", self.findings.len(), self.tally)
    }
}

/// Runs every check.
pub fn run(house: &House) -> Report {
    let findings = CHECKS.iter().flat_map(|check| check(house)).collect();
    Report { findings, tally: sizes::tally(house) }
}

/// Holds one check against a planted house: each finding must contain its expected piece, in order.
#[cfg(test)]
fn check(check: fn(&House) -> Vec<Finding>, files: &[(&str, &str)], expected: &[&str]) {
    compare(&check(&House::planted(files)), expected);
}

#[cfg(test)]
fn compare(found: &[Finding], expected: &[&str]) {
    let lines: Vec<String> = found.iter().map(|one| format!("{}:{}: {}", one.path, one.line, one.sentence)).collect();
    assert_eq!(lines.len(), expected.len(), "expected {expected:#?}, found {lines:#?}");
    for (line, piece) in lines.iter().zip(expected) {
        assert!(line.contains(piece), "expected {piece:?} in {line:?}");
    }
}
