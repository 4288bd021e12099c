//! The socket under a WebSocket: plain TCP, or TLS over it. Readiness is always that of TCP, so that both wait alike.
//!
//! Invariant: no decrypted byte stays inside the TLS session between two reads, or nobody would be woken for it.

use bytes::BytesMut;
use rustls::ServerConnection;
use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Read, Write};
use tokio::net::TcpStream;

/// Bytes read at once; the buffer lives only while there is something to read.
const READ_BYTES: usize = 4 * 1024;
/// Encrypted bytes that wait in a TLS session for a socket that takes none.
pub const TLS_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A connection's socket.
pub enum Stream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// A TLS session whose handshake is done.
    Tls(Box<Tls>),
}

/// TLS over TCP.
pub struct Tls {
    socket: TcpStream,
    session: ServerConnection,
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }
}

impl Stream {
    /// A session after its handshake. What it has decrypted already goes behind `early`.
    ///
    /// # Errors
    /// When the session has broken.
    pub fn tls(socket: TcpStream, mut session: ServerConnection, early: &mut BytesMut) -> io::Result<Self> {
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
        take_decrypted(&mut session, early)?;
        Ok(Self::Tls(Box::new(Tls { socket, session })))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// Waits until there is something to read. An error shows when it is read.
    pub(super) async fn readable(&self) {
        let _ = poll_fn(|cx| self.socket().poll_read_ready(cx)).await;
    }

    /// Waits until something can be written. An error shows when it is written.
    pub(super) async fn writable(&self) {
        let _ = poll_fn(|cx| self.socket().poll_write_ready(cx)).await;
    }

    /// Reads what has come. Nothing read is the end; `WouldBlock` is that no whole byte of the client's has come yet.
    pub(super) fn try_read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => {
                into.reserve(READ_BYTES);
                socket.try_read_buf(into)
            }
            Self::Tls(tls) => tls.try_read(into),
        }
    }

    /// Whether bytes wait inside for the socket to take them.
    pub(super) fn has_unsent(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.session.wants_write())
    }

    /// Whether what is taken has gone to the socket, rather than into a TLS session.
    pub(super) fn sends_at_once(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Takes the first bytes of what is to be written; answers how many it took, which may be none.
    ///
    /// Under TLS they are taken only when what waits inside is on its way; [`Stream::send`] sends them.
    pub(super) fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => not_ready_is_none(socket.try_write_vectored(slices)),
            Self::Tls(tls) if tls.session.wants_write() => Ok(0),
            Self::Tls(tls) => tls.session.writer().write_vectored(slices),
        }
    }

    /// Sends what waits inside; answers whether the socket took anything.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        let Self::Tls(tls) = self else { return Ok(false) };
        let mut progressed = false;
        while tls.session.wants_write() {
            match tls.session.write_tls(&mut Ready(&tls.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => progressed = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(progressed)
    }

    /// Says under TLS that nothing more comes, so that the client can tell an end from a cut. It is not waited for.
    pub(super) fn end(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            let _ = self.send();
        }
    }
}

impl Tls {
    fn try_read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        // The end of TCP without a close_notify is an end as well: WebSocket has a goodbye of its own.
        let is_end = self.session.read_tls(&mut Ready(&self.socket))? == 0;
        if let Err(error) = self.session.process_new_packets() {
            // Tells the client what it did wrong, if it still listens.
            let _ = self.session.write_tls(&mut Ready(&self.socket));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        match take_decrypted(&mut self.session, into) {
            Ok(Some(taken)) => Ok(taken),
            Ok(None) if is_end => Ok(0),
            // A part of a record, or one without data. The socket counts as readable until it says itself that it is not.
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// Moves everything decrypted out of the session: how many bytes, zero at the client's close_notify, none if there is nothing.
fn take_decrypted(session: &mut ServerConnection, into: &mut BytesMut) -> io::Result<Option<usize>> {
    let mut taken = 0;
    loop {
        let mut reader = session.reader();
        match reader.fill_buf() {
            Ok([]) => return Ok(Some(taken)),
            Ok(chunk) => {
                let length = chunk.len();
                into.extend_from_slice(chunk);
                reader.consume(length);
                taken += length;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((taken > 0).then_some(taken)),
            // What came before the end is heard first; the end shows at the next read.
            Err(_) if taken > 0 => return Ok(Some(taken)),
            Err(error) => return Err(error),
        }
    }
}

fn not_ready_is_none(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// The socket as rustls wants it: what is not ready answers `WouldBlock`.
struct Ready<'a>(&'a TcpStream);

impl Read for Ready<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Ready<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
