//! A socket whose writes end: a peer that takes no byte for too long, or beyond what its credential allows, is cut off.
//!
//! HTTP libraries wait for a blocked peer for as long as it likes; a stream or an answer that nobody reads would stay in memory for good.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// When a connection's writes must have ended at the latest; set by the request that is being answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteEnd(Arc<Mutex<Option<Instant>>>);

impl WriteEnd {
    /// A blocked write fails from then on.
    pub(crate) fn at(&self, end: Instant) {
        *self.0.lock().expect("nothing panics while it holds an instant") = Some(end);
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().expect("nothing panics while it holds an instant")
    }
}

/// A TCP stream under a stall limit.
pub(crate) struct Stalling {
    stream: TcpStream,
    limit: Duration,
    end: WriteEnd,
    /// Runs while a write is blocked.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl Stalling {
    pub(crate) fn new(stream: TcpStream, limit: Duration, end: WriteEnd) -> Self {
        Self { stream, limit, end, blocked: None }
    }

    /// The bare socket, for protocols with clocks of their own.
    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Passes a write's outcome on, and starts or ends the clock by it.
    fn clocked(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.blocked = None;
            return outcome;
        }
        let limit = self.limit;
        let blocked = self.blocked.get_or_insert_with(|| {
            let latest = Instant::now() + limit;
            Box::pin(tokio::time::sleep_until(self.end.get().map_or(latest, |end| end.min(latest))))
        });
        match blocked.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Stalling {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.clocked(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.clocked(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
