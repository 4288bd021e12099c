//! The host platform: a Django project of its own, driven by its management commands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::process::{Child, Command};

/// Where Django is and with what it runs.
pub struct Django {
    python: PathBuf,
    project: PathBuf,
    port: u16,
    signing_key: String,
}

/// One user as `issue_tokens` writes them.
#[derive(Deserialize)]
pub struct User {
    pub user_id: u64,
    pub name: String,
    pub role: String,
    pub cadet_id: Option<u64>,
    pub access: String,
}

/// One sync event as `write_events` writes of it.
#[derive(Deserialize)]
pub struct Row {
    pub event_type: String,
    pub cadet_id: u64,
    /// As PostgreSQL spells it.
    pub payload: String,
    pub outcome: Outcome,
}

/// What became of a row's transaction.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Committed,
    RolledBack,
}

/// What `write_events` says of itself at its end.
#[derive(Clone, Copy, Default, Deserialize)]
pub struct Written {
    pub transactions: u64,
    pub committed: u64,
    pub rolled_back: u64,
    pub tried_again: u64,
    pub answers_lost: u64,
}

// === impl Django ===

impl Django {
    /// A project whose database `rotc` is on this port, and whose tokens are signed with this key.
    pub fn new(python: &Path, project: &Path, port: u16, signing_key: &str) -> Result<Self> {
        if !python.exists() {
            bail!("{} does not exist: scripts/install-test-needs makes it", python.display());
        }
        let project = project.canonicalize().with_context(|| format!("{} does not exist", project.display()))?;
        // Not resolved further: a venv's python is a link, and by its name it knows its packages.
        let python = std::path::absolute(python)?;
        Ok(Self { python, project, port, signing_key: signing_key.to_owned() })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg("manage.py").args(words).current_dir(&self.project).kill_on_drop(true);
        command.env("ROTC_SIGNING_KEY", &self.signing_key).env("ROTC_DATABASE_PORT", self.port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Runs a management command to its end; answers what it printed.
    pub async fn run(&self, words: &[&str]) -> Result<String> {
        ended(self.start(words)?, words[0]).await
    }

    /// Starts a management command that goes on beside us.
    pub fn start(&self, words: &[&str]) -> Result<Child> {
        self.command(words).spawn().with_context(|| format!("cannot start {}", self.python.display()))
    }
}

/// Waits for a management command; answers what it printed.
pub async fn ended(child: Child, name: &str) -> Result<String> {
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("Django's {name} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The JSON lines of a file.
pub fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().zip(1..);
    lines
        .map(|(line, number)| serde_json::from_str(line).with_context(|| format!("{}: line {number}", path.display())))
        .collect()
}
