//! One frame of RFC 6455: the header that a client sends, and the whole frames that the server sends.

use bytes::Bytes;

use super::violation::Violation;

/// The largest payload of a control frame (RFC 6455, 5.5), and of a length that fits into the second byte.
const CONTROL_BYTES_MAX: usize = 125;

/// The bytes of the masking key, which every frame of a client carries.
const MASK_BYTES: usize = 4;

/// The body of a Close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// A code that is allowed on the wire: 1000–1003, 1007–1014 or 3000–4999.
    pub code: u16,
    /// At most 123 bytes, often empty.
    pub reason: Box<str>,
}

// === The server's own frames: whole, unmasked, encoded once and shared by reference ===

/// A text message in one frame. `payload` must be UTF-8, as every JSON text is.
pub fn text(payload: &[u8]) -> Bytes {
    encode(Opcode::Text, payload)
}

/// A Ping with at most 125 bytes.
pub fn ping(payload: &[u8]) -> Bytes {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "a ping carries at most 125 bytes");
    encode(Opcode::Ping, payload)
}

/// The answer to a Ping that carried `payload`.
pub fn pong(payload: &[u8]) -> Bytes {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "a pong carries at most 125 bytes");
    encode(Opcode::Pong, payload)
}

/// Our Close frame: a code that may be sent and a reason of at most 123 bytes.
pub fn close(code: u16, reason: &str) -> Bytes {
    assert!(may_be_sent(code), "close code {code} must not be sent");
    assert!(reason.len() <= CONTROL_BYTES_MAX - 2, "a close reason has at most 123 bytes");
    encode(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The answer to a client's Close: its code, if it gave one (RFC 6455, 5.5.1).
pub fn close_reply(received: Option<&CloseFrame>) -> Bytes {
    received.map_or_else(|| encode(Opcode::Close, &[]), |frame| close(frame.code, ""))
}

/// One buffer of exactly the frame's size: it may be kept by thousands of queues for a while.
fn encode(opcode: Opcode, payload: &[u8]) -> Bytes {
    let first = 0x80 | opcode as u8;
    let length = payload.len();
    let frame = if length <= CONTROL_BYTES_MAX {
        [&[first, length as u8], payload].concat()
    } else if let Ok(length) = u16::try_from(length) {
        [&[first, 126], &length.to_be_bytes()[..], payload].concat()
    } else {
        [&[first, 127], &(length as u64).to_be_bytes()[..], payload].concat()
    };
    Bytes::from(frame)
}

// === A client's frames ===

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

impl Opcode {
    const fn parse(nibble: u8) -> Result<Self, Violation> {
        match nibble {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            _ => Err(Violation::ReservedOpcode),
        }
    }

    pub(super) const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; MASK_BYTES],
    pub(super) header_bytes: usize,
    pub(super) payload_bytes: usize,
}

impl Header {
    /// Reads a header from the start of `frame`, `None` while it is not whole. What it refuses depends on nothing but
    /// the header, and the earlier byte is judged first, so that no way of cutting the stream changes the verdict.
    pub(super) fn parse(frame: &[u8]) -> Result<Option<Self>, Violation> {
        let &[first, second, ..] = frame else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::parse(first & 0x0F)?;
        let fin = first & 0x80 != 0;
        let short_length = second & 0x7F;
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        if opcode.is_control() && usize::from(short_length) > CONTROL_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }
        let header_bytes = Self::wanted_bytes(frame);
        let Some(rest) = frame.get(2..header_bytes) else { return Ok(None) };
        let (length, mask) = rest.split_at(rest.len() - MASK_BYTES);
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        let payload_bytes = payload_bytes(short_length, length)?;
        Ok(Some(Self { fin, opcode, mask, header_bytes, payload_bytes }))
    }

    /// How many bytes of a frame must be there before its header can be judged any further.
    pub(super) fn wanted_bytes(frame: &[u8]) -> usize {
        match frame.get(1).map(|second| second & 0x7F) {
            None => 2,
            Some(126) => 2 + 2 + MASK_BYTES,
            Some(127) => 2 + 8 + MASK_BYTES,
            Some(_) => 2 + MASK_BYTES,
        }
    }

    /// Cannot overflow: a header is used only once its payload was found to be within the limit.
    pub(super) const fn frame_bytes(self) -> usize {
        self.header_bytes + self.payload_bytes
    }
}

/// The length of a payload, from the seven bits of the second byte and the zero, two or eight bytes that follow it.
fn payload_bytes(short_length: u8, length: &[u8]) -> Result<usize, Violation> {
    let long_length = length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let least = match short_length {
        126 => 126,
        127 => 1 << 16,
        _ => return Ok(usize::from(short_length)),
    };
    if long_length < least {
        return Err(Violation::LengthNotMinimal);
    }
    if long_length >> 63 != 0 {
        return Err(Violation::LengthOutOfRange);
    }
    usize::try_from(long_length).map_err(|_| Violation::MessageTooBig)
}

impl CloseFrame {
    /// Reads the unmasked payload of a Close frame, which may be empty.
    pub(super) fn parse(payload: &[u8]) -> Result<Option<Self>, Violation> {
        match payload {
            [] => Ok(None),
            [_] => Err(Violation::CloseTruncated),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !may_be_sent(code) {
                    return Err(Violation::CloseCodeNotAllowed);
                }
                Ok(Some(Self { code, reason: utf8(reason)?.into() }))
            }
        }
    }
}

/// RFC 6455, 7.4, and the codes that the IANA registry has added since (1012 to 1014).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Takes a client's mask off (or puts it on), eight bytes at a time.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    let [a, b, c, d] = mask;
    let wide_mask = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide_mask).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Violation> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Violation::InvalidUtf8)
}
