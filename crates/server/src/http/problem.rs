//! Refusals as HTTP: `application/problem+json` with a documented code. The one place where an error becomes a response.

use crate::gate::TooMany;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use campanile_live::Refused;
use campanile_wire::{ErrorCode, Refusal};
use serde_json::{Value, json};

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Problem {
    refusal: Refusal,
    retry_after_ms: Option<u64>,
}

/// What `Retry-After` says when nothing better is known.
const RETRY_AFTER_MS: u64 = 1_000;

impl<R: Into<Refusal>> From<R> for Problem {
    fn from(refusal: R) -> Self {
        let refusal = refusal.into();
        let retry_after_ms = refusal.code.is_passing().then_some(RETRY_AFTER_MS);
        Self { refusal, retry_after_ms }
    }
}

impl Problem {
    pub(crate) fn of(refused: Refused) -> Self {
        Self { retry_after_ms: refused.retry_after_ms, ..refused.refusal.into() }
    }

    pub(crate) fn too_many(too_many: TooMany) -> Self {
        Self { retry_after_ms: Some(too_many.retry_after_ms), ..too_many.refusal.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Refusal { code, message, current } = self.refusal;
        let mut body = json!({ "code": code.as_str(), "message": message, "status": code.status() });
        if let Some(current) = current {
            body["current"] = *current;
        }
        if let Some(retry_after_ms) = self.retry_after_ms {
            // Pollers read it: `Retry-After` has whole seconds only.
            body["next_poll_ms"] = retry_after_ms.into();
        }
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body.to_string()).into_response();
        // For the counters and the log around it, and to be signed there.
        response.extensions_mut().insert(code);
        response.extensions_mut().insert(Unsigned(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after_ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000)));
        }
        if code.status() == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A problem's body that does not yet name its request.
#[derive(Clone)]
struct Unsigned(Value);

/// Puts the request's id into a problem, so that whoever reports it can name the line in the log.
pub(crate) fn sign(response: &mut Response, request_id: &str) {
    if let Some(Unsigned(mut body)) = response.extensions_mut().remove() {
        body["request_id"] = request_id.into();
        *response.body_mut() = Body::from(body.to_string());
    }
}

/// An answer as JSON text.
pub(crate) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.into()).into_response()
}

pub(crate) async fn not_found() -> Problem {
    ErrorCode::NotFound.into()
}

pub(crate) async fn method_not_allowed() -> Problem {
    ErrorCode::MethodNotAllowed.into()
}
