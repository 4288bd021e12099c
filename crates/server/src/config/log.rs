//! `[log]`: how much is logged, and in which form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logging.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or per component: `info,campanile_live=debug`.
    #[schemars(extend("x-reload" = true))]
    pub level: String,
    /// JSON lines, or text for people.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), json: false }
    }
}
