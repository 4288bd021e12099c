//! The command line.

mod backup;
mod completions;
mod credential;
mod doctor;
mod duration;
mod finding;
mod import;
mod jobs;
mod overview;
mod process_sync_events;
mod progress;
mod publish;
mod reference;
mod remote;
mod restore;
mod selftest;
mod serve;
mod stream;
mod tail;
mod terminal;
mod token;

use crate::config::Config;
use anyhow::Result;
use clap::{Args, FromArgMatches, Parser, Subcommand};
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
    // Each one's own type says what it does.
    Serve(serve::Serve),
    Import(import::Import),
    Token(token::Token),
    Publish(publish::Publish),
    Tail(tail::Tail),
    Jobs(jobs::Jobs),
    Doctor(doctor::Doctor),
    Selftest(selftest::Selftest),
    Completions(completions::Completions),
    /// Writes docs/cli.md: every command with its options.
    #[command(hide = true)]
    CliReference,
    Backup(backup::Backup),
    Restore(restore::Restore),
    ProcessSyncEvents(process_sync_events::ProcessSyncEvents),
}

/// Where the configuration comes from.
#[derive(Args, Clone)]
pub struct Source {
    /// The configuration file; campanile.toml in this folder is read when it is there.
    #[arg(long, env = "CAMPANILE_CONFIG", hide_env_values = true, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// The store: sqlite://path/to.db or postgres://user@host/database.
    // Its value may hold a password, which no help may show.
    #[arg(long, env = "CAMPANILE_STORE", hide_env_values = true, value_name = "URL", help_heading = "Configuration")]
    store: Option<String>,
}

impl Source {
    fn read(&self) -> Result<Config> {
        let mut config = self.file().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
        if let Some(store) = &self.store {
            config.store.clone_from(store);
        }
        Ok(config)
    }

    /// The file that is read, if there is one.
    fn file(&self) -> Option<PathBuf> {
        let beside = PathBuf::from("campanile.toml");
        self.config.clone().or_else(|| beside.exists().then_some(beside))
    }
}

/// The arguments do not fit together: exit status 2, as for those that clap refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Somebody has been told already what failed: exit status 1, and no further word.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
struct Told;

/// Reads the command line; ends the process with help, the version, or a usage error.
pub fn read() -> Cli {
    let matches = overview::command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
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
            Command::Token(token) => token.run(),
            Command::Publish(publish) => publish.run().await,
            Command::Tail(tail) => tail.run().await,
            Command::Jobs(jobs) => jobs.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Selftest(selftest) => selftest.run().await,
            Command::Completions(completions) => completions.run(),
            Command::CliReference => terminal::out(&reference::markdown()),
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

fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<Told>() {
        return ExitCode::FAILURE;
    }
    // Whoever reads our output has gone away, as `head` does: nobody is left to be told.
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    terminal::say(&format!("campanile: {error:#}"));
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
