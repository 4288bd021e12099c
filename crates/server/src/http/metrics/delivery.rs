//! What delivery counts: connections, events, replays.

use super::text::{Family, Text, US};
use crate::app::App;
use campanile_live::{Metrics, Transport};
use campanile_wire::{CloseReason, ErrorCode};
use std::sync::atomic::{AtomicU64, Ordering};

static CONNECTIONS: Family = Family::gauge("campanile_connections", &["transport"], "Open connections.");
static DELIVERED: Family = Family::counter("campanile_events_delivered_total", &["transport"], "Events handed to sockets.");
static LATENCY: Family = Family::histogram(
    "campanile_publish_to_socket_seconds",
    &[],
    "From the commit's instant to the socket; replayed events count too.",
);
static REPLAY_EVENTS: Family = Family::histogram("campanile_replay_events", &[], "Events by finished replay.");
static CLOSES: Family = Family::counter("campanile_closes_total", &["reason"], "WebSockets that the server closed, by reason.");
static FRAME_ERRORS: Family =
    Family::counter("campanile_frame_errors_total", &["code"], "Error frames to clients, by error code.");
static TAIL_EVENTS: Family = Family::gauge("campanile_tail_events", &[], "Recent events in memory.");
static TAIL_BYTES: Family = Family::gauge("campanile_tail_bytes", &[], "Bytes of recent events in memory.");

type Counter = fn(&Metrics) -> &AtomicU64;

/// Counters without labels.
static COUNTERS: [(Family, Counter); 10] = [
    (Family::counter("campanile_connects_total", &[], "Connections asked for."), |metrics| &metrics.connects),
    (Family::counter("campanile_connects_refused_total", &[], "Connections not admitted."), |metrics| {
        &metrics.connects_refused
    }),
    (Family::counter("campanile_messages_received_total", &[], "Messages from clients."), |metrics| &metrics.messages_received),
    (Family::counter("campanile_events_applied_total", &[], "Events of the log that this node applied."), |metrics| {
        &metrics.events_applied
    }),
    (
        Family::counter("campanile_fell_behind_total", &[], "Times a mailbox was full and its connection went to the log."),
        |metrics| &metrics.fell_behind,
    ),
    (Family::counter("campanile_replays_total", &[], "Replays begun."), |metrics| &metrics.replays),
    (Family::counter("campanile_gaps_total", &[], "Gaps told."), |metrics| &metrics.gaps),
    (Family::counter("campanile_pages_from_tail_total", &[], "Pages of history served from memory."), |metrics| {
        &metrics.pages_from_tail
    }),
    (Family::counter("campanile_pages_from_store_total", &[], "Pages of history read from the store."), |metrics| {
        &metrics.pages_from_store
    }),
    (Family::counter("campanile_store_errors_total", &[], "Reads of delivery that the store failed."), |metrics| {
        &metrics.store_errors
    }),
];

pub(super) fn write(text: &mut Text, app: &App) {
    let metrics = &app.node.metrics;
    text.begin(&CONNECTIONS);
    Transport::ALL.iter().for_each(|transport| text.sample(&[transport.as_str()], metrics.connections(*transport)));
    text.begin(&DELIVERED);
    Transport::ALL.iter().for_each(|transport| text.sample(&[transport.as_str()], metrics.delivered_total(*transport)));
    for (family, counter) in &COUNTERS {
        text.one(family, counter(metrics).load(Ordering::Relaxed));
    }
    text.begin(&CLOSES);
    CloseReason::ALL.iter().for_each(|reason| text.sample(&[reason.word()], metrics.closes(*reason)));
    text.begin(&FRAME_ERRORS);
    for code in ErrorCode::ALL.iter().filter(|code| metrics.frame_errors(**code) > 0) {
        text.sample(&[code.as_str()], metrics.frame_errors(*code));
    }
    text.begin(&LATENCY);
    text.histogram(&[], &metrics.publish_to_socket_us.read(), US);
    text.begin(&REPLAY_EVENTS);
    text.histogram(&[], &metrics.replay_events.read(), 1.0);
    let (events, bytes) = app.node.tail_size();
    text.one(&TAIL_EVENTS, events);
    text.one(&TAIL_BYTES, bytes);
}
