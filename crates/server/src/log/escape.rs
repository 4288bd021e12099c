//! Outside text inside a log line: whatever could end the line, paint the terminal or turn the reading direction is spelled out.

use std::fmt::Write;

/// Signs that a terminal or an editor obeys instead of showing: controls, line ends, marks of reading direction, invisible ones.
fn is_obeyed(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A value as it stands in a line of text: bare when nobody can take it for anything else, else quoted.
pub(super) fn value(text: &str) -> String {
    let is_bare = |sign: char| !is_obeyed(sign) && !sign.is_whitespace() && !matches!(sign, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_bare) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for sign in text.chars() {
        match sign {
            '"' | '\\' => quoted.extend(['\\', sign]),
            sign => push(&mut quoted, sign),
        }
    }
    quoted.push('"');
    quoted
}

/// A message: our own sentence, but with nothing in it that is obeyed.
pub(super) fn message(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    text.chars().for_each(|sign| push(&mut safe, sign));
    safe
}

/// A JSON string. JSON itself spells out only the old controls and quotes.
pub(super) fn json(text: &str) -> String {
    let plain = serde_json::to_string(text).expect("a text serialises");
    let mut safe = String::with_capacity(plain.len());
    for sign in plain.chars() {
        match is_obeyed(sign) {
            true => {
                let _ = write!(safe, "\\u{:04x}", u32::from(sign));
            }
            false => safe.push(sign),
        }
    }
    safe
}

fn push(safe: &mut String, sign: char) {
    match sign {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        sign if is_obeyed(sign) => {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(sign));
        }
        sign => safe.push(sign),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_obeyed, json, message, value};

    const HOSTILE: &str = "a\nlevel=ERROR\r\u{1b}[31mred\u{7f}\u{9b}\u{202e}txt\u{2028}\"q\"\\ \u{0}\u{feff}\u{200b}end";

    #[test]
    fn hostile_text_stays_on_its_line_and_inside_its_quotes() {
        for text in [value(HOSTILE), message(HOSTILE), json(HOSTILE)] {
            assert!(!text.chars().any(is_obeyed), "{text:?}");
        }
        assert!(value(HOSTILE).starts_with("\"a\\nlevel=ERROR\\r\\u{1b}[31mred"));
        assert!(value(HOSTILE).contains("\\\"q\\\"\\\\ \\u{0}"));
    }

    #[test]
    fn json_gives_the_text_back() {
        assert_eq!(serde_json::from_str::<String>(&json(HOSTILE)).unwrap(), HOSTILE);
    }

    #[test]
    fn plain_values_are_left_bare_and_doubtful_ones_are_quoted() {
        assert_eq!(value("/api/events"), "/api/events");
        assert_eq!(value(""), "\"\"");
        assert_eq!(value("a b"), "\"a b\"");
        assert_eq!(value("a=b"), "\"a=b\"");
        assert_eq!(value("Zoë"), "Zoë");
    }
}
