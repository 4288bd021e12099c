//! How a long command tells how far it has come, and what it came to.

use anyhow::Result;
use campanile_journal::BackupProgress;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the operator's terminal; nothing where standard error is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    json: bool,
}

impl Progress {
    pub(super) fn new(json: bool) -> Result<Self> {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg:12} [{bar:40}] {bytes} of about {total_bytes}")?;
        bar.set_style(style.progress_chars("=> "));
        Ok(Self { bar, json })
    }

    pub(super) fn tell(&self, now: BackupProgress) {
        self.bar.set_length(now.bytes_about);
        self.bar.set_message(now.step);
        self.bar.set_position(now.bytes);
    }

    /// The answer, in the form that was asked for.
    #[allow(clippy::print_stdout, reason = "the answer")]
    pub(super) fn answer(&self, json: &serde_json::Value, sentence: &str) {
        self.bar.finish_and_clear();
        if self.json { println!("{json}") } else { println!("{sentence}") }
    }
}
