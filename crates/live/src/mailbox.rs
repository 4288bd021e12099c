//! What waits in memory for one connection, bounded in events and bytes.
//!
//! Invariant: a full mailbox loses no event. It is emptied and marked, and its session reads the log until it has caught up.

use crate::delivery::Delivery;
use crate::limits::LiveLimits;
use crate::session::Ending;
use bytes::Bytes;
use campanile_wire::{CloseReason, EventId};
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
    events: VecDeque<Arc<Delivery>>,
    event_bytes: usize,
    /// Events were dropped from memory: the session must read the log.
    pub(crate) behind: bool,
    /// Small frames that are not events: replies to commands.
    answers: VecDeque<String>,
    answer_bytes: usize,
    /// Expiry in unix milliseconds, and the frame's JSON.
    signals: VecDeque<(i64, Bytes)>,
    signal_bytes: usize,
    /// The newest picture by view and key.
    pub(crate) views: BTreeMap<(String, String), Arc<str>>,
    pub(crate) ending: Option<Ending>,
    /// Nothing more may be given to this connection.
    cut: bool,
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
        if inside.behind || inside.cut {
            return;
        }
        inside.event_bytes += delivery.event.bytes();
        inside.events.push_back(Arc::clone(delivery));
        if inside.events.len() > limits.mailbox_events_max || inside.event_bytes > limits.mailbox_bytes_max {
            inside.clear_events();
            inside.behind = true;
        }
        drop(inside);
        self.wake.notify_one();
    }

    /// Sends the session to the log.
    pub(crate) fn fall_behind(&self) {
        let mut inside = self.lock();
        inside.clear_events();
        inside.behind = true;
        drop(inside);
        self.wake.notify_one();
    }

    pub(crate) fn push_signal(&self, expires_at_ms: i64, json: Bytes, limits: &LiveLimits) {
        let mut inside = self.lock();
        if inside.cut {
            return;
        }
        inside.signal_bytes += json.len();
        inside.signals.push_back((expires_at_ms, json));
        while inside.signals.len() > limits.mailbox_signals_max || inside.signal_bytes > limits.mailbox_signal_bytes_max {
            let Some((_, oldest)) = inside.signals.pop_front() else { break };
            inside.signal_bytes -= oldest.len();
        }
        drop(inside);
        self.wake.notify_one();
    }

    pub(crate) fn push_view(&self, view: &str, key: &str, json: Arc<str>) {
        self.lock().views.insert((view.to_owned(), key.to_owned()), json);
        self.wake.notify_one();
    }

    /// An answer to what the client said. One that goes on asking and does not read is closed.
    pub(crate) fn push_answer(&self, json: String, limits: &LiveLimits) {
        let mut inside = self.lock();
        if inside.ending.is_some() {
            return;
        }
        if inside.answer_bytes > limits.mailbox_answer_bytes_max {
            inside.ending = Some(Ending::now(CloseReason::StoppedReading));
        } else {
            inside.answer_bytes += json.len();
            inside.answers.push_back(json);
        }
        drop(inside);
        self.wake.notify_one();
    }

    /// The first ending stands.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    /// Ends the connection, and gives it nothing that comes from now on.
    pub(crate) fn cut(&self, ending: Ending) {
        let mut inside = self.lock();
        inside.cut = true;
        inside.ending.get_or_insert(ending);
        drop(inside);
        self.wake.notify_one();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.lock().ending.is_some()
    }

    /// Waits for the ending, for a connection that cannot take anything else just now.
    pub(crate) async fn ended(&self) -> Ending {
        loop {
            let mut woken = std::pin::pin!(self.wake.notified());
            woken.as_mut().enable();
            if let Some(ending) = self.lock().ending {
                return ending;
            }
            woken.await;
        }
    }

    pub(crate) fn set_half_dead(&self, half_dead: bool) {
        self.half_dead.store(half_dead, Ordering::Relaxed);
    }

    pub(crate) fn is_half_dead(&self) -> bool {
        self.half_dead.load(Ordering::Relaxed)
    }
}

/// What is emptied gives its memory back: most connections are idle most of the time.
impl Inside {
    /// Forgets the waiting events.
    pub(crate) fn clear_events(&mut self) {
        self.events = VecDeque::new();
        self.event_bytes = 0;
    }

    /// The next event after `cursor`.
    pub(crate) fn pop_event(&mut self, cursor: EventId) -> Option<Arc<Delivery>> {
        while let Some(delivery) = self.events.pop_front() {
            self.event_bytes -= delivery.event.bytes();
            if delivery.event.id > cursor {
                return Some(delivery);
            }
        }
        self.clear_events();
        None
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn take_answers(&mut self) -> VecDeque<String> {
        self.answer_bytes = 0;
        std::mem::take(&mut self.answers)
    }

    /// The signals that are still alive.
    pub(crate) fn take_signals(&mut self, now_ms: i64) -> impl Iterator<Item = Bytes> + use<> {
        self.signal_bytes = 0;
        let signals = std::mem::take(&mut self.signals).into_iter();
        signals.filter(move |(expires_at_ms, _)| *expires_at_ms > now_ms).map(|(_, json)| json)
    }

    /// Entries for which memory is held.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.events.capacity() + self.answers.capacity() + self.signals.capacity()
    }

    /// What waits, as (events, bytes of events, signals, bytes of signals, bytes of answers).
    #[cfg(test)]
    pub(crate) fn load(&self) -> (usize, usize, usize, usize, usize) {
        (self.events.len(), self.event_bytes, self.signals.len(), self.signal_bytes, self.answer_bytes)
    }
}
