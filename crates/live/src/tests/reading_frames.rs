//! Frames from strangers: whatever the text, there is a frame or a documented code, and never a panic.

use crate::dialogue::read_frame;
use campanile_wire::ErrorCode;
use proptest::prelude::*;
use std::path::PathBuf;

/// The code that a text is refused with, if it is.
fn code(text: &str) -> Option<ErrorCode> {
    read_frame(text).err().map(|refusal| {
        assert!(!refusal.message.is_empty());
        refusal.code
    })
}

fn documented(code: Option<ErrorCode>) -> bool {
    matches!(code, None | Some(ErrorCode::MalformedJson | ErrorCode::UnknownFrame | ErrorCode::InvalidData))
}

/// Prints past the test runner, which swallows what passing tests print: the figures are meant to be read.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "vectors: {line}");
}

/// The files of the JSON test suite whose names begin so, or none where `CAMPANILE_VECTORS` does not say where they are.
fn files(prefix: &str) -> Vec<PathBuf> {
    let Ok(folder) = std::env::var("CAMPANILE_VECTORS") else {
        say("skipped: CAMPANILE_VECTORS is not set (json-test-suite)");
        return Vec::new();
    };
    let folder = PathBuf::from(folder).join("json-test-suite/test_parsing");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix)).collect();
    assert!(files.len() > 30, "only {} files begin with {prefix}", files.len());
    say(&format!("json-test-suite: {} files {prefix}* read as frames", files.len()));
    files
}

#[test]
fn well_formed_json_that_is_no_frame_is_answered_with_a_code() {
    for path in files("y_") {
        let text = std::fs::read_to_string(&path).expect("y_ files are UTF-8");
        assert_eq!(code(&text), Some(ErrorCode::MalformedJson), "{}: none has a type", path.display());
    }
}

#[test]
fn broken_json_is_answered_with_malformed_json() {
    for path in files("n_") {
        let bytes = std::fs::read(&path).unwrap();
        // Text that is not UTF-8 never comes so far: the codec closes with 1007.
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(code(&text), Some(ErrorCode::MalformedJson), "{}", path.display());
    }
}

#[test]
fn json_that_parsers_may_judge_as_they_like_is_answered_too() {
    for path in files("i_") {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(documented(code(&text)), "{}", path.display());
    }
}

#[test]
fn every_value_of_the_suite_inside_a_frame_is_answered_too() {
    for prefix in ["y_", "n_", "i_"] {
        for path in files(prefix) {
            let value = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for frame in [
                format!(r#"{{"type":"ping","timestamp":{value}}}"#),
                format!(r#"{{"type":"command","ref":1,"name":"post","data":{value}}}"#),
                format!(r#"{{"type":{value}}}"#),
            ] {
                let code = code(&frame);
                assert!(documented(code), "{}", path.display());
                if prefix == "n_" && !path.ends_with("n_structure_no_data.json") {
                    assert_ne!(code, None, "{}", path.display());
                }
            }
        }
    }
}

#[test]
fn deep_nesting_is_answered_and_overflows_no_stack() {
    for depth in [100, 127, 128, 1_000, 30_000] {
        let nested = format!(r#"{{"type":"ping","timestamp":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let expect = if depth > 120 { Some(ErrorCode::InvalidData) } else { None };
        assert_eq!(code(&nested), expect, "{depth}");
    }
}

fn some_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| value.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#""course:7""#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|fields| {
                let fields: Vec<_> =
                    fields.into_iter().map(|(key, value)| format!("{}:{value}", serde_json::json!(key))).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// A frame of a known type with fields that are sometimes right.
fn some_frame() -> impl Strategy<Value = String> {
    const KINDS: &[&str] =
        &["auth", "refresh", "ping", "replay_request", "subscribe", "unsubscribe", "command", "signal", "other"];
    const NAMES: &[&str] = &[
        "token",
        "timestamp",
        "last_event_id",
        "channels",
        "view",
        "key",
        "ref",
        "name",
        "data",
        "idempotency_key",
        "signal",
        "channel",
    ];
    let fields = prop::collection::vec((prop::sample::select(NAMES), some_json()), 0..6);
    (prop::sample::select(KINDS), fields).prop_map(|(kind, fields)| {
        let fields: String = fields.into_iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        format!("{{\"type\":\"{kind}\"{fields}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_frame_or_a_documented_code(text in any::<String>()) {
        prop_assert!(documented(code(&text)));
    }

    #[test]
    fn any_json_that_is_no_object_with_a_type_is_malformed(json in some_json()) {
        if !json.contains("\"type\"") {
            prop_assert_eq!(code(&json), Some(ErrorCode::MalformedJson));
        }
    }

    #[test]
    fn any_fields_are_a_frame_or_a_documented_code(frame in some_frame()) {
        prop_assert!(documented(code(&frame)));
        prop_assert!(frame.contains("\"other\"") == (code(&frame) == Some(ErrorCode::UnknownFrame)));
    }

    #[test]
    fn a_cut_or_changed_frame_is_answered(frame in some_frame(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let chars: Vec<char> = frame.chars().collect();
        let at = at.index(chars.len());
        prop_assert_eq!(code(&chars[..at].iter().collect::<String>()), Some(ErrorCode::MalformedJson));
        let mut changed = chars;
        changed[at] = with;
        prop_assert!(documented(code(&changed.iter().collect::<String>())));
    }
}
