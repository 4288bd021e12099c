//! `campanile config`: prints what can be configured.

use crate::config::reference;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Prints what can be configured: the reference, example files, the JSON schema.
///
/// Everything is written from the same description that `serve` reads its configuration by.
#[derive(Args)]
#[command(after_help = "Example:
  campanile config example > campanile.toml")]
pub struct PrintConfig {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every key with its type, range, default, variable and flag, as Markdown (docs/configuration.md).
    Reference,
    /// Every variable, commented out (.env.example).
    Env,
    /// Every key with its default, commented out (campanile.example.toml).
    Example,
    /// The JSON schema, for editors and validators.
    Schema,
}

impl PrintConfig {
    #[allow(clippy::print_stdout, reason = "this is what it is for")]
    pub(super) fn run(self) -> Result<()> {
        print!(
            "{}",
            match self.what {
                What::Reference => reference::markdown(),
                What::Env => reference::env_example(),
                What::Example => reference::toml_example(),
                What::Schema => format!("{:#}\n", crate::config::keys::schema()),
            }
        );
        Ok(())
    }
}
