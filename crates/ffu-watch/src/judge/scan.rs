//! The default budget: zero loss beyond the baseline's noise. Three things tell loss from noise: an outage that is longer than
//! noise makes one in a hundred hours, more outages within 1, 10 or 60 seconds than that, and one target that has more within a
//! minute than that.

use std::collections::{HashMap, VecDeque};

use ffu_model::watch::Nanos;

use super::noise::{Noise, rare_flapping};

const SECOND: Nanos = 1_000_000_000;
/// The windows, in seconds.
const WINDOWS: [u32; 3] = [1, 10, 60];
/// Begun outages that are remembered.
const MOST: usize = 200_000;

/// An outage that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub at: Nanos,
    pub target: u32,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Crowd {
    /// So many outages began within so many seconds; noise makes fewer than the last number.
    Within(u32, u64, u64),
    /// One target had so many within a minute; noise makes fewer than the last number.
    Flapping(u64, u64),
}

/// The outages that began within one second.
#[derive(Clone, Copy, Debug)]
struct Second {
    at: u64,
    count: u64,
    /// The shortest window (from 0) in which they were too many. Longer ones leave them out: they are explained.
    told: usize,
}

/// Looks for what noise does not explain.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    rare_length: u32,
    rare_crowds: [u64; 3],
    /// The latest minute, second by second.
    seconds: VecDeque<Second>,
    recent: VecDeque<Begun>,
    minutes: HashMap<u32, (u64, u64)>,
    seen: HashMap<u32, u64>,
    /// Outages within a minute that are too many, by those in the baseline.
    rare_flapping: HashMap<u64, u64>,
    baseline: Nanos,
    targets: usize,
}

impl Scan {
    /// For targets with this noise. `seen`: how many outages each had in the baseline of this length.
    pub(crate) fn new(noise: &Noise, seen: HashMap<u32, u64>, baseline: Nanos, targets: usize) -> Self {
        Scan {
            rare_length: noise.rare_length(),
            rare_crowds: WINDOWS.map(|seconds| noise.rare_crowd(seconds)),
            seconds: VecDeque::new(),
            recent: VecDeque::new(),
            minutes: HashMap::new(),
            seen,
            rare_flapping: HashMap::new(),
            baseline,
            targets,
        }
    }

    /// An outage of so many probes and more is beyond noise.
    pub(crate) fn rare_length(&self) -> u32 {
        self.rare_length
    }

    /// An outage began. What is beyond noise, and the outages that make it up and were not told before.
    pub(crate) fn begun(&mut self, at: Nanos, target: u32) -> Option<(Crowd, Vec<Begun>)> {
        let second = at / SECOND;
        while self.seconds.front().is_some_and(|first| first.at + 60 <= second) {
            self.seconds.pop_front();
        }
        match self.seconds.back_mut() {
            Some(last) if last.at >= second => last.count += 1,
            _ => self.seconds.push_back(Second {
                at: second,
                count: 1,
                told: usize::MAX,
            }),
        }
        while self
            .recent
            .front()
            .is_some_and(|first| first.at / SECOND + 60 <= second)
            || self.recent.len() >= MOST
        {
            self.recent.pop_front();
        }
        self.recent.push_back(Begun { at, target });
        let crowd = self.crowd(second).map(|(crowd, since)| (crowd, self.told(since)));
        crowd.or_else(|| self.flapping(at, target))
    }

    fn crowd(&mut self, second: u64) -> Option<(Crowd, u64)> {
        for (place, (window, rare)) in WINDOWS.into_iter().zip(self.rare_crowds).enumerate() {
            let since = (second + 1).saturating_sub(u64::from(window));
            let unexplained = |of: &&mut Second| of.at >= since && of.told >= place;
            let count = self.seconds.iter_mut().filter(unexplained).map(|of| of.count).sum();
            if count >= rare {
                self.seconds
                    .iter_mut()
                    .filter(unexplained)
                    .for_each(|of| of.told = place);
                return Some((Crowd::Within(window, count, rare), since));
            }
        }
        None
    }

    /// Takes out what began since a second.
    fn told(&mut self, since: u64) -> Vec<Begun> {
        let first = self.recent.partition_point(|begun| begun.at / SECOND < since);
        self.recent.drain(first..).collect()
    }

    fn flapping(&mut self, at: Nanos, target: u32) -> Option<(Crowd, Vec<Begun>)> {
        let minute = at / (60 * SECOND);
        let (of, count) = self.minutes.entry(target).or_default();
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        let count = *count;
        if count < 3 {
            return None;
        }
        let seen = self.seen.get(&target).copied().unwrap_or(0);
        let (baseline, targets) = (self.baseline, self.targets);
        let rare = *self
            .rare_flapping
            .entry(seen)
            .or_insert_with(|| rare_flapping(seen, baseline, targets));
        (count >= rare).then(|| (Crowd::Flapping(count, rare), vec![Begun { at, target }]))
    }

    /// The operator knows: only what is new counts from here on.
    pub(crate) fn forget(&mut self) {
        self.seconds.clear();
        self.recent.clear();
        self.minutes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan() -> Scan {
        Scan::new(&Noise::new(30 * SECOND, &[], 0), HashMap::new(), 30 * SECOND, 100)
    }

    #[test]
    fn a_crowd_is_found_told_once_and_forgotten() {
        let mut scan = scan();
        let told: Vec<_> = (0..20)
            .filter_map(|target| scan.begun(100 * SECOND + u64::from(target), target))
            .collect();
        let all: Vec<u32> = told
            .iter()
            .flat_map(|(_, begun)| begun.iter().map(|b| b.target))
            .collect();
        assert_eq!(all, (0..20).collect::<Vec<_>>(), "each once");
        assert!(
            matches!(told[0].0, Crowd::Within(1, count, rare) if count == rare && (3..8).contains(&rare)),
            "{told:?}"
        );
        scan.forget();
        assert_eq!(scan.begun(101 * SECOND, 1), None);
    }

    #[test]
    fn one_target_that_flaps_is_found() {
        let mut scan = Scan::new(&Noise::new(30 * SECOND, &[], 0), HashMap::new(), 30 * SECOND, 100);
        scan.rare_crowds = [u64::MAX; 3];
        let found = (0..50).find_map(|n| scan.begun(120 * SECOND + n * SECOND, 3));
        assert!(matches!(found, Some((Crowd::Flapping(10..30, _), _))), "{found:?}");
    }
}
