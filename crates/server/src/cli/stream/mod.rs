//! A client's side of the three transports: frames in, one cursor that resumes any of them.

pub(super) mod frame;
mod poll;
mod sse;
mod ws;

use super::remote::{Failure, Server, advice};
use super::terminal;
use clap::ValueEnum;
use frame::Frame;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How frames come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// WebSocket.
    Ws,
    /// Server-Sent Events.
    Sse,
    /// Long poll.
    Poll,
}

/// What a connection asks for.
#[derive(Clone, Default)]
pub(super) struct Asked {
    /// The route; none is the transport's own.
    pub(super) path: Option<String>,
    /// Only these channels, separated by commas.
    pub(super) channels: Option<String>,
    /// Where to resume.
    pub(super) place: Place,
}

/// How far a reader has come. It moves with what is heard, so that the next connect goes on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// A cursor or an instant to begin at; none is now.
    pub(super) since: Option<String>,
    /// The log's epoch, once it is known.
    pub(super) epoch: Option<u64>,
}

/// Who listens; `Break` ends the connection.
pub(super) trait Ear {
    /// A connection stands.
    fn opened(&mut self);
    /// A frame came. The place has moved already.
    fn hear(&mut self, frame: &Frame) -> anyhow::Result<ControlFlow<()>>;
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The ear has had enough, or was told to stop.
    Done,
    /// It can be tried again, not before so long.
    Lost { why: String, after: Duration },
    /// Trying again would be refused again.
    Refused { code: String, sentence: String },
    /// The output cannot be written any more.
    Deaf(anyhow::Error),
}

impl Transport {
    pub(super) const ALL: [Self; 3] = [Self::Ws, Self::Sse, Self::Poll];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ws => "WebSocket",
            Self::Sse => "SSE",
            Self::Poll => "long poll",
        }
    }
}

/// Follows one connection to its end. `asked.place` moves along.
pub(super) async fn follow(
    transport: Transport,
    server: &Server,
    token: &str,
    asked: &mut Asked,
    ear: &mut impl Ear,
    stop: &CancellationToken,
) -> Ended {
    let result = match transport {
        Transport::Ws => ws::follow(server, token, asked, ear, stop).await,
        Transport::Sse => sse::follow(server, token, asked, ear, stop).await,
        Transport::Poll => poll::follow(server, token, asked, ear, stop).await,
    };
    result.unwrap_or_else(|ended| ended)
}

impl Asked {
    /// The request's path and query. The token never stands in it: it goes in a header.
    fn address(&self, route: &str, further: &[(&str, &str)]) -> String {
        let route = self.path.as_deref().unwrap_or(route);
        let epoch = self.place.epoch.map(|epoch| epoch.to_string());
        let own = [("since", self.place.since.as_deref()), ("channels", self.channels.as_deref()), ("epoch", epoch.as_deref())];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs: Vec<String> =
            own.chain(further.iter().copied()).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { route.to_owned() } else { format!("{route}?{}", pairs.join("&")) }
    }
}

/// A value as a query holds it (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let sign = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(sign).collect()
}

impl Place {
    /// Moves behind a frame.
    fn pass(&mut self, frame: &Frame) {
        if let Some(epoch) = frame.epoch {
            self.epoch = Some(epoch);
        }
        match frame.kind.as_str() {
            // Its cursor is the head; who asked for a replay has not come that far.
            // The seed's dialect calls the cursor `id`.
            "connection_established" => self.begin_at(frame.cursor.or(frame.id)),
            "heartbeat" => self.reach(frame.cursor),
            "gap" | "replay_complete" => self.reach(frame.number("to")),
            _ if frame.is_event() => self.reach(frame.id),
            _ => {}
        }
    }

    fn begin_at(&mut self, cursor: Option<u64>) {
        if self.since.is_none() {
            self.reach(cursor);
        }
    }

    fn reach(&mut self, cursor: Option<u64>) {
        if let Some(cursor) = cursor {
            self.since = Some(cursor.to_string());
        }
    }
}

/// A frame as text: the place moves, the ear hears; `Break` when the connection is to end.
fn take(text: &str, asked: &mut Asked, ear: &mut impl Ear) -> Result<ControlFlow<()>, Ended> {
    let frame = Frame::read(text).map_err(|why| Ended::Lost { why, after: Duration::ZERO })?;
    asked.place.pass(&frame);
    if frame.kind == "connection_established" {
        ear.opened();
    }
    ear.hear(&frame).map_err(Ended::Deaf)
}

/// A refused or broken request as an end.
fn ended(failure: Failure) -> Ended {
    match (failure.passes_after(), failure.code()) {
        (Some(after), _) => Ended::Lost { why: failure.to_string(), after },
        (None, code) => Ended::Refused { code: code.unwrap_or("foreign").to_owned(), sentence: failure.to_string() },
    }
}

/// A close or last block with a code as an end.
fn told(code: &str, after: Duration) -> Ended {
    let last = ["no_credential", "invalid_token", "expired_token", "credential_conflict", "revoked_token", "auth_timeout"];
    let shown = terminal::harmless(code);
    if last.contains(&code) || ["forbidden", "not_approved", "origin_not_allowed", "replaced"].contains(&code) {
        let sentence = format!("the server ended the connection: `{shown}`{}", advice(code));
        return Ended::Refused { code: code.to_owned(), sentence };
    }
    Ended::Lost { why: format!("the server ended the connection: `{shown}`"), after }
}

#[cfg(test)]
mod tests;
