//! Reads one native frame (PROTOCOL.md section 3), as WebSocket, SSE and poll all carry it.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Ear, Heard};
use crate::mark::mark;

/// Every key that any frame has and that we read. What has different types in different frames stays raw until the type is known.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: Option<u64>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    seq: Option<u64>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    cursor: Option<u64>,
    epoch: Option<u64>,
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    to: Option<u64>,
    count: Option<u64>,
    gap: Option<bool>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    retry_after_ms: Option<u64>,
}

/// Tells the ear what the frame says; frames that are of no interest to a reader of events (`pong`, `view`, …) say nothing.
pub fn hear_frame(text: &str, ear: &mut impl Ear) -> Result<(), String> {
    let frame: Frame = serde_json::from_str(text).map_err(|error| format!("{error} in {}", excerpt(text)))?;
    let missing = |key: &str| format!("`{key}` is missing in {}", excerpt(text));
    let heard = match &*frame.kind {
        "connection_established" => Heard::Established {
            // A dialect that adds nothing but `id` tells the head by it, and no epoch.
            head: frame.cursor.or(frame.id).ok_or_else(|| missing("cursor"))?,
            epoch: if frame.cursor.is_some() { Some(frame.epoch.ok_or_else(|| missing("epoch"))?) } else { None },
        },
        "heartbeat" => Heard::Cursor(frame.cursor.ok_or_else(|| missing("cursor"))?),
        "gap" => {
            Heard::Gap { from: frame.id_in_from().ok_or_else(|| missing("from"))?, to: frame.to.ok_or_else(|| missing("to"))? }
        }
        "replay_complete" => Heard::ReplayComplete {
            from: frame.id_in_from().ok_or_else(|| missing("from"))?,
            to: frame.to.ok_or_else(|| missing("to"))?,
            count: frame.count.ok_or_else(|| missing("count"))?,
            gap: frame.gap.ok_or_else(|| missing("gap"))?,
        },
        "reconnect" => Heard::ComeBack(Duration::from_millis(frame.retry_after_ms.ok_or_else(|| missing("retry_after_ms"))?)),
        // A dialect without `code` begins its sentence with it.
        "error" => Heard::Complaint(frame.code.as_deref().or(frame.message.as_deref()).ok_or_else(|| missing("code"))?),
        "pong" | "reply" | "refreshed" | "subscribed" | "unsubscribed" | "signal" | "view" => return Ok(()),
        _ => return hear_event(&frame, ear).ok_or_else(|| format!("neither a known frame nor an event: {}", excerpt(text))),
    };
    ear.hear(heard);
    Ok(())
}

fn hear_event(frame: &Frame, ear: &mut impl Ear) -> Option<()> {
    let channel = frame.channel.as_deref()?;
    let heard = Heard::Event {
        id: frame.id?,
        seq: frame.seq?,
        channel,
        mark: mark(&frame.kind, channel, frame.data?.get()),
        recorded_at_ms: instant_ms(frame.timestamp?.get().trim_matches('"'))?,
    };
    ear.hear(heard);
    Some(())
}

/// Milliseconds since 1970 of an ISO 8601 instant.
pub fn instant_ms(text: &str) -> Option<i64> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok()
}

fn excerpt(text: &str) -> &str {
    let end = (0..=text.len().min(300)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

// === impl Frame ===

impl Frame<'_> {
    /// `from` is an id in a gap and a replay, and a person in a signal.
    fn id_in_from(&self) -> Option<u64> {
        self.from?.get().parse().ok()
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
