//! The messages that a client's bytes make up: bytes in, messages out, and no I/O (RFC 6455).
//!
//! Invariant: a decoder between two messages owns no memory outside of itself, and how the bytes were cut on their way
//! changes neither the messages nor the violation they end with.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{CloseFrame, Header, Opcode, unmask, utf8};
use super::violation::Violation;

/// What a peer may ask the decoder to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of one message, all its fragments together.
    pub message_bytes_max: usize,
    /// The frames that one message may come in.
    pub fragments_max: u32,
}

impl Limits {
    /// For a connection whose caller is not known yet: 4 KiB a message.
    pub const BEFORE_AUTHENTICATION: Self = Self { message_bytes_max: 4 * 1024, fragments_max: 1024 };
    /// For a known caller: 64 KiB a message.
    pub const AUTHENTICATED: Self = Self { message_bytes_max: 64 * 1024, fragments_max: 1024 };
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A whole text message, known to be UTF-8.
    Text(Box<str>),
    /// To be answered by [`pong`](super::frame::pong) with the same bytes.
    Ping(Bytes),
    /// The answer to a [`ping`](super::frame::ping), or unasked: both are legal.
    Pong(Bytes),
    /// The client's last word; to be answered by [`close_reply`](super::frame::close_reply).
    Close(Option<CloseFrame>),
}

/// Turns the bytes of one client into messages.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    phase: Phase,
    /// The bytes so far of a frame that has not come in whole; empty, and without an allocation, between frames.
    partial: Vec<u8>,
    /// The message whose last fragment has not come. Boxed, since nearly every message comes in one frame.
    fragments: Option<Box<Fragments>>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Reading,
    Closed,
    Refused(Violation),
}

impl Decoder {
    /// A decoder at the start of a connection, after the handshake.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, phase: Phase::Reading, partial: Vec::new(), fragments: None }
    }

    /// Replaces the limit of a message, from the next frame on: the caller has become known.
    pub const fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.limits.message_bytes_max = message_bytes_max;
    }

    /// Takes the next message out of `input`.
    ///
    /// Everything is taken out of `input` before `None` is answered, so that many connections can share one read
    /// buffer. After a Close frame, what follows is thrown away (RFC 6455, 1.4); after a violation, the answer is
    /// always that violation.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        if let Phase::Reading = self.phase {
            let outcome = self.next_message(input);
            match &outcome {
                Err(violation) => self.phase = Phase::Refused(*violation),
                Ok(Some(Message::Close(_))) => self.phase = Phase::Closed,
                Ok(_) => return outcome,
            }
            self.partial = Vec::new();
            self.fragments = None;
            input.clear();
            return outcome;
        }
        input.clear();
        match self.phase {
            Phase::Refused(violation) => Err(violation),
            Phase::Reading | Phase::Closed => Ok(None),
        }
    }

    /// The bytes allocated for what has not come in whole: 0 between messages, and never more than about twice the limit
    /// of a message and one control frame (131 bytes), since vectors double.
    pub fn held_bytes(&self) -> usize {
        let assembled = self.fragments.as_ref().map_or(0, |open| size_of::<Fragments>() + open.bytes.capacity());
        self.partial.capacity() + assembled
    }

    fn next_message(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Violation> {
        while let Some(header) = self.gather_frame(input)? {
            let message = if self.partial.is_empty() {
                let message = self.take_frame(header, &mut input[header.header_bytes..header.frame_bytes()])?;
                input.advance(header.frame_bytes());
                message
            } else {
                let mut frame = std::mem::take(&mut self.partial);
                self.take_frame(header, &mut frame[header.header_bytes..])?
            };
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Finds the next whole frame: at the start of `input` when all of it is there, else collected in `partial`.
    fn gather_frame(&mut self, input: &mut BytesMut) -> Result<Option<Header>, Violation> {
        if self.partial.is_empty() {
            if let Some(header) = self.header_of(input)?
                && header.frame_bytes() <= input.len()
            {
                return Ok(Some(header));
            }
            self.partial.extend_from_slice(input);
            input.clear();
            return Ok(None);
        }
        loop {
            let header = self.header_of(&self.partial)?;
            let wanted_bytes = header.map_or_else(|| Header::wanted_bytes(&self.partial), Header::frame_bytes);
            let missing_bytes = wanted_bytes - self.partial.len();
            if missing_bytes == 0 {
                return Ok(header);
            }
            if input.is_empty() {
                return Ok(None);
            }
            let taken_bytes = missing_bytes.min(input.len());
            self.partial.extend_from_slice(&input[..taken_bytes]);
            input.advance(taken_bytes);
        }
    }

    /// The header at the start of `frame`, once it is whole and nothing speaks against reading its payload.
    fn header_of(&self, frame: &[u8]) -> Result<Option<Header>, Violation> {
        let Some(header) = Header::parse(frame)? else { return Ok(None) };
        if header.opcode.is_control() {
            return Ok(Some(header));
        }
        let (assembled_bytes, count) = match (&self.fragments, header.opcode) {
            (Some(open), Opcode::Continuation) => (open.bytes.len(), open.count),
            (None, Opcode::Continuation) => return Err(Violation::ContinuationUnexpected),
            (Some(_), _) => return Err(Violation::ContinuationExpected),
            (None, _) => (0, 0),
        };
        if count >= self.limits.fragments_max {
            return Err(Violation::TooManyFragments);
        }
        if header.payload_bytes > self.limits.message_bytes_max.saturating_sub(assembled_bytes) {
            return Err(Violation::MessageTooBig);
        }
        if header.opcode == Opcode::Binary {
            return Err(Violation::BinaryNotSupported);
        }
        Ok(Some(header))
    }

    /// Judges one whole frame; answers the message that it completes.
    fn take_frame(&mut self, header: Header, payload: &mut [u8]) -> Result<Option<Message>, Violation> {
        unmask(payload, header.mask);
        match header.opcode {
            Opcode::Ping => Ok(Some(Message::Ping(Bytes::copy_from_slice(payload)))),
            Opcode::Pong => Ok(Some(Message::Pong(Bytes::copy_from_slice(payload)))),
            Opcode::Close => Ok(Some(Message::Close(CloseFrame::parse(payload)?))),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.take_data(header.fin, payload),
        }
    }

    fn take_data(&mut self, fin: bool, payload: &[u8]) -> Result<Option<Message>, Violation> {
        let open = self.fragments.take();
        if fin && open.is_none() {
            return Ok(Some(Message::Text(utf8(payload)?.into())));
        }
        let mut open = open.unwrap_or_default();
        open.push(payload)?;
        if fin {
            return Ok(Some(Message::Text(utf8(&open.bytes)?.into())));
        }
        self.fragments = Some(open);
        Ok(None)
    }
}

/// A message in the making.
#[derive(Debug, Default)]
struct Fragments {
    bytes: Vec<u8>,
    /// How far `bytes` are known to be UTF-8. What follows is at most the start of one character.
    utf8_bytes: usize,
    count: u32,
}

impl Fragments {
    /// Appends a fragment, and refuses at once what no later fragment can turn into UTF-8 any more.
    fn push(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        match simdutf8::compat::from_utf8(&self.bytes[self.utf8_bytes..]) {
            Ok(_) => self.utf8_bytes = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.utf8_bytes += error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }
}
