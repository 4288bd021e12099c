//! The REST limits: by API key, by person, by address when anonymous. The real-time routes have limits of their own.
//!
//! Strangers and known callers are remembered apart: whatever comes without a credential takes no room from those who have one.

#[cfg(test)]
mod tests;

use arc_swap::ArcSwap;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Caller, ErrorCode, Refusal};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Callers that are remembered of either kind, at some 40 bytes each; those whose buckets are full again are forgotten first.
const CALLERS_MAX: usize = 100_000;
/// The pause between two searches for callers to forget, in microseconds: a search looks at all of them.
const SEARCH_PAUSE_US: u64 = 1_000_000;
/// The bits of an IPv6 address that tell one network from another: a household or a school has all addresses below them.
const IPV6_NETWORK_BITS: u32 = 64;
/// An hour, in microseconds.
const HOUR_US: u64 = 3_600_000_000;
/// A minute, in microseconds.
const MINUTE_US: u64 = 60_000_000;

/// The limits, in requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) anonymous_per_hour: u32,
    pub(crate) signed_in_per_hour: u32,
    /// Tickets of one person.
    pub(crate) tickets_per_minute: u32,
}

/// Where a caller stands with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests in a row from a full bucket.
    pub(crate) limit: u32,
    /// Requests that would be let in at once now.
    pub(crate) remaining: u32,
    /// When all of them will be there again.
    pub(crate) full_in_ms: u64,
}

/// A refusal with how long to wait.
pub(crate) struct TooMany {
    pub(crate) refusal: Refusal,
    pub(crate) retry_after_ms: u64,
    pub(crate) standing: Standing,
}

/// Token buckets by caller (GCRA): one instant each.
pub(crate) struct Gate {
    rates: ArcSwap<Rates>,
    started: Instant,
    /// Makes short keys of names that nobody outside can aim at one another.
    hasher: RandomState,
    known: Buckets,
    strangers: Buckets,
}

impl Gate {
    pub(crate) fn new(rates: Rates) -> Self {
        let (known, strangers) = (Buckets::new(WhenFull::LetIn), Buckets::new(WhenFull::Refuse));
        let rates = ArcSwap::from_pointee(rates);
        Self { rates, started: Instant::now(), hasher: RandomState::new(), known, strangers }
    }

    /// Sets other limits. What callers have used counts on under them.
    pub(crate) fn set_rates(&self, rates: Rates) {
        self.rates.store(Arc::new(rates));
    }

    /// Lets one request of a known caller in.
    pub(crate) fn admit(&self, caller: &Caller, key_per_second: Option<u32>) -> Result<Standing, TooMany> {
        // A second's worth of a key may come at once: producers send in bursts.
        let (period_us, count) = match caller {
            Caller::Service(_) => (1_000_000, key_per_second.unwrap_or(1)),
            Caller::Person(_) => (HOUR_US, self.rates.load().signed_in_per_hour),
        };
        self.known.take(self.hasher.hash_one(caller.key()), Bucket::new(period_us, count), self.now_us())
    }

    /// Lets a person have one more ticket: whoever asks is known, but somebody may have found out the account's password.
    pub(crate) fn admit_ticket(&self, person: &PersonCaller) -> Result<Standing, TooMany> {
        let key = self.hasher.hash_one(("ticket", person.id.to_string()));
        self.known.take(key, Bucket::new(MINUTE_US, self.rates.load().tickets_per_minute), self.now_us())
    }

    /// Lets one request without a valid credential in.
    pub(crate) fn admit_anonymous(&self, address: IpAddr) -> Result<Standing, TooMany> {
        let key = self.hasher.hash_one(network_of(address));
        self.strangers.take(key, Bucket::new(HOUR_US, self.rates.load().anonymous_per_hour), self.now_us())
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The part of an address that one customer cannot change at will.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> (u128::BITS - IPV6_NETWORK_BITS) << (u128::BITS - IPV6_NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

/// A rate and its burst.
#[derive(Clone, Copy)]
struct Bucket {
    each_us: u64,
    burst: u32,
}

impl Bucket {
    fn new(period_us: u64, count: u32) -> Self {
        let burst = count.max(1);
        Self { each_us: (period_us / u64::from(burst)).max(1), burst }
    }

    /// With its last request's effect worn off in `ahead_us`.
    fn standing(self, ahead_us: u64) -> Standing {
        let used = u32::try_from(ahead_us.div_ceil(self.each_us)).unwrap_or(u32::MAX);
        Standing { limit: self.burst, remaining: self.burst.saturating_sub(used), full_in_ms: ahead_us.div_ceil(1_000) }
    }
}

/// What becomes of callers for whom there is no room.
#[derive(Clone, Copy)]
enum WhenFull {
    /// They are let in uncounted: a limit protects, it does not lock out whoever has a credential.
    LetIn,
    /// They are refused: without a valid credential they would be refused anyway.
    Refuse,
}

/// Buckets by caller, no more than [`CALLERS_MAX`].
struct Buckets {
    when_full: WhenFull,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    /// When each caller's bucket is full again, in microseconds since the start.
    full_at_us: HashMap<u64, u64>,
    searched_at_us: u64,
}

impl Buckets {
    fn new(when_full: WhenFull) -> Self {
        Self { when_full, callers: Mutex::default() }
    }

    fn take(&self, key: u64, bucket: Bucket, now_us: u64) -> Result<Standing, TooMany> {
        let mut callers = self.callers.lock().expect("nothing panics while it counts");
        if !callers.has_room_for(key, now_us) {
            return match self.when_full {
                WhenFull::LetIn => Ok(bucket.standing(0)),
                WhenFull::Refuse => Err(too_many(bucket, SEARCH_PAUSE_US, Standing { remaining: 0, ..bucket.standing(0) })),
            };
        }
        let full_at_us = callers.full_at_us.get(&key).copied().unwrap_or(0).max(now_us);
        let ahead_us = full_at_us + bucket.each_us - now_us;
        let most_us = bucket.each_us * u64::from(bucket.burst);
        if ahead_us > most_us {
            return Err(too_many(bucket, ahead_us - most_us, bucket.standing(full_at_us - now_us)));
        }
        callers.full_at_us.insert(key, full_at_us + bucket.each_us);
        Ok(bucket.standing(ahead_us))
    }
}

impl Callers {
    fn has_room_for(&mut self, key: u64, now_us: u64) -> bool {
        if self.full_at_us.len() < CALLERS_MAX || self.full_at_us.contains_key(&key) {
            return true;
        }
        if now_us >= self.searched_at_us + SEARCH_PAUSE_US {
            self.searched_at_us = now_us;
            self.full_at_us.retain(|_, full_at| *full_at > now_us);
        }
        self.full_at_us.len() < CALLERS_MAX
    }
}

fn too_many(bucket: Bucket, wait_us: u64, standing: Standing) -> TooMany {
    let refusal = Refusal::new(ErrorCode::RateLimited, format!("over the limit of {} requests", bucket.burst));
    TooMany { refusal, retry_after_ms: wait_us.div_ceil(1_000), standing }
}
