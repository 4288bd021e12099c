//! Admission: a storm of reconnects is let in at a bounded rate, and the rest are told when to come back.

/// A bucket of tokens that fills at a steady rate (GCRA): eight bytes of state.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// When the bucket will be full again, in microseconds of the clock that the caller passes.
    full_at_us: u64,
}

impl Bucket {
    /// Takes one token, or answers how many milliseconds until there is one.
    pub(crate) fn take(&mut self, now_us: u64, per_second: u32, burst: u32) -> Result<(), u64> {
        let each_us = 1_000_000 / u64::from(per_second.max(1));
        let full_at_us = self.full_at_us.max(now_us) + each_us;
        let ahead_us = full_at_us - now_us;
        if ahead_us > each_us * u64::from(burst.max(1)) {
            return Err((ahead_us - each_us * u64::from(burst.max(1))).div_ceil(1_000));
        }
        self.full_at_us = full_at_us;
        Ok(())
    }
}
