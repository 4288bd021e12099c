//! The shared words: who calls, on which channel, which event, in which frame.
//!
//! Nothing here does I/O, reads a clock or knows SQL; every other crate may import this one, and this one imports none.

pub mod caller;
pub mod channel;
pub mod close;
pub mod cursor;
pub mod dialect;
pub mod error_code;
pub mod event;
pub mod frame;
pub mod id;
pub mod instant;
pub mod refusal;

pub use caller::Caller;
pub use channel::Channel;
pub use close::CloseReason;
pub use cursor::Cursor;
pub use dialect::Dialect;
pub use error_code::ErrorCode;
pub use event::{Effect, Event, EventId};
pub use id::Id;
pub use refusal::Refusal;

#[cfg(test)]
mod tests;
