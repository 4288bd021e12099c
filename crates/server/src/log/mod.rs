//! Structured logs: text for people, JSON lines for machines, on standard error and in a file. Tokens and names never reach them.

mod escape;
mod levels;
mod line;
mod redact;
mod rotate;

pub(crate) use line::SpanFields;
pub(crate) use redact::redacted;

use crate::config::{Log, LogFormat};
use crate::telemetry::reports::Reports;
use anyhow::{Context, Result};
use line::{Lines, Remember};
use rotate::RotatingFile;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Lines that wait for the disk; whoever logs one more waits for it too, so that none is lost.
const FILE_LINES_WAITING_MAX: usize = 16_384;

/// The filter of the lines, to be exchanged while the server runs.
static LEVELS: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
/// Whether this is a development server, whose levels have another default.
static DEV: OnceLock<bool> = OnceLock::new();

/// Writes the file's last lines when it is dropped.
#[must_use]
pub(crate) struct LogGuard(#[allow(dead_code, reason = "it works by being dropped")] Option<WorkerGuard>);

/// Starts logging for a command that ends by itself: on standard error alone, because the file is the server's.
pub(crate) fn start(log: &Log) -> Result<()> {
    let beside_the_server = Log { file: None, ..log.clone() };
    start_server(&beside_the_server, false, false).map(|_| ())
}

/// Starts the server's logging. `reports` says whether errors are also sent to Sentry.
pub(crate) fn start_server(log: &Log, dev: bool, reports: bool) -> Result<LogGuard> {
    let (filter, handle) = reload::Layer::new(levels::filter(log, dev)?);
    let format = log.format.unwrap_or(if dev { LogFormat::Pretty } else { LogFormat::Compact });
    let (file, guard) = match &log.file {
        None => (None, None),
        Some(path) => {
            let file = RotatingFile::open(path, log).with_context(|| format!("log.file {}", path.display()))?;
            let (file, guard) = in_background(file);
            (Some(file), Some(guard))
        }
    };
    let lines = Lines { format, colours: std::io::stderr().is_terminal(), file };
    let remember = Remember.with_filter(filter_fn(|metadata| metadata.is_span() && *metadata.level() == Level::ERROR));
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(remember)
        .with(reports.then(|| Reports.with_filter(LevelFilter::ERROR)));
    // A second start in one process (tests) keeps the first.
    if subscriber.try_init().is_ok() {
        let _ = LEVELS.set(handle);
        let _ = DEV.set(dev);
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(LogGuard(guard))
}

/// Whether the levels can be read.
///
/// # Errors
/// When they cannot.
pub(crate) fn check(log: &Log) -> Result<()> {
    levels::filter(log, false).map(drop)
}

/// Changes how much is logged while the server runs. Format and file stay as they were at the start.
///
/// # Errors
/// When a level or a component is unknown; then nothing changes.
pub(crate) fn set_levels(log: &Log) -> Result<()> {
    let filter = levels::filter(log, DEV.get().copied().unwrap_or(false))?;
    match LEVELS.get() {
        Some(handle) => handle.reload(filter).context("the log was not started"),
        None => Ok(()),
    }
}

fn in_background(file: RotatingFile) -> (NonBlocking, WorkerGuard) {
    let builder = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(FILE_LINES_WAITING_MAX);
    builder.thread_name("log-file").finish(file)
}

/// A panic as one line, with the request that it happened in.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let payload = info.payload();
    let panic = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(target: "campanile::panic", location, panic, "a thread panicked");
}

#[cfg(test)]
mod tests {
    use super::line::Lines;
    use super::rotate::RotatingFile;
    use super::{in_background, levels};
    use crate::config::{Log, LogFormat, LogLevel};
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::reload;

    #[test]
    fn levels_change_while_lines_are_written_and_the_file_gets_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::default();
        let (filter, handle) = reload::Layer::new(levels::filter(&log, false).unwrap());
        let (file, guard) = in_background(RotatingFile::open(&folder.path().join("log"), &log).unwrap());
        let lines = Lines { format: LogFormat::Json, colours: false, file: Some(file) };
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            let tell = |number: u32| tracing::debug!(target: "campanile::ws", number, "told");
            tell(1);
            log.levels.ws = Some(LogLevel::Debug);
            handle.reload(levels::filter(&log, false).unwrap()).unwrap();
            tell(2);
            log.levels.ws = None;
            handle.reload(levels::filter(&log, false).unwrap()).unwrap();
            tell(3);
        });
        drop(guard);
        let written = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        assert!(written.contains("\"message\":\"told\",\"number\":2"), "{written}");
    }
}
