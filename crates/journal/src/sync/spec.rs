//! What a source is told to be: which table of which store, and how it is read.

use crate::error::JournalError;
use crate::sync::identifier;

/// Rows of one batch, at most.
pub const SYNC_BATCH_ROWS_MAX: u64 = 1_000;
/// How long the key of a row is kept after the row was processed, and a row of our own table with it: 7 days.
pub const SYNC_KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// A table whose rows become events.
#[derive(Clone)]
pub struct SyncSpec {
    /// Unique among the sources, and stays: keys of rows are kept under it.
    pub name: String,
    /// `sqlite://…` or `postgres://…`; none is the journal's own store.
    pub store: Option<String>,
    /// `table`, `schema.table` or `"Quoted Table"`.
    pub table: String,
    /// What its columns are called.
    pub columns: SyncColumns,
    /// Rows of one batch.
    pub batch_rows: u64,
    /// Bytes of one payload; a longer one is not read at all.
    pub payload_bytes_max: u64,
    /// Whether a trigger that wakes us is put on the table, where PostgreSQL allows it.
    pub install_trigger: bool,
    /// Processed rows older than this are deleted; none keeps them for ever.
    pub delete_after_ms: Option<i64>,
}

/// The names of a table's columns.
#[derive(Clone)]
pub struct SyncColumns {
    /// Integer, UUID or text; unique.
    pub id: String,
    /// Text.
    pub event_type: String,
    /// Integer or text, or NULL.
    pub cadet_id: String,
    /// A JSON object as TEXT, JSON or JSONB.
    pub payload: String,
    /// Boolean or integer.
    pub processed: String,
    /// Anything.
    pub created_at: String,
    /// Where a row that cannot become an event is told why.
    pub error: Option<String>,
    /// Where it is written when a row was processed.
    pub processed_at: Option<String>,
}

impl Default for SyncColumns {
    fn default() -> Self {
        let name = |text: &str| text.to_owned();
        Self {
            id: name("id"),
            event_type: name("event_type"),
            cadet_id: name("cadet_id"),
            payload: name("payload"),
            processed: name("processed"),
            created_at: name("created_at"),
            error: None,
            processed_at: None,
        }
    }
}

impl SyncSpec {
    /// Our own table.
    pub fn own(payload_bytes_max: u64) -> Self {
        Self {
            name: "own".into(),
            store: None,
            table: "sync_events".into(),
            columns: SyncColumns {
                error: Some("error".into()),
                processed_at: Some("processed_at".into()),
                ..SyncColumns::default()
            },
            batch_rows: 100,
            payload_bytes_max,
            install_trigger: true,
            delete_after_ms: Some(SYNC_KEPT_MS),
        }
    }

    /// Whether it is our own table, whose rows are marked in the very commit that makes their events.
    pub fn is_own(&self) -> bool {
        self.store.is_none() && self.table == "sync_events"
    }

    /// Whether this can be a source at all, as far as can be told without its store.
    ///
    /// # Errors
    /// [`JournalError::Unusable`] with a sentence that names what is wrong.
    pub fn check(&self) -> Result<(), JournalError> {
        let refused = |why: String| JournalError::Unusable(format!("sync_source {}: {why}", self.name));
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(is_word) {
            return Err(refused("a name has 1 to 64 signs of a-z, 0-9, _ and -".into()));
        }
        if !(1..=SYNC_BATCH_ROWS_MAX).contains(&self.batch_rows) {
            return Err(refused(format!("batch_rows is 1 to {SYNC_BATCH_ROWS_MAX}")));
        }
        let is_store = |url: &str| ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme));
        if self.store.as_deref().is_some_and(|url| !is_store(url)) {
            return Err(refused("its store is sqlite://path/to.db or postgres://user@host/database".into()));
        }
        identifier::parse(&self.table, 2).map_err(|error| refused(error.to_string()))?;
        for column in self.columns.all() {
            identifier::parse(column, 1).map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }
}

impl SyncColumns {
    /// All that are named.
    fn all(&self) -> impl Iterator<Item = &str> {
        [&self.id, &self.event_type, &self.cadet_id, &self.payload, &self.processed, &self.created_at]
            .into_iter()
            .chain(self.error.iter().chain(&self.processed_at))
            .map(String::as_str)
    }
}
