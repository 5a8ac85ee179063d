//! Burst or noise? What the baseline says about losses to come, and how sure that is.
//!
//! The model. Without an upgrade, targets lose probes in *bursts* (runs of lost probes of one target).
//! - Bursts begin as a Poisson process. Its rate is at most Garwood's 95 % upper bound of what the baseline had; if the baseline
//!   had none, that is the rule of three: 3 / length of the baseline. Bursts that come in crowds (one blip of a switch hits many
//!   targets) make the count of a second vary more than Poisson's; counts are divided by the ratio of variance to mean
//!   (quasi-Poisson), never below 1.
//! - After a lost probe the next one is lost too with a probability that is not known exactly: Beta(1 + followed, 19 + last),
//!   where `followed` lost probes of the baseline were followed by another lost one and `last` were not. With nothing to learn
//!   from, one loss in twenty is thought to be followed by another. A burst of k or more then has the probability
//!   ∏ (a + j) / (a + b + j) for j = 0 … k − 2 (beta-geometric: it has a heavier tail than any fixed probability).
//!
//! The chance of a loss of X bursts, Y of them of two probes and more, the longest of k probes, in a time t: three times the
//! smallest of P(at least X bursts in t), P(at least Y bursts of two in t) and P(at least one burst of k in t), at most 1. Below 0.001 it is a [`Origin::Burst`]. If it is not, but would be with the rate as
//! observed instead of its upper bound, and fewer than 10 bursts were seen, the baseline is too short: [`Origin::Unknown`].
//! Everything else is [`Origin::Noise`].
//!
//! What it does not know: noise that changes with the hour, and losses of different targets with a common cause that the
//! baseline did not show.

use ffu_model::watch::{Confidence, Nanos, Origin};

use super::chance::{at_least, rare_count, upper_mean};

/// Below this chance a loss is called a burst.
const RARE: f64 = 0.001;
/// With fewer bursts than this the baseline's rate is a guess.
const ENOUGH: u64 = 10;
/// How many false breaches an hour each test of the default budget may make, in the mean.
pub(crate) const FALSE_PER_HOUR: f64 = 0.01;
const HOUR: f64 = 3600.0;

/// A loss that is to be told from noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Outages.
    pub bursts: u64,
    /// Of these, those of two lost probes and more.
    pub longer: u64,
    /// Lost probes of the longest.
    pub probes: u64,
}

/// What the baseline says about the noise of some targets together.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Seconds of the baseline.
    seconds: f64,
    /// Bursts that began in it.
    bursts: u64,
    /// Variance over mean of the bursts of a second, at least 1.
    crowding: f64,
    /// Beta's two parameters.
    followed: f64,
    last: f64,
}

impl Noise {
    /// From the baseline: its length, the second in which each burst began, and the lost probes of all bursts.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn new(length: Nanos, begun: &[u32], lost: u64) -> Self {
        let seconds = length as f64 / 1e9;
        let bursts = begun.len() as u64;
        Noise {
            seconds,
            bursts,
            crowding: crowding(seconds, begun),
            followed: 1.0 + lost.saturating_sub(bursts) as f64,
            last: 19.0 + bursts as f64,
        }
    }

    /// What is known, or nothing.
    pub(crate) fn of(known: Option<&Noise>) -> Noise {
        known.cloned().unwrap_or_else(|| Noise::new(0, &[], 0))
    }

    /// Bursts a second at most. Infinite without a baseline.
    pub(crate) fn rate(&self) -> f64 {
        upper_mean(self.bursts) / self.seconds
    }

    #[allow(clippy::cast_precision_loss)]
    fn observed_rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.bursts as f64 / self.seconds
        } else {
            0.0
        }
    }

    /// The probability that a burst has at least so many probes.
    #[allow(clippy::cast_precision_loss)]
    fn as_long_as(&self, probes: u64) -> f64 {
        let mut chance = 1.0;
        for j in 0..probes.saturating_sub(1).min(10_000) {
            chance *= (self.followed + j as f64) / (self.followed + self.last + j as f64);
            if chance < 1e-30 {
                break;
            }
        }
        chance
    }

    fn chance(&self, rate: f64, loss: Loss, seconds: f64) -> f64 {
        let mean = rate * seconds;
        let all = self.as_many_as(loss.bursts, mean);
        let longer = self.as_many_as(loss.longer, mean * self.as_long_as(2));
        let longest = at_least(u64::from(loss.bursts > 0), mean * self.as_long_as(loss.probes));
        (3.0 * all.min(longer).min(longest)).min(1.0)
    }

    /// P(at least so many), where crowds count as one.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn as_many_as(&self, count: u64, mean: f64) -> f64 {
        let crowds = ((count as f64 / self.crowding) as u64).max(u64::from(count > 0));
        at_least(crowds, mean / self.crowding)
    }

    /// What a loss within this time is taken for.
    #[allow(clippy::cast_precision_loss)]
    pub fn confidence(&self, loss: Loss, time: Nanos) -> Confidence {
        let seconds = time as f64 / 1e9;
        let chance = self.chance(self.rate(), loss, seconds);
        let origin = if chance < RARE {
            Origin::Burst
        } else if self.bursts < ENOUGH && self.chance(self.observed_rate(), loss, seconds) < RARE {
            Origin::Unknown
        } else {
            Origin::Noise
        };
        Confidence { origin, chance }
    }

    /// A rate for thresholds: without a baseline, as if one second had lost nothing.
    fn threshold_rate(&self) -> f64 {
        upper_mean(self.bursts) / self.seconds.max(1.0)
    }

    /// The shortest burst, in probes, that noise makes less than [`FALSE_PER_HOUR`] times an hour; at least 2.
    pub(crate) fn rare_length(&self) -> u32 {
        let hourly = self.threshold_rate() * HOUR;
        (2..10_000)
            .find(|probes| hourly * self.as_long_as(u64::from(*probes)) < FALSE_PER_HOUR)
            .unwrap_or(10_000)
    }

    /// The number of bursts within so many seconds that noise reaches less than [`FALSE_PER_HOUR`] times an hour; at least 2.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub(crate) fn rare_crowd(&self, seconds: u32) -> u64 {
        // The window moves second by second.
        let mean = self.threshold_rate() * f64::from(seconds) / self.crowding;
        let crowds = rare_count(mean, FALSE_PER_HOUR / HOUR);
        ((crowds as f64 * self.crowding).ceil() as u64).max(2)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn crowding(seconds: f64, begun: &[u32]) -> f64 {
    let bins = seconds.floor().min(1e6) as usize;
    if bins < 5 || begun.len() < 2 {
        return 1.0;
    }
    let mut counts = vec![0_u32; bins];
    for second in begun {
        if let Some(count) = counts.get_mut(*second as usize) {
            *count += 1;
        }
    }
    let mean = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / bins as f64;
    let spread = counts
        .iter()
        .map(|count| (f64::from(*count) - mean).powi(2))
        .sum::<f64>()
        / (bins - 1) as f64;
    if mean > 0.0 { (spread / mean).max(1.0) } else { 1.0 }
}

