//! The rules of authentication as sentences, held against hand-made tokens and published test vectors.

use super::api_key::{ApiKeyConfig, ApiKeySecret, ApiKeys};
use super::introspection::read_answer;
use super::jwks::{KeyCache, KeySet, OLD_MS, RENEW_MS, RETRY_MS, STALE_MS_MAX, Step, UNKNOWN_KID_MS};
use super::jwt::{TokenError, TokenRules, Verifier};
use super::keys::{Algorithm, Key, KeyConfig, KeyMaterial, keys_from_jwk_set};
use super::origin::{AllowedOrigins, Carried};
use super::secret::{self, SecretRule};
use super::{Carriers, Source, choose, cookie_value, find_credentials, is_public, peek};
use base64::{Engine, engine::general_purpose};
use campanile_wire::caller::{PersonCaller, ServiceCaller};
use campanile_wire::{Caller, ErrorCode, Id};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// A throw-away `SECRET_KEY` of the shape that Django makes.
const SECRET: &str = "p3v!k9w#2m^x7q(z)5t-h8r+b4n@c6y_d1f&g0j$s*l=ueaoi~";
const NOW_S: i64 = 1_700_000_000;
const NOW_MS: i64 = NOW_S * 1000;

/// `AccessToken.for_user(user)` of djangorestframework-simplejwt 5.5.1 with `SECRET`; `user_id` is the text "42".
const SIMPLEJWT_ACCESS: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwiZXhwIjoxNzk1MjcwOTg0LCJpYXQiOjE3OTUyNzA2ODQsImp0aSI6IjY1OTQ3ZGFjZjA1YTQwYjU4YTljNDg4NmU3OTk2MWM0IiwidXNlcl9pZCI6IjQyIn0.0JmZg7vtAF2j1sCZ64-4rLKMtsXharH_WOziRul84Dw";
/// The same for a user with a UUID, after `token["role"] = "cadet"` and `token["cadet_id"] = 9`.
const SIMPLEJWT_CADET: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwiZXhwIjoxNzk1MjcwOTg0LCJpYXQiOjE3OTUyNzA2ODQsImp0aSI6ImZjYTIwZDY3MzFiNjQyZWI5M2RlZTYyNTc5NjMwNWUxIiwidXNlcl9pZCI6ImIxYjZiNWIyLTBkM2MtNGY0ZS05YzU4LTBkM2IzZjFmMWMxMSIsInJvbGUiOiJjYWRldCIsImNhZGV0X2lkIjo5fQ.vB7UoIUz6hqreUBNBPnCgHjRR43mOexkKdq_9U_xO4c";
/// `RefreshToken.for_user(user)`.
const SIMPLEJWT_REFRESH: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCIsImV4cCI6MTc5NTM1NzA4NCwiaWF0IjoxNzk1MjcwNjg0LCJqdGkiOiJiODQ3ZjBiYWRhNGQ0MDI2YjBkZTJhMWI0NzE2NzA1MCIsInVzZXJfaWQiOiI0MiJ9.kDaN6lEaip1PKva--FUxxTwbzLF9O3ffd16Dr2eUC1k";
/// `SlidingToken.for_user(user)`.
const SIMPLEJWT_SLIDING: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoic2xpZGluZyIsImV4cCI6MTc5NTI3MDk4NCwiaWF0IjoxNzk1MjcwNjg0LCJqdGkiOiJhMGFiMzkyY2MzMmI0ZmNkOGU3NWJlNzY4NTlmNzRiOSIsInJlZnJlc2hfZXhwIjoxNzk1MzU3MDg0LCJ1c2VyX2lkIjoiNDIifQ.bB6VArBH95DJsaWYx9wsvvmI6OG7JHBkqW4stj0EJVw";
const SIMPLEJWT_NOW_MS: i64 = 1_795_270_700_000;

const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA2GONCxemlkXD5NPXvtMY
cgD5CQhaFmQHdc7a8oz2yX/tmFLKuHA84/9Ye1nDvYoMKOVFldZNqXKngwIVCY41
dlbb1c2ZBu0A9Fty4aZgjEwZ0+AaqBFYrD54aWEparEqAz5mlg7MK7JexxTOkPng
6Rw3p4weFg6q3e98elH0Vb24TID6S0gsHghPDMg/wEvEBAmHgsICKiAEX247YHF+
4uXNA82IhT1VBp8gcjA3+6iE6aW1QpJ9/zMvjF+i+ukysAhhQFEtU3LYSvd0gYKq
Y4h+2VeJkdNNkpIgOJQhTtId8Kk81ZhZVfe7MfLhOUY1frVW3wotRUbBNshWAGt4
ZwIDAQAB
-----END PUBLIC KEY-----
";
const RSA_PKCS1_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEA2GONCxemlkXD5NPXvtMYcgD5CQhaFmQHdc7a8oz2yX/tmFLKuHA8
4/9Ye1nDvYoMKOVFldZNqXKngwIVCY41dlbb1c2ZBu0A9Fty4aZgjEwZ0+AaqBFY
rD54aWEparEqAz5mlg7MK7JexxTOkPng6Rw3p4weFg6q3e98elH0Vb24TID6S0gs
HghPDMg/wEvEBAmHgsICKiAEX247YHF+4uXNA82IhT1VBp8gcjA3+6iE6aW1QpJ9
/zMvjF+i+ukysAhhQFEtU3LYSvd0gYKqY4h+2VeJkdNNkpIgOJQhTtId8Kk81ZhZ
Vfe7MfLhOUY1frVW3wotRUbBNshWAGt4ZwIDAQAB
-----END RSA PUBLIC KEY-----
";
const RSA_1024_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+oaTL9kmohW3N07bE+n1q/fyl
IYIpyjzLqn5pdSPl865ylGxsLD9yeK4aBzmAK46UWyY024I0K1RiaWltZy9cNZ1E
JJJPhGlndva4iW5KNaF8LjJrxCme0djKwlmtnKOT7BIPhX9vr7rUJ2gePff8HNW0
b1zVFbVj/TYSa0TpGQIDAQAB
-----END PUBLIC KEY-----
";
const EC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEld1OPdcZswjeZ7SQTxEwDYDnip6G
aoSqr6t3JH3KlCwbTadZqebqSk/cgxdahzBscDLgZW8lD8+5RqcfT4bD6g==
-----END PUBLIC KEY-----
";
const EC_P384_PEM: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEt2LLtqnmiTNSvUBRu/WNg4yy4Ny4NnjU
wVJSXqRsJdaXl6j0KP1vdCWg2iq9lKO3Iaxg3Y2+mnrG7pnwozVS3k9Wh3LWSthP
umb/9N38KNxS/tvISAnhYSrSetPRW2Ss
-----END PUBLIC KEY-----
";
const ED_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA09r/2m7XDxhn+pwxcybiQ405HQv1oVD1pw48g7As7xo=
-----END PUBLIC KEY-----
";
/// Tokens by those keys, for `sub` u1, valid at `NOW_S`; the private keys were thrown away.
const RS256_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYS0xIn0.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoicmVhbHRpbWUiLCJzdWIiOiJ1MSIsImlhdCI6MTY5OTk5OTk5MCwiZXhwIjoxNzAwMDAwMzAwfQ.h0XLLqxXrfZ3vcVxeLz8hSd0SORgBWA4NuH8xFvaCirVUjYLo0Jrb-THRsjNAF2GrWoGUg5SzVjX0B3-_i0y_82guWzcsBwSTkJHVF002tFCxIRGcD4zmrkIdTM971wvuAhxZ4ikPAJ_lnmjT5xGT4nRrSubtoytUeR-ewou0rlungtVygjNMsn6m6DRr2pHjJ5avluyxAjAnl5-iRDomw2cx13AlW8yE2ThGhioOagExP3Ul4U-AlCRTU-ykYPZvN_bTy3lgJkmm2Rj32dwE2xIbEemhrYBGJaLfKS4KhI-a4h_tXtKrj7aTdQVmT9_vLgiOvNskDwrsZLHYGFy-A";
const ES256_TOKEN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjLTEifQ.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoicmVhbHRpbWUiLCJzdWIiOiJ1MSIsImlhdCI6MTY5OTk5OTk5MCwiZXhwIjoxNzAwMDAwMzAwfQ.z3wPFu4kzh9BZnKg5lSikbsHEwf0Atd1ndFzoacGTyNEj6SCpzGqtN09EozuOOL8NbxdXDOzOdAdF_YYsLLjlQ";
const ED_TOKEN: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkLTEifQ.eyJpc3MiOiJodHRwczovL2xtcy5leGFtcGxlIiwiYXVkIjoicmVhbHRpbWUiLCJzdWIiOiJ1MSIsImlhdCI6MTY5OTk5OTk5MCwiZXhwIjoxNzAwMDAwMzAwfQ.bEJdfhWSYVun5RHMg2CPNDQkOj01rsw_Dv0hn9WZktZ-gVHqMW6etAAaVtpcpl0C_F2ms8HDX6zmG-NCEWi8AA";

