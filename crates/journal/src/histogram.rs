//! A histogram for hot paths: fixed bounds, relaxed atomics, no allocation when it records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of what takes microseconds to seconds, in microseconds.
pub const DURATION_BOUNDS_US: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

/// Upper bounds of what takes milliseconds to minutes, in microseconds.
pub const LONG_DURATION_BOUNDS_US: &[u64] =
    &[1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 15_000_000, 60_000_000, 300_000_000, 600_000_000];

/// Upper bounds of counts.
pub const COUNT_BOUNDS: &[u64] = &[0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 10_000, 100_000];

/// Counts of observations by upper bound. Its unit is the caller's.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramReading {
    /// Upper bounds, in the histogram's unit.
    pub bounds: &'static [u64],
    /// Observations by bound, not cumulative; the last is beyond every bound.
    pub counts: Vec<u64>,
    /// The sum of all observations, in the histogram's unit.
    pub sum: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts one observation.
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts one duration in a histogram of microseconds.
    pub fn record_duration(&self, took: Duration) {
        self.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX >> 1));
    }

    /// What it holds now.
    pub fn read(&self) -> HistogramReading {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        HistogramReading { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl HistogramReading {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, HistogramReading};

    #[test]
    fn an_observation_falls_into_the_first_bucket_whose_bound_is_not_below_it() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11] {
            histogram.record(value);
        }
        let expected = HistogramReading { bounds: &[1, 10], counts: vec![2, 2, 1], sum: 24 };
        assert_eq!(histogram.read(), expected);
        assert_eq!(expected.count(), 5);
    }
}
