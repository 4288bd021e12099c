//! The REST limits: by API key, by person, by address when anonymous. The real-time routes have limits of their own.

use arc_swap::ArcSwap;
use campanile_wire::{Caller, ErrorCode, Refusal};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Callers that are remembered; beyond it those whose buckets are full again are forgotten.
const CALLERS_MAX: usize = 100_000;

/// The limits, in requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) anonymous_per_hour: u32,
    pub(crate) signed_in_per_hour: u32,
}

/// Token buckets by caller (GCRA): one instant each.
pub(crate) struct Gate {
    rates: ArcSwap<Rates>,
    started: Instant,
    /// When each caller's bucket is full again, in microseconds since the start.
    full_at_us: Mutex<HashMap<String, u64>>,
}

/// A refusal with how long to wait.
pub(crate) struct TooMany {
    pub(crate) refusal: Refusal,
    pub(crate) retry_after_ms: u64,
}

impl Gate {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates: ArcSwap::from_pointee(rates), started: Instant::now(), full_at_us: Mutex::default() }
    }

    /// Sets other limits. What callers have used counts on under them.
    pub(crate) fn set_rates(&self, rates: Rates) {
        self.rates.store(Arc::new(rates));
    }

    /// Lets one request of a known caller in.
    pub(crate) fn admit(&self, caller: &Caller, key_per_second: Option<u32>) -> Result<(), TooMany> {
        match caller {
            // A second's worth may come at once: producers send in bursts.
            Caller::Service(_) => {
                let rate = key_per_second.unwrap_or(1).max(1);
                self.take(caller.key(), 1_000_000 / u64::from(rate), rate)
            }
            Caller::Person(_) => self.hourly(caller.key(), self.rates.load().signed_in_per_hour),
        }
    }

    /// Lets one request without a valid credential in.
    pub(crate) fn admit_anonymous(&self, address: IpAddr) -> Result<(), TooMany> {
        self.hourly(format!("address:{address}"), self.rates.load().anonymous_per_hour)
    }

    fn hourly(&self, key: String, per_hour: u32) -> Result<(), TooMany> {
        self.take(key, 3_600_000_000 / u64::from(per_hour.max(1)), per_hour.max(1))
    }

    fn take(&self, key: String, each_us: u64, burst: u32) -> Result<(), TooMany> {
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut full_at_us = self.full_at_us.lock().expect("nothing panics while it counts");
        if full_at_us.len() >= CALLERS_MAX {
            full_at_us.retain(|_, full_at| *full_at > now_us);
        }
        let known = full_at_us.get(&key).copied().unwrap_or(0).max(now_us);
        let ahead_us = known + each_us - now_us;
        let most_us = each_us * u64::from(burst);
        if ahead_us > most_us {
            let refusal = Refusal::new(ErrorCode::RateLimited, format!("over the limit of {burst} requests"));
            return Err(TooMany { refusal, retry_after_ms: (ahead_us - most_us).div_ceil(1_000) });
        }
        full_at_us.insert(key, known + each_us);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Gate, Rates};
    use campanile_contract::bench::person;

    #[test]
    fn a_caller_over_the_hourly_limit_is_told_when_to_come_back_and_others_are_not_touched() {
        let gate = Gate::new(Rates { anonymous_per_hour: 2, signed_in_per_hour: 3 });
        let school = [127, 0, 0, 9].into();
        assert!((0..2).all(|_| gate.admit_anonymous(school).is_ok()));
        let refused = gate.admit_anonymous(school).err().unwrap();
        assert!((1_790_000..=1_800_000).contains(&refused.retry_after_ms), "{}", refused.retry_after_ms);
        assert!((0..3).all(|_| gate.admit(&person(1, "student"), None).is_ok()), "signed in behind the same address");
        assert!(gate.admit(&person(1, "student"), None).is_err());
        assert!(gate.admit(&person(2, "student"), None).is_ok());
    }
}
