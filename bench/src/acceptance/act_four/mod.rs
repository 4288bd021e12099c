//! The fourth act: a real Django project beside Campanile. It issues the tokens and writes sync events in its own transactions while
//! staff grade over REST, approvals come and go, and both Campanile and PostgreSQL are killed.

mod approver;
mod django;
mod grader;
mod killer;
mod scale;
mod setting;
mod summary;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    AcceptanceArgs,
    act_two::enter,
    actor::{Actor, Restless},
    world::{Phase, World},
};
use crate::{
    check,
    figures::Figures,
    history::{Person, Record, Transport},
    history_file,
    mark::mark,
    report,
};
use approver::Approver;
use django::{Outcome, Row, Written};
use grader::Grader;
use killer::Restarts;
use scale::Scale;
use setting::Setting;
use summary::Summary;

/// How long connecting everybody may take.
const CONNECT_MAX: Duration = Duration::from_secs(120);
/// Nobody pauses in reading either.
const PAUSE_MAX: Duration = Duration::from_millis(1);
/// Nobody rewinds in this act, so that every event can be counted: a rewind lets it come again.
const NO_STUNTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is looked whether all rows were heard.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What the act showed, besides what the checker judges.
pub struct Played {
    pub connected_within: Duration,
    /// People by how they first connected.
    pub parts: [usize; 3],
    pub traffic: Duration,
    pub written: Written,
    pub restarts: Restarts,
    /// From the end of the traffic until the last committed row had been heard, if it was.
    pub rows_heard_after: Option<Duration>,
    pub catch_up: Duration,
    pub caught_up: (usize, usize),
    pub repeats: u64,
}

/// Plays the act; an error when it failed.
pub async fn run(args: AcceptanceArgs) -> Result<()> {
    let scale = if args.short { Scale::short() } else { Scale::full() };
    let mut setting = Setting::build(&args, scale).await?;
    let played = play(&mut setting, scale).await?;
    let drain = setting.server.stop().await?;
    println!("the server drained in {drain:.1?}");
    conclude(&args, setting, &played).await
}

async fn play(setting: &mut Setting, scale: Scale) -> Result<Played> {
    let world = Arc::clone(&setting.world);
    let mut grader = Grader::new(&world, setting.staff[0])?;
    grader.note_sheets(&setting.graded).await;
    let (stage, phase) = watch::channel(Phase::Run);
    let mut people = JoinSet::new();
    let (actors, parts) = actors(&world, scale)?;
    let everybody = actors.len();
    enter(&mut people, actors, &phase);
    let connected_within = wait_for_everybody(setting, everybody).await?;
    println!("{everybody} connected after {connected_within:.1?}; the platform's day begins");
    let begin = Instant::now();
    let (written, restarts, repeats) = traffic(setting, scale).await?;
    let traffic = begin.elapsed();
    println!(
        "the traffic is over after {traffic:.1?}: {} rows committed, {} rolled back",
        written.committed, written.rolled_back
    );
    let rows_heard_after = note_rows(setting, scale.catch_up_max).await?;
    let begin = Instant::now();
    let last_id = highest_id(&world);
    stage.send_replace(Phase::Finish { last_id });
    let finished = killer::wait_for(&mut people, scale.catch_up_max, setting).await?;
    let catch_up = begin.elapsed();
    stage.send_replace(Phase::Stop);
    while people.join_next().await.is_some() {}
    grader.note_sheets(&setting.graded).await;
    Ok(Played {
        connected_within,
        parts,
        traffic,
        written,
        restarts,
        rows_heard_after,
        catch_up,
        caught_up: (finished, everybody),
        repeats,
    })
}

