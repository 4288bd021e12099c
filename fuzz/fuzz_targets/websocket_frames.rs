//! Whatever bytes a client sends: no panic, bounded memory, and one verdict however the bytes are cut.
//!
//! The codec's files are included rather than `campanile-live` linked, so that a run builds in seconds.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/live/src/socket/ws/decoder.rs"]
mod decoder;
#[allow(dead_code)]
#[path = "../../crates/live/src/socket/ws/frame.rs"]
mod frame;
#[allow(dead_code)]
#[path = "../../crates/live/src/socket/ws/violation.rs"]
mod violation;

use bytes::BytesMut;
use decoder::{Decoder, Limits, Message};
use libfuzzer_sys::fuzz_target;
use violation::Violation;

/// Small, so that the fuzzer finds both sides of every limit.
const LIMITS: Limits = Limits { message_bytes_max: 300, fragments_max: 8 };

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut messages = Vec::new();
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(decoder.held_bytes(), 0);
                    return (messages, Some(violation));
                }
            }
        }
        assert!(input.is_empty());
        assert!(decoder.held_bytes() <= 2 * (LIMITS.message_bytes_max + 131) + 64);
    }
    (messages, None)
}

// The first byte says where the rest is cut in two.
fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let whole = decode([bytes].into_iter());
    assert_eq!(decode(bytes.chunks(1)), whole);
    let (left, right) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(decode([left, right].into_iter()), whole);
});
