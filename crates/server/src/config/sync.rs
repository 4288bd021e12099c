//! `[[sync_source]]`: tables whose rows become events.

use anyhow::Result;
use campanile_contract::DATA_BYTES_MAX;
use campanile_journal::{SYNC_BATCH_ROWS_MAX, SyncColumns, SyncSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A table whose rows become events. Our own, `sync_events`, is always one; an entry named `own` tunes it.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyncSourceEntry {
    /// Unique, of a-z, 0-9, _ and -; it stays, because what was processed is remembered under it.
    pub name: String,
    /// `sqlite://path/to.db` or `postgres://user@host/database` of the platform; our own store without it.
    #[schemars(example = &"postgres://campanile@db.example/school")]
    pub store: Option<String>,
    /// `table`, `schema.table` or `"Quoted Table"`.
    pub table: String,
    /// The column that tells rows apart: integer, UUID or text, with a unique index.
    pub id: String,
    /// The column with the event's type.
    pub event_type: String,
    /// The column with the cadet: integer or text, may be NULL.
    pub cadet_id: String,
    /// The column with the event's data, a JSON object as TEXT, JSON or JSONB.
    pub payload: String,
    /// The column that tells whether a row was processed: boolean or integer.
    pub processed: String,
    /// The column that tells when a row was made; of any type.
    pub created_at: String,
    /// A text column that is told why a row cannot become an event.
    #[schemars(example = &"error")]
    pub error: Option<String>,
    /// A column that is told when a row was processed: a time, text or integer (then unix milliseconds).
    #[schemars(example = &"processed_at")]
    pub processed_at: Option<String>,
    /// Rows of one batch.
    #[schemars(range(min = 1, max = SYNC_BATCH_ROWS_MAX))]
    pub batch_rows: u64,
    /// How often the table is looked at without a notification, in milliseconds.
    #[schemars(range(min = POLL_MS_MIN, max = POLL_MS_MAX))]
    pub poll_ms: u64,
    /// Puts a trigger on the table that notifies us (PostgreSQL). Our own table has it without asking.
    pub install_trigger: bool,
    /// Deletes rows so many days after they were processed; without it they stay. Rows of our own table go after 7 days.
    #[schemars(range(min = 0, max = 36_500), example = 30)]
    pub delete_after_days: Option<u32>,
}

impl Default for SyncSourceEntry {
    fn default() -> Self {
        let SyncColumns { id, event_type, cadet_id, payload, processed, created_at, .. } = SyncColumns::default();
        Self {
            name: "own".into(),
            store: None,
            table: "sync_events".into(),
            id,
            event_type,
            cadet_id,
            payload,
            processed,
            created_at,
            error: None,
            processed_at: None,
            batch_rows: 100,
            poll_ms: 1_000,
            install_trigger: false,
            delete_after_days: None,
        }
    }
}

// A store's address may hold a password.
impl std::fmt::Debug for SyncSourceEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncSourceEntry").field("name", &self.name).field("table", &self.table).finish_non_exhaustive()
    }
}

/// A source and how often it is looked at.
pub struct SyncSetting {
    /// What it is.
    pub spec: SyncSpec,
    /// Between two looks without a notification.
    pub poll: Duration,
}

/// All sources, our own among them. `store` is the journal's.
///
/// # Errors
/// A sentence when two have one name, or a number is out of its range.
pub(super) fn sources(entries: &[SyncSourceEntry], store: &str) -> Result<Vec<SyncSetting>> {
    let own = SyncSourceEntry::default();
    let has_own = entries.iter().any(|entry| entry.spec(store).is_own());
    let all: Vec<&SyncSourceEntry> = entries.iter().chain((!has_own).then_some(&own)).collect();
    let setting = |(place, entry): (usize, &&SyncSourceEntry)| {
        let name = &entry.name;
        anyhow::ensure!(!all[..place].iter().any(|other| other.name == *name), "two sync_sources are called {name}");
        anyhow::ensure!((POLL_MS_MIN..=POLL_MS_MAX).contains(&entry.poll_ms), "sync_source {name}: poll_ms is 10 to 3,600,000");
        let spec = entry.spec(store);
        spec.check()?;
        Ok(SyncSetting { spec, poll: Duration::from_millis(entry.poll_ms) })
    };
    all.iter().enumerate().map(setting).collect()
}

impl SyncSourceEntry {
    fn spec(&self, store: &str) -> SyncSpec {
        let own = SyncSpec::own(DATA_BYTES_MAX as u64);
        let days_ms = self.delete_after_days.map(|days| i64::from(days) * DAY_MS);
        if self.store.is_none() && self.table == own.table {
            let delete_after_ms = days_ms.or(own.delete_after_ms);
            return SyncSpec { name: self.name.clone(), batch_rows: self.batch_rows, delete_after_ms, ..own };
        }
        SyncSpec {
            name: self.name.clone(),
            // A platform's table in our own store is the platform's all the same.
            store: Some(self.store.as_deref().unwrap_or(store).to_owned()),
            table: self.table.clone(),
            columns: SyncColumns {
                id: self.id.clone(),
                event_type: self.event_type.clone(),
                cadet_id: self.cadet_id.clone(),
                payload: self.payload.clone(),
                processed: self.processed.clone(),
                created_at: self.created_at.clone(),
                error: self.error.clone(),
                processed_at: self.processed_at.clone(),
            },
            batch_rows: self.batch_rows,
            install_trigger: self.install_trigger,
            delete_after_ms: days_ms,
            ..own
        }
    }
}

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The shortest time between two looks.
const POLL_MS_MIN: u64 = 10;
/// The longest time between two looks: an hour.
const POLL_MS_MAX: u64 = 3_600_000;
