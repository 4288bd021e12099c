//! The command line.

mod backup;
mod import;
mod process_sync_events;
mod progress;
mod restore;
mod serve;

use crate::config::Config;
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The real-time half of a learning platform in one binary.
#[derive(Parser)]
#[command(name = "campanile", version, about, long_about = None)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server.
    Serve(serve::Serve),
    /// Imports courses, people and registrations from CSV files.
    Import(import::Import),
    /// Writes a verified backup of the store into a new file, while the server runs.
    Backup(backup::Backup),
    /// Restores the store from a backup, in a new epoch. The server must not run.
    Restore(restore::Restore),
    /// Turns the rows that wait in sync_events, and in every [[sync_source]], into events.
    ProcessSyncEvents(process_sync_events::ProcessSyncEvents),
}

/// Where the configuration comes from.
#[derive(Args, Clone)]
pub struct Source {
    /// The configuration file; campanile.toml in this folder is read when it is there.
    #[arg(long, env = "CAMPANILE_CONFIG")]
    config: Option<PathBuf>,
    /// The store: sqlite://path/to.db or postgres://user@host/database.
    #[arg(long, env = "CAMPANILE_STORE")]
    store: Option<String>,
}

impl Source {
    fn read(&self) -> Result<Config> {
        let beside = PathBuf::from("campanile.toml");
        let path = self.config.clone().or_else(|| beside.exists().then_some(beside));
        let mut config = path.map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
        if let Some(store) = &self.store {
            config.store.clone_from(store);
        }
        Ok(config)
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => serve.run().await,
            Command::Import(import) => import.run().await,
            Command::Backup(backup) => backup.run().await,
            Command::Restore(restore) => restore.run().await,
            Command::ProcessSyncEvents(process) => process.run().await,
        }
    });
    // Connections that did not end in their grace are cut here.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

#[allow(clippy::print_stderr, reason = "the operator reads it")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("campanile: {error:#}");
    ExitCode::FAILURE
}
