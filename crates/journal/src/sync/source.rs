//! A source at work: read a page of rows, commit their events, mark them, and the next page.

use crate::db::Value;
use crate::error::JournalError;
use crate::job::statement::answer_of;
use crate::journal::Journal;
use crate::log::NewEvent;
use crate::store::Store;
use crate::sync::LOG;
use crate::sync::batch::{Batch, Committed, Mapped};
use crate::sync::mark::{Marked, mark};
use crate::sync::row::SyncRow;
use crate::sync::spec::SyncSpec;
use crate::sync::table::Table;
use crate::sync::{listen, place};
use sqlx::SqlStr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Waiting rows are counted so far; more are as good as this many.
const BACKLOG_ROWS_MAX: u64 = 10_000;

/// Makes a row an event, or says why it cannot be one. It answers the same for the same row.
pub type SyncMap<'a> = &'a (dyn Fn(&SyncRow) -> Result<NewEvent, String> + Send + Sync);

/// Whether other nodes at the same source are let go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncTurn {
    /// One node at a time works on a source, so that the others need not do the same work.
    Polite,
    /// At once, as an operator asks for it by hand.
    Now,
}

/// What a pass over a source came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncPass {
    /// Rows that became events.
    pub processed: u64,
    /// Rows that cannot.
    pub failed: u64,
    /// Rows that could not be marked; they are marked by a later pass and become no second event.
    pub unmarked: u64,
    /// Another node is at it.
    pub held: bool,
}

/// A table whose rows become events. Cheap to clone.
#[derive(Clone)]
pub struct SyncSource(Arc<Inner>);

struct Inner {
    journal: Journal,
    spec: SyncSpec,
    store: Arc<Store>,
    /// This process, among those that may be at the same source.
    node: String,
    /// As the store described it; asked again after every failure.
    table: Mutex<Option<Arc<Table>>>,
}

impl SyncSource {
    /// A source that has not been looked at yet: its store and its table may come later.
    ///
    /// # Errors
    /// [`JournalError::Unusable`] when it can never be a source; the sentence names what is wrong.
    pub fn new(journal: &Journal, spec: SyncSpec) -> Result<Self, JournalError> {
        spec.check()?;
        let store = match &spec.store {
            Some(url) => Arc::new(place::foreign(url)?),
            None => journal.store(),
        };
        let node = format!("{:016x}", rand::random::<u64>());
        Ok(Self(Arc::new(Inner { journal: journal.clone(), spec, store, node, table: Mutex::new(None) })))
    }

