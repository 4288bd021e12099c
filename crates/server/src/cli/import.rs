//! `campanile import`.

use super::Source;
use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    source: Source,
}

impl Import {
    pub(super) async fn run(self) -> Result<()> {
        let _ = self.source.read()?;
        Ok(())
    }
}
