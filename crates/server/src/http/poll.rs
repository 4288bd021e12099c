//! `GET /api/poll`: the long poll.

use crate::app::App;
use crate::http::entrance::{Asked, reader};
use crate::http::problem::{Problem, json_text};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use campanile_live::{Transport, socket};
use campanile_wire::{ErrorCode, Refusal};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn poll(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let person = reader(&app, &parts, &asked).await?;
    let wait = wait_of(&asked)?;
    let connect = asked.connect(&app, person, Transport::Poll)?;
    let has_cursor = connect.since.is_some();
    let session = app.node.connect(connect).await.map_err(Problem::of)?;
    let answer = match has_cursor {
        true => socket::poll::answer(session, wait).await,
        false => Ok(socket::poll::head(session)),
    };
    let answer = answer.map_err(Problem::of)?;
    let length = answer.json_bytes();
    let mut response = json_text(StatusCode::OK, Body::from_stream(answer.into_stream()));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn wait_of(asked: &Asked) -> Result<Duration, Refusal> {
    let Some(text) = asked.get("wait") else { return Ok(Duration::ZERO) };
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let invalid = || Refusal::new(ErrorCode::InvalidData, "wait is a number of seconds");
    // Beyond the limit the limit holds; a day keeps the conversion in range.
    seconds.map(|seconds| Duration::from_secs_f64(seconds.min(86_400.0))).ok_or_else(invalid)
}
