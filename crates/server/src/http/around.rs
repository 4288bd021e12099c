//! Around every request: its id and span, who may read the answer from another origin, counters, and a line in the log.

use crate::app::App;
use crate::auth::Carried;
use crate::http::Peer;
use crate::http::problem::Problem;
use crate::log::redacted;
use crate::measures::NO_ROUTE;
use crate::telemetry::RequestSpan;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use campanile_wire::ErrorCode;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, field};

/// What a page of an allowed origin may send along.
const ALLOWED_HEADERS: &str = "authorization, content-type, idempotency-key, last-event-id, traceparent";

/// Routes that are asked every few seconds by machines: a line for each would bury the others.
const WATCHERS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/debug/data"];

pub(crate) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request_id = format!("{:016x}", rand::random::<u64>());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    // Of the highest level: whatever is logged inside carries the id, however little is logged.
    let span = tracing::error_span!("request", request_id, route, user = field::Empty);
    let traced = app.telemetry.begin_request(request.method(), route, request.headers());
    let context = traced.as_ref().and_then(RequestSpan::context);
    let work = answer(&app, request, next, route, &request_id).instrument(span);
    let response = match context {
        Some(context) => campanile_journal::traced(context, work).await,
        None => work.await,
    };
    if let Some(traced) = traced {
        traced.end(response.status().as_u16(), &request_id);
    }
    response
}

async fn answer(app: &App, request: Request, next: Next, route: &str, request_id: &str) -> Response {
    let started = Instant::now();
    let path = redacted(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|_| origin_allowed(app, request.headers()));
    let is_preflight = method == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match is_preflight && allowed.is_some() {
        true => preflight(),
        // A programmer's error in one request must not take the connection's other requests with it. The panic is logged where it began.
        false => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Problem::from(ErrorCode::InternalError).into_response(),
        },
    };
    let code = response.extensions().get::<ErrorCode>().copied();
    let headers = response.headers_mut();
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", value);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.measures.answered(route, method.as_str(), status, took);
    if let Some(code) = code {
        app.measures.refused(code);
    }
    let (took_ms, code) = (took.as_millis(), code.map(ErrorCode::as_str));
    let peer = peer.map(field::display);
    if status == 500 {
        tracing::error!(%method, path, status, code, took_ms, peer, "request failed");
    } else if WATCHERS.contains(&route) {
        tracing::trace!(%method, path, status, code, took_ms, peer, "request");
    } else {
        tracing::debug!(%method, path, status, code, took_ms, peer, "request");
    }
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS)),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Whether the request's Origin may speak to us. In `--dev` every loopback page may, and a file's (`null`).
pub(crate) fn origin_allowed(app: &App, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("unreadable"));
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    app.origins.allows(origin, host, Carried::Explicitly) || (app.dev && origin.is_some_and(is_local))
}

fn is_local(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").map(|rest| rest.rsplit_once(':').map_or(rest, |(host, _)| host));
    origin == "null" || matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::around;
    use crate::app::App;
    use crate::config::Config;
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use tower::ServiceExt;

    async fn broken() -> &'static str {
        panic!("the class list of Ada Lovelace is broken")
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_as_our_fault_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            format!("store = \"sqlite://{}/school.db\"\nauth.hs256_secret = \"for development\"", folder.path().display());
        let config: Config = toml::from_str(&config).unwrap();
        let app = App::start(config, true).await.unwrap();
        let layer = axum::middleware::from_fn_with_state(Arc::clone(&app), around);
        let router = Router::new().route("/broken/{place}", get(broken)).layer(layer).with_state(());
        let answer = router.oneshot(Request::get("/broken/7").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["x-request-id"].len()), (500, 16));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("internal_error") && !text.contains("Ada"), "{text}");
        assert_eq!(app.measures.errors(campanile_wire::ErrorCode::InternalError), 1);
        let routes = app.measures.routes();
        assert_eq!((routes[0].route.as_str(), routes[0].method, routes[0].class), ("/broken/{place}", "GET", "5xx"));
    }
}
