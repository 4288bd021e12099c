//! The rules of the opening handshake.

use http::header::{HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::super::handshake::{Refusal, Upgrade, check_upgrade};

/// The request of RFC 6455, 1.3.
fn request() -> HeaderMap {
    headers(&[
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ])
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    pairs.collect()
}

fn with(name: &'static str, value: &'static str) -> HeaderMap {
    let mut headers = request();
    headers.insert(name, HeaderValue::from_static(value));
    headers
}

fn check(headers: &HeaderMap) -> Result<Upgrade, Refusal> {
    check_upgrade(&Method::GET, Version::HTTP_11, headers)
}

#[test]
fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
    let upgrade = check(&request()).unwrap();
    assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let response = upgrade.response();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let expect = headers(&[
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]);
    assert_eq!(*response.headers(), expect);
}

#[test]
fn names_are_matched_without_case_and_in_lists() {
    let mut headers = with("connection", "keep-alive, UPGRADE");
    headers.insert("upgrade", HeaderValue::from_static("h2c,WebSocket"));
    assert!(check(&headers).is_ok());
    headers.insert("connection", HeaderValue::from_static("keep-alive"));
    headers.append("connection", HeaderValue::from_static("upgrade"));
    assert!(check(&headers).is_ok());
}

#[test]
fn anything_but_an_upgrade_over_get_and_http_1_1_is_refused() {
    assert_eq!(check_upgrade(&Method::POST, Version::HTTP_11, &request()), Err(Refusal::MethodNotGet));
    assert_eq!(check_upgrade(&Method::GET, Version::HTTP_10, &request()), Err(Refusal::UpgradeMissing));
    assert_eq!(check(&with("connection", "keep-alive")), Err(Refusal::UpgradeMissing));
    assert_eq!(check(&with("connection", "not-upgrade")), Err(Refusal::UpgradeMissing));
    assert_eq!(check(&with("upgrade", "h2c")), Err(Refusal::UpgradeMissing));
    assert_eq!(check(&HeaderMap::new()), Err(Refusal::UpgradeMissing));
    let mut without_host = request();
    without_host.remove(HOST);
    assert_eq!(check(&without_host), Err(Refusal::HostMissing));
}

#[test]
fn another_version_than_13_is_answered_426_with_the_version_that_is_spoken() {
    for version in ["8", "14", "13, 8", ""] {
        assert_eq!(check(&with("sec-websocket-version", version)), Err(Refusal::VersionNotSupported), "{version:?}");
    }
    let mut without = request();
    without.remove(SEC_WEBSOCKET_VERSION);
    assert_eq!(check(&without), Err(Refusal::VersionNotSupported));
    let mut twice = request();
    twice.append(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    assert_eq!(check(&twice), Err(Refusal::VersionNotSupported));
    assert_eq!(Refusal::VersionNotSupported.status(), StatusCode::UPGRADE_REQUIRED);
    assert!(Refusal::VersionNotSupported.headers().contains(&("sec-websocket-version", "13")));
    assert!(Refusal::UpgradeMissing.headers().contains(&("upgrade", "websocket")));
    assert!(Refusal::MethodNotGet.headers().contains(&("allow", "GET")));
}

#[test]
fn the_key_is_given_once_and_is_16_bytes_in_base64() {
    for key in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ==x", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZSBidXQgbG9uZ2Vy"] {
        let refused = check(&with("sec-websocket-key", key));
        assert_eq!(refused, Err(Refusal::KeyMalformed), "{key:?}");
    }
    let mut twice = request();
    twice.append(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(check(&twice), Err(Refusal::KeyMalformed));
    let mut without = request();
    without.remove(SEC_WEBSOCKET_KEY);
    assert_eq!(check(&without), Err(Refusal::KeyMalformed));
    assert_eq!(Refusal::KeyMalformed.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn the_token_follows_bearer_in_the_offered_subprotocols_and_the_answer_names_bearer() {
    for offered in ["bearer, a.b.c", "bearer,a.b.c", "json, bearer, a.b.c, chat", " bearer ,, a.b.c"] {
        let upgrade = check(&with("sec-websocket-protocol", offered)).unwrap();
        assert_eq!(upgrade.bearer_token.as_deref(), Some("a.b.c"), "{offered:?}");
        assert_eq!(upgrade.response().headers()[SEC_WEBSOCKET_PROTOCOL], "bearer");
    }
    let mut two_lines = with("sec-websocket-protocol", "bearer");
    two_lines.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a.b.c"));
    assert_eq!(check(&two_lines).unwrap().bearer_token.as_deref(), Some("a.b.c"));
}

#[test]
fn bearer_without_a_token_is_answered_too_since_browsers_hang_up_otherwise() {
    let upgrade = check(&with("sec-websocket-protocol", "bearer")).unwrap();
    assert_eq!((upgrade.bearer_offered, upgrade.bearer_token.as_deref()), (true, None));
    assert_eq!(upgrade.response().headers()[SEC_WEBSOCKET_PROTOCOL], "bearer");
}

#[test]
fn no_other_subprotocol_and_no_extension_is_ever_accepted() {
    let mut headers = with("sec-websocket-protocol", "graphql-ws, Bearer, a.b.c");
    headers.insert("sec-websocket-extensions", HeaderValue::from_static("permessage-deflate"));
    let upgrade = check(&headers).unwrap();
    assert_eq!((upgrade.bearer_offered, upgrade.bearer_token.as_deref()), (false, None));
    assert_eq!(upgrade.response().headers().len(), 3);
}
