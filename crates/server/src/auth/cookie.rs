//! The one cookie that may speak for somebody.

/// The value of the cookie of this name in a `Cookie` header; none when it stands there twice with different values: another page of the
/// same domain may have set one of them, and nobody can say which.
pub fn cookie_value<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = header.split(';').filter_map(|pair| {
        let (found, value) = pair.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    let first = values.next()?;
    values.all(|other| other == first).then(|| unquoted(first))
}

/// RFC 6265 section 4.1.1: a value may stand in double quotes.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}
