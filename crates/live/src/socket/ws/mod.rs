//! WebSocket: our own codec on the raw socket, so that a frame is encoded once and an idle connection holds no buffer.

mod connection;
pub mod decoder;
pub mod frame;
pub mod handshake;
pub(crate) mod outbox;
mod stream;
pub mod violation;

pub use connection::{AuthLater, Opening, serve};
pub use stream::{Stream, TLS_BUFFER_BYTES_MAX};

#[cfg(test)]
mod tests;