/// A number of bursts of one target within a minute that noise reaches less than [`FALSE_PER_HOUR`] times an hour among so many
/// targets. `seen` are its bursts in the baseline.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rare_flapping(seen: u64, baseline: Nanos, targets: usize) -> u64 {
    let seconds = (baseline as f64 / 1e9).max(1.0);
    let mean = upper_mean(seen) * 60.0 / seconds;
    rare_count(mean, FALSE_PER_HOUR / 60.0 / targets.max(1) as f64).max(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn loss(bursts: u64, probes: u64) -> Loss {
        let longer = if probes > 1 { 1 } else { 0 };
        Loss { bursts, longer, probes }
    }

    #[test]
    fn a_baseline_without_loss_follows_the_rule_of_three() {
        let noise = Noise::new(30 * SECOND, &[], 0);
        assert!((noise.rate() - 0.1).abs() < 0.001, "{}", noise.rate());
        assert_eq!(noise.rare_length(), 6, "half a second and a bit at 10 Hz");
        assert_eq!(Noise::new(300 * SECOND, &[], 0).rare_length(), 5);
        // One lost probe: a baseline of 30 seconds cannot exclude it.
        assert_eq!(noise.confidence(loss(1, 1), SECOND).origin, Origin::Unknown);
        // One second of one target, or half of a second of many.
        assert_eq!(noise.confidence(loss(1, 10), SECOND).origin, Origin::Burst);
        assert_eq!(noise.confidence(loss(20, 5), SECOND / 2).origin, Origin::Burst);
    }

    #[test]
    fn no_baseline_knows_nothing() {
        for noise in [Noise::of(None), Noise::new(0, &[], 0)] {
            let confidence = noise.confidence(loss(1000, 1000), SECOND);
            assert_eq!((confidence.origin, confidence.chance), (Origin::Unknown, 1.0));
            assert!(noise.rare_length() < 20 && noise.rare_crowd(1) < 30);
        }
    }

    #[test]
    fn crowds_in_the_baseline_make_crowds_less_telling() {
        let even: Vec<u32> = (0..30).collect();
        let crowded = [7; 30];
        let (even, crowded) = (
            Noise::new(30 * SECOND, &even, 30),
            Noise::new(30 * SECOND, &crowded, 30),
        );
        assert!((even.crowding - 1.0).abs() < 1e-9 && crowded.crowding > 20.0);
        assert_eq!(even.confidence(loss(30, 1), SECOND).origin, Origin::Burst);
        assert_eq!(crowded.confidence(loss(30, 1), SECOND).origin, Origin::Noise);
    }

    #[test]
    fn bursts_in_the_baseline_make_long_ones_likely() {
        let begun: Vec<u32> = (0..30).collect();
        let single = Noise::new(30 * SECOND, &begun, 30);
        let long = Noise::new(30 * SECOND, &begun, 300);
        assert!(single.rare_length() < 8, "{}", single.rare_length());
        assert!(long.rare_length() > 60, "{}", long.rare_length());
        assert!(rare_flapping(0, 30 * SECOND, 1000) < rare_flapping(10, 30 * SECOND, 1000));
    }
}
