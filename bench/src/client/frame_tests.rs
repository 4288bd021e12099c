//! What a reader of events takes from each native frame.

use super::*;

/// Writes down what it hears.
#[derive(Default)]
struct Notebook(Vec<String>);

impl Ear for Notebook {
    fn hear(&mut self, heard: Heard<'_>) {
        self.0.push(format!("{heard:?}"));
    }
}

fn check(text: &str, expect: &[&str]) {
    let mut notebook = Notebook::default();
    hear_frame(text, &mut notebook).unwrap();
    assert_eq!(notebook.0, expect);
}

#[test]
fn an_event_is_marked_by_the_bytes_of_its_data() {
    let data = r#"{ "title":"\u00e9 1.0" }"#;
    let expect = format!(
        "Event {{ id: 121, seq: 14, channel: \"course:7\", mark: {}, recorded_at_ms: 1768473000007 }}",
        mark("announcement", "course:7", data)
    );
    check(
        &format!(
            r#"{{"type":"announcement","id":121,"channel":"course:7","seq":14,"data":{data},"timestamp":"2026-01-15T10:30:00.007Z"}}"#
        ),
        &[&expect],
    );
}

#[test]
fn what_the_server_says_about_the_cursor_is_heard() {
    check(
        r#"{"type":"connection_established","message":"x","user_id":"1","role":null,"cursor":120,"epoch":1,"connection":"c-81","heartbeat_ms":25000,"timestamp":"t"}"#,
        &["Established { head: 120, epoch: Some(1) }"],
    );
    check(r#"{"type":"heartbeat","cursor":121,"timestamp":"t"}"#, &["Cursor(121)"]);
    check(r#"{"type":"gap","from":3,"to":90,"reason":"retention"}"#, &["Gap { from: 3, to: 90 }"]);
    check(
        r#"{"type":"replay_complete","from":3,"to":121,"count":31,"gap":true}"#,
        &["ReplayComplete { from: 3, to: 121, count: 31, gap: true }"],
    );
    check(r#"{"type":"reconnect","code":"server_busy","retry_after_ms":2300}"#, &["ComeBack(2.3s)"]);
    check(r#"{"type":"error","message":"m","code":"rate_limited"}"#, &["Complaint(\"rate_limited\")"]);
    check(r#"{"type":"pong","timestamp":12}"#, &[]);
    check(r#"{"type":"signal","signal":"typing","channel":"course:7","from":"1","data":{}}"#, &[]);
}

#[test]
fn the_dialect_of_the_grading_system_tells_the_head_by_its_id_and_a_code_in_its_sentence() {
    check(
        r#"{"type":"connection_established","message":"WebSocket connection established","user_id":1,"role":"cadet","id":120,"timestamp":"t"}"#,
        &["Established { head: 120, epoch: None }"],
    );
    check(r#"{"type":"error","message":"unknown_frame: no"}"#, &["Complaint(\"unknown_frame: no\")"]);
}

#[test]
fn a_frame_that_breaks_the_protocol_is_an_error() {
    for text in [
        "{",
        "[]",
        r#"{"type":"heartbeat"}"#,
        r#"{"type":"connection_established","cursor":120}"#,
        r#"{"type":"connection_established"}"#,
        r#"{"type":"announcement","id":1,"channel":"course:7","data":{}}"#,
        r#"{"type":"gap","from":"x","to":1}"#,
    ] {
        assert!(hear_frame(text, &mut Notebook::default()).is_err(), "{text}");
    }
}
