//! A learner's device as the bench plays it: three transports that all say the same things to one [`Ear`].

pub mod dial;
pub mod frame;
pub mod http;
pub mod poll;
pub mod sse;
pub mod ws;

use std::time::Duration;

use crate::history::Transport;
use dial::Dial;

/// One thing that a connection heard, whichever transport carried it.
#[derive(Debug, PartialEq)]
pub enum Heard<'a> {
    /// The connect answer. SSE and its id-only block tell no epoch.
    Established { head: u64, epoch: Option<u64> },
    /// A durable event; `mark` is computed from the bytes that arrived.
    Event { id: u64, seq: u64, channel: &'a str, mark: u64, recorded_at_ms: i64 },
    /// Something is missing between the two cursors, and the server says so.
    Gap { from: u64, to: u64 },
    /// Everything due up to this id has been sent.
    Cursor(u64),
    /// A replay ended.
    ReplayComplete { from: u64, to: u64, count: u64, gap: bool },
    /// The server advises when to come back.
    ComeBack(Duration),
    /// An `error` frame with its code.
    Complaint(&'a str),
}

/// Whoever listens to a connection.
pub trait Ear {
    /// Called in the order of arrival.
    fn hear(&mut self, heard: Heard<'_>);
}

/// Why a connection is over or never came to be.
#[derive(Debug)]
pub struct Ended {
    /// The WebSocket close code, 0 where there is none.
    pub close_code: u16,
    pub cause: Cause,
    /// `Retry-After`, where the answer carried one.
    pub come_back: Option<Duration>,
}

/// The cause of an [`Ended`].
#[derive(Debug)]
pub enum Cause {
    /// No TCP connection, or it broke: what a killed server looks like.
    Broken(std::io::Error),
    /// The server ended it in the proper way.
    Closed,
    /// An HTTP status other than the wished one.
    Refused { status: u16, code: String },
    /// Bytes that break the protocol. Never expected.
    Garbage(String),
}

/// How a client goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Close frame and answer on WebSocket, FIN elsewhere.
    Clean,
    /// The socket is dropped.
    Drop,
    /// The socket is reset (RST).
    Reset,
}

/// A live connection of any transport.
pub enum Session {
    Ws(ws::WsSession),
    Sse(sse::SseSession),
    Poll(poll::PollSession),
}

// === impl Ended ===

impl Ended {
    /// An end without a close code and without advice.
    pub fn of(cause: Cause) -> Self {
        Self { close_code: 0, cause, come_back: None }
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::of(Cause::Broken(error))
    }
}

// === impl Session ===

impl Session {
    /// Connects with the cursor, when there is one; the connect answer is heard by [`Session::read`].
    pub async fn open(transport: Transport, dial: &Dial, since: Option<u64>) -> Result<Self, Ended> {
        Ok(match transport {
            Transport::Ws => Self::Ws(ws::WsSession::open(dial, since).await?),
            Transport::Sse => Self::Sse(sse::SseSession::open(dial, since).await?),
            Transport::Poll => Self::Poll(poll::PollSession::open(dial, since).await?),
        })
    }

    /// Waits for the next bytes and tells the ear what they say. Cancel-safe: what was half read stays.
    pub async fn read(&mut self, ear: &mut impl Ear) -> Result<(), Ended> {
        match self {
            Self::Ws(session) => session.read(ear).await,
            Self::Sse(session) => session.read(ear).await,
            Self::Poll(session) => session.read(ear).await,
        }
    }

    /// Goes away.
    pub async fn leave(self, how: Leave) {
        match self {
            Self::Ws(session) => session.leave(how).await,
            Self::Sse(session) => session.leave(how),
            Self::Poll(session) => session.leave(how),
        }
    }
}
