//! Everything after the commit: follow the log, keep membership, hand events to sessions, and write them to sockets.
//!
//! Invariant: delivery knows no subject matter. It sees channels, members and bytes; what an event means is never asked here.

mod access;
mod admission;
pub mod communicator;
mod delivery;
mod dialogue;
mod follow;
mod hub;
mod limits;
mod mailbox;
mod members;
mod metrics;
mod node;
mod outgoing;
mod revocations;
mod session;
pub mod socket;
mod tail;
mod views;

pub use access::{CONNECTIONS_LISTED_MAX, OpenConnection};
pub use delivery::Delivery;
pub use dialogue::Dialogue;
pub use limits::LiveLimits;
pub use metrics::{Metrics, Transport};
pub use node::{Connect, Node, Refused};
pub use session::{Ending, Outgoing, Session};

#[cfg(test)]
mod tests;
