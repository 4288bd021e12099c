//! The follower: applies the log in id order, from this process's commits when they come in order and from the store otherwise.

use crate::delivery::Delivery;
use crate::limits::LiveLimits;
use crate::node::Node;
use crate::tail::Tail;
use campanile_contract::Site;
use campanile_journal::{Committed, JournalError};
use campanile_wire::EventId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Events read from the log at once.
const READ_EVENTS_MAX: u64 = 1_000;

/// Follows until the node stops.
pub(crate) async fn follow(node: Arc<Node>, mut commits: Receiver<Arc<Committed>>) {
    let mut poll = tokio::time::interval(Duration::from_millis(node.limits().log_poll_ms));
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let handed_over = tokio::select! {
            () = node.stop.cancelled() => return,
            batch = commits.recv() => match batch {
                Ok(committed) => apply_in_order(&node, &committed),
                // Too far behind memory: the log has it all.
                Err(RecvError::Lagged(_)) => false,
                Err(RecvError::Closed) => return,
            },
            _ = poll.tick() => false,
        };
        if !handed_over && let Err(error) = read_on(&node).await {
            node.metrics.count(|metrics| &metrics.store_errors);
            tracing::warn!(error = %error, "the log cannot be read; live delivery waits for it");
        }
    }
}

/// Applies a batch that continues the position; answers false when something before it is missing.
fn apply_in_order(node: &Node, committed: &Committed) -> bool {
    for event in &committed.events {
        let position = node.position();
        if event.id <= position {
            continue;
        }
        if event.id != position + 1 {
            return false;
        }
        node.apply(event.clone(), committed.trace_of(event.id));
    }
    true
}

/// Reads everything after the position. Ids are dense within an epoch; where some are missing they were pruned before they were read.
async fn read_on(node: &Node) -> Result<(), JournalError> {
    loop {
        let page = node.site.journal.read(node.position(), EventId::MAX >> 1, READ_EVENTS_MAX).await?;
        let count = page.len();
        for event in page {
            node.apply(event, None);
        }
        if count < READ_EVENTS_MAX as usize {
            return Ok(());
        }
    }
}

/// Sends changed views at a bounded rate.
pub(crate) async fn flush_views(node: Arc<Node>) {
    let kinds: BTreeMap<&'static str, &'static str> =
        node.site.registry.views().map(|view| (view.name, view.channel_kind)).collect();
    let mut tick = tokio::time::interval(Duration::from_millis(node.limits().view_interval_ms));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let mut core = node.core();
        let core = &mut *core;
        let (hub, members) = (&core.hub, &core.members);
        core.views.flush(core.position, |view, key, session| {
            hub.may_see(session, members, &campanile_wire::Channel::new(kinds[view], key))
        });
    }
}

/// The tail at start, so that the reconnect storm after a restart does not touch the database.
pub(crate) async fn warm_tail(site: &Site, after: EventId, upto: EventId, limits: &LiveLimits) -> Result<Tail, JournalError> {
    let mut tail = Tail::new(after, limits.tail_events_max, limits.tail_bytes_max);
    let mut read = after;
    while read < upto {
        let page = site.journal.read(read, upto, READ_EVENTS_MAX).await?;
        let Some(last) = page.last() else { break };
        read = last.id;
        for event in page {
            tail.push(Arc::new(Delivery::new(event, &site.registry)));
        }
    }
    // Asked after reading: a cursor below it must go to the store, which tells the gap that pruning left. What was pruned beyond
    // `upto` meanwhile is a hole that the follower will meet.
    tail.forget_through(site.journal.pruned_through_max().await?.min(upto));
    Ok(tail)
}
