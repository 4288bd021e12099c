//! The end of the log in memory, so that a storm of returning clients does not touch the database.

use crate::delivery::Delivery;
use crate::node::Node;
use campanile_wire::EventId;
use std::collections::VecDeque;
use std::sync::Arc;

/// The newest events, bounded in number and bytes.
pub(crate) struct Tail {
    events: VecDeque<Arc<Delivery>>,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
    /// Everything after this id and up to the position is here.
    after: EventId,
}

impl Tail {
    /// An empty tail that begins after `after`.
    pub(crate) fn new(after: EventId, events_max: usize, bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, events_max, bytes_max, after }
    }

    pub(crate) fn push(&mut self, delivery: Arc<Delivery>) {
        self.bytes += delivery.event.bytes();
        self.events.push_back(delivery);
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.bytes();
            self.after = oldest.event.id;
        }
    }

    /// Answers no cursor below `id` any more.
    pub(crate) fn forget_through(&mut self, id: EventId) {
        while self.events.front().is_some_and(|oldest| oldest.event.id <= id) {
            self.bytes -= self.events.pop_front().map_or(0, |oldest| oldest.event.bytes());
        }
        self.after = self.after.max(id);
    }

    /// How many events are here, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.events.len(), self.bytes)
    }

    /// The newest events, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Arc<Delivery>> {
        self.events.iter().rev()
    }

    /// The events after the cursor, in order, when all of them are still here.
    pub(crate) fn after(&self, cursor: EventId) -> Option<impl Iterator<Item = &Arc<Delivery>>> {
        if cursor < self.after {
            return None;
        }
        // Ids are dense within an epoch, and the tail has no holes; a search costs little and assumes nothing.
        let start = self.events.partition_point(|delivery| delivery.event.id <= cursor);
        Some(self.events.range(start..))
    }
}

/// What those who watch may see of it.
impl Node {
    /// How many recent events this node holds in memory, and their bytes.
    pub fn tail_size(&self) -> (usize, usize) {
        self.core().tail.size()
    }

    /// The newest events that this node has applied, the newest first.
    pub fn newest_events(&self, most: usize) -> Vec<Arc<Delivery>> {
        self.core().tail.newest().take(most).cloned().collect()
    }
}