    /// What it was told to be.
    pub fn spec(&self) -> &SyncSpec {
        &self.0.spec
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// One pass: every row that waits now, in the order of their ids, batch by batch.
    ///
    /// # Errors
    /// When a store fails. What was committed stays; the next pass finds the rest.
    pub async fn pass(&self, turn: SyncTurn, map: SyncMap<'_>) -> Result<SyncPass, JournalError> {
        self.pass_until(turn, map, true).await
    }

    /// A pass that ends as that of a process which is killed after each commit and before its marks: for tests.
    ///
    /// # Errors
    /// As [`SyncSource::pass`].
    #[doc(hidden)]
    pub async fn pass_without_marks(&self, map: SyncMap<'_>) -> Result<SyncPass, JournalError> {
        self.pass_until(SyncTurn::Now, map, false).await
    }

    async fn pass_until(&self, turn: SyncTurn, map: SyncMap<'_>, marks: bool) -> Result<SyncPass, JournalError> {
        let result = self.pass_through(turn, map, marks).await;
        if result.is_err() {
            self.forget_table();
        }
        result
    }

    async fn pass_through(&self, turn: SyncTurn, map: SyncMap<'_>, marks: bool) -> Result<SyncPass, JournalError> {
        let (mut total, mut after) = (SyncPass::default(), None);
        if turn == SyncTurn::Polite && self.is_held().await? {
            return Ok(SyncPass { held: true, ..total });
        }
        loop {
            let (rows, read, last) = self.read_page(after.as_deref()).await?;
            let mapped = rows.into_iter().map(|row| (map(&row), row)).map(|(event, row)| (row, event)).collect();
            let batch = self.commit_rows(turn, Arc::new(mapped), marks).await?;
            total.processed += batch.processed;
            total.failed += batch.failed;
            total.unmarked += batch.unmarked;
            if batch.held || last.is_none() || read < self.0.spec.batch_rows {
                return Ok(SyncPass { held: batch.held, ..total });
            }
            after = last;
        }
    }

    /// Commits a page and marks its rows.
    async fn commit_rows(&self, turn: SyncTurn, rows: Arc<Vec<Mapped>>, marks: bool) -> Result<SyncPass, JournalError> {
        if rows.is_empty() {
            return Ok(SyncPass::default());
        }
        let mut pass = self.commit_only(turn, &rows).await?;
        if !pass.held && marks {
            pass.unmarked = self.mark_only(&rows).await;
        }
        Ok(pass)
    }

    /// The next rows that wait, how many were read, and the id of the last one. A row whose id cannot be read is left out.
    pub(crate) async fn read_page(&self, after: Option<&str>) -> Result<(Vec<SyncRow>, u64, Option<String>), JournalError> {
        let table = self.table().await?;
        let limit = Value::from(self.0.spec.batch_rows);
        let values: Vec<Value> = after.map(Value::from).into_iter().chain([limit]).collect();
        let found = self.0.store.reading().await?.fetch(table.select(after.is_some()), &values).await?;
        let read = found.len() as u64;
        let rows: Vec<SyncRow> = found.iter().filter_map(|row| SyncRow::read(row, self.0.spec.payload_bytes_max)).collect();
        if rows.len() < found.len() {
            tracing::debug!(target: LOG, source = self.0.spec.name, "rows were left out: their ids are not text in UTF-8");
        }
        let last = rows.last().map(|row| row.id.clone());
        Ok((rows, read, last))
    }

    /// Commits a page, without marking rows of other stores. A row that our own store refuses costs only itself.
    pub(crate) async fn commit_only(&self, turn: SyncTurn, rows: &Arc<Vec<Mapped>>) -> Result<SyncPass, JournalError> {
        let committed = match self.commit_batch(turn, Arc::clone(rows)).await {
            Err(JournalError::Statement(_)) if rows.len() > 1 => {
                let mut total = SyncPass::default();
                for row in rows.iter() {
                    let one = Box::pin(self.commit_only(turn, &Arc::new(vec![row.clone()]))).await?;
                    total.processed += one.processed;
                    total.failed += one.failed;
                    total.held |= one.held;
                }
                return Ok(total);
            }
            Err(JournalError::Statement(text)) if rows.iter().any(|(_, event)| event.is_ok()) => {
                tracing::error!(target: LOG, source = self.0.spec.name, error = text, "the store refused a row");
                let refused = |(row, _): &Mapped| (row.clone(), Err("the store refused it".to_owned()));
                return Box::pin(self.commit_only(turn, &Arc::new(rows.iter().map(refused).collect()))).await;
            }
            result => result?,
        };
        let mut pass = SyncPass { held: committed.held, ..SyncPass::default() };
        for (row, event) in rows.iter().filter(|(row, _)| committed.fresh.contains(&row.key)) {
            match event {
                Ok(_) => pass.processed += 1,
                Err(error) => {
                    pass.failed += 1;
                    // What follows the colon may quote the data, which are no log's matter; the whole of it stands with the row.
                    let why = error.split(": ").next().unwrap_or_default();
                    tracing::warn!(target: LOG, source = self.0.spec.name, row = row.id, why, "a row cannot become an event");
                }
            }
        }
        Ok(pass)
    }

    async fn commit_batch(&self, turn: SyncTurn, rows: Arc<Vec<Mapped>>) -> Result<Committed, JournalError> {
        let spec = &self.0.spec;
        let own = if spec.is_own() { Some(self.table().await?) } else { None };
        let turn_of = (turn == SyncTurn::Polite).then(|| self.0.node.clone());
        let answer = answer_of(&self.0.journal, Batch { source: spec.name.clone(), turn_of, rows, own }).await?;
        serde_json::from_str(&answer).map_err(|error| JournalError::Statement(error.to_string()))
    }

    /// Marks the rows of a page that was committed; answers how many could not be. Rows of our own table are marked already.
    pub(crate) async fn mark_only(&self, rows: &[Mapped]) -> u64 {
        if self.0.spec.is_own() {
            return 0;
        }
        let marked: Vec<Marked<'_>> =
            rows.iter().map(|(row, event)| (row.id.as_str(), event.as_ref().err().map(String::as_str))).collect();
        let rows = marked.len() as u64;
        let done = match self.try_mark(&marked).await {
            Err(JournalError::Statement(_)) if rows > 1 => {
                // One row that the platform's own rules hold fast must not keep the others.
                let mut done = 0;
                for row in &marked {
                    done += self.try_mark(std::slice::from_ref(row)).await.unwrap_or(0);
                }
                done
            }
            // The next pass meets the same failure where it reads, and tells it.
            result => result.unwrap_or(0),
        };
        let unmarked = rows.saturating_sub(done);
        if unmarked > 0 {
            tracing::debug!(target: LOG, source = self.0.spec.name, unmarked, "rows could not be marked");
        }
        unmarked
    }

    async fn try_mark(&self, rows: &[Marked<'_>]) -> Result<u64, JournalError> {
        let table = self.table().await?;
        mark(&mut self.0.store.writing().await?, &table, rows).await
    }

    /// Whether another node has its turn.
    async fn is_held(&self) -> Result<bool, JournalError> {
        let sql = "SELECT held_by FROM sync_lease WHERE source = $1 AND held_by <> $2 AND until_ms > $3";
        let Inner { journal, spec, node, .. } = &*self.0;
        let values = [spec.name.as_str().into(), node.as_str().into(), journal.clock().now_ms().into()];
        Ok(!journal.reader().await?.fetch(sql, &values).await?.is_empty())
    }

    /// How many rows wait, counted up to 10,000.
    ///
    /// # Errors
    /// When the source's store fails.
    pub async fn backlog(&self) -> Result<u64, JournalError> {
        let table = self.table().await?;
        let rows = self.0.store.reading().await?.fetch(table.count_waiting(), &[BACKLOG_ROWS_MAX.into()]).await?;
        rows.first().map_or(Ok(0), |row| row.count("waiting"))
    }

    /// Wakes whenever rows may have come, until `stop`; ends at once where the store cannot notify.
    pub async fn listen(&self, wake: Arc<Notify>, stop: CancellationToken) {
        listen::listen(self, &wake, &stop).await;
    }

    pub(crate) async fn table(&self) -> Result<Arc<Table>, JournalError> {
        let known = self.0.table.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(table) = known {
            return Ok(table);
        }
        let table = Table::describe(&mut self.0.store.reading().await?, &self.0.spec).await;
        let named = |error: JournalError| match error {
            JournalError::Unusable(why) => JournalError::Unusable(format!("sync_source {}: {why}", self.0.spec.name)),
            other => other,
        };
        let table = Arc::new(table.map_err(named)?);
        *self.0.table.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&table));
        Ok(table)
    }

    fn forget_table(&self) {
        *self.0.table.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The statement that a source's table was described for, run on its store.
    pub(crate) async fn fetch(&self, sql: SqlStr, values: &[Value]) -> Result<Vec<crate::db::Row>, JournalError> {
        self.0.store.reading().await?.fetch(sql, values).await
    }
}
