//! `campanile backup`: one file that holds the whole store, written while the server runs, and read again before it counts.

use super::Source;
use super::progress::Progress;
use anyhow::{Context, Result};
use campanile_contract::Registry;
use clap::Args;
use std::path::PathBuf;

/// Writes a verified backup of the store into a new file, while the server runs.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile backup /var/backups/campanile-2026-01-15.backup
  campanile backup school.backup --json | jq .head")]
pub struct Backup {
    /// The file to write; it must not exist.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Answers in JSON.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.source.read()?;
        let registry = registry()?;
        let progress = Progress::new(self.json)?;
        let tell = |now| progress.tell(now);
        let backup = campanile_journal::backup(&config.store, &self.file, registry.migrations(), &tell).await;
        let backup = backup.with_context(|| format!("backing up {}", crate::app::without_password(&config.store)))?;
        let (head, file) = (backup.head, self.file.display());
        progress.answer(
            &serde_json::json!({
                "file": file.to_string(), "bytes": backup.bytes, "head": head.id, "epoch": head.epoch,
                "events": backup.events, "tables": backup.tables,
            }),
            &format!(
                "{file}: {} bytes, verified; the log ends at {} (epoch {}), {} events, {} tables",
                backup.bytes, head.id, head.epoch, backup.events, backup.tables
            ),
        );
        Ok(())
    }
}

/// What is declared, for the tables of its migrations.
pub(super) fn registry() -> Result<Registry> {
    Registry::new(campanile_features::ALL, Vec::new()).map_err(anyhow::Error::msg)
}
