//! A session: what one connection may see and has seen. History first, then live; no gap, no repeat.
//!
//! Invariant: everything due up to `cursor` has been handed out, or a gap was told. It never reads beyond its node's position.

use crate::delivery::Delivery;
use crate::hub::SessionKey;
use crate::mailbox::Mailbox;
use crate::metrics::Transport;
use crate::node::{Connect, Node, Refused};
use campanile_journal::JournalError;
use campanile_wire::caller::PersonCaller;
use campanile_wire::frame::{Gap, GapReason, ServerFrame};
use campanile_wire::{Channel, CloseReason, Cursor, Dialect, Event, EventId, Id, instant};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use crate::outgoing::{Ending, Outgoing};

/// One connection's place in the log. Dropping it leaves the hub.
pub struct Session {
    pub(crate) node: Arc<Node>,
    pub(crate) key: SessionKey,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) caller: PersonCaller,
    transport: Transport,
    dialect: Dialect,
    cursor: EventId,
    reading: bool,
    replay: Option<Replay>,
    /// Events of the next page from the store: fewer after large ones, so that a page's bytes stay bounded.
    page_events: usize,
    /// Pruning up to here has been told.
    gap_told_to: EventId,
    /// Frames that stand before anything else.
    first: Vec<String>,
    pub(crate) views: Vec<(&'static str, Id)>,
}

/// A replay on its way: what `replay_complete` will say.
struct Replay {
    from: EventId,
    count: u64,
    gap: bool,
    /// Long polls read history too, but get no `replay_complete`.
    announced: bool,
}

impl Session {
    pub(crate) async fn open(
        node: Arc<Node>,
        key: SessionKey,
        mailbox: Arc<Mailbox>,
        position: EventId,
        connect: Connect,
    ) -> Result<Self, Refused> {
        node.metrics.opened(connect.transport);
        let mut session = Self {
            node,
            key,
            mailbox,
            caller: connect.caller,
            transport: connect.transport,
            dialect: connect.dialect,
            cursor: position,
            reading: false,
            replay: None,
            page_events: PAGE_EVENTS_FIRST,
            gap_told_to: 0,
            first: Vec::new(),
            views: Vec::new(),
        };
        tracing::debug!(target: CONNECTIONS, connection = session.name(), transport = session.transport.as_str(), "connected");
        if session.transport == Transport::Ws {
            let established = session.established();
            session.first.push(established);
        }
        if let Some(since) = connect.since {
            // From here on an early return drops the session, which leaves the hub.
            Box::pin(session.rewind(since, connect.epoch)).await.map_err(|error| {
                tracing::warn!(target: CONNECTIONS, connection = format!("c-{key}"), error = %error, "a cursor could not be placed");
                Refused { reason: CloseReason::InternalError, refusal: error.code().into(), retry_after_ms: Some(1_000) }
            })?;
        }
        Ok(session)
    }

    fn established(&self) -> String {
        let role = self.node.role_of(self.caller.id.as_str()).or_else(|| self.caller.role.clone());
        self.encode(&ServerFrame::ConnectionEstablished {
            message: "WebSocket connection established",
            user_id: &self.caller.id,
            role: role.as_deref(),
            cursor: self.cursor,
            epoch: self.node.epoch(),
            connection: &self.name(),
            heartbeat_ms: self.node.limits().heartbeat_ms,
            expires_at: instant::format(self.caller.expires_at_ms),
            timestamp: instant::format(self.node.now_ms()),
        })
    }

    /// A frame as this connection's route speaks.
    pub(crate) fn encode(&self, frame: &ServerFrame<'_>) -> String {
        self.dialect.encode(frame)
    }

    /// Goes back (or forward) to a cursor: live pauses, everything after it follows once, then live goes on.
    pub(crate) async fn rewind(&mut self, since: Cursor, epoch: Option<u64>) -> Result<(), JournalError> {
        let from = match since {
            Cursor::Id(id) => id,
            Cursor::Instant(at_ms) => self.node.site.journal.cursor_at(at_ms).await?,
        };
        let mut replay = Replay { from, count: 0, gap: false, announced: self.transport != Transport::Poll };
        let mut start = from;
        if from > self.node.position() {
            let head = self.node.site.journal.head().await?;
            if from > head.id {
                start = head.id;
                self.tell_gap(&mut replay, Gap { from, to: head.id, reason: GapReason::CursorAhead });
            }
        }
        let floor = self.node.epoch_floor();
        let of_another_epoch = epoch.is_some_and(|epoch| epoch != self.node.epoch());
        if from < floor || (of_another_epoch && start == from) {
            start = start.max(floor);
            self.tell_gap(&mut replay, Gap { from, to: start, reason: GapReason::Epoch });
        }
        self.node.metrics.count(|metrics| &metrics.replays);
        self.cursor = start;
        self.gap_told_to = 0;
        self.reading = true;
        self.replay = Some(replay);
        Ok(())
    }

