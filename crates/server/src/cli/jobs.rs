//! `campanile jobs`: looks into the job queue and lends a hand.

use super::{Source, Usage, terminal};
use crate::app::open_site;
use anyhow::{Context, Result, bail};
use campanile_contract::Site;
use campanile_journal::{Job, JobState};
use campanile_wire::instant;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};

/// Jobs that one list shows unless it is asked for more.
const LISTED_DEFAULT: u64 = 100;
/// Jobs that are read from the store at once.
const PAGE_JOBS: u64 = 500;
/// Signs of an error in a list for people.
const ERROR_SIGNS_MAX: usize = 100;

/// Lists jobs, retries dead ones and drops them.
///
/// It works on the store itself, whether a server runs or not.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile jobs list
  campanile jobs list --state dead --json | jq .last_error
  campanile jobs retry 17 18
  campanile jobs retry --all-dead --kind mail
  campanile jobs drop 17 --yes")]
pub struct Jobs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Lists jobs that wait, run, or were given up.
    List {
        /// Only this state; without it everything but what is done.
        #[arg(long, value_enum)]
        state: Option<State>,
        #[command(flatten)]
        sieve: Sieve,
        /// At most so many.
        #[arg(long, default_value_t = LISTED_DEFAULT)]
        limit: u64,
        #[command(flatten)]
        source: Source,
    },
    /// Gives dead jobs all their attempts again.
    Retry {
        /// The jobs' ids.
        #[arg(value_name = "ID", required_unless_present = "all_dead", conflicts_with = "all_dead")]
        ids: Vec<u64>,
        /// Every dead job (of --kind).
        #[arg(long)]
        all_dead: bool,
        #[command(flatten)]
        sieve: Sieve,
        #[command(flatten)]
        source: Source,
    },
    /// Removes jobs for good; asks first. A running job is left alone.
    Drop {
        /// The jobs' ids.
        #[arg(value_name = "ID", required_unless_present = "all_dead", conflicts_with = "all_dead")]
        ids: Vec<u64>,
        /// Every dead job (of --kind).
        #[arg(long)]
        all_dead: bool,
        /// Does not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        sieve: Sieve,
        #[command(flatten)]
        source: Source,
    },
}

#[derive(Args)]
struct Sieve {
    /// Only jobs of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Prints JSON: a list one job a line, anything else one object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// Waiting, due or not.
    Ready,
    /// With a worker.
    Running,
    /// Settled; kept a day.
    Done,
    /// Given up; kept 30 days.
    Dead,
}

impl Jobs {
    pub(super) async fn run(self) -> Result<()> {
        match self.what {
            What::List { state, sieve, limit, source } => {
                let states = match state {
                    Some(state) => vec![state.of_store()],
                    None => vec![JobState::Running, JobState::Ready, JobState::Dead],
                };
                list(&open(&source).await?, &states, &sieve, limit).await
            }
            What::Retry { ids, all_dead, sieve, source } => {
                let site = open(&source).await?;
                let ids = if all_dead { dead(&site, sieve.kind.as_deref()).await? } else { checked(ids, &sieve)? };
                retry(&site, &ids, sieve.json).await
            }
            What::Drop { ids, all_dead, yes, sieve, source } => {
                let site = open(&source).await?;
                let ids = if all_dead { dead(&site, sieve.kind.as_deref()).await? } else { checked(ids, &sieve)? };
                if !yes && !ids.is_empty() {
                    confirm(ids.len())?;
                }
                drop_jobs(&site, &ids, sieve.json).await
            }
        }
    }
}

async fn open(source: &Source) -> Result<Site> {
    let config = source.read()?;
    // A mistyped store must not be made by looking at it.
    if let Some(path) = crate::app::sqlite_path(&config.store)
        && !path.exists()
    {
        bail!("there is no database at {}: name it with --store, or run this where campanile.toml is", path.display());
    }
    open_site(&config).await
}

fn checked(ids: Vec<u64>, sieve: &Sieve) -> Result<Vec<u64>> {
    match sieve.kind {
        Some(_) => Err(Usage("--kind goes with --all-dead: ids name their jobs already".into()).into()),
        None => Ok(ids),
    }
}

