//! How long a failed job waits: exponentially longer, spread so that jobs that failed together do not come back together.

use crate::job::limits::JobLimits;
use rand::Rng;
use std::sync::Arc;

/// Where a wait's spread comes from: a fraction from 0 up to 1. It is passed in, so that tests know every wait.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The spread of real workers.
pub fn random_jitter() -> Jitter {
    Arc::new(|| rand::rng().random_range(0.0..1.0))
}

/// The wait after failed attempt number `attempts` (from 1), in milliseconds: `retry_base_ms` times `retry_factor` per earlier
/// attempt, at most `retry_ms_max`; of this, half stands and half is multiplied by `fraction`.
pub(crate) fn wait_ms(limits: &JobLimits, attempts: u64, fraction: f64) -> i64 {
    let earlier = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let grown = limits.retry_base_ms.saturating_mul(limits.retry_factor.saturating_pow(earlier));
    let whole = grown.min(limits.retry_ms_max);
    let spread = (whole - whole / 2) as f64 * fraction.clamp(0.0, 1.0);
    millis(whole / 2 + spread as u64)
}

/// A span of a limit as it is added to instants.
pub(crate) fn millis(span_ms: u64) -> i64 {
    i64::try_from(span_ms).unwrap_or(i64::MAX)
}
