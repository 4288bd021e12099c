//! `campanile-bench`: many clients cheaply, the acceptance run on real data, and the history checker.

mod acceptance;
mod cast;
mod check;
mod client;
mod figures;
mod fixtures;
mod history;
mod history_file;
mod keys;
mod load;
mod mark;
mod place;
mod postgres;
mod process;
mod recorder;
mod report;
mod server;
mod service;
mod storm;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

/// Load tool, acceptance run and history checker of Campanile.
#[derive(Parser)]
#[command(version)]
struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Connect many people, hold them, publish, and measure
    Load(load::LoadArgs),
    /// Connect and disconnect very often; the server's memory must end where it was
    Storm(storm::StormArgs),
    /// Play the main job on real data with kills, and judge it
    Acceptance(acceptance::AcceptanceArgs),
    /// Judge a saved history
    Check {
        /// JSON lines as `acceptance --save-history` writes them
        file: PathBuf,
        /// Print the verdict as JSON
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match obey(Words::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "campanile-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey(command: Command) -> Result<()> {
    match command {
        Command::Load(args) => load::run(args).await,
        Command::Storm(args) => storm::run(args).await,
        Command::Acceptance(args) => acceptance::run(args).await,
        Command::Check { file, json } => check_file(&file, json),
    }
}

fn check_file(file: &std::path::Path, json: bool) -> Result<()> {
    let verdict = check::judge(&history_file::load(file)?);
    if json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        println!("{verdict}");
    }
    if verdict.passed { Ok(()) } else { bail!("the history breaks a promise") }
}
