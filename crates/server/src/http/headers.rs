//! The headers around every answer: what browsers must not do with it, whose pages may read it, and where the caller stands.

#[cfg(test)]
mod tests;

use crate::gate::Standing;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// `X-Request-Id`.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over, in signs.
const REQUEST_ID_SIGNS_MAX: usize = 64;

/// What every answer says. A page of our own, which needs more than nothing, brings its own words.
const PROTECTION: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];
/// For a year a browser that has spoken TLS with this host speaks nothing else with it.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// What a page of an allowed origin may ask for and send along.
const ALLOWED_METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const ALLOWED_HEADERS: [&str; 5] = ["authorization", "content-type", "idempotency-key", "last-event-id", "x-request-id"];
/// What it may read of an answer beyond the body.
const EXPOSED_HEADERS: &str =
    "x-request-id, retry-after, idempotency-replayed, ratelimit-limit, ratelimit-remaining, ratelimit-reset";
/// Seconds for which a browser keeps the answer to a preflight.
const PREFLIGHT_KEPT_S: &str = "600";

/// Whose page asks, and what it may.
pub(crate) struct Cors {
    /// The page's origin, if it is allowed.
    pub(crate) origin: Option<HeaderValue>,
    /// Whether a browser may add cookies: only where they are a credential at all.
    pub(crate) with_cookies: bool,
}

impl Cors {
    /// The answer to a preflight (Fetch, section "CORS-preflight request") of an allowed origin.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response {
        let mut headers = HeaderMap::new();
        let text = |name| request.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("unreadable"));
        let fits_method = text(header::ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|method| ALLOWED_METHODS.contains(&method));
        let asked = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let mut asked = asked.split(',').map(str::trim).filter(|name| !name.is_empty());
        let fits_headers = asked.all(|name| ALLOWED_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        if fits_method && fits_headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, joined(&ALLOWED_METHODS));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, joined(&ALLOWED_HEADERS));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_KEPT_S));
        }
        // Without these lists the browser refuses for us, and tells the developer which one is missing.
        headers.append(header::VARY, HeaderValue::from_static("access-control-request-method, access-control-request-headers"));
        (StatusCode::NO_CONTENT, headers).into_response()
    }

    /// Says who may read the answer. What depends on the origin says so even to those without one, for the caches' sake.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        if self.with_cookies {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

fn joined(words: &[&str]) -> HeaderValue {
    HeaderValue::from_str(&words.join(", ")).expect("the lists are plain ASCII")
}

/// Adds what browsers must not do with the answer.
pub(crate) fn protect(headers: &mut HeaderMap, is_secure: bool) {
    for (name, value) in PROTECTION {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_secure {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HeaderValue::from_static(STRICT_TRANSPORT));
    }
}

/// Says where the caller stands with its limit (draft-ietf-httpapi-ratelimit-headers, in the form that clients know).
pub(crate) fn tell_standing(headers: &mut HeaderMap, standing: Standing) {
    headers.insert("ratelimit-limit", standing.limit.into());
    headers.insert("ratelimit-remaining", standing.remaining.into());
    headers.insert("ratelimit-reset", standing.full_in_ms.div_ceil(1_000).into());
}

/// The request's id: the caller's own, if it can stand in a log line as it is, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=REQUEST_ID_SIGNS_MAX).contains(&id.len())
            && id.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"-_.".contains(&sign))
    };
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_plain);
    given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned)
}
