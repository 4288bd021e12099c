//! `[log]`: how much is logged, in which form, and where to. Standard error always gets the lines; a file may, too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Logging.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, or by the lines' targets: `info,campanile_live=debug`. Without it `info`, and
    /// with `--dev` `debug` for Campanile's own parts.
    #[schemars(extend("x-reload" = true))]
    pub level: Option<String>,
    /// Levels of single components: `ws`, `live`, `journal`, `jobs`, `http`, `auth`, `sync`, `features`, `maintenance`.
    #[schemars(extend("x-reload" = true), example = serde_json::json!({ "ws": "debug" }))]
    pub levels: BTreeMap<String, String>,
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
            levels: BTreeMap::new(),
            format: None,
            file: None,
            rotate: LogRotation::Daily,
            file_bytes_max: 64 * 1024 * 1024,
            keep_files: 7,
        }
    }
}
