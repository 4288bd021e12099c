//! The opening handshake of RFC 6455 (section 4.2): headers in, a verdict out, and no I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use sha1::{Digest, Sha1};

/// What the server appends to a client's key before hashing it (RFC 6455, 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The name under which a browser, which cannot set `Authorization`, may send its token.
const BEARER: &str = "bearer";

/// A request that may become a WebSocket. Nothing in it refers to the request, whose headers would otherwise keep the
/// whole read buffer of the HTTP connection alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: HeaderValue,
    /// Whether the client offered the subprotocol `bearer`; the answer must then name it, or browsers hang up.
    pub bearer_offered: bool,
    /// The token of `Sec-WebSocket-Protocol: bearer, <token>`.
    pub bearer_token: Option<Box<str>>,
}

impl Upgrade {
    /// The answer 101, after which the connection speaks frames. No extension is ever accepted.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if self.bearer_offered {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
        }
        response
    }
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Answered 405.
    #[error("a WebSocket is opened with GET")]
    MethodNotGet,
    /// Answered 426: plain HTTP on a route that only speaks WebSocket.
    #[error("this route speaks WebSocket: send Upgrade: websocket and Connection: Upgrade over HTTP/1.1")]
    UpgradeMissing,
    /// Answered 426.
    #[error("Sec-WebSocket-Version must be 13")]
    VersionNotSupported,
    /// Answered 400.
    #[error("the Host header is missing")]
    HostMissing,
    /// Answered 400.
    #[error("Sec-WebSocket-Key must be given once, as 16 bytes in Base64")]
    KeyMalformed,
}

impl Refusal {
    /// The status to answer with.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MethodNotGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::UpgradeMissing | Self::VersionNotSupported => StatusCode::UPGRADE_REQUIRED,
            Self::HostMissing | Self::KeyMalformed => StatusCode::BAD_REQUEST,
        }
    }

    /// The headers that the status calls for: what the client should have sent (RFC 9110, 15.5.6 and 15.5.22; RFC
    /// 6455, 4.4).
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::MethodNotGet => &[("allow", "GET")],
            Self::UpgradeMissing | Self::VersionNotSupported => {
                &[("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13")]
            }
            Self::HostMissing | Self::KeyMalformed => &[],
        }
    }
}

/// Judges a request for a WebSocket. Origin and credentials are not judged here.
pub fn check_upgrade(method: &Method, version: Version, headers: &HeaderMap) -> Result<Upgrade, Refusal> {
    if method != Method::GET {
        return Err(Refusal::MethodNotGet);
    }
    let asks_for_it = has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket");
    if version != Version::HTTP_11 || !asks_for_it {
        return Err(Refusal::UpgradeMissing);
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::VersionNotSupported);
    }
    if !headers.contains_key(HOST) {
        return Err(Refusal::HostMissing);
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(Refusal::KeyMalformed)?;
    let accept = accept_of(key.as_bytes()).ok_or(Refusal::KeyMalformed)?;
    let mut offered = list(headers, &SEC_WEBSOCKET_PROTOCOL).skip_while(|name| *name != BEARER);
    let bearer_offered = offered.next().is_some();
    let bearer_token = offered.next().map(Box::from);
    Ok(Upgrade { accept, bearer_offered, bearer_token })
}

/// `Sec-WebSocket-Accept` for a key, or `None` if the key is not 16 bytes in Base64.
fn accept_of(key: &[u8]) -> Option<HeaderValue> {
    let nonce = BASE64.decode(key).ok()?;
    if nonce.len() != 16 {
        return None;
    }
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    HeaderValue::try_from(BASE64.encode(digest)).ok()
}

/// The one value of a header that must come exactly once: of two, who says which a proxy has looked at?
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated header, which may be spread over several lines (RFC 9110, 5.3).
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty())
}
