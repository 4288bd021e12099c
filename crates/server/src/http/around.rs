//! Around every request: its id, its headers, who may read the answer from another origin, and a line in the log.

use crate::app::App;
use crate::auth::Carried;
use crate::gate::Standing;
use crate::http::Peer;
use crate::http::headers::{self, Cors};
use crate::http::problem::{self, Problem};
use crate::log::redacted;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use campanile_wire::ErrorCode;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tracing::Instrument;

/// What a request's handler found out for the answer's headers.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<OnceLock<Standing>>);

impl Told {
    /// Where the caller stands with its limit. The first word counts.
    pub(crate) fn note(&self, standing: Standing) {
        let _ = self.0.set(standing);
    }
}

pub(crate) async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = headers::request_id(request.headers());
    let path = redacted(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().copied();
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let span = tracing::info_span!("request", request_id);
    let (cors, mut response) = answer(&app, request, next).instrument(span).await;
    problem::sign(&mut response, &request_id);
    finish(&mut response, cors, peer.is_some_and(|peer| peer.is_secure), told.0.get().copied());
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(headers::X_REQUEST_ID, value);
    }
    let client = peer.map(|peer| tracing::field::display(peer.client));
    let (status, took_ms) = (response.status().as_u16(), started.elapsed().as_millis());
    if status == 500 {
        tracing::error!(request_id, %method, path, status, took_ms, client, "request failed");
    } else {
        tracing::debug!(request_id, %method, path, status, took_ms, client, "request");
    }
    response
}

async fn answer(app: &App, request: Request, next: Next) -> (Cors, Response) {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_open_page = is_own_page_in_the_open(app, &request);
    let allowed = origin.filter(|_| origin_allowed(app, request.headers()) && !is_open_page);
    let cors = Cors { origin: allowed, with_cookies: false };
    let response = match (is_preflight, &cors.origin) {
        _ if is_open_page => Problem::from(ErrorCode::OriginNotAllowed).into_response(),
        (true, Some(_)) => cors.preflight(request.headers()),
        (true, None) => Problem::from(ErrorCode::OriginNotAllowed).into_response(),
        (false, _) => next.run(request).await,
    };
    (cors, response)
}

fn finish(response: &mut Response, cors: Cors, is_secure: bool, standing: Option<Standing>) {
    // After the upgrade nobody reads headers, and every connecting client would pay for them.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    cors.mark(response.headers_mut());
    headers::protect(response.headers_mut(), is_secure);
    if let Some(standing) = standing {
        headers::tell_standing(response.headers_mut(), standing);
    }
}

/// Whether the request's Origin may speak to us. In `--dev` every loopback page may, and a file's (`null`).
pub(crate) fn origin_allowed(app: &App, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("unreadable"));
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    app.origins.load().allows(origin, host, Carried::Explicitly) || (app.dev && origin.is_some_and(is_local))
}

/// Whether a page that came over plain HTTP asks over TLS and counts as ours for its host alone: whoever is on the way can write it.
fn is_own_page_in_the_open(app: &App, request: &Request) -> bool {
    let is_secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_secure);
    let origin = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok()).filter(|_| is_secure);
    let is_unlisted = |origin: &str| {
        let is_open = origin.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let is_listed = app.origins.load().allows(Some(origin), None, Carried::Explicitly) || (app.dev && is_local(origin));
        is_open && !is_listed
    };
    origin.is_some_and(is_unlisted) && origin_allowed(app, request.headers())
}

fn is_local(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").map(|rest| rest.rsplit_once(':').map_or(rest, |(host, _)| host));
    origin == "null" || matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}
