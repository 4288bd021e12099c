//! Routes: every path of the server on one page. Handlers decide nothing: they read the request, ask, and write the answer.

mod around;
mod asyncapi;
mod body;
mod entrance;
mod features;
mod index;
mod metrics;
mod openapi;
mod poll;
mod problem;
mod publish;
mod sse;
mod ticket;
mod ws;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The server's routes.
pub fn router(app: Arc<App>) -> Router {
    let router = Router::new()
        .route("/", get(index::index))
        .route("/healthz", get(index::healthz))
        .route("/readyz", get(index::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/ws", get(ws::native))
        .route("/api/events", get(sse::stream).post(publish::publish))
        .route("/api/poll", get(poll::poll))
        .route("/api/ticket", post(ticket::issue))
        .route("/api/openapi.json", get(openapi::openapi))
        .route("/api/asyncapi.json", get(asyncapi::asyncapi));
    features::mount(router, &app)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), around::around))
        .with_state(app)
}
