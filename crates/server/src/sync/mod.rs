//! The processor of sync events: rows that other programs write become events of the log.
//!
//! Each source has a task of its own, so that one whose store is down keeps no other waiting.

mod mapping;
#[cfg(test)]
mod tests;

use crate::config::SyncSetting;
use campanile_contract::{Registry, Site};
use campanile_journal::{Handler, Job, JobError, JournalError, SyncPass, SyncRow, SyncSource, SyncTurn, Tx};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The log's component.
const LOG: &str = "campanile::sync";
/// The kind of the job that forgets what was processed long ago, and its schedule's name.
pub(crate) const CLEAN: &str = "clean_sync_events";
/// Every hour.
pub(crate) const CLEAN_EVERY: &str = "23 * * * *";

/// Every source of a site.
pub struct Processor {
    registry: Arc<Registry>,
    sources: Vec<Arc<Source>>,
}

/// One source, and what it has come to since the process started.
pub struct Source {
    source: SyncSource,
    poll: Duration,
    /// Told once that it is down, and once that it is back.
    is_down: AtomicBool,
    /// Rows that became events.
    pub processed: AtomicU64,
    /// Rows that cannot.
    pub failed: AtomicU64,
    /// Rows that waited when it was looked at last, counted up to 10,000.
    pub backlog: AtomicU64,
}

impl Processor {
    /// The sources of a configuration. Their stores and tables may come up later.
    ///
    /// # Errors
    /// When one can never be a source; the sentence says why.
    pub fn new(site: &Site, settings: Vec<SyncSetting>) -> Result<Self, JournalError> {
        let source = |setting: SyncSetting| {
            Ok(Arc::new(Source {
                source: SyncSource::new(&site.journal, setting.spec)?,
                poll: setting.poll,
                is_down: AtomicBool::new(false),
                processed: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                backlog: AtomicU64::new(0),
            }))
        };
        let sources = settings.into_iter().map(source).collect::<Result<Vec<_>, JournalError>>()?;
        Ok(Self { registry: Arc::clone(&site.registry), sources })
    }

    /// The sources, by their names.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|source| (source.name(), &**source))
    }

    /// Starts a task for each source, and one more where it can be woken; they end with `stop`.
    pub(crate) fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for source in &self.sources {
            let wake = Arc::new(Notify::new());
            let (listening, listen_stop) = (source.source.clone(), stop.clone());
            let woken = Arc::clone(&wake);
            tasks.spawn(async move { listening.listen(woken, listen_stop).await });
            let (source, registry, stop) = (Arc::clone(source), Arc::clone(&self.registry), stop.clone());
            tasks.spawn(async move { source.run(&registry, &wake, &stop).await });
        }
    }

    /// Works on one source, or all of them, until nothing new comes, whoever's turn it is. Answers what it came to.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn run_to_the_end(&self, only: Option<&str>) -> Result<SyncPass, JournalError> {
        let mut total = SyncPass::default();
        for source in self.sources.iter().filter(|source| only.is_none_or(|name| name == source.name())) {
            loop {
                let pass = source.pass(&self.registry, SyncTurn::Now).await?;
                total.processed += pass.processed;
                total.failed += pass.failed;
                if pass.processed + pass.failed == 0 {
                    // What a server beside us was just marking is marked by now.
                    let waiting = if pass.unmarked > 0 { source.source.backlog().await? } else { 0 };
                    total.unmarked += pass.unmarked.min(waiting);
                    break;
                }
            }
        }
        Ok(total)
    }

    /// The job that forgets what was processed long ago.
    pub(crate) fn cleaner(&self) -> Arc<dyn Handler> {
        Arc::new(Cleaner(self.sources.clone()))
    }
}

impl Source {
    fn name(&self) -> &str {
        &self.source.spec().name
    }

    async fn run(&self, registry: &Registry, wake: &Notify, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turn(registry) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = wake.notified() => {}
                () = tokio::time::sleep(self.poll) => {}
            }
        }
    }

    /// One pass, and what is told of it.
    async fn turn(&self, registry: &Registry) {
        match self.pass(registry, SyncTurn::Polite).await {
            Ok(_) if self.is_down.swap(false, Ordering::Relaxed) => {
                tracing::info!(target: LOG, source = self.name(), "the source is back");
            }
            Ok(_) => {}
            Err(error) => {
                if !self.is_down.swap(true, Ordering::Relaxed) {
                    tracing::warn!(target: LOG, source = self.name(), %error, "the source cannot be read; trying again");
                }
            }
        }
    }

    async fn pass(&self, registry: &Registry, turn: SyncTurn) -> Result<SyncPass, JournalError> {
        let map = |row: &SyncRow| mapping::event_of(row, registry);
        let pass = self.source.pass(turn, &map).await?;
        self.processed.fetch_add(pass.processed, Ordering::Relaxed);
        self.failed.fetch_add(pass.failed, Ordering::Relaxed);
        if pass.processed + pass.failed > 0 {
            let (processed, failed) = (pass.processed, pass.failed);
            tracing::info!(target: LOG, source = self.name(), processed, failed, "sync events were processed");
        }
        // Whatever another node leaves, or could not be marked, is what waits.
        let backlog = if pass.held || pass.unmarked > 0 { self.source.backlog().await? } else { 0 };
        self.backlog.store(backlog, Ordering::Relaxed);
        Ok(pass)
    }
}

/// Doing it twice does nothing more, so all of it is `act`.
struct Cleaner(Vec<Arc<Source>>);

impl Handler for Cleaner {
    fn act<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async {
            let mut last_error = None;
            for source in &self.0 {
                match source.source.clean().await {
                    Ok(0) => {}
                    Ok(rows) => tracing::info!(target: LOG, source = source.name(), rows, "processed rows were forgotten"),
                    // One store that is down keeps no other from being cleaned.
                    Err(error) => last_error = Some(error),
                }
            }
            last_error.map_or_else(|| Ok(String::new()), |error| Err(error.into()))
        })
    }

    fn settle<'a>(&'a self, _: &'a Job, _: &'a str, _: &'a mut Tx) -> BoxFuture<'a, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
