//! `[log]`: how much is logged, in which form, and where to. Standard error always gets the lines; a file may, too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Logging.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, or by the lines' targets: `info,campanile_live=debug`. Without it `info`, and
    /// with `--dev` `debug` for Campanile's own parts.
    #[schemars(extend("x-reload" = true), example = &"info")]
    pub level: Option<String>,
    /// Levels of single components, whatever the level of the rest.
    #[schemars(extend("x-reload" = true))]
    pub levels: LogLevels,
    /// `pretty`, `compact` or `json`; without it `compact`, and with `--dev` `pretty`.
    pub format: Option<LogFormat>,
    /// A file that gets every line, too; its folder must exist.
    #[schemars(extend("x-file" = true), example = &"campanile.log")]
    pub file: Option<PathBuf>,
    /// When a new file is begun.
    pub rotate: LogRotation,
    /// Bytes of a file before a new one is begun, with `rotate = "size"`.
    #[schemars(range(min = 4096, max = 1_099_511_627_776_u64))]
    pub file_bytes_max: u64,
    /// Older files that are kept beside the current one, as `.1`, `.2` …; the oldest is removed.
    #[schemars(range(min = 0, max = 1000))]
    pub keep_files: usize,
}

/// `[log.levels]`: how much single components tell.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogLevels {
    /// Connections of every transport, and errors on them.
    pub ws: Option<LogLevel>,
    /// The follower of the log.
    pub live: Option<LogLevel>,
    /// Commits and the store.
    pub journal: Option<LogLevel>,
    /// Attempts at jobs.
    pub jobs: Option<LogLevel>,
    /// Requests and the listener.
    pub http: Option<LogLevel>,
    /// Why credentials are refused.
    pub auth: Option<LogLevel>,
    /// The processor of sync events.
    pub sync: Option<LogLevel>,
    /// What features log themselves.
    pub features: Option<LogLevel>,
    /// What was pruned.
    pub maintenance: Option<LogLevel>,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of every log")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// As directives spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For a person at a terminal: the time of day, colours, the message first.
    Pretty,
    /// One line of `name=value` pairs.
    Compact,
    /// One JSON object on a line.
    Json,
}

/// When a new file is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogRotation {
    /// At midnight, UTC.
    Daily,
    /// When the file is full.
    Size,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: None,
            levels: LogLevels::default(),
            format: None,
            file: None,
            rotate: LogRotation::Daily,
            file_bytes_max: 64 * 1024 * 1024,
            keep_files: 7,
        }
    }
}
