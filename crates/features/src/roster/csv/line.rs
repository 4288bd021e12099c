//! One line of a CSV file into its fields, by RFC 4180.
//!
//! A row is a line: no field of a roster may hold a line end, so a quote that is never closed costs its own row and not all that follow.

use std::borrow::Cow;

/// The fields of a line without its end.
pub(super) fn fields(mut line: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    let mut fields = Vec::new();
    loop {
        let (field, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => plain_field(line),
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => line = more,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("something follows a closing quote; a quote inside of quotes is written twice"),
        }
    }
}

/// Quotes inside of it are taken as they are: `5" pipe` is what somebody meant.
fn plain_field(line: &str) -> (Cow<'_, str>, &str) {
    let end = line.find(',').unwrap_or(line.len());
    (line[..end].into(), &line[end..])
}

/// A field after its opening quote, up to the quote that closes it.
fn quoted_field(line: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut field = Cow::Borrowed("");
    let mut rest = line;
    loop {
        let quote = rest.find('"').ok_or("a quote is not closed on the same line")?;
        // Borrowed for as long as the field is in one piece.
        match field.is_empty() {
            true => field = rest[..quote].into(),
            false => field.to_mut().push_str(&rest[..quote]),
        }
        rest = &rest[quote + 1..];
        let Some(after) = rest.strip_prefix('"') else { return Ok((field, rest)) };
        field.to_mut().push('"');
        rest = after;
    }
}