// === helpers ===

/// Prints past the test runner, which swallows what passing tests print: the figures are meant to be read.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "vectors: {line}");
}

/// A file below `CAMPANILE_VECTORS`; without the variable, says so in one line.
fn vectors(path: &str) -> Option<String> {
    let Some(root) = std::env::var_os("CAMPANILE_VECTORS") else {
        say(&format!("skipped: CAMPANILE_VECTORS does not name the directory of test vectors ({path})"));
        return None;
    };
    Some(std::fs::read_to_string(PathBuf::from(root).join(path)).expect("the vectors are readable"))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn sign(header: &str, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{message}.{}", base64url(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
}

/// A token whose claims are fresh ones, changed by `changes`; a null takes the claim away.
fn token(changes: &Value) -> String {
    let mut claims = json!({"token_type": "access", "exp": NOW_S + 300, "iat": NOW_S - 10, "jti": "a", "user_id": 1});
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => claims.as_object_mut().expect("claims are an object").remove(name),
            value => claims.as_object_mut().expect("claims are an object").insert(name.clone(), value.clone()),
        };
    }
    sign(r#"{"alg":"HS256","typ":"JWT"}"#, claims.to_string())
}

fn config(algorithm: Algorithm, kid: Option<&str>, material: KeyMaterial) -> KeyConfig {
    KeyConfig { algorithm, kid: kid.map(str::to_owned), material }
}

fn secret_key(kid: Option<&str>) -> Key {
    Key::new(&config(Algorithm::Hs256, kid, KeyMaterial::Secret(SECRET.into())), SecretRule::Strong).expect("a good key")
}

fn verifier(rules: TokenRules) -> Verifier {
    Verifier::new(vec![secret_key(None)], rules).expect("a good verifier")
}

fn lms_rules() -> TokenRules {
    TokenRules { issuer: Some("https://lms.example".into()), audience: Some("realtime".into()), ..TokenRules::default() }
}

/// What becomes of a token under default rules: the user's JSON scalar, or the code.
fn judge(token: &str) -> Value {
    match verifier(TokenRules::default()).verify(token, NOW_MS) {
        Ok(claims) => claims.user.to_json(),
        Err(refusal) => json!(refusal.code().as_str()),
    }
}

fn check_claims(changes: &Value, expect: &Value) {
    assert_eq!(&judge(&token(changes)), expect, "claims changed by {changes}");
}

fn check_header(header: &str, expect: &str) {
    let payload = json!({"exp": NOW_S + 300, "user_id": "u"}).to_string();
    assert_eq!(judge(&sign(header, payload)), json!(expect), "header {header}");
}

// === tokens ===

#[test]
fn real_simplejwt_access_tokens_are_accepted_unchanged() {
    let verifier = verifier(TokenRules::default());
    let claims = verifier.verify(SIMPLEJWT_ACCESS, SIMPLEJWT_NOW_MS).expect("a SimpleJWT token");
    assert_eq!(claims.user.to_json(), json!("42"));
    assert_eq!((claims.role, claims.cadet, claims.expires_at_ms), (None, None, 1_795_270_984_000));
    let cadet = verifier.verify(SIMPLEJWT_CADET, SIMPLEJWT_NOW_MS).expect("a SimpleJWT token with role and cadet");
    assert_eq!(cadet.user.as_str(), "b1b6b5b2-0d3c-4f4e-9c58-0d3b3f1f1c11");
    assert_eq!((cadet.role.as_deref(), cadet.cadet.map(|id| id.to_json())), (Some("cadet"), Some(json!(9))));
}

#[test]
fn simplejwt_refresh_and_sliding_tokens_are_refused() {
    for token in [SIMPLEJWT_REFRESH, SIMPLEJWT_SLIDING] {
        let refusal = verifier(TokenRules::default()).verify(token, SIMPLEJWT_NOW_MS);
        assert_eq!(refusal, Err(TokenError::Invalid("token_type is not access")));
    }
}

#[test]
fn the_user_comes_from_user_id_or_else_from_sub_and_keeps_its_type() {
    let invalid = json!("invalid_token");
    check_claims(&json!({"user_id": 7}), &json!(7));
    check_claims(&json!({"user_id": "7"}), &json!("7"));
    check_claims(&json!({"user_id": 7, "sub": "other"}), &json!(7));
    check_claims(&json!({"user_id": null, "sub": "u1"}), &json!("u1"));
    check_claims(&json!({"user_id": null, "sub": 1}), &invalid);
    check_claims(&json!({"user_id": null}), &invalid);
    for wrong in [json!(""), json!(true), json!([1]), json!(1.5), json!({}), json!("x".repeat(129))] {
        check_claims(&json!({"user_id": wrong, "sub": "u1"}), &invalid);
    }
}

