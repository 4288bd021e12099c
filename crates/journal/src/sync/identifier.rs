//! Names of tables and columns as an operator writes them: checked, and quoted before they stand in SQL.

use crate::error::JournalError;

/// PostgreSQL keeps so many bytes of a name and silently drops the rest.
const NAME_BYTES_MAX: usize = 63;

/// A name, or a schema and a name: `rows`, `public.rows`, `"Sync Rows"`. What is not quoted is read in lower case, as PostgreSQL does.
pub(crate) fn parse(text: &str, parts_max: usize) -> Result<Vec<String>, JournalError> {
    let refused = |why: &str| JournalError::Unusable(format!("{text:?} is no name of a table or column: {why}"));
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => until_quote(quoted).ok_or_else(|| refused("a quote is not closed"))?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (plain(&rest[..end]).ok_or_else(|| refused("quote what is not a word"))?, &rest[end..])
            }
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(refused("a name has 1 to 63 bytes"));
        }
        parts.push(name);
        match after.strip_prefix('.') {
            _ if after.is_empty() => break,
            Some(next) => rest = next,
            None => return Err(refused("parts are separated by one dot")),
        }
    }
    if parts.len() > parts_max {
        return Err(refused("it has too many parts"));
    }
    Ok(parts)
}

/// The name between quotes, and what follows.
fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                name.push('"');
                rest = next;
            }
            None => return Some((name, after)),
        }
    }
}

fn plain(word: &str) -> Option<String> {
    let mut bytes = word.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (begins && goes_on).then(|| word.to_ascii_lowercase())
}

/// The name as it may stand in SQL.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{parse, quote};

    #[track_caller]
    fn check(text: &str, parts: &[&str]) {
        assert_eq!(parse(text, 2).expect("a name"), parts, "{text}");
    }

    #[test]
    fn names_are_words_or_quoted_with_an_optional_schema() {
        check("sync_events", &["sync_events"]);
        check("Public.Sync_Events", &["public", "sync_events"]);
        check("\"Sync Events\"", &["Sync Events"]);
        check("lms.\"a.b\"\"c\"", &["lms", "a.b\"c"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", ".", "a.", ".a", "a b", "a;drop", "1a", "a.b.c", "\"", "\"a", "\"a\"b", "\"\"", "a'--", "\"a\0\"", "ä"]
        {
            assert!(parse(text, 2).is_err(), "{text}");
        }
        assert!(parse("a.b", 1).is_err(), "a column has no schema");
        assert!(parse(&"x".repeat(64), 1).is_err(), "PostgreSQL would cut it");
    }

    #[test]
    fn a_quoted_name_cannot_end_its_quotes() {
        assert_eq!(quote("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
