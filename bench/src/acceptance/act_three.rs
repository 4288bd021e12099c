//! The third act: thousands come and go while everything is published, people are withdrawn and return, and the server is killed.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    act_two::{enter, wait_for_connected},
    actor::{Actor, Restless},
    feeds,
    killer::{kill_repeatedly, watch as watch_over},
    scale::Scale,
    world::{Phase, World},
};
use crate::{
    fixtures::Statement,
    history::{Person, Transport},
    process,
    server::Server,
};

/// The share of the population that must be connected before the traffic begins.
const CONNECTED_SHARE: f64 = 0.92;
/// How often the number of connections is looked at.
const SAMPLE_PAUSE: Duration = Duration::from_millis(500);
/// After this many looks a line is printed.
const SAMPLES_PER_LINE: usize = 30;

/// What the act showed, besides what the checker judges.
pub struct ActThree {
    pub connected_within: Duration,
    /// Connections: at the start of the traffic, and the median and the most over it.
    pub connected: [i64; 3],
    pub traffic: Duration,
    pub restarts: Vec<Duration>,
    pub catch_up: Duration,
    /// Who had caught up when the patience ended, of how many.
    pub caught_up: (usize, usize),
    /// Requests that were sent again because no answer came or the server asked for it.
    pub repeats: u64,
    pub resident_kib: u64,
    /// The most since the last restart.
    pub peak_resident_kib: u64,
}

/// Plays the act with the audience of the second one, whose cursors it goes on from.
pub async fn play(
    world: &Arc<World>,
    server: &mut Server,
    scale: Scale,
    statements: Vec<Statement>,
    audience: Vec<Actor>,
) -> Result<ActThree> {
    let (population, rest) = take_places(world, scale, audience)?;
    let everybody = population.len() + rest.len();
    let wanted = (population.len() as f64 * CONNECTED_SHARE) as usize;
    let (stage, phase) = watch::channel(Phase::Run);
    let mut tasks = JoinSet::new();
    enter(&mut tasks, population, &phase);
    let connected_within = wait_for_connected(world, wanted).await?;
    let at_start = world.connected_now();
    println!("{at_start} connected after {connected_within:.1?}; the traffic begins");
    let sampler = tokio::spawn(sample(Arc::clone(world), phase.clone()));
    let start = Instant::now();
    let (restarts, repeats) = traffic(world, server, scale, statements).await?;
    let traffic = start.elapsed();
    let last_id = world.last_acked_id.load(Ordering::Relaxed);
    println!("the traffic is over after {traffic:.1?} with id {last_id}; everyone catches up");
    let start = Instant::now();
    stage.send_replace(Phase::Finish { last_id });
    enter(&mut tasks, rest, &phase);
    let (median, most) = sampler.await?;
    let finished = finish(&mut tasks, scale.catch_up_max, server).await?;
    let catch_up = start.elapsed();
    stage.send_replace(Phase::Stop);
    while tasks.join_next().await.is_some() {}
    Ok(ActThree {
        connected_within,
        connected: [at_start, median, most],
        traffic,
        restarts,
        catch_up,
        caught_up: (finished, everybody),
        repeats,
        resident_kib: process::resident_kib(server.pid()?)?,
        peak_resident_kib: process::peak_resident_kib(server.pid()?)?,
    })
}

/// The population, restless from now on; and who of the audience stays away until the end, like somebody who comes back after a night.
fn take_places(world: &Arc<World>, scale: Scale, audience: Vec<Actor>) -> Result<(Vec<Actor>, Vec<Actor>)> {
    let transports = [Transport::Ws, Transport::Sse, Transport::Poll];
    let restless = Restless {
        stay_mean: scale.stay_mean,
        away_mean: scale.away_mean,
        stunt_mean: scale.stunt_mean,
        pause_max: scale.pause_max,
    };
    let mut known: HashMap<Person, Actor> = audience.into_iter().map(|actor| (actor.person, actor)).collect();
    let mut population = Vec::new();
    for (&person, transport) in world.cast.population.iter().zip(transports.into_iter().cycle()) {
        let mut actor = known.remove(&person).map_or_else(|| Actor::new(world, person, transport), Ok)?;
        actor.restless = Some(restless);
        population.push(actor);
    }
    let mut rest: Vec<Actor> = known.into_values().collect();
    rest.sort_by_key(|actor| actor.person);
    Ok((population, rest))
}

/// All publishers, the roster and the killer at once; over when everything has been settled.
async fn traffic(
    world: &Arc<World>,
    server: &mut Server,
    scale: Scale,
    statements: Vec<Statement>,
) -> Result<(Vec<Duration>, u64)> {
    let window = scale.window;
    let (back, come_back) = mpsc::unbounded_channel();
    let mut feeds = JoinSet::new();
    feeds.spawn(feeds::feed_statements(Arc::clone(world), Arc::new(statements), window));
    feeds.spawn(feeds::withdraw(Arc::clone(world), back, window));
    feeds.spawn(feeds::readmit(Arc::clone(world), come_back));
    for number in 0..scale.announcers {
        let share = scale.announcements / scale.announcers + usize::from(number < scale.announcements % scale.announcers);
        feeds.spawn(feeds::announce(Arc::clone(world), u32::try_from(number)?, share, window));
    }
    let restarts = kill_repeatedly(Arc::clone(world), server, scale.kills, window).await?;
    let mut repeats = 0;
    while !feeds.is_empty() {
        tokio::select! {
            Some(joined) = feeds.join_next() => repeats += joined?,
            watched = watch_over(server, Duration::from_secs(1)) => watched?,
        }
    }
    Ok((restarts, repeats))
}

/// The median and the most of the connections over the traffic; prints a line now and then.
async fn sample(world: Arc<World>, mut phase: watch::Receiver<Phase>) -> (i64, i64) {
    let mut samples = Vec::new();
    let over = async { drop(phase.wait_for(|phase| *phase != Phase::Run).await) };
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            () = tokio::time::sleep(SAMPLE_PAUSE) => samples.push(world.connected_now()),
        }
        if samples.len() % SAMPLES_PER_LINE == 0 {
            let (counts, records) = (world.tally.counts(), world.recorder.read(<[_]>::len));
            let count = |what| counts.get(what).copied().unwrap_or(0);
            println!(
                "  {} connected, {} statements, {} announcements, {} withdrawals, {records} records, {} troubles",
                world.connected_now(),
                count("statements published"),
                count("announcements published"),
                count("withdrawals"),
                count("troubles"),
            );
        }
    }
    samples.sort_unstable();
    (samples.get(samples.len() / 2).copied().unwrap_or(0), samples.last().copied().unwrap_or(0))
}

/// Waits until everyone has heard everything, but not for ever; says how many had.
async fn finish(tasks: &mut JoinSet<Actor>, patience: Duration, server: &mut Server) -> Result<usize> {
    let mut finished = 0;
    let end = tokio::time::Instant::now() + patience;
    while !tasks.is_empty() {
        tokio::select! {
            Some(joined) = tasks.join_next() => {
                joined?;
                finished += 1;
            }
            () = tokio::time::sleep_until(end) => break,
            watched = watch_over(server, Duration::from_secs(1)) => watched?,
        }
    }
    Ok(finished)
}
