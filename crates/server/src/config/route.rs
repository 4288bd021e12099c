//! `[route."/ws"]`: how each WebSocket route refuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One WebSocket route.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// How it refuses.
    pub reject: Reject,
}

/// How a route refuses a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// The handshake succeeds and the socket closes with a code: the only way a browser can see why.
    #[default]
    Close,
    /// The handshake is answered with a status.
    Http,
}
