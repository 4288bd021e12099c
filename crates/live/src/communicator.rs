//! An in-process client for tests: connect, send, receive and disconnect step by step, without sockets or sleeps.

use crate::dialogue::Dialogue;
use crate::node::{Connect, Node, Refused};
use crate::session::Outgoing;
use campanile_journal::JournalError;
use campanile_wire::CloseReason;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// A client that lives in the test's own process.
pub struct Communicator {
    dialogue: Dialogue,
    received: VecDeque<Heard>,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(Value),
    /// The connection was closed.
    Closed(CloseReason),
}

impl Communicator {
    /// Connects; the first frame is `connection_established`.
    ///
    /// # Errors
    /// As [`Node::connect`].
    pub async fn connect(node: &Arc<Node>, connect: Connect) -> Result<Self, Refused> {
        let session = node.connect(connect).await?;
        Ok(Self { dialogue: Dialogue::new(session), received: VecDeque::new() })
    }

    /// Sends a frame, as text of any kind or quality.
    pub async fn send(&mut self, text: &str) {
        self.dialogue.hear(text).await;
    }

    /// Sends a JSON frame.
    pub async fn send_json(&mut self, frame: &Value) {
        self.send(&frame.to_string()).await;
    }

    /// The next thing the client hears, waiting for it.
    pub async fn receive(&mut self) -> Heard {
        while self.received.is_empty() {
            let mut out = Vec::new();
            self.dialogue.session.take(&mut out).await;
            self.keep(out);
        }
        self.received.pop_front().expect("something was received")
    }

    /// The next frame.
    ///
    /// # Panics
    /// When the connection is closed instead.
    pub async fn receive_json(&mut self) -> Value {
        match self.receive().await {
            Heard::Frame(frame) => frame,
            Heard::Closed(reason) => panic!("the connection was closed with {reason:?}"),
        }
    }

    /// Everything that is due by now: waits until the node has applied the whole log, then takes what is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn receive_all(&mut self) -> Result<Vec<Heard>, JournalError> {
        let node = Arc::clone(&self.dialogue.session.node);
        node.reached(node.site.journal.head().await?.id).await;
        loop {
            let mut out = Vec::new();
            self.dialogue.session.take_history(&mut out).await;
            let is_over = out.is_empty() || out.iter().any(|outgoing| matches!(outgoing, Outgoing::End(_)));
            self.keep(out);
            if is_over {
                return Ok(self.received.drain(..).collect());
            }
        }
    }

    /// The cursor up to which everything due has been received.
    pub fn cursor(&self) -> u64 {
        self.dialogue.session.cursor()
    }

    fn keep(&mut self, out: Vec<Outgoing>) {
        let parse = |bytes: &[u8]| serde_json::from_slice(bytes).expect("what the server sends is JSON");
        self.received.extend(out.into_iter().map(|outgoing| match outgoing {
            Outgoing::Event(delivery) => Heard::Frame(parse(delivery.json())),
            Outgoing::Frame(json) => Heard::Frame(parse(json.as_bytes())),
            Outgoing::End(ending) => Heard::Closed(ending.reason),
        }));
    }
}
