//! Dialects: how the one engine speaks on each route. Events are the same everywhere; the frames around them differ.

use crate::close::CloseReason;
use crate::frame::ServerFrame;
use crate::id::Id;
use serde::Serialize;

/// The way in which a WebSocket route speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `/ws`.
    #[default]
    Native,
    /// `/ws/updates/`, as the ROTC grading system prints it (seed C): its own keys in its own order. Beyond them stand only a
    /// top-level `id`, `channel`, `seq` and `timestamp`, and frames that it does not print (`heartbeat`, `gap`, `replay_complete`).
    Updates,
}

/// Seed C line 90. `id` is the head, so that a client that remembers the last `id` it saw has a cursor before the first event.
#[derive(Serialize)]
struct Established<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    user_id: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    id: u64,
    timestamp: &'a str,
}

/// Seed C line 172. The documented code begins the sentence, because the frame has no place for it.
#[derive(Serialize)]
struct Error<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl Dialect {
    /// The frame as JSON text.
    ///
    /// # Panics
    /// Never in practice: every field serialises.
    pub fn encode(self, frame: &ServerFrame<'_>) -> String {
        let text = match (self, frame) {
            (Self::Updates, ServerFrame::ConnectionEstablished { message, user_id, role, cursor, timestamp, .. }) => {
                serde_json::to_string(&Established {
                    kind: "connection_established",
                    message,
                    user_id,
                    role: *role,
                    id: *cursor,
                    timestamp,
                })
            }
            (Self::Updates, ServerFrame::Error { message, code }) => {
                serde_json::to_string(&Error { kind: "error", message: &format!("{code}: {message}") })
            }
            _ => serde_json::to_string(frame),
        };
        text.expect("a frame serialises")
    }

    /// The close code of a reason. Seed C knows one code for everybody who may not connect.
    pub const fn close_code(self, reason: CloseReason) -> u16 {
        match (self, reason) {
            (Self::Updates, CloseReason::NotApproved) => CloseReason::InvalidToken.code(),
            _ => reason.code(),
        }
    }
}
