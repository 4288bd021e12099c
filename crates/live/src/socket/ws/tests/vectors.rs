//! The codec held against the byte vectors of `websocket-frames.json`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version};
use serde_json::Value;

use super::*;

/// Prints past the test runner, which swallows what passing tests print: the figures are meant to be read.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "vectors: {line}");
}

/// The vectors, or `None` with a plain line if `CAMPANILE_VECTORS` does not say where they are.
fn vectors() -> Option<Value> {
    let Ok(folder) = std::env::var("CAMPANILE_VECTORS") else {
        say("skipped: CAMPANILE_VECTORS is not set (websocket-frames.json)");
        return None;
    };
    let path = Path::new(&folder).join("own/websocket-frames.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_str(&text).unwrap())
}

fn cases<'a>(vectors: &'a Value, group: &str) -> &'a [Value] {
    let cases = vectors[group].as_array().unwrap();
    assert!(!cases.is_empty(), "{group} has no cases");
    say(&format!("websocket-frames.json: {} cases of {group}", cases.len()));
    cases
}

fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap()
}

fn bytes_of(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn frames_of(case: &Value) -> Vec<Vec<u8>> {
    match case["frames"].as_array() {
        Some(frames) => frames.iter().map(bytes_of).collect(),
        None => vec![bytes_of(&case["frame"])],
    }
}

/// The same short frame as a client would send it: the vectors of the server's direction carry no mask.
fn as_client(server_frame: &[u8]) -> Vec<u8> {
    assert!(server_frame[1] <= 125 && server_frame.len() == 2 + usize::from(server_frame[1]));
    client_frame(server_frame[0], &server_frame[2..])
}

#[test]
fn every_valid_vector_is_understood_and_answered() {
    let Some(vectors) = vectors() else { return };
    assert_eq!(bytes_of(&vectors["client_mask"]), MASK);
    for case in cases(&vectors, "valid") {
        let id = id(case);
        match (id, case["dir"].as_str()) {
            ("hs-accept", _) => check_handshake(case),
            (id, _) if id.starts_with("pmd-") => check_compressed_is_refused(case),
            (_, Some("server")) if case["header"].is_string() => check_server_header(case),
            (_, Some("server")) => check_server_frames(case),
            _ => check_client_frames(case, &frames_of(case).concat()),
        }
    }
}

fn check_handshake(case: &Value) {
    let headers = HeaderMap::from_iter([
        (HOST, HeaderValue::from_static("localhost")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (SEC_WEBSOCKET_KEY, HeaderValue::from_str(case["key"].as_str().unwrap()).unwrap()),
    ]);
    let upgrade = super::super::handshake::check_upgrade(&Method::GET, Version::HTTP_11, &headers).unwrap();
    assert_eq!(upgrade.accept, case["accept"].as_str().unwrap());
}

/// permessage-deflate is not negotiated in this version, so that what is valid with it breaks the protocol without it.
fn check_compressed_is_refused(case: &Value) {
    let frames = match case["deflate_sequence"].as_array() {
        Some(payloads) => payloads.iter().map(|payload| client_frame(FIN | 0x40 | TEXT, &bytes_of(payload))).collect(),
        None if case["frame"].is_null() && case["frames"].is_null() => {
            vec![client_frame(FIN | 0x40 | TEXT, &bytes_of(&case["deflate"]))]
        }
        None => frames_of(case).iter().map(|frame| as_client(frame)).collect::<Vec<_>>(),
    };
    check_protocol_error(&frames.concat(), Violation::ReservedBits);
}

/// The vector shows a binary header; ours differs in nothing but the opcode, since we send text.
fn check_server_header(case: &Value) {
    let header = bytes_of(&case["header"]);
    assert_eq!(header[0], FIN | BINARY);
    let length = header[2..].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let ours = frame::text(&vec![b'x'; length]);
    assert_eq!(ours[0], FIN | TEXT);
    assert_eq!(ours[1..header.len()], header[1..]);
    assert_eq!(ours.len(), header.len() + length);
}

/// What a server may send is refused from a client for want of a mask, understood with one, and what we encode.
fn check_server_frames(case: &Value) {
    let frames = frames_of(case);
    check_protocol_error(&frames.concat(), Violation::Unmasked);
    let remasked: Vec<_> = frames.iter().map(|frame| as_client(frame)).collect();
    check_client_frames(case, &remasked.concat());
    let payload = case["message"].as_str().unwrap().as_bytes();
    match id(case) {
        "ping" => assert_eq!(frame::ping(payload), frames[0]),
        "text-frag" => {} // We never fragment.
        _ => assert_eq!(frame::text(payload), frames[0]),
    }
}

fn check_client_frames(case: &Value, bytes: &[u8]) {
    if case["expect_close_echo"] == true {
        return check_close_is_echoed(bytes);
    }
    let mut expect = Vec::new();
    if case["expect_pong"].is_string() {
        let payload = bytes_of(&case["expect_pong"]);
        assert_eq!(frame::pong(&payload), [&[0x8A, payload.len() as u8], &payload[..]].concat());
        expect.push(Message::Ping(payload.into()));
    }
    if let Some(said) = case["message"].as_str() {
        expect.push(match id(case) {
            "ping" => Message::Ping(said.to_owned().into()),
            "pong-masked" => Message::Pong(said.to_owned().into()),
            _ => text(said),
        });
    }
    assert!(!expect.is_empty(), "a vector of an unknown kind: {case}");
    check_messages(bytes, &expect);
}

fn check_close_is_echoed(bytes: &[u8]) {
    let outcome = decode_every_split(Limits::AUTHENTICATED, bytes);
    let [Message::Close(received)] = &outcome.messages[..] else { panic!("{outcome:?} is not one close") };
    let payload = masked(&bytes[6..]);
    assert_eq!(frame::close_reply(received.as_ref()), [&[0x88, payload.len() as u8], &payload[..]].concat());
}

/// The vectors' 1009 is our documented 4009, `message_too_big`. Where the vectors leave a choice, ours is 1002: a length
/// that is not in its shortest form is refused.
#[test]
fn every_invalid_vector_is_refused_with_the_documented_code() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "invalid") {
        let expect = match case["expect_close"].as_u64() {
            Some(1009) => 4009,
            Some(code) => code,
            None => {
                assert!(case["also_ok"].as_array().unwrap().contains(&1002.into()));
                1002
            }
        };
        let outcome = decode_every_split(Limits::AUTHENTICATED, &frames_of(case).concat());
        assert_eq!(outcome.messages, [], "{}", id(case));
        let code = outcome.violation.map(|violation| u64::from(violation.close_reason().code()));
        assert_eq!(code, Some(expect), "{}", id(case));
    }
}

