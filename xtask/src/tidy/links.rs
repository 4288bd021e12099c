//! Links in documents lead somewhere, and the places that ARCHITECTURE.md names exist.

use super::Finding;
use crate::house::House;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
/// Where a place named in ARCHITECTURE.md may begin: `journal/head.rs` is `crates/journal/src/head.rs`.
const CRATES: [&str; 6] = ["wire", "journal", "contract", "features", "live", "server"];
/// Beginnings of media types, which look like places.
const MEDIA: [&str; 5] = ["text", "application", "image", "audio", "multipart"];

/// Every dead link and every place that is not there.
pub fn check(house: &House) -> Vec<Finding> {
    let documents = house.files.iter().filter(|(path, _)| path.ends_with(".md"));
    let mut found: Vec<Finding> = documents.flat_map(|(path, text)| dead_links(house, path, text)).collect();
    for (line, text) in prose(house.files.get(ARCHITECTURE).map_or("", String::as_str)) {
        let places = text.split('`').skip(1).step_by(2).filter(|word| is_place(word)).flat_map(spread);
        let missing = places.filter(|place| !place_exists(house, place));
        found
            .extend(missing.map(|place| Finding::new(ARCHITECTURE, line, format!("`{place}` does not exist: name what does"))));
    }
    found
}

fn dead_links(house: &House, path: &str, text: &str) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let local = targets
            .map(|target| target.split('#').next().unwrap_or_default())
            .filter(|target| !target.is_empty() && !target.contains(':'));
        let dead = local.filter(|target| !resolve(folder, target).is_some_and(|path| path.is_empty() || house.has(&path)));
        found.extend(dead.map(|target| Finding::new(path, line, format!("the link to `{target}` is dead: mend or remove it"))));
    }
    found
}

/// Lines outside fenced code, with their numbers from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let outside = text.lines().enumerate().filter(|(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    outside.map(|(at, line)| (at + 1, line)).collect()
}

/// The path from the root; none where it leaves the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> =
        if target.starts_with('/') { Vec::new() } else { folder.split('/').filter(|part| !part.is_empty()).collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn is_place(word: &str) -> bool {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '/' | '_' | '-' | '.' | '{' | '}' | ',');
    let first = word.split('/').next().unwrap_or_default();
    word.contains('/') && !word.starts_with('/') && word.chars().all(plain) && !MEDIA.contains(&first)
}

/// `bus/{local,redis}` is two places.
fn spread(word: &str) -> Vec<String> {
    let parts = word.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (choices, after))) => choices.split(',').map(|choice| format!("{before}{choice}{after}")).collect(),
        None => vec![word.to_owned()],
    }
}

fn place_exists(house: &House, place: &str) -> bool {
    let mut candidates = vec![place.to_owned()];
    if let Some((first, rest)) = place.split_once('/')
        && CRATES.contains(&first)
    {
        candidates.push(format!("crates/{place}"));
        candidates.push(format!("crates/{first}/src/{rest}"));
    }
    // Without the crate's name a place is looked for in each: `roster/event.rs`.
    candidates.extend(CRATES.iter().map(|name| format!("crates/{name}/src/{place}")));
    candidates.iter().any(|path| house.has(path) || house.has(&format!("{path}.rs")))
}

#[cfg(test)]
mod tests {
    use super::super::check as check_house;
    use super::check;

    #[test]
    fn a_dead_link_is_found_and_a_live_one_is_not() {
        let text = "[a](gone.md) [b](../README.md#top) [c](https://example.org) [d](#here)\n```\n[e](no.md)\n```\n";
        check_house(check, &[("docs/x.md", text), ("README.md", "")], &["docs/x.md:1: the link to `gone.md` is dead"]);
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        check_house(check, &[("README.md", "[a](../other)\n")], &["`../other` is dead"]);
    }

    #[test]
    fn a_place_that_is_not_there_is_found() {
        let text = "`live/hub` and `live/bus/{local,redis}`, `GET /api/poll`, `/ws/updates/`, `text/event-stream`\n";
        let files =
            [("ARCHITECTURE.md", text), ("crates/live/src/hub.rs", "//! H.\n"), ("crates/live/src/bus/local.rs", "//! L.\n")];
        check_house(check, &files, &["ARCHITECTURE.md:1: `live/bus/redis` does not exist"]);
    }
}