    fn tell_gap(&mut self, replay: &mut Replay, gap: Gap) {
        replay.gap = true;
        self.node.metrics.count(|metrics| &metrics.gaps);
        self.first.push(ServerFrame::Gap(gap).to_json());
    }

    /// Everything due up to it has been handed out.
    pub fn cursor(&self) -> EventId {
        self.cursor
    }

    /// The connection's name, as the client is told it and logs spell it.
    pub(crate) fn name(&self) -> String {
        self.node.connection_name(self.key)
    }

    /// The log's epoch.
    pub fn epoch(&self) -> u64 {
        self.node.epoch()
    }

    /// Whether more history waits to be read.
    pub fn is_reading(&self) -> bool {
        self.reading
    }

    /// Who reads.
    pub fn caller(&self) -> &PersonCaller {
        &self.caller
    }

    /// Waits for something to send and takes it. Dropping the future loses nothing: state moves only together with `out`.
    pub async fn take(&mut self, out: &mut Vec<Outgoing>) {
        let mailbox = Arc::clone(&self.mailbox);
        loop {
            let mut woken = std::pin::pin!(mailbox.wake.notified());
            // Registered before looking: what arrives in between wakes us.
            woken.as_mut().enable();
            self.take_history(out).await;
            if !out.is_empty() {
                return;
            }
            woken.await;
        }
    }

    /// As [`Session::take`], but comes back with nothing when nothing is due and no more history waits to be read.
    pub async fn take_history(&mut self, out: &mut Vec<Outgoing>) {
        loop {
            self.take_now(out);
            if !out.is_empty() || !self.reading {
                return;
            }
            if self.is_in_tail() {
                // Others want the node too: a long look through memory is taken in parts.
                tokio::task::yield_now().await;
                continue;
            }
            // Boxed: an idle connection's task need not be as large as a read.
            if let Err(error) = Box::pin(self.read_store(out)).await {
                tracing::warn!(target: CONNECTIONS, connection = self.name(), error = %error, "history cannot be read; the session waits for the store");
                self.node.metrics.count(|metrics| &metrics.store_errors);
                tokio::time::sleep(STORE_RETRY).await;
            }
            if !out.is_empty() {
                return;
            }
        }
    }

    fn is_in_tail(&self) -> bool {
        self.node.core().tail.after(self.cursor).is_some()
    }

    /// Takes what is there without waiting and without touching the store.
    pub fn take_now(&mut self, out: &mut Vec<Outgoing>) {
        out.extend(std::mem::take(&mut self.first).into_iter().map(Outgoing::Frame));
        if self.reading {
            self.read_tail(out);
        }
        // Read before the mailbox is looked at: if nothing waits there, everything due up to it has been taken.
        let position = self.node.position();
        let now_ms = self.node.now_ms();
        let mut inside = self.mailbox.lock();
        out.extend(inside.take_answers().into_iter().map(Outgoing::Frame));
        if !self.reading {
            let page = self.node.limits().page_events_max;
            while out.len() < page {
                let Some(delivery) = inside.pop_event(self.cursor) else { break };
                self.cursor = delivery.event.id;
                self.node.metrics.delivered(self.transport, delivery.event.recorded_at_ms, now_ms);
                out.push(Outgoing::Event(delivery));
            }
            if inside.behind {
                inside.behind = false;
                self.reading = true;
                self.node.metrics.count(|metrics| &metrics.fell_behind);
                // Wakes the next look, which reads.
                self.mailbox.wake.notify_one();
            } else if !inside.has_events() {
                self.cursor = self.cursor.max(position);
            }
        }
        let signals = inside.take_signals(now_ms);
        out.extend(signals.map(|json| Outgoing::Frame(String::from_utf8_lossy(&json).into_owned())));
        out.extend(std::mem::take(&mut inside.views).into_values().map(|json| Outgoing::Frame(json.to_string())));
        if let Some(ending) = inside.ending {
            out.push(Outgoing::End(ending));
        }
    }

    /// History from memory, as far as it reaches. At its end live begins, under the lock that dispatching takes: no gap, no repeat.
    fn read_tail(&mut self, out: &mut Vec<Outgoing>) {
        let node = Arc::clone(&self.node);
        let core = node.core();
        let Some(events) = core.tail.after(self.cursor) else { return };
        node.metrics.count(|metrics| &metrics.pages_from_tail);
        let (limits, mut bytes) = (node.limits(), 0);
        for (looked_at, delivery) in events.enumerate() {
            let full = out.len() >= limits.page_events_max || bytes >= limits.page_bytes_max;
            if full || looked_at >= limits.tail_look_events_max {
                return;
            }
            self.cursor = delivery.event.id;
            if core.hub.due(self.key, &core.members, &delivery.event.channel, delivery.event.id) {
                bytes += delivery.event.bytes();
                self.hand_out(Arc::clone(delivery), out);
            }
        }
        self.cursor = self.cursor.max(core.position);
        let mut inside = self.mailbox.lock();
        inside.clear_events();
        inside.behind = false;
        drop(inside);
        self.reading = false;
        self.complete(out);
    }

