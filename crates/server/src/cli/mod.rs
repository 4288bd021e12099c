//! The command line.

mod backup;
mod check_config;
mod completions;
mod config;
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
mod reload;
mod remote;
mod restore;
mod selftest;
mod serve;
mod stream;
mod tail;
mod terminal;
mod token;

use crate::config::{Config, Flag, Given};
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
    CheckConfig(check_config::CheckConfig),
    Config(config::PrintConfig),
    Reload(reload::ReloadServer),
}

/// Where the configuration comes from: defaults, below campanile.toml, below the environment (CAMPANILE_…), below these flags.
#[derive(Args, Clone, Default)]
pub struct Source {
    /// The configuration file; campanile.toml in this folder is read when it is there.
    #[arg(long, env = "CAMPANILE_CONFIG", hide_env_values = true, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// The store: sqlite://path/to.db or postgres://user@host/database. In the environment: CAMPANILE_STORE.
    #[arg(long, value_name = "URL", help_heading = "Configuration")]
    store: Option<String>,
    /// Sets any key, as `limits.body_bytes=1000`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value, help_heading = "Configuration")]
    set: Vec<(String, String)>,
    /// How much is logged: error, warn, info, debug, or per component as `info,campanile_live=debug`.
    #[arg(long, value_name = "LEVEL", help_heading = "Configuration")]
    log_level: Option<String>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a key and its value are expected, as limits.body_bytes=1000")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Source {
    fn read(&self) -> Result<Config> {
        Ok(self.given(None).load()?.config)
    }

    /// All layers, unread. `listen` is a flag of those commands that serve.
    fn given(&self, listen: Option<&String>) -> Given {
        let own = [
            ("store", "--store", self.store.as_ref()),
            ("log.level", "--log-level", self.log_level.as_ref()),
            ("listen", "--listen", listen),
        ];
        let own = own.into_iter().filter_map(|(path, name, text)| {
            text.map(|text| Flag { path: path.into(), text: text.clone(), name: name.into() })
        });
        let set =
            self.set.iter().map(|(path, text)| Flag { path: path.clone(), text: text.clone(), name: format!("--set {path}") });
        // A name or value that is no UTF-8 can be no key, and as a value it is judged by what is left of it.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        Given { file: self.file(), variables: std::env::vars_os().map(text).collect(), flags: set.chain(own).collect() }
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
    // Two libraries that bring TLS must find one and the same provider, whichever asks first; a second call finds the first's.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => serve.run().await?,
            Command::Import(import) => import.run().await?,
            Command::Token(token) => token.run()?,
            Command::Publish(publish) => publish.run().await?,
            Command::Tail(tail) => tail.run().await?,
            Command::Jobs(jobs) => jobs.run().await?,
            Command::Doctor(doctor) => doctor.run().await?,
            Command::Selftest(selftest) => selftest.run().await?,
            Command::Completions(completions) => completions.run()?,
            Command::CliReference => terminal::out(&reference::markdown())?,
            Command::Backup(backup) => backup.run().await?,
            Command::Restore(restore) => restore.run().await?,
            Command::ProcessSyncEvents(process) => process.run().await?,
            Command::CheckConfig(check) => return check.run().await,
            Command::Config(config) => config.run()?,
            Command::Reload(reload) => reload.run()?,
        }
        Ok(ExitCode::SUCCESS)
    });
    // Connections that did not end in their grace are cut here.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
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
