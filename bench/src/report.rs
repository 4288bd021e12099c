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

/// The command line of this process, as it can be pasted.
pub fn command_line() -> String {
    // A report is read on other machines: where the folders lay on this one, and the passwords in addresses, say nothing there.
    let words = std::env::args().map(|word| match word.rsplit_once('/') {
        Some((_, _)) if word.contains("://") => "URL".to_owned(),
        Some((_, name)) => name.to_owned(),
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A database URL without its password.
fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.split_once('@') {
        Some((user, host)) if user.contains(':') && !user.contains('/') => {
            format!("{scheme}://{}:…@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => text.to_owned(),
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
    fn a_password_does_not_reach_the_report() {
        assert_eq!(
            redacted("x --postgres-url postgres://me:pw@127.0.0.1:1/db"),
            "x --postgres-url postgres://me:…@127.0.0.1:1/db"
        );
        assert_eq!(redacted("x --postgres-url postgres://me@127.0.0.1:1/db"), "x --postgres-url postgres://me@127.0.0.1:1/db");
    }
}
