//! A report in Markdown that several runs share: each replaces its own section between two markers.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Puts the section into the file, in place of the one of the same name or at the end.
pub fn write_section(path: &Path, title: &str, name: &str, content: &str) -> Result<()> {
    let before = fs::read_to_string(path).unwrap_or_else(|_| format!("# {title}\n"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, with_section(&before, name, content)).with_context(|| format!("cannot write {}", path.display()))
}

fn with_section(before: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let section = format!("{begin}\n{}\n{end}", content.trim_end());
    let old = before.find(&begin).and_then(|from| Some(from..before[from..].find(&end)? + from + end.len()));
    match old {
        Some(place) => format!("{}{section}{}", &before[..place.start], &before[place.end..]),
        None => format!("{}\n\n{section}\n", before.trim_end()),
    }
}

/// The command line of this process, as a reader elsewhere can repeat it.
pub fn command_line() -> String {
    std::env::args().map(|word| portable(&word)).collect::<Vec<_>>().join(" ")
}

/// A word without what means something on this machine only: where its folders lie, and addresses with their passwords.
fn portable(word: &str) -> String {
    match word.rsplit_once('/') {
        Some(_) if word.contains("://") => "URL".to_owned(),
        Some((_, name)) => name.to_owned(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_appended_once_and_then_replaced() {
        let one = with_section("# T\n", "a", "first\n");
        assert_eq!(one, "# T\n\n<!-- a:begin -->\nfirst\n<!-- a:end -->\n");
        let two = with_section(&one, "b", "other");
        let three = with_section(&two, "a", "second");
        assert_eq!(three, "# T\n\n<!-- a:begin -->\nsecond\n<!-- a:end -->\n\n<!-- b:begin -->\nother\n<!-- b:end -->\n");
    }

    #[test]
    fn neither_a_password_nor_a_folder_of_this_machine_reaches_the_report() {
        let given = ["target/release/campanile-bench", "--fixtures", "/srv/data/fixtures", "postgres://me:pw@127.0.0.1:1/db"];
        assert_eq!(given.map(portable), ["campanile-bench", "--fixtures", "fixtures", "URL"]);
    }
}
