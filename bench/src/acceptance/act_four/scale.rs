//! How big the fourth act is.

use std::time::Duration;

/// All the numbers of the act that are ours to choose.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Cadets of the platform, at most.
    pub cadets: usize,
    /// Sync events that the platform commits.
    pub rows: usize,
    /// Over this time rows, changes, approvals and kills are spread. A slow machine makes it longer.
    pub window: Duration,
    /// Cadets who get many rows, and of whom some are sent away.
    pub busy: usize,
    /// Cadets on whose sheets all graders work.
    pub graded: usize,
    /// Changes that each of the graders makes.
    pub changes: usize,
    /// How often somebody's approval is taken away.
    pub unapprovals: usize,
    /// Kills of Campanile and of PostgreSQL.
    pub kills: u32,
    pub postgres_kills: u32,
    /// The mean stay on one connection, and the mean absence between two.
    pub stay_mean: Duration,
    pub away_mean: Duration,
    /// How long everyone may take to catch up at the end.
    pub catch_up_max: Duration,
}

// === impl Scale ===

impl Scale {
    /// The act of the issue.
    pub fn full() -> Self {
        Self {
            cadets: usize::MAX,
            rows: 10_000,
            window: Duration::from_secs(180),
            busy: 100,
            graded: 12,
            changes: 400,
            unapprovals: 300,
            kills: 8,
            postgres_kills: 5,
            stay_mean: Duration::from_secs(40),
            away_mean: Duration::from_secs(3),
            catch_up_max: Duration::from_secs(180),
        }
    }

    /// The same in well under a minute.
    pub fn short() -> Self {
        Self {
            cadets: 150,
            rows: 500,
            window: Duration::from_secs(10),
            busy: 20,
            graded: 4,
            changes: 40,
            unapprovals: 20,
            kills: 2,
            postgres_kills: 1,
            stay_mean: Duration::from_secs(5),
            away_mean: Duration::from_secs(1),
            catch_up_max: Duration::from_secs(45),
        }
    }
}
