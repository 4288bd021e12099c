//! What the operator sees: lines on standard output and standard error, and text of strangers made harmless.

use anyhow::Result;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

/// Writes a line to standard output: what a script reads.
///
/// # Errors
/// When nobody reads any more.
pub(super) fn out(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    // A pipe is read while we wait for the next event, so nothing may stay behind in a buffer.
    Ok(stdout.flush()?)
}

/// Writes a line to standard error: what a person reads beside the output.
#[allow(clippy::print_stderr, reason = "the operator reads it")]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}

/// A stranger's text as a terminal may show it: control characters and those that turn the writing direction are spelled out.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        if is_harmful(sign) {
            let _ = write!(shown, "\\u{{{:x}}}", sign as u32);
        } else {
            shown.push(sign);
        }
    }
    shown.into()
}

fn is_harmful(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of at most so many signs; a longer one ends with an ellipsis.
pub(super) fn shortened(text: &str, signs_max: usize) -> String {
    match text.char_indices().nth(signs_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::{harmless, shortened};

    #[test]
    fn what_could_steer_a_terminal_is_spelled_out() {
        assert_eq!(harmless("Ada \u{1b}[2J\u{9b}1m \u{202e}txt"), "Ada \\u{1b}[2J\\u{9b}1m \\u{202e}txt");
        assert_eq!(harmless("Grüße, 你好"), "Grüße, 你好");
    }

    #[test]
    fn a_long_text_is_cut_between_signs() {
        assert_eq!(shortened("你好吗", 2), "你好…");
        assert_eq!(shortened("你好", 2), "你好");
    }
}
