//! `campanile reload`: makes a running server read its configuration again.

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

/// Makes a running server read its configuration again, without a restart.
///
/// Sends SIGHUP, as `kill -HUP` and systemd's `ExecReload=` do. What came of it stands in the server's log: which keys changed, or why the
/// old configuration stays in force. `campanile check-config` finds mistakes before.
#[derive(Args)]
#[command(after_help = "Example:
  campanile check-config && campanile reload --pid $(pidof campanile)")]
pub struct ReloadServer {
    /// The server's process.
    #[arg(long)]
    pid: i32,
}

impl ReloadServer {
    pub(super) fn run(self) -> Result<()> {
        let pid = Pid::from_raw(self.pid).filter(|_| self.pid > 1).context("--pid is the number of a process")?;
        kill_process(pid, Signal::HUP).with_context(|| format!("telling process {} to reload", self.pid))
    }
}