async fn list(site: &Site, states: &[JobState], sieve: &Sieve, limit: u64) -> Result<()> {
    let mut left = limit;
    for &state in states {
        for job in page(site, state, sieve.kind.as_deref(), left).await? {
            terminal::out(&if sieve.json { json_of(&job)?.to_string() } else { line(&job) })?;
            left -= 1;
        }
    }
    if !sieve.json {
        let counts = site.journal.count_jobs().await?;
        let (ready, running, done, dead) = (counts.ready, counts.running, counts.done, counts.dead);
        terminal::say(&format!("{ready} ready, {running} running, {dead} dead, {done} done"));
    }
    Ok(())
}

/// The first jobs of a state and kind.
async fn page(site: &Site, state: JobState, kind: Option<&str>, limit: u64) -> Result<Vec<Job>> {
    let (mut found, mut after) = (Vec::new(), 0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while found.len() < limit {
        let jobs = site.journal.list_jobs(state, after, PAGE_JOBS).await?;
        let Some(last) = jobs.last() else { break };
        after = last.id;
        found.extend(jobs.into_iter().filter(|job| kind.is_none_or(|kind| job.kind == kind)));
    }
    found.truncate(limit);
    Ok(found)
}

async fn dead(site: &Site, kind: Option<&str>) -> Result<Vec<u64>> {
    Ok(page(site, JobState::Dead, kind, u64::MAX).await?.into_iter().map(|job| job.id).collect())
}

async fn retry(site: &Site, ids: &[u64], json: bool) -> Result<()> {
    let (mut retried, mut left) = (Vec::new(), Vec::new());
    for &id in ids {
        if site.journal.retry_job(id).await? { &mut retried } else { &mut left }.push(id);
    }
    report("retried", &retried, &left, "no such dead job", json)
}

async fn drop_jobs(site: &Site, ids: &[u64], json: bool) -> Result<()> {
    let (mut dropped, mut left) = (Vec::new(), Vec::new());
    for &id in ids {
        if site.journal.drop_job(id).await? { &mut dropped } else { &mut left }.push(id);
    }
    report("dropped", &dropped, &left, "running, or not there", json)
}

fn report(word: &str, done: &[u64], left: &[u64], why: &str, json: bool) -> Result<()> {
    terminal::out(&match json {
        true => json!({ word: done, "left_alone": left }).to_string(),
        false => format!("{} {word}", jobs(done.len())),
    })?;
    if !left.is_empty() {
        let ids: Vec<String> = left.iter().map(ToString::to_string).collect();
        bail!("{} left alone ({why}): {}", jobs(left.len()), ids.join(", "));
    }
    Ok(())
}

/// Asks a person; a script must say --yes.
fn confirm(count: usize) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!("dropping {} cannot be undone: say --yes", jobs(count))).into());
    }
    terminal::say(&format!("Drop {}? What they were to do will not be done. [y/N]", jobs(count)));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("reading the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was dropped"),
    }
}

fn jobs(count: usize) -> String {
    if count == 1 { "1 job".into() } else { format!("{count} jobs") }
}

fn json_of(job: &Job) -> Result<Value> {
    let mut value = serde_json::to_value(job)?;
    for name in ["run_at_ms", "lease_until_ms", "created_at_ms", "finished_at_ms"] {
        if let Some(ms) = value[name].as_i64() {
            value[name.trim_end_matches("_ms")] = instant::format(ms).into();
        }
    }
    Ok(value)
}

fn line(job: &Job) -> String {
    let Job { id, kind, state, attempts, max_attempts, .. } = job;
    let error = job.last_error.as_deref().map(|error| format!("  {}", terminal::shortened(error, ERROR_SIGNS_MAX)));
    let line = format!(
        "{id:>8}  {:7}  {kind}  attempt {attempts} of {max_attempts}  {}{}",
        state.as_str(),
        instant::format(job.finished_at_ms.unwrap_or(job.run_at_ms)),
        error.unwrap_or_default()
    );
    terminal::harmless(&line).into_owned()
}

impl State {
    fn of_store(self) -> JobState {
        match self {
            Self::Ready => JobState::Ready,
            Self::Running => JobState::Running,
            Self::Done => JobState::Done,
            Self::Dead => JobState::Dead,
        }
    }
}
