//! What a log may show of a request's address.

/// A request's path and query as logs may show them: the values of `token` and `ticket` are taken out, however they are spelled.
pub(crate) fn redacted(path_and_query: &str) -> String {
    let Some((path, query)) = path_and_query.split_once('?') else { return path_and_query.to_owned() };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=[redacted]"),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
}

/// Known harmless names are shown; everything else might be a misspelled credential.
fn is_secret(name: &str) -> bool {
    !["since", "wait", "client", "channels", "epoch"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn credentials_in_a_query_are_not_logged() {
        assert_eq!(redacted("/ws?since=3&token=abc.def&ticket=x"), "/ws?since=3&token=[redacted]&ticket=[redacted]");
        assert_eq!(redacted("/ws?TOKEN=abc&to%6ben=abc"), "/ws?TOKEN=[redacted]&to%6ben=[redacted]");
        assert_eq!(redacted("/ws"), "/ws");
    }
}
