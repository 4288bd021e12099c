//! The WebSocket routes: decides how a WebSocket begins, answers the handshake, and hands the raw socket to delivery.

use crate::app::App;
use crate::config::Reject;
use crate::http::entrance::{Asked, reader};
use crate::http::problem::Problem;
use crate::transport::Transport as HttpTransport;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use campanile_live::socket::ws::handshake::{self, check_upgrade};
use campanile_live::socket::ws::{AuthLater, Opening, serve};
use campanile_live::{Connect, Refused, Transport};
use campanile_wire::{CloseReason, Dialect, ErrorCode, Refusal};
use hyper_util::rt::TokioIo;
use std::sync::Arc;

/// When to come back after whoever judges tokens could not be asked.
const AUTH_RETRY_MS: u64 = 2_000;

pub(crate) async fn native(State(app): State<Arc<App>>, request: Request) -> Response {
    upgrade(app, request, Dialect::Native).await
}

pub(crate) async fn updates(State(app): State<Arc<App>>, request: Request) -> Response {
    upgrade(app, request, Dialect::Updates).await
}

async fn upgrade(app: Arc<App>, mut request: Request, dialect: Dialect) -> Response {
    let upgrade = match check_upgrade(request.method(), request.version(), request.headers()) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refused_upgrade(refusal),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let opening = match open(&app, &parts, dialect).await {
        Ok(opening) => opening,
        Err(refused) if app.reject(parts.uri.path()) == Reject::Http => return Problem::of(refused).into_response(),
        Err(Refused { reason, retry_after_ms, .. }) => {
            app.node.metrics.ended(reason);
            tracing::debug!(target: "campanile::ws", reason = reason.word(), "a connection was refused");
            Opening::refused(reason, retry_after_ms)
        }
    };
    // The request's buffers must not live as long as the connection.
    drop(parts);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        // The only transport that the listener speaks.
        let Ok(parts) = upgraded.downcast::<TokioIo<HttpTransport>>() else { return };
        let mut early = BytesMut::from(&parts.read_buf[..]);
        drop(parts.read_buf);
        let Ok(stream) = parts.io.into_inner().into_stream(&mut early) else { return };
        // A task of its own: this one's future is as large as the handshake's largest moment.
        tokio::spawn(serve(stream, early, opening, dialect));
    });
    upgrade.response().map(|()| Body::empty())
}

/// Everything is decided here, before the handshake is answered, whichever way a refusal is told.
async fn open(app: &Arc<App>, parts: &Parts, dialect: Dialect) -> Result<Opening, Refused> {
    let asked = Asked::of(parts).map_err(told)?;
    match reader(app, parts, &asked).await {
        Ok(person) => {
            let connect = Connect { dialect, ..asked.connect(app, person, Transport::Ws).map_err(told)? };
            app.node.connect(connect).await.map(|session| Opening::Ready(Box::new(session)))
        }
        Err(refusal) if refusal.code == ErrorCode::NoCredential && app.config().auth.first_message.unwrap_or(true) => {
            // They wait only seconds, but they must not come faster than others.
            app.node.admit_rate(Transport::Ws)?;
            Ok(Opening::AwaitAuth(Box::new(AuthLater {
                node: Arc::clone(&app.node),
                since: asked.since().map_err(told)?,
                epoch: asked.epoch().map_err(told)?,
                client: asked.client().map_err(told)?,
                only: asked.only(app).map_err(told)?,
                address: asked.address,
                dialect,
            })))
        }
        Err(refusal) => Err(told(refusal)),
    }
}

/// The close code of a refusal.
fn told(refusal: Refusal) -> Refused {
    let reason = CloseReason::of(refusal.code);
    // What passes is told with when to come back.
    let retry_after_ms = (refusal.code == ErrorCode::AuthUnavailable).then_some(AUTH_RETRY_MS);
    Refused { reason, refusal, retry_after_ms }
}

fn refused_upgrade(refusal: handshake::Refusal) -> Response {
    let mut response = Response::new(Body::from(refusal.to_string()));
    *response.status_mut() = refusal.status();
    for (name, value) in refusal.headers() {
        response.headers_mut().insert(*name, axum::http::HeaderValue::from_static(value));
    }
    response
}
