//! The rules of the codec, each test a sentence.

mod conversation;
mod handshake;
mod oracle;
mod splits;
mod vectors;

use bytes::{Bytes, BytesMut};

use super::decoder::{Decoder, Limits, Message};
use super::frame::{self, CloseFrame, unmask};
use super::violation::Violation;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const MASKED: u8 = 0x80;

/// The key of the vectors, and of every frame here that does not name its own.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Everything that a decoder made of some bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Message>,
    violation: Option<Violation>,
}

/// Feeds the pieces one after the other, and asserts on the way that nothing is left behind in the input, that memory
/// stays within its bound, and that between messages there is none.
fn decode_pieces<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let held_bytes_max = 2 * (limits.message_bytes_max + 131) + 64;
    let mut decoder = Decoder::new(limits);
    let mut messages = Vec::new();
    let mut input = BytesMut::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!((decoder.held_bytes(), input.len()), (0, 0), "a refused connection keeps nothing");
                    return Outcome { messages, violation: Some(violation) };
                }
            }
        }
        assert!(input.is_empty(), "the shared read buffer must be left empty");
        assert!(decoder.held_bytes() <= held_bytes_max, "{} bytes held", decoder.held_bytes());
    }
    Outcome { messages, violation: None }
}

fn decode(bytes: &[u8]) -> Outcome {
    decode_pieces(Limits::AUTHENTICATED, [bytes])
}

/// Decodes the bytes whole, one by one and cut in two at every point, and asserts that it makes no difference.
fn decode_every_split(limits: Limits, bytes: &[u8]) -> Outcome {
    let whole = decode_pieces(limits, [bytes]);
    assert_eq!(decode_pieces(limits, bytes.chunks(1)), whole, "byte by byte");
    for at in 1..bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(decode_pieces(limits, [left, right]), whole, "cut at {at}");
    }
    whole
}

/// One frame of a client, its length in the shortest form.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = client_header(first, payload.len() as u64);
    bytes.extend(masked(payload));
    bytes
}

fn client_header(first: u8, length: u64) -> Vec<u8> {
    let length = match length {
        0..=125 => vec![MASKED | length as u8],
        126..=0xFFFF => [&[MASKED | 126], &(length as u16).to_be_bytes()[..]].concat(),
        _ => [&[MASKED | 127], &length.to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], &MASK].concat()
}