/// Waits until everybody was connected once, and so has a cursor: who leaves again loses nothing.
async fn wait_for_everybody(setting: &mut Setting, everybody: usize) -> Result<Duration> {
    let (begin, world) = (Instant::now(), Arc::clone(&setting.world));
    let (mut owners, mut there, mut looked_at) = (HashMap::new(), HashSet::new(), 0);
    while there.len() < everybody {
        looked_at = world.recorder.read(|records| {
            for record in &records[looked_at..] {
                match *record {
                    Record::Connect { conn, person, .. } => drop(owners.insert(conn, person)),
                    Record::Established { conn, .. } => there.extend(owners.get(&conn).copied()),
                    _ => {}
                }
            }
            records.len()
        });
        if begin.elapsed() > CONNECT_MAX {
            let troubles = world.tally.troubles();
            bail!("only {} of {everybody} were connected after {CONNECT_MAX:?}; {troubles:?}", there.len());
        }
        setting.check_alive()?;
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(begin.elapsed())
}

/// Everybody with a token, in equal parts by the three transports.
fn actors(world: &Arc<World>, scale: Scale) -> Result<(Vec<Actor>, [usize; 3])> {
    let transports = [Transport::Ws, Transport::Sse, Transport::Poll];
    let restless =
        Restless { stay_mean: scale.stay_mean, away_mean: scale.away_mean, stunt_mean: NO_STUNTS, pause_max: PAUSE_MAX };
    let mut actors = Vec::new();
    for (person, transport) in (0..world.cast.people.len() as Person).zip(transports.into_iter().cycle()) {
        let mut actor = Actor::new(world, person, transport)?;
        actor.restless = Some(restless);
        actors.push(actor);
    }
    let parts = transports.map(|transport| actors.iter().filter(|actor| actor.transport == transport).count());
    Ok((actors, parts))
}

/// The platform, the graders, the approver and the killer at once; over when everything has been settled.
async fn traffic(setting: &mut Setting, scale: Scale) -> Result<(Written, Restarts, u64)> {
    let (seconds, count) = (scale.window.as_secs().to_string(), scale.rows.to_string());
    let (busy, seed) = (scale.busy.to_string(), setting.world.seed.to_string());
    let rows = setting.rows_path();
    let rows = rows.to_str().context("the work folder's name is not UTF-8")?;
    let words = ["write_events", rows, "--count", &count, "--seconds", &seconds, "--busy", &busy, "--seed", &seed];
    let writing = setting.django.start(&words)?;
    let writing: JoinHandle<Result<String>> = tokio::spawn(django::ended(writing, "write_events"));
    let mut workers = JoinSet::new();
    for &person in &setting.staff {
        let grader = Grader::new(&setting.world, person)?;
        workers.spawn(grader.work(setting.graded.clone(), scale.changes, scale.window));
    }
    let approver = Approver::new(&setting.world, setting.busy.clone());
    workers.spawn(approver.work(scale.unapprovals, scale.window));
    let restarts = killer::kill_both(setting, scale).await?;
    let repeats = killer::watching(setting, workers.join_all()).await?.into_iter().sum();
    let written = killer::watching(setting, writing).await???;
    Ok((serde_json::from_str(&written)?, restarts, repeats))
}

/// Reads the platform's own list of its rows into the notebook, and waits until each committed one was heard by somebody.
async fn note_rows(setting: &mut Setting, patience: Duration) -> Result<Option<Duration>> {
    let world = Arc::clone(&setting.world);
    let rows: Vec<Row> = django::read_lines(&setting.rows_path())?;
    let mut missing = HashSet::new();
    for row in rows {
        let channel = format!("cadet:{}", row.cadet_id);
        let mark = mark(&row.event_type, &channel, &row.payload);
        let (op, channel, committed) =
            (world.recorder.next_op(), world.recorder.channel(&channel), row.outcome == Outcome::Committed);
        world.recorder.put(|at_us| Record::RowWritten { at_us, op, channel, mark, committed });
        if committed && !missing.insert(mark) {
            bail!("two rows of the platform have the same content");
        }
    }
    let begin = Instant::now();
    let mut looked_at = 0;
    while begin.elapsed() < patience {
        looked_at = world.recorder.read(|records| {
            for record in &records[looked_at..] {
                if let Record::Event { mark, .. } = record {
                    missing.remove(mark);
                }
            }
            records.len()
        });
        if missing.is_empty() {
            return Ok(Some(begin.elapsed()));
        }
        setting.check_alive()?;
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    world.tally.trouble(format!("{} committed rows were heard by nobody within {patience:?}", missing.len()));
    Ok(None)
}

/// The newest id that anybody knows of.
fn highest_id(world: &World) -> u64 {
    let heard = world.recorder.read(|records| {
        let ids = records.iter().filter_map(|record| match record {
            Record::Event { id, .. } => Some(*id),
            _ => None,
        });
        ids.max().unwrap_or(0)
    });
    heard.max(world.last_acked_id.load(Ordering::Relaxed))
}

/// Judges, tells, and leaves the folder only where there is something to look for.
async fn conclude(args: &AcceptanceArgs, setting: Setting, played: &Played) -> Result<()> {
    let world = &setting.world;
    let mut history = world.recorder.take_history(world.cast.people.clone(), setting.readers.clone(), world.first_head);
    let verdict = check::judge(&history);
    let figures = Figures::of(&history);
    let summary = Summary { played, world, figures: &figures, verdict: &verdict };
    let section = summary.section(args);
    println!("{section}");
    if let Some(path) = &args.report {
        report::write_section(path, "The acceptance run", &format!("{}:act-four", args.section_name()), &section)?;
    }
    let passed = verdict.passed && summary.failures().is_empty();
    if let Some(path) = args.save_history.clone().or_else(|| (!passed).then(|| args.work_dir().join("history.jsonl.gz"))) {
        history_file::save(&mut history, &path)?;
        println!("history: {}", path.display());
    }
    if !passed {
        bail!(
            "the run failed; config, store and server.log are in {}, PostgreSQL's log is {}",
            args.work_dir().display(),
            setting.cluster.log_path().display()
        );
    }
    setting.server.clean_up()?;
    setting.cluster.remove().await
}
