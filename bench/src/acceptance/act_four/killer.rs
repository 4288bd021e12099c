//! SIGKILL to Campanile and to the PostgreSQL below the platform, each at random moments, sometimes to both.

use std::{future::Future, time::Duration};

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::{task::JoinSet, time::Instant};

use super::{super::actor::Actor, scale::Scale, setting::Setting};
use crate::history::Record;

/// How long what was killed is left dead, at most.
const DEAD_FOR_MAX: Duration = Duration::from_millis(1_500);
/// How often an unwanted death is looked for.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// Whom a kill hits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Campanile,
    Postgres,
    /// At the same moment: neither can tell the other anything.
    Both,
}

/// How long each restart took until an answer came.
#[derive(Default)]
pub struct Restarts {
    pub campanile: Vec<Duration>,
    pub postgres: Vec<Duration>,
}

/// One kill in each equal part of the window.
pub async fn kill_both(setting: &mut Setting, scale: Scale) -> Result<Restarts> {
    let mut random = StdRng::seed_from_u64(setting.world.seed ^ 0x51d);
    let mut restarts = Restarts::default();
    let victims = victims(scale, &mut random);
    let part = scale.window / u32::try_from(victims.len().max(1))?;
    for victim in victims {
        let part_ends = Instant::now() + part;
        let wait = part.mul_f64(random.random_range(0.1..0.8));
        watching(setting, tokio::time::sleep(wait)).await?;
        let dead_for = DEAD_FOR_MAX.mul_f64(random.random_range(0.0..1.0));
        strike(setting, victim, dead_for, &mut restarts).await?;
        tokio::time::sleep_until(part_ends).await;
    }
    Ok(restarts)
}

/// As many of each as the scale says; one of PostgreSQL's is a kill of both.
fn victims(scale: Scale, random: &mut StdRng) -> Vec<Victim> {
    let both = scale.postgres_kills.min(scale.kills).min(1);
    let times = |victim, count| std::iter::repeat_n(victim, count as usize);
    let mut victims: Vec<Victim> = times(Victim::Campanile, scale.kills - both)
        .chain(times(Victim::Postgres, scale.postgres_kills - both))
        .chain(times(Victim::Both, both))
        .collect();
    victims.shuffle(random);
    victims
}

async fn strike(setting: &mut Setting, victim: Victim, dead_for: Duration, restarts: &mut Restarts) -> Result<()> {
    let (campanile, postgres) = (victim != Victim::Postgres, victim != Victim::Campanile);
    let tally = &setting.world.tally;
    if postgres {
        setting.cluster.kill().await?;
        tally.count("kills of PostgreSQL");
    }
    if campanile {
        setting.server.kill().await?;
        tally.count("kills of Campanile");
    }
    setting.world.recorder.put(|at_us| Record::Killed { at_us });
    tokio::time::sleep(dead_for).await;
    if postgres {
        restarts.postgres.push(setting.cluster.start().await?);
    }
    if campanile {
        restarts.campanile.push(setting.server.start().await?);
    } else {
        setting.server.wait_until_ready().await?;
    }
    setting.world.recorder.put(|at_us| Record::Restarted { at_us });
    Ok(())
}

/// Waits for something, and fails when a server dies by itself meanwhile.
pub async fn watching<T>(setting: &mut Setting, what: impl Future<Output = T>) -> Result<T> {
    tokio::pin!(what);
    loop {
        tokio::select! {
            done = &mut what => return Ok(done),
            () = tokio::time::sleep(WATCH_PAUSE) => setting.check_alive()?,
        }
    }
}

/// Waits until everyone has heard everything, but not for ever; says how many had.
pub async fn wait_for(people: &mut JoinSet<Actor>, patience: Duration, setting: &mut Setting) -> Result<usize> {
    let mut finished = 0;
    let end = Instant::now() + patience;
    while !people.is_empty() && Instant::now() < end {
        tokio::select! {
            Some(joined) = people.join_next() => {
                joined?;
                finished += 1;
            }
            () = tokio::time::sleep(WATCH_PAUSE) => setting.check_alive()?,
        }
    }
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_kills_and_one_of_both_at_once() {
        for scale in [Scale::full(), Scale::short()] {
            let victims = victims(scale, &mut StdRng::seed_from_u64(1));
            let hit = |spared| victims.iter().filter(|victim| **victim != spared).count();
            assert_eq!(hit(Victim::Postgres), scale.kills as usize);
            assert_eq!(hit(Victim::Campanile), scale.postgres_kills as usize);
            assert_eq!(victims.iter().filter(|victim| **victim == Victim::Both).count(), 1);
        }
    }
}