    /// One page of history from the store, with the gaps that pruning left in it.
    async fn read_store(&mut self, out: &mut Vec<Outgoing>) -> Result<(), JournalError> {
        let node = Arc::clone(&self.node);
        let (channels, kinds, upto) = {
            let core = node.core();
            (core.hub.channels_of(self.key, &core.members), core.hub.kinds_of(self.key), core.position)
        };
        let page = self.page_events.min(node.limits().page_events_max);
        let (events, pruned) = node.site.journal.read_channels(&channels, &kinds, self.cursor, upto, page as u64).await?;
        node.metrics.count(|metrics| &metrics.pages_from_store);
        // Judged by membership as it is after the read, which is never behind the page.
        let core = node.core();
        let may_miss = |channel: &str, through| {
            Channel::parse(channel)
                .is_ok_and(|channel| core.hub.may_miss(self.key, &core.members, &channel, self.cursor, through))
        };
        let missed = pruned.iter().filter(|(channel, through)| may_miss(channel, *through));
        let pruned_to = missed.map(|(_, through)| *through).max().unwrap_or(0);
        if pruned_to > self.gap_told_to.max(self.cursor) {
            self.gap_told_to = pruned_to;
            if let Some(replay) = &mut self.replay {
                replay.gap = true;
            }
            node.metrics.count(|metrics| &metrics.gaps);
            let gap = Gap { from: self.cursor, to: pruned_to, reason: GapReason::Retention };
            out.push(Outgoing::Frame(ServerFrame::Gap(gap).to_json()));
        }
        let read_to = if events.len() < page { upto } else { events.last().map_or(upto, |event| event.id) };
        let bytes: usize = events.iter().map(Event::bytes).sum();
        // The next page by what this one weighed: at most twice as many, and never none.
        let fitting = page * node.limits().page_bytes_max / bytes.max(1);
        self.page_events = fitting.clamp(1, page * 2);
        for event in events {
            if core.hub.due(self.key, &core.members, &event.channel, event.id) {
                self.hand_out(Arc::new(Delivery::new(event, &node.site.registry)), out);
            }
        }
        self.cursor = self.cursor.max(read_to);
        Ok(())
    }

    fn hand_out(&mut self, delivery: Arc<Delivery>, out: &mut Vec<Outgoing>) {
        if let Some(replay) = &mut self.replay {
            replay.count += 1;
        }
        self.node.metrics.delivered(self.transport, delivery.event.recorded_at_ms, self.node.now_ms());
        out.push(Outgoing::Event(delivery));
    }

    fn complete(&mut self, out: &mut Vec<Outgoing>) {
        let Some(replay) = self.replay.take() else { return };
        self.node.metrics.replay_events.record(replay.count);
        if replay.announced {
            let frame =
                ServerFrame::ReplayComplete { from: replay.from, to: self.cursor, count: replay.count, gap: replay.gap };
            out.push(Outgoing::Frame(frame.to_json()));
        }
    }

    /// The heartbeat frame of the native WebSocket route.
    pub(crate) fn heartbeat(&self) -> String {
        ServerFrame::Heartbeat { cursor: self.cursor, timestamp: instant::format(self.node.now_ms()) }.to_json()
    }

    /// Milliseconds until the credential ends.
    pub(crate) fn expires_in_ms(&self) -> u64 {
        u64::try_from(self.caller.expires_at_ms - self.node.now_ms()).unwrap_or(0)
    }
}

/// The named logger of connections and what goes wrong on them, whatever their transport; docs/observability.md lists all names.
pub(crate) const CONNECTIONS: &str = "campanile::ws";
/// Events of a session's first page from the store; what it weighs decides on the next.
const PAGE_EVENTS_FIRST: usize = 16;
/// Wait before history is read again after the store failed.
const STORE_RETRY: std::time::Duration = std::time::Duration::from_millis(500);

impl Drop for Session {
    fn drop(&mut self) {
        let mut core = self.node.core();
        let core = &mut *core;
        core.hub.remove(self.key, &core.members);
        for (view, key) in &self.views {
            core.views.unsubscribe(view, key, self.key);
        }
        self.node.metrics.closed(self.transport);
        let transport = self.transport.as_str();
        tracing::debug!(target: CONNECTIONS, connection = self.name(), transport, cursor = self.cursor, "disconnected");
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("key", &self.key).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Session {
    /// Where the node's log stands, for tests that step through deliveries.
    pub fn node_position(&self) -> EventId {
        self.node.metrics.position.load(Ordering::Relaxed)
    }
}