fn masked(payload: &[u8]) -> Vec<u8> {
    payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

#[track_caller]
fn check_messages(bytes: &[u8], expect: &[Message]) {
    assert_eq!(decode_every_split(Limits::AUTHENTICATED, bytes), Outcome { messages: expect.to_vec(), violation: None });
}

#[track_caller]
fn check_refused(bytes: &[u8], code: u16, word: &str, expect: Violation) {
    let outcome = decode_every_split(Limits::AUTHENTICATED, bytes);
    assert_eq!(outcome.violation, Some(expect));
    assert_eq!((expect.close_reason().code(), expect.close_reason().word()), (code, word));
}

#[track_caller]
fn check_protocol_error(bytes: &[u8], expect: Violation) {
    check_refused(bytes, 1002, "protocol_error", expect);
}

#[test]
fn a_decoder_is_small_and_an_idle_one_holds_no_buffer() {
    assert!(size_of::<Decoder>() <= 56, "{} bytes for every idle connection", size_of::<Decoder>());
    let mut decoder = Decoder::new(Limits::AUTHENTICATED);
    let fragmented = [client_frame(TEXT, b"Hel"), client_frame(FIN | CONTINUATION, b"lo")].concat();
    let mut held_bytes_seen = 0;
    for byte in &fragmented {
        decoder.decode(&mut BytesMut::from(&[*byte][..])).unwrap();
        held_bytes_seen = held_bytes_seen.max(decoder.held_bytes());
    }
    assert!(held_bytes_seen > 0);
    assert_eq!(decoder.held_bytes(), 0);
}

#[test]
fn a_slow_ping_within_an_almost_finished_message_stays_within_the_memory_bound() {
    let ping = client_frame(FIN | PING, &[b'p'; 125]);
    let bytes = [client_frame(TEXT, &[b'x'; 999]), client_frame(CONTINUATION, b"x"), ping].concat();
    let outcome = decode_pieces(Limits { message_bytes_max: 1000, fragments_max: 2 }, bytes.chunks(1));
    assert_eq!(outcome.messages, [Message::Ping(Bytes::from_static(&[b'p'; 125]))]);
}

#[test]
fn several_frames_in_one_read_come_out_one_by_one() {
    let bytes = [client_frame(FIN | TEXT, b"a"), client_frame(FIN | PING, b"b"), client_frame(FIN | TEXT, b"c")].concat();
    check_messages(&bytes, &[text("a"), Message::Ping(Bytes::from_static(b"b")), text("c")]);
}

#[test]
fn control_frames_may_come_between_the_fragments_of_a_message() {
    let bytes = [
        client_frame(TEXT, "gr\u{fc}".as_bytes()),
        client_frame(FIN | PING, b"1"),
        client_frame(CONTINUATION, b""),
        client_frame(FIN | PONG, b"2"),
        client_frame(FIN | CONTINUATION, "\u{df} dich".as_bytes()),
    ]
    .concat();
    let expect = [Message::Ping(Bytes::from_static(b"1")), Message::Pong(Bytes::from_static(b"2")), text("grüß dich")];
    check_messages(&bytes, &expect);
}

#[test]
fn a_message_of_exactly_the_limit_passes_in_every_length_form() {
    for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536] {
        let payload = "x".repeat(length);
        let outcome = decode(&client_frame(FIN | TEXT, payload.as_bytes()));
        assert_eq!(outcome, Outcome { messages: vec![text(&payload)], violation: None }, "{length} bytes");
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header_alone() {
    let header = client_header(FIN | TEXT, 65_537);
    check_refused(&header, 4009, "message_too_big", Violation::MessageTooBig);
    let far_too_big = client_header(TEXT, u64::MAX >> 1);
    check_refused(&far_too_big, 4009, "message_too_big", Violation::MessageTooBig);
}

#[test]
fn all_fragments_together_are_held_to_the_limit_of_a_message() {
    let first = client_frame(TEXT, &vec![b'x'; 65_530]);
    let fits = [first.clone(), client_frame(FIN | CONTINUATION, b"123456")].concat();
    assert_eq!(decode(&fits).messages, [text(&format!("{}123456", "x".repeat(65_530)))]);
    let too_big = [first, client_header(FIN | CONTINUATION, 7)].concat();
    assert_eq!(decode(&too_big), Outcome { messages: vec![], violation: Some(Violation::MessageTooBig) });
}

#[test]
fn the_limit_is_4_kib_before_authentication_and_can_be_raised_after_it() {
    let message = client_frame(FIN | TEXT, &[b'x'; 4097]);
    let mut decoder = Decoder::new(Limits::BEFORE_AUTHENTICATION);
    assert_eq!(decoder.decode(&mut BytesMut::from(&message[..])), Err(Violation::MessageTooBig));
    let mut decoder = Decoder::new(Limits::BEFORE_AUTHENTICATION);
    decoder.set_message_bytes_max(Limits::AUTHENTICATED.message_bytes_max);
    assert_eq!(decoder.decode(&mut BytesMut::from(&message[..])), Ok(Some(text(&"x".repeat(4097)))));
}

#[test]
fn a_message_may_come_in_1024_fragments_and_not_in_1025() {
    let flood = |continuations: usize| -> Vec<u8> {
        let fragments = std::iter::repeat_n(client_frame(CONTINUATION, b"x"), continuations).flatten();
        client_frame(TEXT, b"x").into_iter().chain(fragments).collect()
    };
    let fits = [flood(1022), client_frame(FIN | CONTINUATION, b"x")].concat();
    assert_eq!(decode(&fits), Outcome { messages: vec![text(&"x".repeat(1024))], violation: None });
    let too_many = [flood(1023), client_frame(FIN | CONTINUATION, b"x")].concat();
    assert_eq!(decode(&too_many), Outcome { messages: vec![], violation: Some(Violation::TooManyFragments) });
    let reason = Violation::TooManyFragments.close_reason();
    assert_eq!((reason.code(), reason.word()), (4009, "too_many_fragments"));
}

#[test]
fn binary_is_refused_whole_or_fragmented_before_its_payload_comes() {
    for first in [FIN | BINARY, BINARY] {
        check_refused(&client_header(first, 5), 1003, "binary_not_supported", Violation::BinaryNotSupported);
    }
}

#[test]
fn a_clients_frame_must_be_masked() {
    check_protocol_error(&[FIN | TEXT, 1, b'x'], Violation::Unmasked);
    check_protocol_error(&[FIN | PING, 0], Violation::Unmasked);
}

#[test]
fn every_reserved_bit_and_every_reserved_opcode_is_refused() {
    for bit in [0x40, 0x20, 0x10] {
        check_protocol_error(&client_frame(FIN | bit | TEXT, b"x"), Violation::ReservedBits);
        check_protocol_error(&client_frame(FIN | bit | PING, b"x"), Violation::ReservedBits);
    }
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        check_protocol_error(&client_frame(FIN | opcode, b""), Violation::ReservedOpcode);
    }
}

#[test]
fn control_frames_are_neither_fragmented_nor_longer_than_125_bytes() {
    for opcode in [CLOSE, PING, PONG] {
        check_protocol_error(&client_frame(opcode, b""), Violation::ControlFragmented);
        check_protocol_error(&client_frame(FIN | opcode, &[b'x'; 126]), Violation::ControlTooLong);
        check_protocol_error(&[FIN | opcode, MASKED | 127], Violation::ControlTooLong);
    }
}

#[test]
fn continuation_frames_come_after_a_first_fragment_and_nothing_else_does() {
    check_protocol_error(&client_frame(FIN | CONTINUATION, b"x"), Violation::ContinuationUnexpected);
    check_protocol_error(&client_frame(CONTINUATION, b"x"), Violation::ContinuationUnexpected);
    for opcode in [TEXT, BINARY] {
        let bytes = [client_frame(TEXT, b"a"), client_frame(FIN | opcode, b"b")].concat();
        check_protocol_error(&bytes, Violation::ContinuationExpected);
    }
    let after_the_end =
        [client_frame(TEXT, b"a"), client_frame(FIN | CONTINUATION, b"b"), client_frame(FIN | CONTINUATION, b"c")];
    check_protocol_error(&after_the_end.concat(), Violation::ContinuationUnexpected);
}

#[test]
fn a_length_is_in_its_shortest_form_and_below_2_to_the_63() {
    let sixteen = |length: u16| [&[FIN | TEXT, MASKED | 126], &length.to_be_bytes()[..], &MASK].concat();
    let sixty_four = |length: u64| [&[FIN | TEXT, MASKED | 127], &length.to_be_bytes()[..], &MASK].concat();
    check_protocol_error(&sixteen(0), Violation::LengthNotMinimal);
    check_protocol_error(&sixteen(125), Violation::LengthNotMinimal);
    check_protocol_error(&sixty_four(5), Violation::LengthNotMinimal);
    check_protocol_error(&sixty_four(65_535), Violation::LengthNotMinimal);
    check_protocol_error(&sixty_four(1 << 63), Violation::LengthOutOfRange);
    check_protocol_error(&sixty_four(u64::MAX), Violation::LengthOutOfRange);
}

#[test]
fn every_close_code_is_judged_as_the_registry_says() {
    for code in 0..=u16::MAX {
        let outcome = decode(&client_frame(FIN | CLOSE, &code.to_be_bytes()));
        let legal = match code {
            1004..=1006 | 1015 => false,
            1000..=1014 | 3000..=4999 => true,
            _ => false,
        };
        let closed = Message::Close(Some(CloseFrame { code, reason: "".into() }));
        let expect = match legal {
            true => Outcome { messages: vec![closed], violation: None },
            false => Outcome { messages: vec![], violation: Some(Violation::CloseCodeNotAllowed) },
        };
        assert_eq!(outcome, expect, "close code {code}");
    }
}

#[test]
fn a_close_may_be_empty_or_carry_a_reason_in_utf8_but_not_half_a_code() {
    check_messages(&client_frame(FIN | CLOSE, b""), &[Message::Close(None)]);
    let bye = CloseFrame { code: 1000, reason: "tschüß".into() };
    check_messages(&client_frame(FIN | CLOSE, b"\x03\xe8tsch\xc3\xbc\xc3\x9f"), &[Message::Close(Some(bye))]);
    check_protocol_error(&client_frame(FIN | CLOSE, b"\x03"), Violation::CloseTruncated);
    check_refused(&client_frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007, "invalid_utf8", Violation::InvalidUtf8);
}

#[test]
fn what_follows_a_close_is_thrown_away() {
    let bytes = [client_frame(TEXT, b"never ends"), client_frame(FIN | CLOSE, b""), vec![0xFF; 100]].concat();
    check_messages(&bytes, &[Message::Close(None)]);
}

#[test]
fn a_violation_is_final() {
    let mut decoder = Decoder::new(Limits::AUTHENTICATED);
    let bytes = [client_frame(FIN | BINARY, b"x"), client_frame(FIN | TEXT, b"x")].concat();
    assert_eq!(decoder.decode(&mut BytesMut::from(&bytes[..])), Err(Violation::BinaryNotSupported));
    let mut more = BytesMut::from(&client_frame(FIN | TEXT, b"x")[..]);
    assert_eq!(decoder.decode(&mut more), Err(Violation::BinaryNotSupported));
    assert!(more.is_empty());
}

#[test]
fn text_that_no_later_fragment_can_mend_is_refused_at_once() {
    let hopeless = [client_frame(TEXT, b"ok \xce"), client_frame(CONTINUATION, b"x")].concat();
    check_refused(&hopeless, 1007, "invalid_utf8", Violation::InvalidUtf8);
    let ends_too_early = [client_frame(TEXT, b"ok \xce"), client_frame(FIN | CONTINUATION, b"")].concat();
    check_refused(&ends_too_early, 1007, "invalid_utf8", Violation::InvalidUtf8);
    let mended = [client_frame(TEXT, b"ok \xce"), client_frame(FIN | CONTINUATION, b"\xba")].concat();
    check_messages(&mended, &[text("ok \u{3ba}")]);
}

#[test]
fn unmasking_by_words_is_unmasking_by_bytes() {
    for length in 0..=33 {
        let payload: Vec<u8> = (0..length).collect();
        let mut by_words = payload.clone();
        unmask(&mut by_words, MASK);
        assert_eq!(by_words, masked(&payload), "{length} bytes");
    }
}

#[test]
fn server_frames_are_one_unmasked_frame_with_the_shortest_length() {
    for (length, header) in [
        (0, &[0x81, 0][..]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (65_535, &[0x81, 126, 0xFF, 0xFF]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let payload = vec![b'x'; length];
        assert_eq!(frame::text(&payload), [header, &payload].concat(), "{length} bytes");
    }
    assert_eq!(frame::ping(b"hi"), b"\x89\x02hi"[..]);
    assert_eq!(frame::pong(b"hi"), b"\x8a\x02hi"[..]);
    assert_eq!(frame::close(4009, "message_too_big"), b"\x88\x11\x0f\xa9message_too_big"[..]);
    assert_eq!(frame::close_reply(None), b"\x88\x00"[..]);
    assert_eq!(frame::close_reply(Some(&CloseFrame { code: 1001, reason: "tab".into() })), b"\x88\x02\x03\xe9"[..]);
}

#[test]
#[should_panic(expected = "close code 1005 must not be sent")]
fn the_server_never_sends_a_code_that_is_not_for_the_wire() {
    frame::close(1005, "");
}

#[test]
#[should_panic(expected = "a close reason has at most 123 bytes")]
fn the_server_never_sends_a_close_reason_over_123_bytes() {
    frame::close(1000, &"x".repeat(124));
}
