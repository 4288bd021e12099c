//! As much of HTTP/1.1 as a client of one server needs, with a few hundred bytes a connection.

use std::{fmt::Write as _, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A head longer than this is no answer of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Status line and headers of an answer; header names are in lower case.
#[derive(Debug, PartialEq)]
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
}

/// Takes the framing off a body, as it arrives.
#[derive(Debug, PartialEq)]
pub enum BodyDecoder {
    /// `Content-Length`, with what is still missing.
    Fixed(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked(ChunkState),
    /// Ends with the connection.
    UntilClose,
}

/// Where in a chunk the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChunkState {
    /// In the size line; `None` before its first digit.
    Size(Option<usize>),
    /// Behind the size, in an extension or before the line feed.
    SizeEnd(usize),
    Data(usize),
    /// Between a chunk's data and the next size line.
    DataEnd,
    /// In a trailer line; the flag says whether it has any sign so far.
    Trailer(bool),
    Done,
}

/// A connection that is used for one request after the other.
pub struct HttpConnection {
    pub stream: TcpStream,
    inbox: Vec<u8>,
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a head, when it is complete: with the number of bytes that it took.
pub fn parse_head(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(malformed("a head without an end")) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| malformed("a head that is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed("no HTTP/1.1 status line"))?;
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header without a colon"))?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<io::Result<_>>()?;
    Ok(Some((Head { status, headers }, end + 4)))
}

/// Reads a whole answer, when it is complete: with the number of bytes that it took.
fn parse_response(bytes: &[u8]) -> io::Result<Option<(Response, usize)>> {
    let Some((head, start)) = parse_head(bytes)? else { return Ok(None) };
    let mut decoder = BodyDecoder::of(&head)?;
    let mut body = Vec::new();
    let used = decoder.feed(&bytes[start..], &mut body)?;
    Ok(decoder.is_done().then_some((Response { head, body }, start + used)))
}

// === impl Head ===

impl Head {
    /// The header's value; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in its form of seconds.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        self.header("retry-after")?.parse().ok().map(std::time::Duration::from_secs_f64)
    }
}

// === impl BodyDecoder ===

impl BodyDecoder {
    /// The decoder that the head asks for.
    pub fn of(head: &Head) -> io::Result<Self> {
        if head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Self::Chunked(ChunkState::Size(None)));
        }
        match head.header("content-length") {
            Some(length) => length.parse().map(Self::Fixed).map_err(|_| malformed("a bad content-length")),
            None if head.status == 204 || head.status == 304 => Ok(Self::Fixed(0)),
            None => Ok(Self::UntilClose),
        }
    }

    /// Whether the body is complete. One that ends with the connection never is.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Fixed(0) | Self::Chunked(ChunkState::Done))
    }

    /// Appends the body's bytes to `out` and says how many of the input were used.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::UntilClose => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Fixed(missing) => {
                let take = input.len().min(*missing);
                out.extend_from_slice(&input[..take]);
                *missing -= take;
                Ok(take)
            }
            Self::Chunked(state) => state.feed(input, out),
        }
    }
}

// === impl ChunkState ===

impl ChunkState {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let mut at = 0;
        while at < input.len() && *self != Self::Done {
            if let Self::Data(missing) = *self {
                let take = missing.min(input.len() - at);
                out.extend_from_slice(&input[at..at + take]);
                at += take;
                *self = if take == missing { Self::DataEnd } else { Self::Data(missing - take) };
            } else {
                *self = self.after(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The next state outside of data.
    fn after(self, byte: u8) -> io::Result<Self> {
        let digit = (byte as char).to_digit(16).map(|digit| digit as usize);
        Ok(match (self, byte, digit) {
            (Self::Size(size), _, Some(digit)) if size.unwrap_or(0) <= usize::MAX >> 8 => {
                Self::Size(Some(size.unwrap_or(0) * 16 + digit))
            }
            (Self::Size(Some(size)), b'\r' | b';' | b' ', _) => Self::SizeEnd(size),
            (Self::SizeEnd(0), b'\n', _) => Self::Trailer(false),
            (Self::SizeEnd(size), b'\n', _) => Self::Data(size),
            (Self::SizeEnd(size), _, _) => Self::SizeEnd(size),
            (Self::DataEnd, b'\r', _) => Self::DataEnd,
            (Self::DataEnd, b'\n', _) => Self::Size(None),
            (Self::Trailer(false), b'\n', _) => Self::Done,
            (Self::Trailer(true), b'\n', _) => Self::Trailer(false),
            (Self::Trailer(any), b'\r', _) => Self::Trailer(any),
            (Self::Trailer(_), _, _) => Self::Trailer(true),
            _ => return Err(malformed("broken chunk framing")),
        })
    }
}

// === impl HttpConnection ===

impl HttpConnection {
    /// Takes over a fresh connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, inbox: Vec::new() }
    }

    /// Sends a request; a body is JSON.
    pub async fn send(&mut self, line: &str, headers: &[(&str, &str)], body: Option<&str>) -> io::Result<()> {
        let mut text = format!("{line} HTTP/1.1\r\nHost: campanile\r\n");
        for (name, value) in headers {
            // Writing to a String does not fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        match body {
            Some(body) => {
                let length = body.len();
                let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
            }
            None => text.push_str("\r\n"),
        }
        self.stream.write_all(text.as_bytes()).await
    }

    /// Waits for a whole answer. Cancel-safe: what has arrived stays in the inbox.
    pub async fn response(&mut self) -> io::Result<Response> {
        loop {
            if let Some((response, used)) = parse_response(&self.inbox)? {
                self.inbox.drain(..used);
                if self.inbox.is_empty() {
                    // An idle poll must not keep the room of its largest answer.
                    self.inbox = Vec::new();
                }
                return Ok(response);
            }
            self.fill().await?;
        }
    }

    /// Waits for a head and gives what came behind it, and the socket, to the reader of an endless body.
    pub async fn into_stream(mut self) -> io::Result<(Head, Vec<u8>, TcpStream)> {
        loop {
            if let Some((head, used)) = parse_head(&self.inbox)? {
                self.inbox.drain(..used);
                return Ok((head, self.inbox, self.stream));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.inbox.reserve(4096);
        match self.stream.read_buf(&mut self.inbox).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
