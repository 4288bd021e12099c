//! Rules of a client's side.

use super::frame::Frame;
use super::sse::{Block, Parser};
use super::{Asked, Ended, Place, told};
use std::time::Duration;

fn blocks(text: &str, cut: usize) -> Vec<Block> {
    let (mut parser, mut blocks) = (Parser::default(), Vec::new());
    for bytes in text.as_bytes().chunks(cut) {
        parser.feed(bytes, &mut blocks).unwrap();
    }
    blocks
}

fn event(kind: &str, data: &str, id: Option<&str>) -> Block {
    Block::Event { kind: kind.into(), data: data.into(), id: id.map(str::to_owned) }
}

#[test]
fn a_stream_is_read_alike_however_it_is_cut() {
    let text = "\u{feff}retry: 3000\r\nid: 120\r\n\r\nid: 121\rdata: {\"a\":1}\r\r: a comment\n\nevent: expired\ndata:a\ndata: b\n\ndata: cut off";
    let expect = [
        Block::Retry(3000),
        Block::Cursor("120".into()),
        event("message", "{\"a\":1}", Some("121")),
        event("expired", "a\nb", None),
    ];
    for cut in [1, 2, 3, 7, 1000] {
        assert_eq!(blocks(text, cut), expect, "in pieces of {cut}");
    }
}

#[test]
fn what_is_no_number_is_no_retry_and_an_id_with_nul_is_none() {
    assert_eq!(blocks("retry: 3s\nretry:\nid: a\0b\ndata\n\n", 100), [event("message", "", None)]);
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    let (mut parser, mut blocks) = (Parser::default(), Vec::new());
    assert!(parser.feed(&vec![b'x'; 1024 * 1024 + 1], &mut blocks).is_err());
}

fn pass(place: &mut Place, frame: &str) {
    place.pass(&Frame::read(frame).unwrap());
}

#[test]
fn the_place_moves_with_what_was_heard_and_a_replay_is_not_jumped_over() {
    let mut place = Place::default();
    pass(&mut place, r#"{"type":"connection_established","cursor":120,"epoch":2}"#);
    assert_eq!(place, Place { since: Some("120".into()), epoch: Some(2) });
    let mut place = Place::default();
    pass(&mut place, r#"{"type":"connection_established","id":7}"#);
    assert_eq!(place.since.as_deref(), Some("7"), "in the seed's dialect");
    let mut place = Place { since: Some("2026-01-15T10:30:00Z".into()), epoch: None };
    pass(&mut place, r#"{"type":"connection_established","cursor":120}"#);
    assert_eq!(place.since.as_deref(), Some("2026-01-15T10:30:00Z"), "the head is not where the replay stands");
    for (frame, expect) in [
        (r#"{"type":"note","id":14,"channel":"course:7","seq":1,"data":{}}"#, "14"),
        (r#"{"type":"pong","timestamp":99}"#, "14"),
        (r#"{"type":"signal","signal":"typing","from":"ada","data":{}}"#, "14"),
        (r#"{"type":"heartbeat","cursor":20}"#, "20"),
        (r#"{"type":"gap","from":20,"to":90,"reason":"retention"}"#, "90"),
        (r#"{"type":"gap","from":90,"to":7,"reason":"cursor_ahead"}"#, "7"),
    ] {
        pass(&mut place, frame);
        assert_eq!(place.since.as_deref(), Some(expect), "{frame}");
    }
}

#[test]
fn the_query_is_encoded_and_holds_no_token() {
    let place = Place { since: Some("2026-01-15T10:30:00+01:00".into()), epoch: Some(1) };
    let asked = Asked { path: None, channels: Some("course:7,user:1".into()), place };
    let expect = "/ws?since=2026-01-15T10%3A30%3A00%2B01%3A00&channels=course%3A7%2Cuser%3A1&epoch=1";
    assert_eq!(asked.address("/ws", &[]), expect);
    let seed = Asked { path: Some("/ws/updates/".into()), ..Asked::default() };
    assert_eq!(seed.address("/ws", &[]), "/ws/updates/");
}

#[test]
fn what_would_be_refused_again_is_not_tried_again() {
    assert!(matches!(told("expired_token", Duration::ZERO), Ended::Refused { .. }));
    assert!(matches!(told("not_approved", Duration::ZERO), Ended::Refused { .. }));
    let Ended::Lost { after, .. } = told("server_draining", Duration::from_millis(2_300)) else { panic!("it comes back") };
    assert_eq!(after, Duration::from_millis(2_300));
}

#[test]
fn a_line_for_people_holds_the_whole_event_and_cannot_steer_the_terminal() {
    let frame = r#"{"type":"note","id":121,"channel":"course:7","seq":14,"data":{"b":"\u202e1","a":"TURN"},"timestamp":"2026-01-15T10:30:00.000Z"}"#;
    let line = Frame::read(&frame.replace("TURN", "\u{202e}")).unwrap().line();
    assert_eq!(line, "2026-01-15T10:30:00.000Z    #121 course:7/14 note {\"b\":\"\\u202e1\",\"a\":\"\\u{202e}\"}");
}