#[test]
fn a_null_user_id_is_refused_rather_than_replaced_by_sub() {
    let payload = format!(r#"{{"exp":{},"user_id":null,"sub":"u1"}}"#, NOW_S + 300);
    assert_eq!(judge(&sign(r#"{"alg":"HS256"}"#, payload)), json!("invalid_token"));
}

#[test]
fn role_and_cadet_are_read_when_present_and_refused_when_malformed() {
    let read = |changes: Value| {
        let claims = verifier(TokenRules::default()).verify(&token(&changes), NOW_MS).map_err(|refusal| refusal.code())?;
        Ok::<_, ErrorCode>((claims.role, claims.cadet.map(|id| id.to_json())))
    };
    assert_eq!(read(json!({"role": "training_staff"})), Ok((Some("training_staff".into()), None)));
    assert_eq!(read(json!({"role": "", "cadet_id": "c-9"})), Ok((None, Some(json!("c-9")))));
    for wrong in [json!({"role": 1}), json!({"role": "x".repeat(129)}), json!({"role": "a\nb"}), json!({"cadet_id": []})] {
        assert_eq!(read(wrong), Err(ErrorCode::InvalidToken));
    }
    let nulls = format!(r#"{{"exp":{},"user_id":1,"role":null,"cadet_id":null}}"#, NOW_S + 300);
    assert_eq!(judge(&sign(r#"{"alg":"HS256"}"#, nulls)), json!(1));
}

#[test]
fn only_access_tokens_are_accepted_where_token_type_is_present() {
    check_claims(&json!({"token_type": null}), &json!(1));
    for wrong in [json!("refresh"), json!("Access"), json!(""), json!(1), json!(["access"])] {
        check_claims(&json!({"token_type": wrong}), &json!("invalid_token"));
    }
}

#[test]
fn a_token_ends_with_exp_and_the_leeway() {
    check_claims(&json!({"exp": NOW_S - 59}), &json!(1));
    check_claims(&json!({"exp": NOW_S - 60}), &json!("expired_token"));
    check_claims(&json!({"exp": NOW_S as f64 + 0.5}), &json!(1));
    check_claims(&json!({"exp": 0, "iat": null}), &json!("expired_token"));
}

#[test]
fn exp_is_required_and_a_number() {
    for wrong in
        [json!(null), json!("1700000300"), json!([NOW_S + 1]), json!({}), json!(true), json!(1e30), json!(-1), json!(u64::MAX)]
    {
        check_claims(&json!({"exp": wrong}), &json!("invalid_token"));
    }
}

#[test]
fn a_token_that_is_wrong_as_well_as_expired_is_called_invalid() {
    let rules = TokenRules { issuer: Some("https://lms.example".into()), ..TokenRules::default() };
    let late = token(&json!({"exp": NOW_S - 600, "iss": "https://other.example"}));
    assert_eq!(verifier(rules).verify(&late, NOW_MS).map_err(|refusal| refusal.code()), Err(ErrorCode::InvalidToken));
    check_claims(&json!({"exp": NOW_S - 600, "user_id": []}), &json!("invalid_token"));
}

#[test]
fn nbf_and_iat_are_honoured_within_the_leeway() {
    for name in ["nbf", "iat"] {
        check_claims(&json!({name: NOW_S + 60}), &json!(1));
        check_claims(&json!({name: NOW_S + 61}), &json!("invalid_token"));
        check_claims(&json!({name: "1"}), &json!("invalid_token"));
    }
}

#[test]
fn the_lifetime_is_bounded_from_iat_or_else_from_now() {
    let day = 24 * 3600;
    check_claims(&json!({"iat": NOW_S, "exp": NOW_S + day}), &json!(1));
    check_claims(&json!({"iat": NOW_S, "exp": NOW_S + day + 1}), &json!("invalid_token"));
    check_claims(&json!({"iat": null, "exp": NOW_S + day + 1}), &json!("invalid_token"));
    let unbounded = verifier(TokenRules { lifetime_s_max: None, ..TokenRules::default() });
    assert!(unbounded.verify(&token(&json!({"exp": NOW_S + 30 * day})), NOW_MS).is_ok());
}

#[test]
fn issuer_and_audience_are_compared_whole() {
    let check = |changes: Value, expect: bool| {
        assert_eq!(verifier(lms_rules()).verify(&token(&changes), NOW_MS).is_ok(), expect, "claims changed by {changes}");
    };
    let issuer = "https://lms.example";
    check(json!({"iss": issuer, "aud": "realtime"}), true);
    check(json!({"iss": issuer, "aud": ["x", "realtime"]}), true);
    check(json!({"iss": issuer, "aud": "Realtime"}), false);
    check(json!({"iss": issuer, "aud": []}), false);
    check(json!({"iss": issuer}), false);
    check(json!({"iss": [issuer], "aud": "realtime"}), false);
    check(json!({"iss": "https://lms.example/", "aud": "realtime"}), false);
    check(json!({"aud": "realtime"}), false);
}

#[test]
fn a_token_for_an_audience_is_refused_where_none_is_configured() {
    check_claims(&json!({"aud": "realtime"}), &json!("invalid_token"));
}

#[test]
fn the_header_must_name_the_keys_algorithm_and_nothing_that_is_not_understood() {
    check_header(r#"{"alg":"HS256"}"#, "u");
    check_header(r#"{"alg":"HS256","typ":"at+jwt","kid":"unknown","x5t":"a"}"#, "u");
    for wrong in [
        "{}",
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","jwk":{}}"#,
        r#"{"alg":"HS256","jku":"https://lms.example/jwks"}"#,
        r#"{"alg":"HS256","x5u":"https://lms.example/x"}"#,
        r#"{"alg":"HS256","x5c":[]}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"[{"alg":"HS256"}]"#,
        r#"{"alg":"HS256"} {}"#,
    ] {
        check_header(wrong, "invalid_token");
    }
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    let payload = format!(r#"{{"exp":{},"user_id":1,"user_id":2}}"#, NOW_S + 300);
    assert_eq!(judge(&sign(r#"{"alg":"HS256"}"#, payload)), json!("invalid_token"));
}

#[test]
fn a_token_has_three_segments_of_unpadded_base64url_and_a_bounded_size() {
    let good = token(&json!({}));
    assert_eq!(judge(&good), json!(1));
    let (message, signature) = good.rsplit_once('.').expect("three segments");
    let padded_payload = sign(r#"{"alg":"HS256"}"#, "{}").replacen('.', "=.", 1);
    let long = token(&json!({"pad": "x".repeat(8 * 1024)}));
    for wrong in [
        String::new(),
        ".".into(),
        "..".into(),
        "....".into(),
        message.into(),
        format!("{message}."),
        format!("{good}."),
        format!("{good}.x"),
        format!(" {good}"),
        format!("{good}="),
        format!("{message}.\n{signature}"),
        format!("{message}.{}", &signature[1..]),
        padded_payload,
        long,
        "x".repeat(1 << 20),
        ".".repeat(1 << 20),
    ] {
        assert_eq!(judge(&wrong), json!("invalid_token"), "token of {} bytes", wrong.len());
    }
}

#[test]
fn a_refusal_shows_its_code_and_keeps_the_reason_for_the_log() {
    let refusal = verifier(TokenRules::default()).verify(&token(&json!({"exp": "soon"})), NOW_MS).expect_err("refused");
    assert_eq!((refusal.to_string().as_str(), refusal.code()), ("invalid_token", ErrorCode::InvalidToken));
    assert_eq!(refusal.reason(), "exp, nbf or iat is not a number in range");
    assert_eq!((TokenError::Expired.to_string().as_str(), TokenError::Expired.reason()), ("expired_token", "exp is past"));
}

#[test]
fn a_named_key_alone_judges_the_tokens_that_name_it() {
    let other = config(Algorithm::Hs256, Some("b"), KeyMaterial::Secret(SECRET.chars().rev().collect()));
    let other = Key::new(&other, SecretRule::Strong).expect("a good key");
    let keys = vec![secret_key(Some("a")), other];
    let verifier = Verifier::new(keys, TokenRules::default()).expect("a good verifier");
    let check = |header: &str, expect: bool| {
        let payload = json!({"exp": NOW_S + 300, "user_id": 1}).to_string();
        assert_eq!(verifier.verify(&sign(header, payload), NOW_MS).is_ok(), expect, "header {header}");
    };
    check(r#"{"alg":"HS256","kid":"a"}"#, true);
    check(r#"{"alg":"HS256"}"#, true);
    check(r#"{"alg":"HS256","kid":"b"}"#, false);
    check(r#"{"alg":"HS256","kid":"../../dev/null"}"#, false);
}

#[test]
fn a_public_key_verifies_its_own_algorithm_from_pem() {
    for (algorithm, pem, token) in [
        (Algorithm::Rs256, RSA_PEM, RS256_TOKEN),
        (Algorithm::Rs256, RSA_PKCS1_PEM, RS256_TOKEN),
        (Algorithm::Es256, EC_PEM, ES256_TOKEN),
        (Algorithm::EdDsa, ED_PEM, ED_TOKEN),
    ] {
        let key = Key::new(&config(algorithm, None, KeyMaterial::Pem(pem.into())), SecretRule::Strong).expect("a good key");
        let verifier = Verifier::new(vec![key], lms_rules()).expect("a good verifier");
        let claims = verifier.verify(token, NOW_MS).unwrap_or_else(|refusal| panic!("{algorithm:?}: {}", refusal.reason()));
        assert_eq!(claims.user.to_json(), json!("u1"));
        for other in [RS256_TOKEN, ES256_TOKEN, ED_TOKEN].iter().filter(|other| **other != token) {
            assert!(verifier.verify(other, NOW_MS).is_err(), "{algorithm:?} must not verify another algorithm");
        }
        // The public key as an HMAC secret: the classical confusion.
        let message = format!("{}.{}", base64url(r#"{"alg":"HS256"}"#), base64url(r#"{"exp":1700000300,"sub":"admin"}"#));
        let confused = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pem.as_bytes());
        let forged = format!("{message}.{}", base64url(aws_lc_rs::hmac::sign(&confused, message.as_bytes())));
        assert!(verifier.verify(&forged, NOW_MS).is_err());
    }
}

#[test]
fn keys_that_cannot_be_trusted_stop_the_start() {
    let pem = |algorithm, text: &str| config(algorithm, None, KeyMaterial::Pem(text.into()));
    let jwk = |algorithm, jwk: Value| config(algorithm, None, KeyMaterial::Jwk(jwk.to_string()));
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "ld1OPdcZswjeZ7SQTxEwDYDnip6GaoSqr6t3JH3KlCw", "y": "G02nWanm6kpP3IMXWocwbHAy4GVvJQ_PuUanH0-Gw-o"});
    let with = |name: &str, value: Value| {
        let mut changed = ec.clone();
        changed[name] = value;
        changed
    };
    assert!(Key::new(&jwk(Algorithm::Es256, ec.clone()), SecretRule::Strong).is_ok());
    for (wrong, sentence) in [
        (pem(Algorithm::Rs256, RSA_1024_PEM), "1024 bits"),
        (pem(Algorithm::Rs256, EC_PEM), "configured algorithm"),
        (pem(Algorithm::Es256, EC_P384_PEM), "curve"),
        (pem(Algorithm::EdDsa, RSA_PEM), "configured algorithm"),
        (pem(Algorithm::Hs256, RSA_PEM), "needs a secret"),
        (pem(Algorithm::Rs256, "-----BEGIN PRIVATE KEY-----"), "private key"),
        (pem(Algorithm::Rs256, "ssh-rsa AAAA"), "PEM block"),
        (config(Algorithm::Hs256, None, KeyMaterial::Secret(RSA_PEM.into())), "PEM block"),
        (config(Algorithm::Rs256, None, KeyMaterial::Secret(SECRET.into())), "only be an HS256 key"),
        (config(Algorithm::Hs256, None, KeyMaterial::Secret("short".into())), "shorter than 32"),
        (jwk(Algorithm::Rs256, ec.clone()), "another algorithm"),
        (jwk(Algorithm::Es256, with("d", json!("AA"))), "private"),
        (jwk(Algorithm::Es256, with("use", json!("enc"))), "verifying signatures"),
        (jwk(Algorithm::Es256, with("key_ops", json!(["encrypt"]))), "verifying signatures"),
        (jwk(Algorithm::Es256, with("alg", json!("ES512"))), "do not fit"),
        (jwk(Algorithm::Es256, with("kid", json!(1))), "`kid`"),
        (jwk(Algorithm::Es256, with("x", json!("AA"))), "32 bytes"),
        (jwk(Algorithm::Es256, with("x", json!("ld1OPdcZswjeZ7SQTxEwDYDnip6GaoSqr6t3JH3KlCw="))), "base64url"),
        (jwk(Algorithm::Es256, with("x", ec["y"].clone())), "curve"),
    ] {
        let refusal = Key::new(&wrong, SecretRule::Strong).err().expect(sentence).to_string();
        assert!(refusal.contains(sentence), "{refusal} / {sentence}");
    }
}

#[test]
fn a_key_set_leaves_out_what_is_not_for_these_signatures_and_refuses_what_is_ambiguous() {
    let key = |changes: Value| {
        let mut key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "09r_2m7XDxhn-pwxcybiQ405HQv1oVD1pw48g7As7xo"});
        key.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        key
    };
    let check = |keys: Value, expect: Option<usize>| {
        let read = keys_from_jwk_set(&json!({"keys": keys}).to_string(), SecretRule::Strong);
        assert_eq!(read.ok().map(|keys| keys.len()), expect, "{keys}");
    };
    let secret = json!({"kty": "oct", "kid": "b", "k": base64url(SECRET)});
    check(json!([key(json!({}))]), Some(1));
    check(json!([key(json!({})), key(json!({"kid": "b"}))]), Some(2));
    check(json!([key(json!({})), key(json!({"kid": "b", "use": "enc"}))]), Some(1));
    check(json!([key(json!({})), key(json!({"kid": "b", "crv": "Ed448"}))]), Some(1));
    check(json!([secret]), Some(1));
    check(json!([key(json!({})), secret]), None);
    check(json!([key(json!({})), key(json!({}))]), None);
    check(json!([key(json!({"use": "enc"}))]), None);
    check(json!([]), None);
    check(json!(["a"]), None);
}

#[test]
fn a_short_secret_starts_a_development_server_and_an_empty_one_starts_none() {
    let key = |text: &str| Key::new(&config(Algorithm::Hs256, None, KeyMaterial::Secret(text.into())), SecretRule::AnyForDev);
    assert!(key("dev").is_ok());
    assert!(key("").is_err());
}

#[test]
fn a_verifier_has_between_one_key_and_32_of_different_names() {
    let make = |count: usize, kid: Option<&str>| Verifier::new(vec![secret_key(kid); count], TokenRules::default()).is_ok();
    assert!(!make(0, None));
    assert!(make(32, None));
    assert!(!make(33, None));
    assert!(!make(2, Some("a")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_verifier_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), dots in proptest::collection::vec(0..600_usize, 0..5)) {
        let mut bytes = bytes;
        for dot in dots {
            if let Some(byte) = bytes.get_mut(dot) {
                *byte = b'.';
            }
        }
        prop_assert!(verifier(lms_rules()).verify(&String::from_utf8_lossy(&bytes), NOW_MS).is_err());
    }

    #[test]
    fn no_signed_payload_makes_the_verifier_panic(payload in proptest::collection::vec(any::<u8>(), 0..300), now_ms in any::<i64>()) {
        let signed = sign(r#"{"alg":"HS256"}"#, payload);
        prop_assert!(verifier(TokenRules::default()).verify(&signed, now_ms).is_err());
    }

    #[test]
    fn no_instant_makes_the_verifier_overflow(exp in any::<f64>(), iat in any::<i64>(), now_ms in prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()]) {
        let payload = format!(r#"{{"user_id":1,"exp":{},"iat":{iat}}}"#, json!(exp));
        let rules = TokenRules { leeway_s: u32::MAX, lifetime_s_max: Some(u32::MAX), ..TokenRules::default() };
        let _ = verifier(rules).verify(&sign(r#"{"alg":"HS256"}"#, payload), now_ms);
    }

    #[test]
    fn one_changed_sign_makes_a_token_invalid(place in any::<prop::sample::Index>(), sign in "[A-Za-z0-9_.=-]") {
        let good = token(&json!({}));
        let place = place.index(good.len());
        let changed = format!("{}{sign}{}", &good[..place], &good[place + 1..]);
        prop_assert_eq!(judge(&changed), if changed == good { json!(1) } else { json!("invalid_token") });
    }

    #[test]
    fn no_header_makes_origin_or_credentials_panic(text in any::<String>(), other in any::<String>()) {
        let allowed = AllowedOrigins::new(&["https://lms.example", "app.example"]).expect("a good list");
        let _ = allowed.allows(Some(&text), Some(&other), Carried::ByCookie);
        let _ = AllowedOrigins::new(&[&text]);
        let carriers = Carriers { authorization: Some(&text), subprotocols: Some(&other), ticket: Some(&text), token: None, cookie: cookie_value(&text, &other) };
        prop_assert!(find_credentials(&carriers, &Source::ALL).iter().all(|credential| !credential.text.is_empty()));
    }
}

// === vectors ===

#[test]
fn the_hostile_tokens_are_judged_as_they_are_marked() {
    let Some(text) = vectors("own/jwt-attacks.json") else { return };
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let rules = TokenRules {
        issuer: Some(file["iss"].as_str().expect("iss").into()),
        audience: Some("realtime".into()),
        ..lms_rules()
    };
    let hmac = config(Algorithm::Hs256, None, KeyMaterial::Secret(file["hmac_secret"].as_str().expect("secret").into()));
    let hmac = Key::new(&hmac, SecretRule::Strong).expect("a good secret");
    let public = keys_from_jwk_set(&file["jwks"].to_string(), SecretRule::Strong).expect("a good set");
    assert_eq!(public.len(), 3, "the encryption key is left out");
    let by_name = [("hmac", Verifier::new(vec![hmac], rules.clone())), ("jwks", Verifier::new(public, rules))];
    // Where the marks leave the choice: a token that names its key's address is refused, a fractional exp is accepted.
    let either = [("jku-valid-signature", false), ("exp-float", true)];
    let now_ms = file["now"].as_i64().expect("now") * 1000;
    let (mut accepted, mut refused) = (0, 0);
    for case in file["tokens"].as_array().expect("tokens") {
        let id = case["id"].as_str().expect("id");
        let (_, verifier) = by_name.iter().find(|(name, _)| case["verifier"] == *name).expect("a known verifier");
        let verdict = verifier.as_ref().expect("a good verifier").verify(case["token"].as_str().expect("token"), now_ms);
        let expect = match case["expect"].as_str() {
            Some("either") => either.iter().find(|(name, _)| *name == id).expect("a decision").1,
            mark => mark == Some("accept"),
        };
        assert_eq!(verdict.is_ok(), expect, "{id}: {verdict:?}");
        *if expect { &mut accepted } else { &mut refused } += 1;
    }
    say(&format!("hostile tokens: {accepted} accepted, {refused} refused, all as marked"));
    assert_eq!((accepted, refused), (6, 34));
}

/// Valid and invalid signatures of one Wycheproof file: how many were accepted, refused, and refused as unsupported.
fn check_wycheproof(file: &str, expect: [usize; 4]) {
    let Some(text) = vectors(&format!("wycheproof/{file}")) else { return };
    let file_json: Value = serde_json::from_str(&text).expect("JSON");
    let (mut accepted, mut refused, mut unsupported, mut mismarked) = (0, 0, 0, 0);
    for group in file_json["testGroups"].as_array().expect("groups") {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() { key.clone() } else { json!({"keys": [key]}) };
        let keys = keys_from_jwk_set(&set.to_string(), SecretRule::AnyForDev);
        let verifier = keys.and_then(|keys| Verifier::new(keys, TokenRules::default()));
        for case in group["tests"].as_array().expect("tests") {
            let Some(jws) = case.get("jws") else { continue };
            let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let is_accepted = verifier.as_ref().is_ok_and(|verifier| verifier.signed_payload(&token).is_ok());
            let header = token.split('.').next().and_then(|header| general_purpose::URL_SAFE_NO_PAD.decode(header).ok());
            let header: Value = header.and_then(|header| serde_json::from_slice(&header).ok()).unwrap_or_default();
            let is_supported = ["HS256", "RS256", "ES256", "EdDSA"].iter().any(|alg| header["alg"] == *alg);
            // Wycheproof lets decoders skip a `?` inside base64url; RFC 7515 section 2 does not, and neither do we.
            let is_lenient = token.contains('?');
            // Tests 367 and 370 are about padding, but the file spells them exactly like the valid test 357.
            let is_mismarked = matches!(case["tcId"].as_u64(), Some(367 | 370)) && file == "json_web_signature_test.json";
            let expect = (case["result"] == "valid" && is_supported && !is_lenient) || is_mismarked;
            assert_eq!(is_accepted, expect, "{file} test {} {}", case["tcId"], case["comment"]);
            match (is_accepted, case["result"] == "valid") {
                (true, true) => accepted += 1,
                (true, false) => mismarked += 1,
                (false, true) => unsupported += 1,
                (false, false) => refused += 1,
            }
        }
    }
    say(&format!(
        "{file}: {accepted} valid accepted, {refused} invalid refused, {unsupported} valid of other algorithms or lenient base64 refused"
    ));
    assert_eq!([accepted, refused, unsupported, mismarked], expect);
}

#[test]
fn wycheproof_signatures_are_judged_as_they_are_marked() {
    check_wycheproof("json_web_signature_test.json", [18, 353, 28, 2]);
}

#[test]
fn wycheproof_mixed_keys_are_judged_as_they_are_marked() {
    check_wycheproof("json_web_crypto_test.json", [4, 45, 0, 0]);
}

#[test]
fn wycheproof_keys_are_judged_as_they_are_marked() {
    check_wycheproof("json_web_key_test.json", [3, 21, 2, 0]);
}

/// We read signed tokens only: what is encrypted is refused whole, whether its marks call it valid or not.
#[test]
fn wycheproof_encrypted_tokens_are_all_refused() {
    let Some(text) = vectors("wycheproof/json_web_encryption_test.json") else { return };
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let verifier = verifier(TokenRules::default());
    let mut refused = 0;
    for case in
        file["testGroups"].as_array().expect("groups").iter().flat_map(|group| group["tests"].as_array().expect("tests"))
    {
        let token = case["jwe"].as_str().map_or_else(|| case["jwe"].to_string(), str::to_owned);
        assert!(verifier.verify(&token, NOW_MS).is_err(), "{}", case["tcId"]);
        refused += 1;
    }
    say(&format!("json_web_encryption_test.json: {refused} refused"));
    assert_eq!(refused, 139);
}

// === secrets ===

#[test]
fn secrets_that_people_type_are_refused() {
    for weak in [
        "short",
        "0123456789abcdef0123456789abcde",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdef0123456789abcdef",
        "qwertzuiopasdfghjklyxcvbnm1234567890qwertzuiop",
        "poiuytrewqlkjhgfdsamnbvcxz0987654321",
        "x7Kp9Qx7Kp9Qx7Kp9Qx7Kp9Qx7Kp9Qx7Kp9Q",
        "django-insecure-d)24gp3-)(x*&i1lygpoux*hf%bi3-8)t96s=^rb$63&m)+8z5",
        "ch4ng3-m3-pl34s3-ch4ng3-m3-n0w-7Kq9Zx",
        "S3cr3t!!S3cr3t??9Kq7Zx4Vw8Tn2Bm6Lp0Rd",
        "1b0b2801-cf33-45f1-9c67-9af56e5196e8",
        "the quick brown fox jumps over a lazy dog",
        "correct horse battery staple mountain",
        "iReallyLoveToEatThePancakesOfTheOtherStation7",
        "<a-long-value-7Kq9ZxVw8Tn2Bm6Lp0RdYs4Hf>",
        "MTIzNDU2NzgxMjM0NTY3ODEyMzQ1Njc4MTIzNDU2Nzg=",
        "n2r5u8x/A%D*G-KaPdSgVkYp3s6v9y$B&E(H+MbQeThWmZq4t7w!z%C*F-J@NcRf",
        "D(G+KbPeShVmYq3t6w9z$B&E)H@McQfT",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.h7Qx2Kd9Wm4Zt6Vb8Np1Rc3Lf5Jg0Ys",
    ] {
        assert!(secret::check(weak.as_bytes()).is_err(), "{weak}");
    }
}

#[test]
fn a_refused_secret_is_explained_without_being_quoted() {
    let sentence = secret::check(b"hunter2hunter2hunter2hunter2hunter2").expect_err("weak").to_string();
    assert!(!sentence.contains("hunter2") && sentence.contains("openssl rand"), "{sentence}");
}

/// Random bytes that are the same in every run.
fn random_bytes(round: u32) -> [u8; 32] {
    Sha256::digest(round.to_be_bytes()).into()
}

#[test]
fn ten_thousand_random_secrets_of_each_usual_spelling_are_accepted() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let django = |round| {
        let signs = b"abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)";
        let bytes = [random_bytes(round), random_bytes(round + 1_000_000)].concat();
        bytes.iter().take(50).map(|byte| char::from(signs[usize::from(*byte) % signs.len()])).collect::<String>()
    };
    for round in 0..10_000 {
        let bytes = random_bytes(round);
        let spellings = [
            general_purpose::STANDARD.encode(bytes),
            base64url(bytes),
            general_purpose::STANDARD.encode(&bytes[..24]),
            hex(&bytes),
            hex(&bytes).to_uppercase(),
            hex(&bytes[..16]),
            django(round),
        ];
        for spelling in spellings {
            assert_eq!(secret::check(spelling.as_bytes()), Ok(()), "{spelling}");
        }
    }
}

/// Those that pass look random: their only flaw is to be on a list.
#[test]
fn nearly_all_published_secrets_are_refused() {
    let Some(list) = vectors("jwt-weak-secrets/jwt.secrets.list") else { return };
    let lines: Vec<&str> = list.lines().collect();
    let long = lines.iter().filter(|line| line.len() >= secret::SECRET_BYTES_MIN).count();
    let passed = lines.iter().filter(|line| secret::check(line.as_bytes()).is_ok()).count();
    let short = lines.len() - long;
    let guessable = long - passed;
    say(&format!(
        "published secrets: {} in all, {short} refused by length, {guessable} as guessable, {passed} pass",
        lines.len()
    ));
    assert!(passed <= 1050, "{passed} published secrets pass");
}

// === API keys ===

const PLAIN_KEY: &str = "ck_7Kq9ZxVw8Tn2Bm6Lp0RdYs4Hf";

fn api_keys(secret: ApiKeySecret, scopes: &[&str], rule: SecretRule) -> Result<ApiKeys, String> {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    ApiKeys::new(&[ApiKeyConfig { name: "lms".into(), secret, scopes, rate_per_s: 50 }], rule).map_err(|why| why.to_string())
}

#[test]
fn an_api_key_is_found_by_its_hash_and_by_nothing_else() {
    let hash: String = Sha256::digest(PLAIN_KEY).iter().map(|byte| format!("{byte:02X}")).collect();
    let keys = api_keys(ApiKeySecret::Sha256Hex(hash.clone()), &["publish"], SecretRule::Strong).expect("a good key");
    let found = keys.find(PLAIN_KEY).expect("known");
    assert_eq!((found.name.as_str(), found.rate_per_s), ("lms", 50));
    let long = format!("{PLAIN_KEY}{}", "x".repeat(300));
    for unknown in ["", "ck_", &PLAIN_KEY[..20], &format!("{PLAIN_KEY} "), &PLAIN_KEY[3..], &hash, &long, SIMPLEJWT_ACCESS] {
        assert_eq!(keys.find(unknown), None, "{unknown}");
    }
    // The hash is not the key, and an overlong key is not even hashed.
    let long_hash: String = Sha256::digest(&long).iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = api_keys(ApiKeySecret::Sha256Hex(long_hash), &["publish"], SecretRule::Strong).expect("a good key");
    assert_eq!(keys.find(&long), None);
}

#[test]
fn the_right_key_is_found_among_many() {
    let make = |number: u32| ApiKeyConfig {
        name: format!("key-{number}"),
        secret: ApiKeySecret::Plain(format!("{PLAIN_KEY}{number}")),
        scopes: vec!["metrics".into()],
        rate_per_s: 1,
    };
    let keys = ApiKeys::new(&[make(1), make(2), make(3)], SecretRule::AnyForDev).expect("good keys");
    for number in 1..=3 {
        assert_eq!(keys.find(&format!("{PLAIN_KEY}{number}")).map(|key| key.name.clone()), Some(format!("key-{number}")));
    }
    assert!(ApiKeys::new(&[make(1), make(1)], SecretRule::AnyForDev).is_err(), "a name given twice");
    let same_key = ApiKeyConfig { name: "other".into(), ..make(1) };
    assert!(ApiKeys::new(&[make(1), same_key], SecretRule::AnyForDev).is_err(), "one key under two names");
    let idle = ApiKeyConfig { rate_per_s: 0, ..make(1) };
    assert!(ApiKeys::new(&[idle], SecretRule::AnyForDev).is_err(), "no rate");
}

#[test]
fn a_scope_allows_itself_and_its_narrower_forms() {
    let keys = |scopes: &[&str]| api_keys(ApiKeySecret::Plain(PLAIN_KEY.into()), scopes, SecretRule::AnyForDev).expect("good");
    let check = |scopes: &[&str], wanted: &str, expect: bool| {
        assert_eq!(keys(scopes).find(PLAIN_KEY).expect("known").allows(wanted), expect, "{scopes:?} {wanted}");
    };
    check(&["publish"], "publish", true);
    check(&["publish"], "publish:grade_update", true);
    check(&["publish:grade_update"], "publish:grade_update", true);
    check(&["publish:grade_update"], "publish:grade", false);
    check(&["publish:grade"], "publish:grade_update", false);
    check(&["publish:grade_update"], "publish", false);
    check(&["roster", "metrics"], "publish:grade_update", false);
    check(&["roster"], "roster", true);
    for unknown in ["", "root", "publish:", "publish:*", "roster:x", "Publish"] {
        assert!(api_keys(ApiKeySecret::Plain(PLAIN_KEY.into()), &[unknown], SecretRule::AnyForDev).is_err(), "{unknown}");
    }
    assert!(api_keys(ApiKeySecret::Plain(PLAIN_KEY.into()), &[], SecretRule::AnyForDev).is_err());
}

#[test]
fn the_key_itself_stands_in_the_configuration_of_a_development_server_only() {
    let refusal = api_keys(ApiKeySecret::Plain(PLAIN_KEY.into()), &["publish"], SecretRule::Strong).err().expect("refused");
    assert!(refusal.contains("sha256sum") && !refusal.contains(PLAIN_KEY), "{refusal}");
    for wrong in ["ck_short", "7Kq9ZxVw8Tn2Bm6Lp0RdYs4Hf7Kq9Zx"] {
        assert!(api_keys(ApiKeySecret::Plain(wrong.into()), &["publish"], SecretRule::AnyForDev).is_err(), "{wrong}");
    }
    for wrong in [String::new(), "0".repeat(63), "0".repeat(65), "g".repeat(64)] {
        assert!(api_keys(ApiKeySecret::Sha256Hex(wrong), &["publish"], SecretRule::Strong).is_err());
    }
}

// === origins ===

fn check_origin(allowed: &[&str], origin: &str, expect: bool) {
    let list = AllowedOrigins::new(allowed).expect("a good list");
    assert_eq!(list.allows(Some(origin), Some("rt.example"), Carried::ByCookie), expect, "{allowed:?} {origin}");
}

#[test]
fn a_listed_origin_is_compared_whole() {
    let allowed = ["https://lms.example", "http://localhost:3000", "https://[::1]:8443", "capacitor://localhost"];
    for good in [
        "https://lms.example",
        "HTTPS://LMS.example",
        "https://lms.example:443",
        "http://localhost:3000",
        "https://[::1]:8443",
        "capacitor://localhost",
    ] {
        check_origin(&allowed, good, true);
    }
    for wrong in [
        "http://lms.example",
        "https://lms.example:8443",
        "https://evil-lms.example",
        "https://lms.example.evil.example",
        "https://a.lms.example",
        "https://lms.example.",
        "https://lms.example/",
        "https://lms.example@evil.example",
        "https://evil.example#https://lms.example",
        "https://lms.example:",
        "https://lms.example:+443",
        "https://lms.example:0",
        " https://lms.example",
        "https://lms.example https://evil.example",
        "https://lmſ.example",
        "lms.example",
        "//lms.example",
        "://lms.example",
        "",
        "http://localhost",
        "https://[::1]",
        "capacitor://localhost:80",
        "null",
    ] {
        check_origin(&allowed, wrong, false);
    }
}

#[test]
fn a_bare_host_stands_for_http_and_https_on_their_default_ports() {
    for good in ["https://lms.example", "http://lms.example", "http://lms.example:80", "https://LMS.EXAMPLE:443"] {
        check_origin(&["lms.example"], good, true);
    }
    for wrong in ["https://lms.example:8443", "http://lms.example:443", "ftp://lms.example", "https://a.lms.example"] {
        check_origin(&["lms.example"], wrong, false);
    }
    check_origin(&["lms.example:8443"], "https://lms.example:8443", true);
    check_origin(&["lms.example:8443"], "https://lms.example", false);
}

#[test]
fn the_opaque_origin_is_refused_unless_it_is_listed() {
    check_origin(&["https://lms.example"], "null", false);
    check_origin(&["null"], "null", true);
    check_origin(&["null"], "https://evil.example", false);
}

#[test]
fn the_servers_own_pages_are_allowed() {
    let check = |origin: &str, host: Option<&str>, expect: bool| {
        let allowed = AllowedOrigins::default().allows(Some(origin), host, Carried::ByCookie);
        assert_eq!(allowed, expect, "{origin} {host:?}");
    };
    check("https://rt.example", Some("RT.example"), true);
    check("http://127.0.0.1:8080", Some("127.0.0.1:8080"), true);
    check("https://rt.example", Some("rt.example:443"), true);
    check("https://rt.example", Some("rt.example:8443"), false);
    check("https://rt.example:8443", Some("rt.example"), false);
    check("https://evil.example", Some("rt.example"), false);
    check("https://rt.example", None, false);
    check("null", Some("null"), false);
    check("https://rt.example", Some(""), false);
}

#[test]
fn a_missing_origin_is_accepted_unless_a_cookie_speaks() {
    let list = AllowedOrigins::default();
    assert!(list.allows(None, Some("rt.example"), Carried::Explicitly));
    assert!(!list.allows(None, Some("rt.example"), Carried::ByCookie));
    assert!(!list.allows(Some(""), Some("rt.example"), Carried::Explicitly));
}

#[test]
fn an_entry_that_cannot_be_compared_whole_is_refused() {
    for wrong in [
        "*",
        "https://*.lms.example",
        ".lms.example",
        "https://lms.example/",
        "https://lms.example/a",
        "lms.example/a",
        "münchen.example",
        "",
        "https://",
        "https://a@b",
        "a:b:c",
        "a:70000",
    ] {
        assert!(AllowedOrigins::new(&[wrong]).is_err(), "{wrong}");
    }
}

// === choosing ===

fn carriers() -> Carriers<'static> {
    let subprotocols = Some("v1, bearer, b");
    Carriers { authorization: Some("bearer  a"), subprotocols, ticket: Some("c"), token: Some("d"), cookie: Some("e") }
}

fn found(carriers: &Carriers<'_>, sources: &[Source]) -> Vec<String> {
    find_credentials(carriers, sources).iter().map(|one| format!("{:?} {}", one.source, one.text)).collect()
}

#[test]
fn credentials_are_found_in_the_documented_order() {
    assert_eq!(found(&carriers(), &Source::ALL), ["Bearer a", "Subprotocol b", "Ticket c", "Query d", "Cookie e"]);
    let reversed = [Source::Query, Source::Ticket, Source::Subprotocol, Source::Bearer];
    assert_eq!(found(&carriers(), &reversed), ["Bearer a", "Subprotocol b", "Ticket c", "Query d"]);
}

#[test]
fn a_source_that_is_switched_off_is_not_looked_at() {
    assert_eq!(found(&carriers(), &[Source::Bearer, Source::Ticket]), ["Bearer a", "Ticket c"]);
    assert!(found(&carriers(), &[]).is_empty());
}

#[test]
fn other_schemes_other_subprotocols_and_empty_values_are_no_credentials() {
    for (authorization, subprotocols) in
        [("Basic YTpi", "campanile.v1, x"), ("Bearer", "bearer"), ("Bearer ", "bearer, "), ("", "")]
    {
        let carriers = Carriers {
            authorization: Some(authorization),
            subprotocols: Some(subprotocols),
            ticket: Some(""),
            token: Some(""),
            cookie: Some(""),
        };
        assert!(found(&carriers, &Source::ALL).is_empty(), "{authorization} {subprotocols}");
    }
}

fn person(id: impl Into<Id>) -> Caller {
    let id = id.into();
    Caller::Person(PersonCaller { id, role: None, cadet: None, expires_at_ms: 0, token_id: None, issued_at_ms: None })
}

/// Chooses among credentials that were judged so, and expects a caller's key or a code.
fn check_choice(verdicts: &[Result<Caller, ErrorCode>], expect: &str) {
    let chosen = choose(verdicts.to_vec());
    assert_eq!(chosen.map_or_else(|code| code.as_str().to_owned(), |caller| caller.key()), expect);
}

#[test]
fn the_first_credential_decides_and_a_valid_one_of_somebody_else_is_a_conflict() {
    let text_id = Id::new("1").expect("an id");
    let service = Caller::Service(ServiceCaller { name: "1".into(), scopes: Vec::new() });
    check_choice(&[], "no_credential");
    check_choice(&[Ok(person(1))], "user:1");
    check_choice(&[Ok(person(1)), Ok(person(text_id)), Ok(person(1))], "user:1");
    check_choice(&[Ok(person(1)), Ok(person(2))], "credential_conflict");
    check_choice(&[Ok(person(1)), Ok(person(1)), Ok(person(2))], "credential_conflict");
    check_choice(&[Ok(service), Ok(person(1))], "credential_conflict");
    check_choice(&[Ok(person(1)), Err(ErrorCode::ExpiredToken)], "user:1");
    check_choice(&[Err(ErrorCode::ExpiredToken), Ok(person(1))], "expired_token");
    check_choice(&[Err(ErrorCode::InvalidTicket), Err(ErrorCode::InvalidToken)], "invalid_ticket");
}

#[test]
fn the_scheme_token_is_read_as_bearer_is() {
    let carriers = Carriers { authorization: Some("Token 9944b09199c62bcf"), ..Carriers::default() };
    assert_eq!(found(&carriers, &Source::ALL), ["Bearer 9944b09199c62bcf"]);
}

// === what a token says of itself ===

#[test]
fn a_token_names_its_judge_and_an_opaque_one_names_none() {
    let named = peek(ED_TOKEN).expect("a JWT");
    assert_eq!((named.issuer.as_deref(), named.kid.as_deref()), (Some("https://lms.example"), Some("ed-1")));
    assert_eq!(peek("a.b.c"), None);
    for opaque in ["9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b", "", "..", "eyJ1c2VyIjoxfQ.ZxYzAB.c2ln", "k3:1abc:sig"] {
        assert_eq!(peek(opaque), None, "{opaque}");
    }
}

#[test]
fn a_token_is_revoked_by_its_jti_or_else_by_a_hash_of_it() {
    let verified = verifier(TokenRules::default());
    let claims = |changes: Value| verified.verify(&token(&changes), NOW_MS).expect("a good token");
    let named = claims(json!({"jti": "t-1", "iat": NOW_S - 7}));
    assert_eq!((&*named.token_id, named.issued_at_ms), ("t-1", Some(NOW_MS - 7_000)));
    for jti in [json!(null), json!(7), json!(""), json!("x".repeat(256)), json!("a\nb")] {
        let id = claims(json!({"jti": jti})).token_id;
        assert!(id.starts_with("jwt:") && id.len() == 36, "{jti}: {id}");
    }
}

#[test]
fn who_is_not_approved_is_told_so_and_nothing_but_true_and_false_is_believed() {
    check_claims(&json!({"is_approved": true}), &json!(1));
    check_claims(&json!({"is_approved": false}), &json!("not_approved"));
    check_claims(&json!({"is_approved": false, "exp": NOW_S - 600}), &json!("not_approved"));
    for wrong in [json!("false"), json!(0), json!([])] {
        check_claims(&json!({"is_approved": wrong}), &json!("invalid_token"));
    }
}

// === cookies, answers, addresses ===

#[test]
fn a_cookie_is_found_by_its_whole_name_and_two_of_one_name_cancel_out() {
    for (header, expect) in [
        ("sessionid=abc", Some("abc")),
        ("csrftoken=x; sessionid=\"abc\"; theme=dark", Some("abc")),
        ("sessionid=a; sessionid=a", Some("a")),
        ("sessionid=a; sessionid=b", None),
        ("xsessionid=a; sessionid2=b", None),
        ("sessionid", None),
        ("", None),
    ] {
        assert_eq!(cookie_value(header, "sessionid"), expect, "{header}");
    }
}

fn check_answer(answer: &Value, expect: &Value) {
    let said = match read_answer(answer.to_string().as_bytes(), "opaque", NOW_MS, 3_600_000) {
        Ok(Ok(person)) => {
            json!([person.id.to_json(), person.role, person.expires_at_ms - NOW_MS, person.issued_at_ms.map(|at| at - NOW_MS)])
        }
        Ok(Err(code)) => json!(code.as_str()),
        Err(_) => json!("no answer"),
    };
    assert_eq!(&said, expect, "{answer}");
}

#[test]
fn a_host_s_answer_is_read_as_the_claims_of_a_token() {
    check_answer(&json!({"active": true, "user_id": 7, "role": "cadet"}), &json!([7, "cadet", 3_600_000, 0]));
    check_answer(
        &json!({"active": true, "sub": "ada", "exp": null, "iat": NOW_S - 5}),
        &json!(["ada", null, 3_600_000, -5_000]),
    );
    check_answer(&json!({"active": true, "username": "ada", "exp": NOW_S + 60}), &json!(["ada", null, 60_000, 0]));
    // However long the host says, it is asked again within an hour.
    check_answer(&json!({"active": true, "user_id": 7, "exp": NOW_S + 86_400}), &json!([7, null, 3_600_000, 0]));
    check_answer(&json!({"active": false}), &json!("invalid_token"));
    check_answer(&json!({"active": true, "user_id": 7, "is_approved": false}), &json!("not_approved"));
    check_answer(&json!({"active": true, "user_id": 7, "exp": NOW_S}), &json!("expired_token"));
    for nonsense in [
        json!({}),
        json!({"active": "yes", "user_id": 7}),
        json!({"active": true}),
        json!({"active": true, "user_id": []}),
        json!([]),
    ] {
        check_answer(&nonsense, &json!("no answer"));
    }
}

#[test]
fn only_the_public_internet_is_public() {
    let public =
        ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"];
    let special = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:808:808::1",
        "3fff::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for (list, expect) in [(&public[..], true), (&special[..], false)] {
        for address in list {
            assert_eq!(is_public(address.parse().expect("an address")), expect, "{address}");
        }
    }
}

// === key sets ===

/// The one key of the sets here.
fn key_set(kid: &str) -> KeySet {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    KeySet::read(&json!({"keys": [jwk]}).to_string(), &[Algorithm::EdDsa], &TokenRules::default()).expect("a good set")
}

fn step(cache: &KeyCache, kid: &str, at_ms: i64) -> &'static str {
    match cache.step(Some(kid), at_ms) {
        Step::Judge(_) => "judge",
        Step::JudgeAndRenew(_) => "renew behind",
        Step::Fetch => "fetch",
        Step::Unavailable => "unavailable",
    }
}

#[test]
fn an_issuer_is_asked_by_time_and_not_by_how_many_tokens_come() {
    let mut cache = KeyCache::default();
    assert_eq!(step(&cache, "a", 0), "fetch");
    cache.failed(0);
    assert_eq!((step(&cache, "a", RETRY_MS - 1), step(&cache, "a", RETRY_MS)), ("unavailable", "fetch"));
    cache.fetched(key_set("a"), 0);
    assert_eq!((step(&cache, "a", 0), step(&cache, "b", 0)), ("judge", "judge"), "an unknown key has just been looked for");
    assert_eq!((step(&cache, "b", UNKNOWN_KID_MS - 1), step(&cache, "b", UNKNOWN_KID_MS)), ("judge", "fetch"));
    assert_eq!((step(&cache, "a", RENEW_MS), step(&cache, "a", OLD_MS)), ("renew behind", "fetch"));
}

#[test]
fn the_last_set_judges_while_its_issuer_is_down_but_not_for_ever() {
    let mut cache = KeyCache::default();
    cache.fetched(key_set("a"), 0);
    cache.failed(OLD_MS);
    assert_eq!((step(&cache, "a", OLD_MS), step(&cache, "b", OLD_MS)), ("judge", "unavailable"));
    assert_eq!(step(&cache, "a", OLD_MS + RETRY_MS), "renew behind");
    cache.failed(STALE_MS_MAX - 1);
    assert_eq!((step(&cache, "a", STALE_MS_MAX - 1), step(&cache, "a", STALE_MS_MAX)), ("judge", "unavailable"));
}

#[test]
fn of_a_published_set_only_public_keys_of_allowed_algorithms_count() {
    let read = |jwk: Value, algorithms: &[Algorithm]| {
        KeySet::read(&json!({"keys": [jwk]}).to_string(), algorithms, &TokenRules::default()).is_ok()
    };
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert!(read(ed.clone(), &[Algorithm::EdDsa]));
    assert!(!read(ed, &[Algorithm::Rs256]));
    let secret = json!({"kty": "oct", "k": "c3RyZW5ndGggaXMgbm90IHdoYXQgaXMgdGVzdGVkIGhlcmUhIQ"});
    assert!(!read(secret, &[Algorithm::Hs256]), "what is published is no secret");
}
