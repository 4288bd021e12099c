//! Bytes: the three ways in which a session meets a client.

pub mod poll;
pub mod sse;
pub mod ws;
