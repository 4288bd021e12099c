//! The parser held against the event stream cases of WHATWG HTML 9.2.6, whole and in pieces.

use super::*;

fn parse(bytes: &[u8], piece: usize) -> (Vec<Block>, String) {
    let mut parser = SseParser::default();
    let mut blocks = Vec::new();
    for bytes in bytes.chunks(piece) {
        parser.feed(bytes, &mut blocks);
    }
    (blocks, parser.last_event_id)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Prints past the test runner, which swallows what passing tests print: the figures are meant to be read.
fn say(line: &str) {
    use std::io::{Write, stdout};
    let _ = writeln!(stdout(), "vectors: {line}");
}

#[test]
fn every_case_of_the_vectors_is_parsed_as_a_browser_does() {
    let Ok(folder) = std::env::var("CAMPANILE_VECTORS") else {
        return say("skipped: CAMPANILE_VECTORS does not name the directory of test vectors (own/sse-streams.json)");
    };
    let text = std::fs::read_to_string(format!("{folder}/own/sse-streams.json")).expect("the vectors hold this file");
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    say(&format!("sse-streams.json: {} streams parsed, each in pieces of four sizes", cases.len()));
    for case in cases {
        let stream = unhex(case["stream_hex"].as_str().unwrap());
        for piece in [1, 2, 5, stream.len()] {
            let (blocks, last_event_id) = parse(&stream, piece);
            let events: Vec<_> = blocks
                .into_iter()
                .filter_map(|block| match block {
                    Block::Event { kind, data, last_event_id } => {
                        Some(serde_json::json!({"type": kind, "data": data, "id": last_event_id}))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(serde_json::json!(events), case["events"], "{}", case["id"]);
            assert_eq!(last_event_id, case["last_event_id"].as_str().unwrap(), "{}", case["id"]);
        }
    }
}

#[test]
fn an_id_alone_moves_the_cursor_and_retry_is_told() {
    let (blocks, _) = parse(b"retry: 3000\nid: 120\n\nid: 121\ndata: x\n\nretry: 3x\n\n", 3);
    let event = Block::Event { kind: "message".to_owned(), data: "x".to_owned(), last_event_id: "121".to_owned() };
    assert_eq!(blocks, [Block::Retry(3000), Block::IdOnly("120".to_owned()), event]);
}
