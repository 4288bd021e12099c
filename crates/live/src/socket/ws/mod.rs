//! WebSocket: our own codec on the raw socket, so that a frame is encoded once and an idle connection holds no buffer.

mod connection;
pub mod decoder;
pub mod frame;
pub mod handshake;
pub(crate) mod outbox;
pub mod violation;

pub use connection::{AuthLater, Opening, serve};

#[cfg(test)]
mod tests;
