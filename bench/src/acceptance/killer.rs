//! SIGKILL at random moments of the traffic, and a restart on the same store and port.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::world::World;
use crate::{history::Record, server::Server};

/// How long the dead server is left dead, at most.
const DEAD_FOR_MAX: Duration = Duration::from_millis(1_500);
/// How often an unwanted death is looked for.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// Kills the server so many times within the window, once at a random moment of each equal part of it.
/// Returns how long each restart took until the server answered.
pub async fn kill_repeatedly(world: Arc<World>, server: &mut Server, kills: u32, window: Duration) -> Result<Vec<Duration>> {
    let mut random = StdRng::seed_from_u64(world.seed.wrapping_add(u64::from(kills)));
    let part = window / kills.max(1);
    let mut restarts = Vec::new();
    for _ in 0..kills {
        let share = random.random_range(0.1..0.9);
        let part_ends = tokio::time::Instant::now() + part;
        watch(server, part.mul_f64(share)).await?;
        server.kill().await?;
        world.recorder.put(|at_us| Record::Killed { at_us });
        tokio::time::sleep(DEAD_FOR_MAX.mul_f64(random.random_range(0.0..1.0))).await;
        restarts.push(server.start().await?);
        world.recorder.put(|at_us| Record::Restarted { at_us });
        tokio::time::sleep_until(part_ends).await;
    }
    Ok(restarts)
}

/// Waits, and fails when the server dies by itself.
pub async fn watch(server: &mut Server, time: Duration) -> Result<()> {
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        server.check_alive()?;
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + WATCH_PAUSE)).await;
    }
    Ok(())
}
