//! The main job on real input: imports the roster, fills the house, kills the server again and again, and judges what everyone wrote down.

mod act_four;
mod act_three;
mod act_two;
mod actor;
mod feeds;
mod killer;
mod listener;
mod publisher;
mod scale;
mod summary;
mod world;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    cast::Cast,
    check,
    client::{
        Ear, Heard, Session,
        dial::{Dial, NATIVE_WS, loopback},
    },
    figures::Figures,
    fixtures,
    history::{Channel, Transport},
    history_file, process,
    recorder::Recorder,
    report,
    server::{Limits, Server, Setup},
};
use scale::Scale;
use summary::Summary;
use world::{Tally, World};

/// Words of `campanile-bench acceptance`.
#[derive(Args)]
pub struct AcceptanceArgs {
    /// The folder with `oulad/` and `xapi-fun-mooc/`
    #[arg(long)]
    fixtures: PathBuf,
    /// Where the server keeps its log
    #[arg(long)]
    store: Store,
    /// An empty database; the first three acts need it for `--store postgres`, the fourth has a PostgreSQL of its own to kill
    #[arg(long)]
    postgres_url: Option<String>,
    /// The Markdown file in which this run replaces the section of its store
    #[arg(long)]
    report: Option<PathBuf>,
    /// The same acts, smaller, in under a minute
    #[arg(long)]
    short: bool,
    /// Everything random in the run follows from this number, but not the timing of the machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The binary under test
    #[arg(long, default_value = "target/release/campanile")]
    campanile: PathBuf,
    /// Which acts are played
    #[arg(long, default_value = "first-three")]
    act: Acts,
    /// The fourth act: the Python with Django and what the project needs
    #[arg(long, default_value = ".campanile/venv/bin/python")]
    python: PathBuf,
    /// The fourth act: the Django project
    #[arg(long, default_value = "bench/django")]
    django: PathBuf,
    /// A folder for the config, the SQLite store and the server's log; removed when the run passes
    #[arg(long)]
    work_dir: Option<PathBuf>,
    /// Keep the whole history here, for `campanile-bench check` (gzip when the name ends in .gz)
    #[arg(long)]
    save_history: Option<PathBuf>,
}

/// The two stores.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

/// The acts that can be played by themselves.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Acts {
    /// Import, one announcement to a full house, and the school with kills.
    FirstThree,
    /// A Django project beside Campanile, with kills of both sides.
    Four,
}

/// Remembers the connect answer.
#[derive(Default)]
struct Head(Option<(u64, u64)>);

impl Ear for Head {
    fn hear(&mut self, heard: Heard<'_>) {
        if let Heard::Established { head, epoch: Some(epoch) } = heard {
            self.0 = Some((head, epoch));
        }
    }
}

/// Plays all acts; an error when the run failed.
pub async fn run(args: AcceptanceArgs) -> Result<()> {
    process::lift_descriptor_limit()?;
    if args.act == Acts::Four {
        return act_four::run(args).await;
    }
    let scale = if args.short { Scale::short() } else { Scale::full() };
    let rows = fixtures::registrations(&args.fixtures)?;
    let mut statements = fixtures::statements(&args.fixtures)?;
    let cast = Cast::choose(&rows, &statements, scale.wanted, args.seed);
    statements.truncate(scale.statements);
    let mut server = Server::prepare(setup(&args)?)?;
    println!("work folder: {}", args.work_dir().display());
    let import = server.import(&args.fixtures.join("oulad")).await?;
    server.start().await?;
    println!("imported {} registrations in {import:.1?}; the server answers at {}", rows.len(), server.address);
    let world = Arc::new(open_world(&args, cast, &server).await?);
    let (act_two, audience) = act_two::play(&world).await?;
    println!("act two: {} of {} reached, last after {:.1?}", act_two.reached, act_two.audience, act_two.arrivals.max);
    let act_three = act_three::play(&world, &mut server, scale, statements, audience).await?;
    let summary = Summary { registrations: rows.len(), import, act_two, act_three, disk_bytes: server.disk_bytes()? };
    let drain = server.stop().await?;
    println!("the server drained in {drain:.1?}");
    conclude(&args, server, &world, &summary)
}

