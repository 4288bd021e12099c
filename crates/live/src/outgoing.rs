//! What a session hands to its socket, and how it ends.

use crate::delivery::Delivery;
use campanile_wire::CloseReason;
use std::sync::Arc;

/// Something for the socket.
pub enum Outgoing {
    /// An event, to be written in the socket's own encoding.
    Event(Arc<Delivery>),
    /// Any other frame, as JSON.
    Frame(String),
    /// The end of the connection.
    End(Ending),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The close code and its word.
    pub reason: CloseReason,
    /// When the client should come back.
    pub retry_after_ms: Option<u64>,
}

impl Ending {
    /// An ending without advice.
    pub fn now(reason: CloseReason) -> Self {
        Self { reason, retry_after_ms: None }
    }
}
