//! SSE: an event stream as WHATWG HTML 9.2 describes it.

use super::{Asked, Ear, Ended, ended, take, told};
use crate::cli::remote::{Failure, Server, refused, signed};
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the answer's head may take.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Silence after which the stream is taken for dead: the server sends its cursor every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(50);
/// Bytes of one line; an event has at most 64 KiB of data.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// What a stream says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Something for listeners; `kind` is `message` where the stream names none.
    Event { kind: String, data: String, id: Option<String> },
    /// Only an id: the cursor.
    Cursor(String),
    /// The advised wait before the next connect, in milliseconds.
    Retry(u64),
}

/// Makes blocks of bytes, however they are cut.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    first_line_over: bool,
    data: String,
    kind: String,
    id: Option<String>,
}

pub(super) async fn follow(
    server: &Server,
    token: &str,
    asked: &mut Asked,
    ear: &mut impl Ear,
    stop: &CancellationToken,
) -> Result<Ended, Ended> {
    let address = asked.address("/api/events", &[]);
    let response = tokio::select! {
        response = open(server, token, &address) => response.map_err(ended)?,
        () = stop.cancelled() => return Ok(Ended::Done),
    };
    let (mut bytes, mut parser, mut blocks) = (response.bytes_stream(), Parser::default(), Vec::new());
    let (mut after, mut is_open) = (Duration::ZERO, false);
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE_MAX, bytes.next()) => next,
            () = stop.cancelled() => return Ok(Ended::Done),
        };
        let lost = |why: String| Ended::Lost { why, after };
        let Ok(next) = next else { return Ok(lost("nothing came for 50 s, not even a heartbeat".into())) };
        match next {
            Some(Ok(bytes)) => parser.feed(&bytes, &mut blocks).map_err(|why| lost(why.into()))?,
            Some(Err(error)) => return Ok(ended(server.unreachable(&error))),
            None => return Ok(lost("the server ended the stream".into())),
        }
        for block in blocks.drain(..) {
            match block {
                Block::Retry(ms) => after = Duration::from_millis(ms),
                Block::Cursor(id) => {
                    if !std::mem::replace(&mut is_open, true) {
                        ear.opened();
                    }
                    asked.place.since = Some(id);
                }
                Block::Event { kind, data, id } if kind == "message" => {
                    if let Some(id) = id {
                        asked.place.since = Some(id);
                    }
                    if take(&data, asked, ear)? == ControlFlow::Break(()) {
                        return Ok(Ended::Done);
                    }
                }
                Block::Event { kind, data, .. } => return Ok(last_block(&kind, &data, after)),
            }
        }
    }
}

/// `expired` and `draining` stand before the end.
fn last_block(kind: &str, data: &str, after: Duration) -> Ended {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let after = data["retry_after_ms"].as_u64().map_or(after, Duration::from_millis);
    told(data["code"].as_str().unwrap_or(kind), after)
}

async fn open(server: &Server, token: &str, address: &str) -> Result<reqwest::Response, Failure> {
    let request = server.http.get(server.url(address)).header(ACCEPT, "text/event-stream");
    let answer = tokio::time::timeout(HEAD_MAX, signed(request, Some(token))?.send()).await;
    let answer = answer.map_err(|_| Failure::Unreachable("the stream's head took longer than 30 s".into()))?;
    let response = answer.map_err(|error| server.unreachable(&error))?;
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return Err(Failure::Foreign("the answer is no event stream: is a proxy in between?".into()));
    }
    Ok(response)
}

// === impl Parser ===

impl Parser {
    /// Takes the next bytes; whole blocks are added to `blocks`.
    ///
    /// # Errors
    /// When a line is longer than any honest one.
    pub(super) fn feed(&mut self, bytes: &[u8], blocks: &mut Vec<Block>) -> Result<(), &'static str> {
        for &byte in bytes {
            let ends_pair = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if ends_pair => {}
                b'\r' | b'\n' => self.end_line(blocks),
                _ if self.line.len() + self.data.len() >= LINE_BYTES_MAX => {
                    return Err("the server sent a line of more than 1 MiB");
                }
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, blocks: &mut Vec<Block>) {
        let line = std::mem::take(&mut self.line);
        let mut text = String::from_utf8_lossy(&line).into_owned();
        if !std::mem::replace(&mut self.first_line_over, true)
            && let Some(rest) = text.strip_prefix('\u{feff}')
        {
            text = rest.to_owned();
        }
        if text.is_empty() {
            return self.dispatch(blocks);
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                blocks.extend(value.parse().ok().map(Block::Retry));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, blocks: &mut Vec<Block>) {
        let (kind, mut data, id) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data), self.id.take());
        if data.pop().is_some() {
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            blocks.push(Block::Event { kind, data, id });
        } else if let Some(id) = id {
            blocks.push(Block::Cursor(id));
        }
    }
}