/// Judges, tells, and leaves the folder only where there is something to look for.
fn conclude(args: &AcceptanceArgs, server: Server, world: &World, summary: &Summary) -> Result<()> {
    let courses = world.cast.courses.len();
    let registered = world.cast.registered.iter().map(|&(person, course)| (person, course as Channel)).collect();
    debug_assert!(courses < Channel::MAX as usize, "channel n is course n");
    let mut history = world.recorder.take_history(world.cast.people.clone(), registered, world.first_head);
    let verdict = check::judge(&history);
    let figures = Figures::of(&history);
    let section = summary.section(args, world, &figures, &verdict);
    println!("{section}");
    if let Some(path) = &args.report {
        report::write_section(path, "The acceptance run", args.section_name(), &section)?;
    }
    let failures = summary.failures(world, &verdict);
    let passed = verdict.passed && failures.is_empty();
    if let Some(path) = args.save_history.clone().or_else(|| (!passed).then(|| args.work_dir().join("history.jsonl.gz"))) {
        history_file::save(&mut history, &path)?;
        println!("history: {}", path.display());
    }
    if !passed {
        bail!("the run failed; config, store and server.log are in {}", args.work_dir().display());
    }
    server.clean_up()
}

fn setup(args: &AcceptanceArgs) -> Result<Setup> {
    let directory = args.work_dir();
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    let store = match args.store {
        Store::Sqlite => format!("sqlite://{}/campanile.db", directory.display()),
        Store::Postgres => args.postgres_url.clone().context("--postgres-url is missing")?,
    };
    Ok(Setup { binary: args.campanile.clone(), directory, store, limits: limits(), more_config: String::new() })
}

fn limits() -> Limits {
    Limits { connects_per_second: 2_000, publishes_per_second: 100_000, connections_per_address: 20_000 }
}

/// The notebook, and the head from which it counts: told to somebody who has nothing yet.
async fn open_world(args: &AcceptanceArgs, cast: Cast, server: &Server) -> Result<World> {
    let (first_head, epoch) = first_head(server.address, loopback(0), server.keys.token(&cast.people[0])?).await?;
    Ok(World {
        server: server.address,
        keys: server.keys.clone(),
        recorder: Recorder::new(cast.channels()),
        cast,
        tally: Tally::default(),
        seed: args.seed,
        first_head,
        epoch: AtomicU64::new(epoch),
        connected: AtomicI64::new(0),
        last_acked_id: AtomicU64::new(first_head),
        platform: None,
    })
}

/// The head and the epoch, as a first poll tells them.
async fn first_head(server: SocketAddr, source: Ipv4Addr, token: String) -> Result<(u64, u64)> {
    let dial = Dial { server, source, token, client: None, receive_buffer_bytes: None, poll_wait_s: 1, ws_path: NATIVE_WS };
    let mut head = Head::default();
    let answered = async {
        let mut session = Session::open(Transport::Poll, &dial, None).await?;
        session.read(&mut head).await
    };
    tokio::time::timeout(Duration::from_secs(20), answered)
        .await?
        .map_err(|ended| anyhow::anyhow!("the first poll failed: {:?}", ended.cause))?;
    head.0.context("the first poll told no head")
}

// === impl AcceptanceArgs ===

impl AcceptanceArgs {
    fn store_name(&self) -> &'static str {
        match self.store {
            Store::Sqlite => "SQLite",
            Store::Postgres => "PostgreSQL",
        }
    }

    fn section_name(&self) -> &'static str {
        match (self.store, self.short) {
            (Store::Sqlite, false) => "acceptance:sqlite",
            (Store::Postgres, false) => "acceptance:postgres",
            (Store::Sqlite, true) => "acceptance:sqlite:short",
            (Store::Postgres, true) => "acceptance:postgres:short",
        }
    }

    /// A folder of this process's own, beside the build: a temporary file system in memory would make every flush free.
    fn work_dir(&self) -> PathBuf {
        let store = self.store_name().to_lowercase();
        self.work_dir.clone().unwrap_or_else(|| format!("target/acceptance/{store}-{}", std::process::id()).into())
    }
}
