//! Names that tempt one to add just one more thing, files that do not say what they are, and what was left lying about.

use super::Finding;
use crate::house::House;
use crate::rust::Kind;

const BAGS: [&str; 4] = ["common", "core", "utils", "types"];

/// Folders and modules with a name for everything, and Rust files that do not open with `//!`.
pub fn names(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in house.files.keys().filter(|path| !path.starts_with("docs/")) {
        let stems = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        found.extend(
            stems
                .filter(|stem| BAGS.contains(stem))
                .map(|stem| Finding::new(path, 0, format!("`{stem}` says nothing: name it by what it holds"))),
        );
    }
    for (path, source) in &house.sources {
        for at in source.find("mod") {
            let inline = source.tokens.get(at + 2).is_some_and(|token| token.is("{"));
            let name = source.tokens.get(at + 1).filter(|name| inline && BAGS.contains(&name.text.as_str()));
            found.extend(name.map(|name| {
                Finding::new(path, name.line, format!("module `{}` says nothing: name it by what it holds", name.text))
            }));
        }
        if !house.files.get(path).is_some_and(|text| text.starts_with("//! ")) {
            found.push(Finding::new(path, 1, "does not open with a `//!` sentence that says what it is"));
        }
    }
    found
}

/// Unfinished code, tests that are switched off, tests that sleep.
pub fn leftovers(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, source) in &house.sources {
        let mut add = |at: usize, sentence: &str| found.push(Finding::new(path, source.tokens[at].line, sentence));
        source
            .find("todo !")
            .chain(source.find("unimplemented !"))
            .for_each(|at| add(at, "unfinished: do it, or write down in the documents that it is not done"));
        source.find("# [ ignore").for_each(|at| add(at, "a test that does not run proves nothing: mend it or remove it"));
        for (at, token) in source.tokens.iter().enumerate() {
            if token.in_test && token.kind == Kind::Word && token.text == "sleep" {
                add(at, "a test that sleeps is slow and still races: pass time in, or wait for what is to happen");
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::{leftovers, names};

    #[test]
    fn a_bag_is_found_as_file_folder_and_module() {
        check(names, &[("crates/a/src/utils/x.txt", "")], &["`utils` says nothing"]);
        check(names, &[("crates/a/src/types.rs", "//! X.\n")], &["`types` says nothing"]);
        check(names, &[("crates/a/src/a.rs", "//! X.\nmod common { }\n")], &["a.rs:2: module `common`"]);
    }

    #[test]
    fn a_file_opens_with_its_sentence() {
        check(names, &[("a.rs", "// no\n")], &["a.rs:1: does not open with"]);
        check(names, &[("a.rs", "//! Yes.\n")], &[]);
    }

    #[test]
    fn unfinished_code_is_found() {
        check(
            leftovers,
            &[("a.rs", "fn a() { todo!() }\nfn b() { unimplemented!() }\n// todo!()\n")],
            &["a.rs:1: unfinished", "a.rs:2: unfinished"],
        );
    }

    #[test]
    fn an_ignored_test_is_found() {
        check(leftovers, &[("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n")], &["a.rs:2: a test that does not run"]);
    }

    #[test]
    fn a_sleeping_test_is_found_and_other_code_may_sleep() {
        check(leftovers, &[("x/tests/a.rs", "use tokio::time::sleep;\n")], &["x/tests/a.rs:1: a test that sleeps"]);
        check(
            leftovers,
            &[("a.rs", "fn a() { sleep(1); }\n#[cfg(test)]\nmod tests { fn b() { std::thread::sleep(1); } }\n")],
            &["a.rs:3"],
        );
    }
}
