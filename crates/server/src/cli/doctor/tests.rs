//! Rules of the doctor that need neither store nor server.

use super::{Patient, configuration, resources, server};
use crate::auth::SecretRule;
use crate::cli::finding::Verdict;
use crate::cli::token::{Wish, now_ms, sign};
use campanile_wire::Id;
use serde_json::{Map, Value, json};
use std::time::Duration;

const CONFIG: &str =
    "allowed_origins = ['https://lms.example']\n[auth]\nhs256_secret = 'c0f1d9a65be27384e0915d3fa2b6784c1e9d70f35a8b2c46'\n";

fn patient(config: &str, token: Option<String>) -> Patient {
    let config = toml::from_str(config).unwrap();
    let base = "http://127.0.0.1:8000".into();
    Patient { config, rule: SecretRule::Strong, base, token, key: None, claims: None, person: None }
}

/// What the doctor says of a token with these claims: the verdict, what it found, and what to do.
fn of_claims(claims: Value) -> (Verdict, String, String) {
    let Value::Object(further) = claims else { panic!("claims are an object") };
    of_token(sign(&patient(CONFIG, None).config, wish(further), now_ms()).unwrap().0)
}

fn of_token(token: String) -> (Verdict, String, String) {
    let (finding, _) = configuration::token(&patient(CONFIG, Some(token)));
    (finding.verdict, finding.found, finding.advice.unwrap_or_default())
}

fn wish(further: Map<String, Value>) -> Wish {
    Wish { user_id: Id::from(1), role: None, cadet_id: None, expires_in: Duration::from_secs(3_600), further }
}

#[test]
fn a_token_is_judged_check_by_check() {
    let (verdict, found, _) = of_claims(json!({}));
    assert_eq!(verdict, Verdict::Ok, "{found}");
    assert!(found.contains("speaks for 1"), "{found}");
    let now_s = now_ms() / 1_000;
    for (claims, said, advised) in [
        (json!({ "exp": now_s - 200 }), "expired, 3 min ago", "fresh"),
        (json!({ "aud": "other" }), "aud", "auth.audience"),
        (json!({ "token_type": "refresh" }), "token_type", "refresh token"),
        (json!({ "nbf": now_s + 500 }), "future", "NTP"),
        (json!({ "exp": "soon" }), "exp", "exp"),
    ] {
        let (verdict, found, advice) = of_claims(claims);
        assert_eq!(verdict, Verdict::Problem, "{found}");
        assert!(found.contains(said) && advice.contains(advised), "{found} → {advice}");
    }
    let other = CONFIG.replace("c0f1d9", "9d1f0c");
    let token = sign(&patient(&other, None).config, wish(Map::new()), now_ms()).unwrap().0;
    let (_, found, advice) = of_token(token.clone());
    assert!(found.contains("signature") && advice.contains("hs256_secret"), "{found} → {advice}");
    let (_, found, advice) = of_token(format!("Bearer{token}x"));
    assert!(!found.contains(&token) && !advice.contains(&token));
}

#[test]
fn a_token_that_ends_soon_is_a_warning() {
    assert_eq!(of_claims(json!({ "exp": now_ms() / 1_000 + 20 })).0, Verdict::Warning);
}

#[test]
fn weak_secrets_and_missing_keys_are_problems() {
    for config in ["", "[auth]\nhs256_secret = 'changeme'\n", "[auth]\nhs256_secret = 'passwordpasswordpasswordpassword'\n"] {
        assert_eq!(configuration::look(&patient(config, None))[0].verdict, Verdict::Problem, "{config}");
    }
    assert!(configuration::look(&patient(CONFIG, None)).iter().all(|finding| finding.verdict == Verdict::Ok));
}

#[test]
fn an_origin_is_compared_as_the_server_does() {
    let of = |origin| configuration::origin(&patient(CONFIG, None), Some(origin)).verdict;
    assert_eq!(of("https://lms.example"), Verdict::Ok);
    assert_eq!(of("http://127.0.0.1:8000"), Verdict::Ok);
    assert_eq!(of("https://evil.example"), Verdict::Problem);
    assert_eq!(configuration::origin(&patient(CONFIG, None), None).verdict, Verdict::CannotTell);
}

#[test]
fn room_and_descriptors_are_judged_by_what_a_school_needs() {
    let gibibyte = 1024 * 1024 * 1024;
    assert_eq!(
        [1, gibibyte, 100 * gibibyte].map(|bytes| resources::room(bytes).verdict),
        [Verdict::Problem, Verdict::Warning, Verdict::Ok]
    );
    let of = |open, max| resources::of_limit(open, max).verdict;
    assert_eq!(of(Some(900), 1_024), Verdict::Problem);
    assert_eq!(of(Some(10), 1_024), Verdict::Warning);
    assert_eq!(of(Some(10), 65_536), Verdict::Ok);
    assert_eq!((of(None, 1_024), of(None, 65_536)), (Verdict::Warning, Verdict::Ok));
    assert_eq!([3.9, 4.1].map(|load| resources::of_load(load, 2).verdict), [Verdict::Ok, Verdict::Warning]);
}

#[test]
fn the_date_header_is_read() {
    assert_eq!(server::instant_of("Thu, 01 Jan 2026 00:00:00 GMT"), Some(1_767_225_600_000));
    assert_eq!(server::instant_of("yesterday"), None);
}
