//! Routes: every path of the server on one page. Handlers decide nothing: they read the request, ask, and write the answer.

mod around;
mod asyncapi;
mod body;
mod debug;
mod described;
pub(crate) mod documents;
mod entrance;
mod features;
mod frames;
mod headers;
mod index;
mod metrics;
mod openapi;
mod poll;
mod problem;
mod publish;
mod schemas;
mod sessions;
mod sse;
mod ticket;
mod ws;

use crate::app::App;
use axum::Router;
use axum::routing::{MethodFilter, MethodRouter, on};
use campanile_contract::Method::{self, Get, Post};
use described::Described;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Who is at the other end of the connection, and who of the request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other end of the TCP connection.
    pub address: SocketAddr,
    /// The client: the peer, or the one for whom a trusted proxy speaks. Limits and logs go by it.
    pub client: IpAddr,
    /// Whether the client spoke TLS, to us or to a trusted proxy.
    pub is_secure: bool,
}

/// A route that belongs to no feature.
struct Fixed {
    method: Method,
    path: &'static str,
    serve: fn(MethodFilter) -> MethodRouter<Arc<App>>,
    described: &'static Described,
}

/// The routes that belong to no feature: what is mounted is what OpenAPI describes, because both read this table.
#[rustfmt::skip]
const FIXED: &[Fixed] = &[
    Fixed { method: Get, path: "/", serve: |via| on(via, index::index), described: &described::INDEX },
    Fixed { method: Get, path: "/healthz", serve: |via| on(via, index::healthz), described: &described::HEALTHZ },
    Fixed { method: Get, path: "/readyz", serve: |via| on(via, index::readyz), described: &described::READYZ },
    Fixed { method: Get, path: "/metrics", serve: |via| on(via, metrics::metrics), described: &described::METRICS },
    Fixed { method: Get, path: "/ws", serve: |via| on(via, ws::native), described: &described::WEBSOCKET },
    Fixed { method: Get, path: "/ws/updates/", serve: |via| on(via, ws::updates), described: &described::UPDATES },
    Fixed { method: Get, path: "/api/events", serve: |via| on(via, sse::stream), described: &described::STREAM },
    Fixed { method: Post, path: "/api/events", serve: |via| on(via, publish::publish), described: &described::PUBLISH },
    Fixed { method: Get, path: "/api/poll", serve: |via| on(via, poll::poll), described: &described::POLL },
    Fixed { method: Post, path: "/api/ticket", serve: |via| on(via, ticket::issue), described: &described::TICKET },
    Fixed { method: Get, path: "/api/access/sessions", serve: |via| on(via, sessions::sessions), described: &described::SESSIONS },
    Fixed { method: Get, path: "/api/openapi.json", serve: |via| on(via, openapi::openapi), described: &described::OPENAPI },
    Fixed { method: Get, path: "/api/asyncapi.json", serve: |via| on(via, asyncapi::asyncapi), described: &described::ASYNCAPI },
];

/// The paths at which WebSockets begin.
pub(crate) fn websocket_paths() -> impl Iterator<Item = &'static str> {
    FIXED.iter().map(|route| route.path).filter(|path| path.starts_with("/ws"))
}

/// The server's routes.
pub fn router(app: Arc<App>) -> Router {
    let mount =
        |router: Router<Arc<App>>, route: &Fixed| router.route(route.path, (route.serve)(features::filter(route.method)));
    let router = FIXED.iter().fold(Router::new(), mount);
    let router = if app.dev { debug::mount(router) } else { router };
    features::mount(router, &app)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), around::around))
        .with_state(app)
}
