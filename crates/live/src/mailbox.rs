//! What waits in memory for one connection, bounded in events and bytes.
//!
//! Invariant: a full mailbox loses nothing. It is emptied and marked, and its session reads the log until it has caught up.

use crate::delivery::Delivery;
use crate::limits::LiveLimits;
use crate::session::Ending;
use bytes::Bytes;
use campanile_wire::EventId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// The meeting point of the hub and one session.
pub(crate) struct Mailbox {
    inside: Mutex<Inside>,
    pub(crate) wake: Notify,
    /// Set by the socket when a ping has gone unanswered: a returning client may take this connection's place.
    half_dead: AtomicBool,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) events: VecDeque<Arc<Delivery>>,
    bytes: usize,
    /// Events were dropped from memory: the session must read the log.
    pub(crate) behind: bool,
    /// Small frames that are not events: replies to commands.
    pub(crate) frames: VecDeque<String>,
    /// Expiry in unix milliseconds, and the frame's JSON.
    pub(crate) signals: VecDeque<(i64, Bytes)>,
    /// The newest picture by view and key.
    pub(crate) views: BTreeMap<(String, String), Arc<str>>,
    pub(crate) ending: Option<Ending>,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inside: Mutex::default(), wake: Notify::new(), half_dead: AtomicBool::new(false) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nothing panics while it holds a mailbox")
    }

    pub(crate) fn push_event(&self, delivery: &Arc<Delivery>, limits: &LiveLimits) {
        let mut inside = self.lock();
        if inside.behind {
            return;
        }
        inside.bytes += delivery.event.bytes();
        inside.events.push_back(Arc::clone(delivery));
        if inside.events.len() > limits.mailbox_events_max || inside.bytes > limits.mailbox_bytes_max {
            inside.clear_events();
            inside.behind = true;
        }
        drop(inside);
        self.wake.notify_one();
    }

    pub(crate) fn push_signal(&self, expires_at_ms: i64, json: Bytes, limits: &LiveLimits) {
        let mut inside = self.lock();
        if inside.signals.len() >= limits.mailbox_signals_max {
            inside.signals.pop_front();
        }
        inside.signals.push_back((expires_at_ms, json));
        drop(inside);
        self.wake.notify_one();
    }

    pub(crate) fn push_view(&self, view: &str, key: &str, json: Arc<str>) {
        self.lock().views.insert((view.to_owned(), key.to_owned()), json);
        self.wake.notify_one();
    }

    pub(crate) fn push_frame(&self, json: String) {
        self.lock().frames.push_back(json);
        self.wake.notify_one();
    }

    /// The first ending stands.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    pub(crate) fn set_half_dead(&self, half_dead: bool) {
        self.half_dead.store(half_dead, Ordering::Relaxed);
    }

    pub(crate) fn is_half_dead(&self) -> bool {
        self.half_dead.load(Ordering::Relaxed)
    }
}

impl Inside {
    /// Forgets the waiting events and gives their memory back.
    pub(crate) fn clear_events(&mut self) {
        self.events = VecDeque::new();
        self.bytes = 0;
    }

    /// The next event after `cursor`.
    pub(crate) fn pop_event(&mut self, cursor: EventId) -> Option<Arc<Delivery>> {
        while let Some(delivery) = self.events.pop_front() {
            self.bytes -= delivery.event.bytes();
            if delivery.event.id > cursor {
                return Some(delivery);
            }
        }
        None
    }
}
