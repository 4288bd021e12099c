//! The second act: the students of the largest course are connected in equal parts, and one announcement reaches each once.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::{sync::watch, task::JoinSet};

use super::{
    actor::Actor,
    feeds::announcement_to,
    publisher::{Expect, Publisher},
    world::{Phase, World},
};
use crate::{
    figures::Quantiles,
    history::{Person, Record, Transport},
};

/// How long connecting everybody may take.
const CONNECT_MAX: Duration = Duration::from_secs(180);
/// How long the announcement may travel.
const ARRIVE_MAX: Duration = Duration::from_secs(60);
/// How long is waited for a second copy that must not come.
const SECOND_COPY_WAIT: Duration = Duration::from_secs(2);
/// A new connection every so often, so that the listen queue holds them.
const CONNECT_INTERVAL: Duration = Duration::from_micros(800);

/// What the act showed.
pub struct ActTwo {
    pub course: String,
    pub audience: usize,
    pub connected_within: Duration,
    /// People by how they were connected.
    pub parts: [usize; 3],
    /// People who got it, and deliveries in all: both must be the audience.
    pub reached: usize,
    pub deliveries: usize,
    /// From sending the publish: its acknowledgement, and the arrivals.
    pub acked_after: Duration,
    pub arrivals: Quantiles,
}

/// Starts every actor, one after the other; their tasks return them.
pub fn enter(tasks: &mut JoinSet<Actor>, actors: Vec<Actor>, phase: &watch::Receiver<Phase>) {
    for (n, actor) in (0u32..).zip(actors) {
        let phase = phase.clone();
        tasks.spawn(async move {
            tokio::time::sleep(CONNECT_INTERVAL * n).await;
            actor.live(phase).await
        });
    }
}

/// Waits until so many are connected; says how long it took.
pub async fn wait_for_connected(world: &World, wanted: usize) -> Result<Duration> {
    let start = Instant::now();
    while world.connected_now() < i64::try_from(wanted)? {
        if start.elapsed() > CONNECT_MAX {
            bail!(
                "only {} of {wanted} were connected after {CONNECT_MAX:?}; {:?}",
                world.connected_now(),
                world.tally.troubles()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(start.elapsed())
}

/// Plays the act; the audience is returned with the cursors that it has.
pub async fn play(world: &Arc<World>) -> Result<(ActTwo, Vec<Actor>)> {
    let transports = [Transport::Ws, Transport::Sse, Transport::Poll];
    let audience = &world.cast.audience;
    let actors =
        audience.iter().zip(transports.into_iter().cycle()).map(|(&person, transport)| Actor::new(world, person, transport));
    let actors = actors.collect::<Result<Vec<_>>>()?;
    let parts = transports.map(|transport| actors.iter().filter(|actor| actor.transport == transport).count());
    let (stage, phase) = watch::channel(Phase::Run);
    let mut tasks = JoinSet::new();
    enter(&mut tasks, actors, &phase);
    let connected_within = wait_for_connected(world, audience.len()).await?;
    let course = world.cast.courses[world.cast.largest].clone();
    Publisher::new(world, "act two", 0)
        .publish(&[announcement_to(&course, "of the second act", "🔔", "The hall is open.")], Expect::Acceptance)
        .await;
    let start = Instant::now();
    while arrivals(world).len() < audience.len() && start.elapsed() < ARRIVE_MAX {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(SECOND_COPY_WAIT).await;
    stage.send_replace(Phase::Stop);
    let actors = tasks.join_all().await;
    let arrivals = arrivals(world);
    let act = ActTwo {
        course,
        audience: audience.len(),
        connected_within,
        parts,
        reached: arrivals.len(),
        deliveries: arrivals.values().map(Vec::len).sum(),
        acked_after: acked_after(world),
        arrivals: Quantiles::of(arrivals.into_values().flatten().collect()),
    };
    Ok((act, actors))
}

fn sent(records: &[Record]) -> Option<(u64, u32, u64)> {
    records.iter().find_map(|record| match *record {
        Record::PublishSent { at_us, op, mark, .. } => Some((at_us, op, mark)),
        _ => None,
    })
}

/// The arrivals of the run's first publish, by person, in microseconds after its sending.
fn arrivals(world: &World) -> HashMap<Person, Vec<u64>> {
    world.recorder.read(|records| {
        let mut arrivals: HashMap<Person, Vec<u64>> = HashMap::new();
        let Some((sent_at_us, _, wanted)) = sent(records) else { return arrivals };
        let mut people = HashMap::new();
        for record in records {
            match *record {
                Record::Connect { conn, person, .. } => drop(people.insert(conn, person)),
                Record::Event { at_us, conn, mark, .. } if mark == wanted => {
                    if let Some(&person) = people.get(&conn) {
                        arrivals.entry(person).or_default().push(at_us - sent_at_us);
                    }
                }
                _ => {}
            }
        }
        arrivals
    })
}

fn acked_after(world: &World) -> Duration {
    world.recorder.read(|records| {
        let Some((sent_at_us, wanted, _)) = sent(records) else { return Duration::ZERO };
        let acked = records.iter().find_map(|record| match *record {
            Record::PublishAcked { at_us, op, .. } if op == wanted => Some(at_us),
            _ => None,
        });
        Duration::from_micros(acked.unwrap_or(sent_at_us) - sent_at_us)
    })
}
