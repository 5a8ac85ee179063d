//! Round-trip times in 512 bytes: 128 buckets, each 10.25 % wider than the one before it, so that a percentile is right to 5 %.

use ffu_model::watch::Latency;

/// Number of buckets.
const BUCKETS: usize = 128;
/// The first bucket holds everything up to this, in nanoseconds.
const SMALLEST: f64 = 10_000.0;
/// Natural logarithm of the ratio of two neighbouring buckets, `ln(1.05²)`.
const STEP: f64 = 0.097_580_328_338_864_2;

/// Round-trip times from 10 µs to 2.4 s; what is outside is put into the first or last bucket.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: [u32; BUCKETS],
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: [0; BUCKETS],
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one round-trip time, in nanoseconds.
    pub(crate) fn add(&mut self, rtt: u64) {
        let count = &mut self.counts[bucket(rtt)];
        *count = count.saturating_add(1);
        self.max = self.max.max(rtt);
    }
}

/// Many histograms added up.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    counts: [u64; BUCKETS],
    max: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Sum {
            counts: [0; BUCKETS],
            max: 0,
        }
    }
}

impl Sum {
    /// Adds one.
    pub(crate) fn add(&mut self, other: &Histogram) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += u64::from(*count);
        }
        self.max = self.max.max(other.max);
    }

    /// The percentiles; the slowest is exact.
    pub(crate) fn latency(&self) -> Latency {
        let total: u64 = self.counts.iter().sum();
        let at = |percent: u64| {
            let wanted = (total * percent).div_ceil(100);
            let mut seen = 0;
            for (index, count) in self.counts.iter().enumerate() {
                seen += count;
                if seen >= wanted && seen > 0 {
                    // Nobody was slower than the slowest.
                    return if index == BUCKETS - 1 {
                        self.max
                    } else {
                        middle(index).min(self.max)
                    };
                }
            }
            0
        };
        Latency {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: self.max,
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn bucket(rtt: u64) -> usize {
    let place = (rtt as f64 / SMALLEST).ln() / STEP;
    if place <= 0.0 {
        0
    } else {
        (place.ceil() as usize).min(BUCKETS - 1)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn middle(index: usize) -> u64 {
    (SMALLEST * ((index as f64 - 0.5) * STEP).exp()) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summed(all: &[u64]) -> Latency {
        let mut one = Histogram::default();
        all.iter().for_each(|rtt| one.add(*rtt));
        let mut sum = Sum::default();
        sum.add(&one);
        sum.latency()
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_five_percent(mut all in prop::collection::vec(10_000_u64..2_000_000_000, 1..300)) {
            let latency = summed(&all);
            all.sort_unstable();
            for (percent, got) in [(50, latency.p50), (95, latency.p95), (99, latency.p99)] {
                let want = all[(all.len() * percent).div_ceil(100) - 1] as f64;
                let error = (got as f64 - want).abs() / want;
                prop_assert!(error <= 0.0501, "p{percent}: {got} for {want}");
            }
            prop_assert_eq!(latency.max, all[all.len() - 1]);
        }
    }

    #[test]
    fn extremes_have_a_place() {
        assert_eq!(summed(&[]), Latency::default());
        assert_eq!(summed(&[0]).max, 0);
        assert_eq!(summed(&[u64::MAX]).p50, u64::MAX);
    }
}
