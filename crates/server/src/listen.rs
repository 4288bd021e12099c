//! The accept loop: one port, HTTP/1.1 with upgrades, bounded header time and size.

use crate::http::Peer;
use crate::stall::{Stalling, WriteEnd};
use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A request's headers must have come by then.
const HEADER_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of a request's head: a token of 8 KiB in the query and another in a header fit.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Handshakes that the kernel keeps while we are busy: a school comes back at once.
const BACKLOG: u32 = 4_096;
/// Wait after the system refused an accept (too many open files), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Binds the port.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restarted server takes its port back from connections of its former life that still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the listener waits for.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// A peer that takes no byte for so long is cut off.
    pub(crate) stalled_max: Duration,
    /// Requests that are under way at the stop may take so long.
    pub(crate) grace: Duration,
}

/// Serves until `stop`; then lets requests that are under way end within the grace.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, times: Times) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(serve_connection(stream, peer, router.clone(), stop.clone(), times.stalled_max));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    connections.close();
    // Whoever is not done by then is cut: the process ends.
    let _ = tokio::time::timeout(times.grace, connections.wait()).await;
}

async fn serve_connection(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken, stalled_max: Duration) {
    // Events are small and must leave at once.
    let _ = stream.set_nodelay(true);
    let end = WriteEnd::default();
    let stream = Stalling::new(stream, stalled_max, end.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(end.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
