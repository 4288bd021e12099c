//! Every limit of the job queue, with its unit.

/// How jobs are claimed, held, repeated and forgotten. One worker serves one queue under one set of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLimits {
    /// Jobs that this worker runs at once; at the limit it claims no more.
    pub jobs_at_once_max: usize,
    /// Jobs in one claim.
    pub claim_jobs_max: usize,
    /// How often the store is asked for jobs of other processes and for waits that have ended. This process's own commits wake the
    /// worker at once.
    pub poll_ms: u64,
    /// How long a job stays with a worker that no longer tells of itself. Nodes compare it by their own clocks, so it stands well
    /// above the skew between them.
    pub lease_ms: u64,
    /// How often a running job's lease is extended; well below `lease_ms`.
    pub heartbeat_ms: u64,
    /// How long `act` may run; beyond it the attempt has failed.
    pub act_ms_max: u64,
    /// The wait after the first failed attempt.
    pub retry_base_ms: u64,
    /// By how much the wait grows with each further attempt.
    pub retry_factor: u64,
    /// The longest wait between two attempts.
    pub retry_ms_max: u64,
    /// How long a stopping worker waits for its running jobs; then it gives them back.
    pub stop_grace_ms: u64,
    /// How long a job that is done stays visible.
    pub done_kept_ms: u64,
    /// How long a dead job waits for somebody to look at it.
    pub dead_kept_ms: u64,
    /// How often finished jobs are swept out.
    pub sweep_ms: u64,
    /// Jobs removed in one transaction, so that sweeping never holds writers up for long.
    pub sweep_jobs_max: u64,
    /// How long a scheduler sleeps at most, so that a clock that was set forward is noticed.
    pub schedule_poll_ms_max: u64,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            jobs_at_once_max: 16,
            claim_jobs_max: 16,
            poll_ms: 1_000,
            lease_ms: 60_000,
            heartbeat_ms: 20_000,
            act_ms_max: 600_000,
            retry_base_ms: 1_000,
            retry_factor: 2,
            retry_ms_max: 3_600_000,
            stop_grace_ms: 10_000,
            done_kept_ms: 24 * 3_600_000,
            dead_kept_ms: 30 * 24 * 3_600_000,
            sweep_ms: 60_000,
            sweep_jobs_max: 1_000,
            schedule_poll_ms_max: 30_000,
        }
    }
}
