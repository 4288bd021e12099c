//! Files and functions stay readable in one sitting. What is larger stands in ratchet.toml, which may only shrink.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Finding;
use crate::house::House;
use crate::rust::is_test_path;

const RATCHET: &str = "xtask/ratchet.toml";
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const SOURCE_ENDINGS: [&str; 5] = ["rs", "py", "ts", "tsx", "js"];

/// What was too long when the rule came, with its length.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ratchet {
    /// Path and lines.
    files: BTreeMap<String, usize>,
    /// `path::function` and lines.
    functions: BTreeMap<String, usize>,
}

/// A measured thing: what it is called in the ratchet, where it stands, its lines.
struct Measured {
    key: String,
    path: String,
    line: usize,
    lines: usize,
}

/// Files and functions over their size that the ratchet does not allow, and entries of the ratchet that are no longer needed.
pub fn check(house: &House) -> Vec<Finding> {
    let ratchet: Ratchet = match toml::from_str(house.files.get(RATCHET).map_or("", String::as_str)) {
        Ok(ratchet) => ratchet,
        Err(error) => return vec![Finding::new(RATCHET, 0, format!("cannot be read: {}", error.message()))],
    };
    let mut found = hold(&files(house), &ratchet.files, FILE_LINES_MAX, "split it by nouns or commands");
    found.extend(hold(&functions(house), &ratchet.functions, FUNCTION_LINES_MAX, "give a part of it a name"));
    found
}

/// How many functions there are, and how many of them are long.
pub fn tally(house: &House) -> String {
    let functions = functions(house);
    let long = functions.iter().filter(|one| one.lines > FUNCTION_LINES_MAX).count();
    // Tenths of a percent in whole numbers: exact, and no float for a line of text.
    let per_mille = (long * 1000).checked_div(functions.len()).unwrap_or(0);
    format!("{long} of {} functions over {FUNCTION_LINES_MAX} lines ({}.{} %)", functions.len(), per_mille / 10, per_mille % 10)
}

fn hold(all: &[Measured], allowed: &BTreeMap<String, usize>, lines_max: usize, advice: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for Measured { key, path, line, lines } in all {
        let sentence = match allowed.get(key) {
            None if *lines > lines_max => format!("`{key}` has {lines} lines, at most {lines_max}: {advice}"),
            Some(before) if lines > before => {
                format!("`{key}` grew from {before} to {lines} lines: it may only shrink; {advice}")
            }
            Some(before) if lines < before && *lines > lines_max => {
                format!("`{key}` shrank to {lines} lines: write that into {RATCHET}")
            }
            _ => continue,
        };
        found.push(Finding::new(path, *line, sentence));
    }
    let needed = |key: &String| all.iter().any(|one| one.key == *key && one.lines > lines_max);
    let stale = allowed.keys().filter(|key| !needed(key));
    found.extend(stale.map(|key| Finding::new(RATCHET, 0, format!("`{key}` is not too long any more: remove its line"))));
    found
}

fn files(house: &House) -> Vec<Measured> {
    let is_source = |path: &str| path.rsplit_once('.').is_some_and(|(_, ending)| SOURCE_ENDINGS.contains(&ending));
    let sources = house.files.iter().filter(|(path, _)| is_source(path) && !is_test_path(path));
    sources
        .map(|(path, text)| {
            let lines = house.sources.get(path).map_or_else(|| text.lines().count(), |source| source.lines_without_tests);
            Measured { key: path.clone(), path: path.clone(), line: 0, lines }
        })
        .collect()
}

fn functions(house: &House) -> Vec<Measured> {
    let every =
        house.sources.iter().flat_map(|(path, source)| source.functions().into_iter().map(move |function| (path, function)));
    every
        .map(|(path, (name, line, lines))| Measured { key: format!("{path}::{name}"), path: path.clone(), line, lines })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check as check_house;
    use super::{RATCHET, check};

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let text = "// x\n".repeat(401);
        check_house(check, &[("a/src/b.rs", &text)], &["a/src/b.rs:0: `a/src/b.rs` has 401 lines, at most 400"]);
        check_house(check, &[("a/src/tests.rs", &text)], &[]);
        let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "// x\n".repeat(399), "// x\n".repeat(99));
        check_house(check, &[("a/src/b.rs", &with_tests)], &[]);
    }

    #[test]
    fn a_long_function_is_found_by_name() {
        check_house(check, &[("a.rs", &function(71))], &["a.rs:1: `a.rs::long` has 71 lines, at most 70"]);
        check_house(check, &[("a.rs", &function(70))], &[]);
    }

    #[test]
    fn what_the_ratchet_lists_may_shrink_and_not_grow() {
        let ratchet = "[functions]\n\"a.rs::long\" = 80\n";
        check_house(check, &[("a.rs", &function(80)), (RATCHET, ratchet)], &[]);
        check_house(check, &[("a.rs", &function(81)), (RATCHET, ratchet)], &["grew from 80 to 81"]);
        check_house(check, &[("a.rs", &function(79)), (RATCHET, ratchet)], &["shrank to 79 lines"]);
        check_house(check, &[("a.rs", &function(60)), (RATCHET, ratchet)], &["not too long any more"]);
        check_house(check, &[(RATCHET, ratchet)], &["not too long any more"]);
    }
}
