//! Tells systemd how the server stands (sd_notify): one datagram to the socket that a unit of `Type=notify` names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A state of the server, as systemd spells it.
#[derive(Clone, Copy)]
pub(crate) enum State {
    /// It serves; also after a reload.
    Ready,
    /// It reads its configuration again.
    Reloading,
    /// It drains.
    Stopping,
}

/// Tells the state, where somebody wants to hear it. A supervisor that does not listen is no reason to stop serving.
pub(crate) fn tell(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text = match state {
        State::Ready => "READY=1",
        State::Reloading => "RELOADING=1",
        State::Stopping => "STOPPING=1",
    };
    let sent = address(&socket).and_then(|address| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!(%error, state = text, "the supervisor could not be told");
    }
}

fn address(socket: &std::ffi::OsStr) -> std::io::Result<SocketAddr> {
    match socket.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}
