//! The accept loop: one port, HTTP/1.1 with upgrades, over TLS where there is a certificate; bounded header time and size.

use crate::certificate::Certificate;
use crate::http::Peer;
use crate::proxy::TrustedProxies;
use crate::stall::{Stalling, WriteEnd};
use crate::transport::Transport;
use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
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
/// A TLS handshake must be done by then.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// TLS handshakes under way at once; whoever comes then is cut off and tries again.
const HANDSHAKES_MAX: usize = 4_096;

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

/// How connections are served.
pub(crate) struct Listening {
    /// A peer that takes no byte for so long is cut off.
    pub(crate) stalled_max: Duration,
    /// Requests that are under way at the stop may take so long.
    pub(crate) grace: Duration,
    /// With what TLS is spoken; plain HTTP without.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// Whose word is taken for where a request came from.
    pub(crate) proxies: TrustedProxies,
}

/// What every connection needs.
struct Entry {
    listening: Listening,
    handshakes: Semaphore,
    router: Router,
    stop: CancellationToken,
}

/// Serves until `stop`; then lets requests that are under way end within the grace.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, listening: Listening) {
    let connections = TaskTracker::new();
    let entry = Arc::new(Entry { listening, handshakes: Semaphore::new(HANDSHAKES_MAX), router, stop });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = entry.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(Arc::clone(&entry).accepted(stream, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    connections.close();
    // Whoever is not done by then is cut: the process ends.
    let _ = tokio::time::timeout(entry.listening.grace, connections.wait()).await;
}

impl Entry {
    async fn accepted(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Events are small and must leave at once.
        let _ = stream.set_nodelay(true);
        let end = WriteEnd::default();
        let stream = Stalling::new(stream, self.listening.stalled_max, end.clone());
        match &self.listening.certificate {
            None => self.speak(Transport::Plain(stream), peer, end).await,
            Some(certificate) => {
                // Boxed: what a handshake needs must not be a part of every plain connection.
                if let Some(transport) = Box::pin(self.shake_hands(certificate, stream)).await {
                    self.speak(transport, peer, end).await;
                }
            }
        }
    }

    async fn shake_hands(&self, certificate: &Certificate, stream: Stalling) -> Option<Transport> {
        let Ok(_place) = self.handshakes.try_acquire() else {
            tracing::debug!("too many TLS handshakes at once");
            return None;
        };
        let handshake = TlsAcceptor::from(certificate.current()).accept(stream);
        match tokio::time::timeout(HANDSHAKE_TIME_MAX, handshake).await {
            Ok(Ok(stream)) => Some(Transport::tls(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }
    }

    async fn speak(&self, transport: Transport, peer: SocketAddr, end: WriteEnd) {
        let is_tls = matches!(transport, Transport::Tls(_));
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            let client = self.listening.proxies.client_of(peer, request.headers());
            let is_secure = is_tls || client.is_https;
            request.extensions_mut().insert(Peer { address: peer, client: client.address, is_secure });
            request.extensions_mut().insert(end.clone());
            let router = self.router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(transport), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
