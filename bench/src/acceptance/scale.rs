//! How big the run is: the form that the issue asks for, and the short one for `make test`.

use std::time::Duration;

use crate::cast::Wanted;

/// All the numbers of a run that are ours to choose.
#[derive(Clone, Copy)]
pub struct Scale {
    pub wanted: Wanted,
    pub statements: usize,
    pub announcements: usize,
    pub announcers: usize,
    pub kills: u32,
    /// Over this time statements, announcements, withdrawals and kills are spread. A slow server makes it longer.
    pub window: Duration,
    /// The mean stay on one connection.
    pub stay_mean: Duration,
    /// The mean absence between two connections.
    pub away_mean: Duration,
    /// The mean time between two pauses or rewinds of one client.
    pub stunt_mean: Duration,
    /// The longest pause in reading.
    pub pause_max: Duration,
    /// How long everyone may take to catch up at the end.
    pub catch_up_max: Duration,
}

// === impl Scale ===

impl Scale {
    /// The run of the issue: about 280 connected people a course, and about 5 million deliveries with all replays and the
    /// return of the audience at the end, which reads the whole run from the log.
    pub fn full() -> Self {
        Self {
            wanted: Wanted { audience: usize::MAX, population: 3_500, stages: 15 },
            statements: usize::MAX,
            announcements: 10_200,
            announcers: 4,
            kills: 20,
            window: Duration::from_secs(480),
            stay_mean: Duration::from_secs(45),
            away_mean: Duration::from_secs(3),
            stunt_mean: Duration::from_secs(40),
            pause_max: Duration::from_secs(8),
            catch_up_max: Duration::from_secs(180),
        }
    }

    /// The same acts in under a minute.
    pub fn short() -> Self {
        Self {
            wanted: Wanted { audience: 300, population: 300, stages: 6 },
            statements: 1_500,
            announcements: 600,
            announcers: 3,
            kills: 3,
            window: Duration::from_secs(20),
            stay_mean: Duration::from_secs(6),
            away_mean: Duration::from_secs(1),
            stunt_mean: Duration::from_secs(5),
            pause_max: Duration::from_secs(2),
            catch_up_max: Duration::from_secs(45),
        }
    }
}