/// `slow-handshake` and `slow-reader` are matters of time and of the socket: they are judged where those are known.
#[test]
fn every_abuse_that_is_made_of_bytes_is_refused() {
    let Some(vectors) = vectors() else { return };
    for case in cases(&vectors, "abuse") {
        match id(case) {
            "pmd-bomb-10MiB" => {
                let bomb = BASE64.decode(case["deflate_b64"].as_str().unwrap()).unwrap();
                assert!(bomb.len() > 10_000);
                let frame = client_frame(FIN | 0x40 | TEXT, &bomb);
                assert_eq!(decode(&frame), Outcome { messages: vec![], violation: Some(Violation::ReservedBits) });
            }
            "tiny-fragment-flood" => {
                for payload in [&b""[..], b"x"] {
                    check_flood_ends_at_1024_fragments(payload);
                }
            }
            "slow-handshake" | "slow-reader" => {}
            other => panic!("nobody judges the abuse case {other}"),
        }
    }
}

fn check_flood_ends_at_1024_fragments(payload: &[u8]) {
    let mut decoder = Decoder::new(Limits::AUTHENTICATED);
    assert_eq!(decoder.decode(&mut BytesMut::from(&client_frame(TEXT, b"x")[..])), Ok(None));
    let fragment = client_frame(CONTINUATION, payload);
    let refused_at = (2..=1_000_000).find(|_| decoder.decode(&mut BytesMut::from(&fragment[..])).is_err());
    assert_eq!(refused_at, Some(1025));
    assert_eq!(decoder.held_bytes(), 0);
}
