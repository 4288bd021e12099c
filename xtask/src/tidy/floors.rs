//! The floors: which crate may import which, and what may not be said on a floor at all.

use serde_json::Value;

use super::Finding;
use crate::house::House;

/// Our crates and those of ours that each may import, in whatever kind of dependency.
const FLOORS: [(&str, &[&str]); 5] = [
    ("campanile-wire", &[]),
    ("campanile-journal", &["campanile-wire"]),
    ("campanile-contract", &["campanile-wire", "campanile-journal"]),
    ("campanile-features", &["campanile-wire", "campanile-journal", "campanile-contract"]),
    ("campanile-live", &["campanile-wire", "campanile-journal", "campanile-contract"]),
];

/// Foreign crates that belong to one place, and why.
const OWNED: [(&str, &[&str], &str); 6] = [
    ("sqlx", &["campanile-journal"], "only the journal knows SQL stores; use its transaction"),
    ("axum", &["campanile", "campanile-bench"], "only the server speaks HTTP; declare a route in the contract"),
    ("hyper", &["campanile", "campanile-bench"], "only the server speaks HTTP; declare a route in the contract"),
    (
        "tokio-websockets",
        &["campanile", "campanile-live", "campanile-bench"],
        "the codec is ours; this one is its oracle in tests",
    ),
    ("once_cell", &[], "there is no global state; where a constant must be computed, std can do it"),
    ("lazy_static", &[], "there is no global state; where a constant must be computed, std can do it"),
];

/// Words that may not be said on a floor: path prefix, words, why.
const UNSAID: [(&str, &[&str], &str); 5] = [
    (
        "crates/wire/",
        &["tokio", "sqlx", "std :: fs", "std :: net", "SystemTime :: now", "Instant :: now"],
        "wire has no I/O, no clock and no SQL; pass the value in",
    ),
    ("crates/journal/", &["tokio :: net", "std :: net"], "the journal opens no sockets but its store's"),
    ("crates/contract/", &["tokio :: net", "std :: net", "sqlx"], "a feature cannot reach a socket or a store"),
    ("crates/features/", &["tokio :: net", "std :: net", "sqlx"], "a feature cannot reach a socket or a store"),
    ("crates/live/", &["sqlx", "campanile_features"], "delivery knows no subject matter"),
];

/// Dependencies that a floor forbids.
pub fn imports(house: &House) -> Vec<Finding> {
    let packages = house.metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    packages.iter().flat_map(|package| imports_of(house, package)).collect()
}

fn imports_of(house: &House, package: &Value) -> Vec<Finding> {
    let crate_name = package["name"].as_str().unwrap_or_default();
    let manifest = manifest_of(house, crate_name);
    let mut found = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let name = dependency["name"].as_str().unwrap_or_default();
        if let Some(sentence) = refusal(crate_name, name) {
            found.push(Finding::new(&manifest, line_of(house, &manifest, name), sentence));
        }
    }
    found
}

fn refusal(crate_name: &str, name: &str) -> Option<String> {
    let floor = FLOORS.iter().find(|(floor, _)| *floor == crate_name);
    if let Some((_, allowed)) = floor
        && name.starts_with("campanile")
        && !allowed.contains(&name)
    {
        let allowed = if allowed.is_empty() { "nothing of the house".to_owned() } else { allowed.join(", ") };
        return Some(format!(
            "{crate_name} may not import {name}, only {allowed}; move the code to the floor that may, or pass a value"
        ));
    }
    let (_, owners, why) = OWNED.iter().find(|(owned, owners, _)| *owned == name && !owners.contains(&crate_name))?;
    let owners = if owners.is_empty() { "no crate".to_owned() } else { owners.join(", ") };
    Some(format!("{name} may be a dependency of {owners}, not of {crate_name}: {why}"))
}

fn manifest_of(house: &House, crate_name: &str) -> String {
    let line = format!("name = \"{crate_name}\"");
    let mut manifests = house.files.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests
        .find(|(_, text)| text.lines().any(|one| one == line))
        .map_or_else(|| crate_name.to_owned(), |(path, _)| path.clone())
}

fn line_of(house: &House, manifest: &str, name: &str) -> usize {
    let mut lines = house.files.get(manifest).map_or("", String::as_str).lines();
    lines.position(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))).map_or(0, |at| at + 1)
}

/// Words in the sources that a floor forbids; tests may say them.
pub fn sources(house: &House) -> Vec<Finding> {
    let mut found = Vec::new();
    for (prefix, words, why) in UNSAID {
        for (path, source) in house.sources.iter().filter(|(path, _)| path.starts_with(prefix)) {
            for word in words {
                let pattern = word.replace("::", ": :");
                let said = source.find(&pattern).map(|at| &source.tokens[at]).filter(|token| !token.in_test);
                let shown = word.replace(' ', "");
                found.extend(said.map(|token| Finding::new(path, token.line, format!("`{shown}` on the wrong floor: {why}"))));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{check, compare};
    use super::{House, imports, sources};

    fn imports_found(crate_name: &str, dependency: &str, expected: &[&str]) {
        let manifest = format!("[package]\nname = \"{crate_name}\"\n\n[dependencies]\n{dependency}.workspace = true\n");
        let mut house = House::planted(&[("crates/a/Cargo.toml", &manifest)]);
        house.metadata = serde_json::json!({"packages": [{"name": crate_name, "dependencies": [{"name": dependency}]}]});
        compare(&imports(&house), expected);
    }

    #[test]
    fn wire_imports_nothing_of_the_house() {
        imports_found("campanile-wire", "campanile-journal", &["crates/a/Cargo.toml:5: campanile-wire may not import"]);
    }

    #[test]
    fn a_feature_cannot_import_live_and_live_cannot_import_features() {
        imports_found("campanile-features", "campanile-live", &["may not import campanile-live"]);
        imports_found("campanile-live", "campanile-features", &["may not import campanile-features"]);
        imports_found("campanile-live", "campanile-contract", &[]);
    }

    #[test]
    fn the_server_imports_all() {
        imports_found("campanile", "campanile-live", &[]);
    }

    #[test]
    fn sqlx_belongs_to_the_journal_and_axum_to_the_server() {
        imports_found("campanile-contract", "sqlx", &["sqlx may be a dependency of campanile-journal"]);
        imports_found("campanile-journal", "sqlx", &[]);
        imports_found("campanile-live", "hyper", &["hyper may be a dependency of campanile, campanile-bench"]);
        imports_found("campanile-bench", "axum", &[]);
    }

    #[test]
    fn a_feature_cannot_name_a_socket() {
        check(
            sources,
            &[("crates/features/src/a.rs", "//! A.\nuse tokio::net::TcpStream;")],
            &["crates/features/src/a.rs:2: `tokio::net`"],
        );
    }

    #[test]
    fn wire_reads_no_clock() {
        check(sources, &[("crates/wire/src/a.rs", "//! A.\nfn a() { std::time::SystemTime::now(); }")], &["`SystemTime::now`"]);
        check(sources, &[("crates/wire/src/a.rs", "//! Never SystemTime::now here.\nfn a() {}")], &[]);
    }
}
