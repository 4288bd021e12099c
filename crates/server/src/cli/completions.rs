//! `campanile completions`.

use super::overview;
use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

/// Writes the completions of a shell to standard output.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile completions bash > /etc/bash_completion.d/campanile
  campanile completions zsh > \"${fpath[1]}/_campanile\"
  campanile completions fish > ~/.config/fish/completions/campanile.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut overview::command(), "campanile", &mut text);
        super::terminal::out(String::from_utf8_lossy(&text).trim_end())
    }
}
