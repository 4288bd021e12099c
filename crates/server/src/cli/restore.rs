//! `campanile restore`: a backup becomes the store again, in a new epoch, so that every client is told to refetch.

use super::Source;
use super::backup::registry;
use super::progress::Progress;
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;

/// Restores the store from a backup, in a new epoch. The server must not run.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile restore school.backup                       # into an empty store
  campanile restore school.backup --replace")]
pub struct Restore {
    /// A file that `campanile backup` wrote from a store of the same engine.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Puts the backup in the place of what the store holds.
    #[arg(long)]
    replace: bool,
    /// Answers in JSON.
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.source.read()?;
        let registry = registry()?;
        let progress = Progress::new(self.json)?;
        let tell = |now| progress.tell(now);
        let restored = campanile_journal::restore(&config.store, &self.file, registry.migrations(), self.replace, &tell).await;
        let restored = restored.with_context(|| format!("restoring {}", crate::app::without_password(&config.store)))?;
        let (from, head) = (restored.from, restored.head);
        progress.answer(
            &serde_json::json!({
                "from_head": from.id, "from_epoch": from.epoch, "head": head.id, "epoch": head.epoch, "events": restored.events,
            }),
            &format!(
                "restored {} events up to {}; the log goes on after {} in epoch {}, and clients with older cursors are told to refetch",
                restored.events, from.id, head.id, head.epoch
            ),
        );
        Ok(())
    }
}
