//! Backup and restore of one store, online and verified.
//!
//! Invariant: a restored log goes on in a new epoch, above every id that the lost log can have given out, so no cursor of before can be
//! mistaken for one of now.

mod file;
mod postgres;
mod sqlite;
mod tables;

use crate::error::JournalError;
use crate::journal::Head;
use crate::migrate::Migration;
use std::path::Path;

/// By how much a restored log's ids lie above those of its backup: more than a school can have published since.
pub const RESTORE_IDS_SKIPPED: u64 = 1_000_000_000;

/// How far a backup or restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// What is being done.
    pub step: &'static str,
    /// Bytes written so far.
    pub bytes: u64,
    /// About how many there will be.
    pub bytes_about: u64,
}

/// Who is told of it.
pub type OnProgress<'a> = &'a (dyn Fn(BackupProgress) + Send + Sync);

/// A backup that was written and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The end of the log that it holds.
    pub head: Head,
    /// Events in it.
    pub events: u64,
    /// Tables in it.
    pub tables: u64,
    /// Its size.
    pub bytes: u64,
}

/// A store that was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the backup ended.
    pub from: Head,
    /// Where the log goes on: a new epoch, whose floor is its head.
    pub head: Head,
    /// Events in it.
    pub events: u64,
}

/// Writes a backup of a store, which may be in use, into a new file, and verifies it. `migrations` are those of the features.
///
/// # Errors
/// When the file exists, the store cannot be read, a tool is missing, or the backup does not hold what the store held.
pub async fn backup(
    store: &str,
    file: &Path,
    migrations: &[Migration],
    progress: OnProgress<'_>,
) -> Result<Backup, JournalError> {
    let partial = file::Partial::create(file)?;
    let backup = match is_sqlite(store) {
        true => sqlite::backup(store, partial.path(), progress).await,
        false => postgres::backup(store, partial.path(), &tables::of(migrations), progress).await,
    }?;
    let bytes = partial.finish()?;
    Ok(Backup { bytes, ..backup })
}

/// Restores a store from a backup; it must be empty, unless it is to be replaced. Nobody may be using it.
///
/// # Errors
/// When the file is no backup of this engine, the store is not empty or in use, or a tool is missing. The store is then as it was.
pub async fn restore(
    store: &str,
    file: &Path,
    migrations: &[Migration],
    replace: bool,
    progress: OnProgress<'_>,
) -> Result<Restored, JournalError> {
    match is_sqlite(store) {
        true => sqlite::restore(store, file, replace, progress).await,
        false => postgres::restore(store, file, &tables::of(migrations), replace, progress).await,
    }
}

fn is_sqlite(store: &str) -> bool {
    store.starts_with("sqlite:")
}

/// A sentence for the operator.
fn refused(sentence: impl Into<String>) -> JournalError {
    JournalError::Unusable(sentence.into())
}

/// The head of the restored log. A store that is replaced may have gone further than the backup, in ids and in epochs.
fn head_after(backup: Head, replaced: Option<Head>) -> Head {
    let furthest = replaced.map_or(backup.id, |head| head.id.max(backup.id));
    let epoch = replaced.map_or(backup.epoch, |head| head.epoch.max(backup.epoch)) + 1;
    let id = furthest + RESTORE_IDS_SKIPPED;
    Head { id, epoch, epoch_floor: id, ..backup }
}

#[cfg(test)]
mod tests {
    use super::{RESTORE_IDS_SKIPPED, head_after};
    use crate::journal::Head;

    fn head(id: u64, epoch: u64) -> Head {
        Head { id, recorded_at_ms: 7, epoch, epoch_floor: 0 }
    }

    #[test]
    fn a_restored_log_begins_above_the_backup_and_above_what_it_replaces() {
        let check = |replaced, id, epoch| {
            let restored = head_after(head(100, 1), replaced);
            assert_eq!((restored.id, restored.epoch_floor, restored.epoch), (id, id, epoch));
            assert_eq!(restored.recorded_at_ms, 7, "recorded_at never runs backwards");
        };
        check(None, 100 + RESTORE_IDS_SKIPPED, 2);
        check(Some(head(500, 1)), 500 + RESTORE_IDS_SKIPPED, 2);
        // Restored twice: the second epoch is above the first, whose ids were given out too.
        check(Some(head(100 + RESTORE_IDS_SKIPPED, 2)), 100 + 2 * RESTORE_IDS_SKIPPED, 3);
        check(Some(head(0, 1)), 100 + RESTORE_IDS_SKIPPED, 2);
    }
}
