//! `campanile process-sync-events`: by hand what the server does by itself. It may run beside a server on the same store.

use super::Source;
use crate::app::open_site;
use crate::sync::Processor;
use anyhow::{Result, bail};
use clap::Args;

/// Turns the rows that wait in sync_events, and in every [[sync_source]], into events.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile process-sync-events
  campanile process-sync-events --source platform --batch-size 500 --json")]
pub struct ProcessSyncEvents {
    #[command(flatten)]
    source: Source,
    /// Rows of one batch; as configured without it.
    #[arg(long)]
    batch_size: Option<u64>,
    /// Only this source; all of them without it.
    #[arg(long = "source")]
    only: Option<String>,
    /// Answers in JSON.
    #[arg(long)]
    json: bool,
}

impl ProcessSyncEvents {
    pub(super) async fn run(self) -> Result<()> {
        let config = self.source.read()?;
        crate::log::start(&config.log)?;
        let mut settings = config.sync_sources()?;
        for setting in &mut settings {
            setting.spec.batch_rows = self.batch_size.unwrap_or(setting.spec.batch_rows);
        }
        if let Some(name) = &self.only
            && !settings.iter().any(|setting| setting.spec.name == *name)
        {
            let names: Vec<&str> = settings.iter().map(|setting| setting.spec.name.as_str()).collect();
            bail!("there is no sync_source {name}; there are {}", names.join(", "));
        }
        let site = open_site(&config).await?;
        let pass = Processor::new(&site, settings)?.run_to_the_end(self.only.as_deref()).await?;
        print(&match self.json {
            true => {
                serde_json::json!({ "processed": pass.processed, "failed": pass.failed, "unmarked": pass.unmarked }).to_string()
            }
            false => format!("{} processed, {} failed", pass.processed, pass.failed),
        });
        if pass.unmarked > 0 {
            bail!("{} rows could not be marked as processed; they become no second event", pass.unmarked);
        }
        Ok(())
    }
}

#[allow(clippy::print_stdout, reason = "the answer")]
fn print(text: &str) {
    println!("{text}");
}
