//! Request bodies: bounded in bytes and time, and the idempotency key that covers them.

use crate::app::App;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use campanile_wire::{ErrorCode, Refusal};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// A body must have come by then.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest idempotency key, in signs.
const KEY_SIGNS_MAX: usize = 255;

/// Reads the whole body.
pub(crate) async fn read(app: &App, body: Body) -> Result<Bytes, Refusal> {
    let most = app.config().limits.body_bytes;
    match tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::new(ErrorCode::MessageTooBig, format!("a body has at most {most} bytes")))
        }
        Ok(Err(_)) => Err(Refusal::new(ErrorCode::MalformedJson, "the body broke off")),
        Err(_) => Err(Refusal::new(ErrorCode::MalformedJson, "the body did not come in time")),
    }
}

/// The request's idempotency key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=KEY_SIGNS_MAX).contains(&key.len()));
    let invalid =
        || Refusal::new(ErrorCode::InvalidData, format!("Idempotency-Key has 1 to {KEY_SIGNS_MAX} printable ASCII signs"));
    key.map(|key| Some(key.to_owned())).ok_or_else(invalid)
}
