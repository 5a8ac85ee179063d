//! What is normal: the losses before the freeze.

use std::collections::HashMap;

use ffu_model::watch::{Baseline, Nanos};

use super::noise::Noise;
use crate::tally::{Event, Kind};

const BIN: Nanos = 100_000_000;
const SECOND: Nanos = 1_000_000_000;
/// Bins and bursts beyond this are put into the last bin, or left out: 28 hours, and a network that is no network.
const MOST: usize = 1_000_000;

/// The baseline while it is taken.
#[derive(Clone, Debug)]
pub(crate) struct Taking {
    pub(crate) from: Nanos,
    pub(crate) to: Nanos,
    /// Probes and lost probes by tenths of a second: the end may turn out to be earlier than thought.
    bins: Vec<(u32, u32)>,
    /// Second and target of each outage's begin.
    bursts: Vec<(u32, u32)>,
    lost: HashMap<u32, u64>,
    longest: Nanos,
    pub(crate) broken_streams: u32,
}

impl Taking {
    pub(crate) fn new(from: Nanos, seconds: u32) -> Self {
        Taking {
            from,
            to: from.saturating_add(u64::from(seconds) * SECOND),
            bins: Vec::new(),
            bursts: Vec::new(),
            lost: HashMap::new(),
            longest: 0,
            broken_streams: 0,
        }
    }

    /// The freeze begins: what comes later is not normal any more.
    pub(crate) fn cut(&mut self, at: Nanos) {
        self.to = self.to.min(at.max(self.from));
    }

    /// A probe's fate is known.
    pub(crate) fn count(&mut self, sent: Nanos, lost: bool) {
        if sent >= self.to {
            return;
        }
        let bin = usize::try_from(sent.saturating_sub(self.from) / BIN)
            .unwrap_or(MOST)
            .min(MOST);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, (0, 0));
        }
        let (probes, losses) = &mut self.bins[bin];
        *probes = probes.saturating_add(1);
        *losses = losses.saturating_add(u32::from(lost));
    }

    /// Something happened before its end.
    pub(crate) fn take(&mut self, event: &Event) {
        match event.kind {
            Kind::Begin { length } => {
                if self.bursts.len() < MOST {
                    let second = event.at.saturating_sub(self.from) / SECOND;
                    self.bursts
                        .push((u32::try_from(second).unwrap_or(u32::MAX), event.target));
                }
                *self.lost.entry(event.target).or_default() += 1;
                self.longest = self.longest.max(length);
            }
            Kind::Lost { length, .. } => {
                *self.lost.entry(event.target).or_default() += 1;
                self.longest = self.longest.max(length);
            }
            Kind::End { length, .. } => self.longest = self.longest.max(length),
            Kind::Broke => self.broken_streams += 1,
            Kind::Restart => {}
        }
    }

    /// What it says of all targets.
    pub(crate) fn finish(&self) -> Baseline {
        let bins = usize::try_from((self.to - self.from) / BIN).unwrap_or(usize::MAX);
        // A tenth of a second that is cut through is left out, unless it is all there is.
        let counted = self.bins.iter().take(bins.max(1));
        let (probes, lost) = counted.fold((0, 0), |sum: (u64, u64), bin| {
            (sum.0 + u64::from(bin.0), sum.1 + u64::from(bin.1))
        });
        Baseline {
            from: self.from,
            to: self.to,
            probes,
            lost,
            longest_gap: self.longest,
            noisy_targets: u32::try_from(self.lost.len()).unwrap_or(u32::MAX),
        }
    }

    /// What it says of the noise of some targets.
    pub(crate) fn noise(&self, of: impl Fn(u32) -> bool) -> Noise {
        let begun: Vec<u32> = self
            .bursts
            .iter()
            .filter(|(_, target)| of(*target))
            .map(|(second, _)| *second)
            .collect();
        let lost = self
            .lost
            .iter()
            .filter(|(target, _)| of(**target))
            .map(|(_, lost)| lost)
            .sum();
        Noise::new(self.to - self.from, &begun, lost)
    }

    /// Outages that a target began in it.
    pub(crate) fn bursts_by_target(&self) -> HashMap<u32, u64> {
        let mut found = HashMap::new();
        self.bursts
            .iter()
            .for_each(|(_, target)| *found.entry(*target).or_default() += 1);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_that_comes_early_ends_it() {
        let mut taken = Taking::new(SECOND, 30);
        (0..100).for_each(|n| taken.count(SECOND + n * BIN, n % 10 == 0));
        taken.cut(6 * SECOND);
        taken.count(7 * SECOND, true);
        let known = taken.finish();
        assert_eq!((known.to, known.probes, known.lost), (6 * SECOND, 50, 5));
        taken.cut(0);
        assert_eq!(taken.finish().to, SECOND);
    }
}
