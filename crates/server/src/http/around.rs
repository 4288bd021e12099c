//! Around every request: its id, its headers, who may read the answer from another origin, its counters, and a line in the log.

use crate::app::App;
use crate::auth::Carried;
use crate::gate::Standing;
use crate::http::Peer;
use crate::http::headers::{self, Cors};
use crate::http::problem::{self, Problem};
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
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tracing::{Instrument, field};

/// What a request's handler found out for the answer's headers.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<OnceLock<Standing>>);

impl Told {
    /// Where the caller stands with its limit. The first word counts.
    pub(crate) fn note(&self, standing: Standing) {
        let _ = self.0.set(standing);
    }
}

/// Routes that are asked every few seconds by machines: a line for each would bury the others.
const WATCHERS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/debug/data"];

pub(crate) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request_id = headers::request_id(request.headers());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    // Of the highest level: whatever is logged inside carries the id, however little is logged.
    let span = tracing::error_span!("request", request_id, route, user = field::Empty);
    let traced = app.telemetry.begin_request(request.method(), route, request.headers());
    let context = traced.as_ref().and_then(RequestSpan::context);
    let work = tell(&app, request, next, route, &request_id).instrument(span);
    let response = match context {
        Some(context) => campanile_journal::traced(context, work).await,
        None => work.await,
    };
    if let Some(traced) = traced {
        traced.end(response.status().as_u16(), &request_id);
    }
    response
}

/// Answers, completes the answer's headers, counts it and logs it.
async fn tell(app: &App, mut request: Request, next: Next, route: &str, request_id: &str) -> Response {
    let started = Instant::now();
    let path = redacted(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().copied();
    let told = Told::default();
    request.extensions_mut().insert(told.clone());
    let (cors, mut response) = answer(app, request, next).await;
    let code = response.extensions().get::<ErrorCode>().copied();
    problem::sign(&mut response, request_id);
    finish(&mut response, cors, peer.is_some_and(|peer| peer.is_secure), told.0.get().copied());
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(headers::X_REQUEST_ID, value);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.measures.answered(route, method.as_str(), status, took);
    if let Some(code) = code {
        app.measures.refused(code);
    }
    let client = peer.map(|peer| field::display(peer.client));
    let (took_ms, code) = (took.as_millis(), code.map(ErrorCode::as_str));
    if status == 500 {
        tracing::error!(%method, path, status, code, took_ms, client, "request failed");
    } else if WATCHERS.contains(&route) {
        tracing::trace!(%method, path, status, code, took_ms, client, "request");
    } else {
        tracing::debug!(%method, path, status, code, took_ms, client, "request");
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
    let with_cookies = app.config().auth.cookie.is_some() && cookie_allowed(app, request.headers());
    let cors = Cors { origin: allowed, with_cookies };
    let response = match (is_preflight, &cors.origin) {
        _ if is_open_page => Problem::from(ErrorCode::OriginNotAllowed).into_response(),
        (true, Some(_)) => cors.preflight(request.headers()),
        (true, None) => Problem::from(ErrorCode::OriginNotAllowed).into_response(),
        // A programmer's error in one request must not take the connection's others with it. The panic is logged where it began.
        (false, _) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => Problem::from(ErrorCode::InternalError).into_response(),
        },
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

/// Whether the request's Origin is there and may speak with somebody's cookie. What `--dev` allows beyond the list has none.
pub(crate) fn cookie_allowed(app: &App, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("unreadable"));
    app.origins.load().allows(text(header::ORIGIN), text(header::HOST), Carried::ByCookie)
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
