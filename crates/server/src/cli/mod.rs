//! The command line.

mod backup;
mod check_config;
mod config;
mod import;
mod process_sync_events;
mod progress;
mod reload;
mod restore;
mod serve;

use crate::config::{Config, Flag, Given};
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
    /// Reads the configuration as `serve` would and says what is wrong with it.
    CheckConfig(check_config::CheckConfig),
    /// Prints what can be configured: the reference, example files, the JSON schema.
    Config(config::PrintConfig),
    /// Makes a running server read its configuration again, without a restart.
    Reload(reload::ReloadServer),
}

/// Where the configuration comes from: defaults, below campanile.toml, below the environment (CAMPANILE_…), below these flags.
#[derive(Args, Clone)]
pub struct Source {
    /// The configuration file; campanile.toml in this folder is read when it is there.
    #[arg(long, env = "CAMPANILE_CONFIG")]
    config: Option<PathBuf>,
    /// The store: sqlite://path/to.db or postgres://user@host/database. In the environment: CAMPANILE_STORE.
    #[arg(long)]
    store: Option<String>,
    /// Sets any key, as `limits.body_bytes=1000`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// How much is logged: error, warn, info, debug, or per component as `info,campanile_live=debug`.
    #[arg(long)]
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
        let beside = PathBuf::from("campanile.toml");
        let file = self.config.clone().or_else(|| beside.exists().then_some(beside));
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
        Given { file, variables: std::env::vars_os().map(text).collect(), flags: set.chain(own).collect() }
    }
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
            Command::CheckConfig(check) => return check.run().await,
            Command::Config(config) => config.run()?,
            Command::Reload(reload) => reload.run()?,
            Command::Backup(backup) => backup.run().await?,
            Command::Restore(restore) => restore.run().await?,
            Command::ProcessSyncEvents(process) => process.run().await?,
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

#[allow(clippy::print_stderr, reason = "the operator reads it")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("campanile: {error:#}");
    ExitCode::FAILURE
}
