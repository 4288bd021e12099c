//! docs/adding-a-feature.md stays true: its figures are counted here, and its code stands in the feature that it walks through.

use campanile_contract::Registry;
use campanile_features::ALL;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/adding-a-feature.md");

/// The files of the second feature, by name.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer_review");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

#[test]
fn the_document_counts_the_files_and_lines_as_they_are() {
    let files = files();
    let lines: usize = files.values().map(|text| text.lines().count()).sum();
    let count = format!("{} files with {lines} lines", files.len());
    assert!(DOCUMENT.contains(&count), "docs/adding-a-feature.md should say: {count}");
    for (name, text) in &files {
        let row = format!("| `{name}` | {} |", text.lines().count());
        assert!(DOCUMENT.contains(&row), "docs/adding-a-feature.md should have the row: {row}");
    }
    let length = DOCUMENT.lines().count();
    assert!(length <= 120, "docs/adding-a-feature.md has {length} lines, at most 120");
}

#[test]
fn code_in_the_document_is_code_of_the_feature() {
    let list = include_str!("../src/lib.rs");
    let blocks: Vec<&str> = DOCUMENT.split("\n```").skip(1).step_by(2).collect();
    assert!(blocks.len() >= 5, "the document shows code");
    for block in blocks {
        let (language, code) = block.split_once('\n').unwrap();
        // Shell lines are typed, and the word in the list is not there before somebody adds it.
        if language == "sh" || code.contains("    roster\n    peer_review") && list.contains("    roster\n") {
            continue;
        }
        assert!(files().values().any(|text| text.contains(code)), "this is not in the feature:\n{code}");
    }
}

#[test]
fn a_second_feature_lives_beside_all_others() {
    let features: Vec<_> = ALL.iter().copied().chain([crate::peer_review::FEATURE]).collect();
    let registry = Registry::new(&features, Vec::new()).unwrap();
    assert!(registry.event_type("review_requested").is_ok());
    assert!(registry.command("request_review").is_ok());
}

#[test]
fn every_feature_is_named_as_its_folder_and_numbers_its_migrations_from_1() {
    for feature in ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(feature.name);
        for (place, migration) in feature.migrations.iter().enumerate() {
            assert_eq!((migration.feature, migration.number), (feature.name, place as i64 + 1));
            let sql = fs::read_to_string(folder.join(format!("{:04}.sql", migration.number))).unwrap();
            assert_eq!(sql, migration.sql);
        }
    }
}
