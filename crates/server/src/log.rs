//! Structured logs on standard error: text for people, JSON lines for machines. Tokens never reach them.

use crate::config::Log;
use anyhow::{Context, Result};
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The levels in force, once logging has started.
static LEVELS: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging.
pub(crate) fn start(log: &Log) -> Result<()> {
    let (filter, handle) = reload::Layer::new(levels(log)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = if log.json { lines.json().boxed() } else { lines.boxed() };
    // A second start in one process (tests) keeps the first.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = LEVELS.set(handle);
    }
    Ok(())
}

/// Whether the levels can be read.
///
/// # Errors
/// When they cannot.
pub(crate) fn check(log: &Log) -> Result<()> {
    levels(log).map(drop)
}

/// Sets other levels while the server runs.
///
/// # Errors
/// When they cannot be read; the old ones stay.
pub(crate) fn set_levels(log: &Log) -> Result<()> {
    let filter = levels(log)?;
    match LEVELS.get() {
        Some(handle) => handle.reload(filter).context("log.level"),
        None => Ok(()),
    }
}

fn levels(log: &Log) -> Result<EnvFilter> {
    EnvFilter::try_new(&log.level).context("log.level")
}

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
