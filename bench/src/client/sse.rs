//! The SSE client: an EventSource as WHATWG HTML 9.2 describes it, which remembers the last id and the advised pause.

use std::{io, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{
    Cause, Ear, Ended, Heard, Leave,
    dial::Dial,
    frame::hear_frame,
    http::{BodyDecoder, HttpConnection},
};

/// How long the answer's head may take.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// A parser's line buffer above this is given back once the line is read.
const LINE_BYTES_KEPT_MAX: usize = 4096;

/// What an event stream says.
#[derive(Debug, PartialEq)]
pub enum Block {
    /// Dispatched to listeners.
    Event { kind: String, data: String, last_event_id: String },
    /// A block without data: nothing is dispatched, but the last id is this one from now on.
    IdOnly(String),
    /// The pause before the next connect, in milliseconds.
    Retry(u64),
}

/// The line-by-line interpretation of an event stream.
#[derive(Default)]
pub struct SseParser {
    line: Vec<u8>,
    after_cr: bool,
    after_first_line: bool,
    data: String,
    kind: String,
    id: Option<String>,
    last_event_id: String,
}

/// One `GET /api/events`.
pub struct SseSession {
    stream: TcpStream,
    body: BodyDecoder,
    parser: SseParser,
    /// What came in one packet with the head.
    rest: Vec<u8>,
    since: Option<u64>,
    established: bool,
}

// === impl SseParser ===

impl SseParser {
    /// Takes the next bytes of the stream; complete blocks are appended to `blocks`.
    pub fn feed(&mut self, bytes: &[u8], blocks: &mut Vec<Block>) {
        for &byte in bytes {
            let second_half = self.after_cr && byte == b'\n';
            self.after_cr = byte == b'\r';
            match byte {
                b'\n' if second_half => {}
                b'\r' | b'\n' => self.end_line(blocks),
                _ => self.line.push(byte),
            }
        }
    }

    fn end_line(&mut self, blocks: &mut Vec<Block>) {
        let line = std::mem::take(&mut self.line);
        let mut text = String::from_utf8_lossy(&line);
        if !std::mem::replace(&mut self.after_first_line, true)
            && let Some(rest) = text.strip_prefix('\u{feff}')
        {
            text = rest.to_owned().into();
        }
        if text.is_empty() {
            self.dispatch(blocks);
        } else {
            let (field, value) = text.split_once(':').unwrap_or((&text, ""));
            self.take_field(field, value.strip_prefix(' ').unwrap_or(value), blocks);
        }
        drop(text);
        if line.capacity() <= LINE_BYTES_KEPT_MAX {
            self.line = line;
            self.line.clear();
        }
    }

    fn take_field(&mut self, field: &str, value: &str, blocks: &mut Vec<Block>) {
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
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        let id = self.id.take();
        if let Some(id) = &id {
            id.clone_into(&mut self.last_event_id);
        }
        if data.pop().is_some() {
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            blocks.push(Block::Event { kind, data, last_event_id: self.last_event_id.clone() });
        } else if let Some(id) = id {
            blocks.push(Block::IdOnly(id));
        }
    }
}

// === impl SseSession ===

impl SseSession {
    /// Connects; the cursor goes as `Last-Event-ID`, as an EventSource sends it.
    pub async fn open(dial: &Dial, since: Option<u64>) -> Result<Self, Ended> {
        let mut connection = HttpConnection::new(dial.connect().await?);
        let bearer = format!("Bearer {}", dial.token);
        let cursor = since.map(|since| since.to_string());
        let mut headers = vec![("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
        headers.extend(cursor.as_deref().map(|cursor| ("Last-Event-ID", cursor)));
        connection.send(&format!("GET /api/events{}", dial.query(None)), &headers, None).await?;
        let (head, rest, stream) = tokio::time::timeout(HEAD_MAX, connection.into_stream())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if head.status != 200 {
            let code = String::from_utf8_lossy(&rest).into_owned();
            return Err(Ended {
                close_code: 0,
                cause: Cause::Refused { status: head.status, code },
                come_back: head.retry_after(),
            });
        }
        let body = BodyDecoder::of(&head)?;
        Ok(Self { stream, body, parser: SseParser::default(), rest, since, established: false })
    }

    /// Waits for the next bytes of the stream.
    pub async fn read(&mut self, ear: &mut impl Ear) -> Result<(), Ended> {
        if self.rest.is_empty() {
            let mut inbox = Vec::new();
            self.stream.readable().await?;
            inbox.reserve(4096);
            if self.stream.read_buf(&mut inbox).await? == 0 {
                let proper = matches!(self.body, BodyDecoder::UntilClose);
                let cause = if proper { Cause::Closed } else { Cause::Broken(io::ErrorKind::UnexpectedEof.into()) };
                return Err(Ended::of(cause));
            }
            self.rest = inbox;
        }
        let mut text = Vec::new();
        self.body.feed(&self.rest, &mut text)?;
        self.rest = Vec::new();
        let mut blocks = Vec::new();
        self.parser.feed(&text, &mut blocks);
        for block in blocks {
            self.hear_block(block, ear)?;
        }
        if self.body.is_done() { Err(Ended::of(Cause::Closed)) } else { Ok(()) }
    }

    fn hear_block(&mut self, block: Block, ear: &mut impl Ear) -> Result<(), Ended> {
        let garbage = |what: String| Ended::of(Cause::Garbage(what));
        match block {
            Block::Retry(ms) => ear.hear(Heard::ComeBack(Duration::from_millis(ms))),
            Block::IdOnly(id) => {
                let id = id.parse().map_err(|_| garbage(format!("`id: {id}` is no cursor")))?;
                self.hear_cursor(id, ear);
            }
            Block::Event { kind, data, .. } if kind == "message" => hear_frame(&data, ear).map_err(garbage)?,
            Block::Event { kind, data, .. } => {
                let body: serde_json::Value =
                    serde_json::from_str(&data).map_err(|error| garbage(format!("{error} in event {kind}")))?;
                if let Some(ms) = body["retry_after_ms"].as_u64() {
                    ear.hear(Heard::ComeBack(Duration::from_millis(ms)));
                }
            }
        }
        Ok(())
    }

    /// The first id-only block is the connect answer. To an EventSource any such block is its cursor; a client that
    /// asked for a replay therefore believes it like every other, and loses events if the server said it too early.
    fn hear_cursor(&mut self, id: u64, ear: &mut impl Ear) {
        let first = !std::mem::replace(&mut self.established, true);
        if first {
            ear.hear(Heard::Established { head: id, epoch: None });
        }
        if !first || self.since.is_some() {
            ear.hear(Heard::Cursor(id));
        }
    }

    /// Goes away.
    pub fn leave(self, how: Leave) {
        if how == Leave::Reset {
            drop(self.stream.set_zero_linger());
        }
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
