//! Rows of other programs that become events.

use super::text::{Family, Text};
use crate::app::App;
use std::sync::atomic::Ordering;

static PROCESSED: Family =
    Family::counter("campanile_sync_rows_processed_total", &["source"], "Rows that became events in this process.");
static FAILED: Family = Family::counter("campanile_sync_rows_failed_total", &["source"], "Rows that cannot become events.");
static BACKLOG: Family = Family::gauge(
    "campanile_sync_backlog_rows",
    &["source"],
    "Rows that waited when this process looked last, counted up to 10,000.",
);

pub(super) fn write(text: &mut Text, app: &App) {
    text.begin(&PROCESSED);
    app.sync.sources().for_each(|(name, source)| text.sample(&[name], source.processed.load(Ordering::Relaxed)));
    text.begin(&FAILED);
    app.sync.sources().for_each(|(name, source)| text.sample(&[name], source.failed.load(Ordering::Relaxed)));
    text.begin(&BACKLOG);
    app.sync.sources().for_each(|(name, source)| text.sample(&[name], source.backlog.load(Ordering::Relaxed)));
}
