//! Loss over time in a bounded number of equal stretches: when they are all in use, two become one.

use ffu_model::watch::{Bucket, Nanos};

const SECOND: Nanos = 1_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    probes: u32,
    lost: u32,
    out: u32,
}

/// Loss over time, and how many targets were out at one time.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    began: Nanos,
    cap: usize,
    /// A stretch is 2^shift seconds long.
    shift: u32,
    cells: Vec<Cell>,
    /// Targets out at `swept`, and the cell that it lies in.
    out: u32,
    swept: usize,
}

impl Timeline {
    /// An empty one of at most `cap` stretches.
    pub(crate) fn new(began: Nanos, cap: usize) -> Self {
        Timeline {
            began,
            cap,
            shift: 0,
            cells: Vec::new(),
            out: 0,
            swept: 0,
        }
    }

    /// Counts one probe.
    pub(crate) fn count(&mut self, sent: Nanos, lost: bool) {
        let cell = self.cell(sent);
        let cell = &mut self.cells[cell];
        cell.probes = cell.probes.saturating_add(1);
        cell.lost = cell.lost.saturating_add(u32::from(lost));
    }

    /// One target more (or less) is out from this instant on. Instants come in order.
    pub(crate) fn level(&mut self, at: Nanos, more: bool) {
        self.fill(at);
        self.out = if more { self.out + 1 } else { self.out.saturating_sub(1) };
        let cell = self.cell(at);
        self.cells[cell].out = self.cells[cell].out.max(self.out);
    }

    /// What is known until an instant.
    pub(crate) fn buckets(&self, until: Nanos) -> Vec<Bucket> {
        let mut to = self.clone();
        to.fill(until);
        let from = |index: usize| to.began + ((index as u64) << to.shift) * SECOND;
        let bucket = |(index, cell): (usize, &Cell)| Bucket {
            from: from(index),
            probes: u64::from(cell.probes),
            lost: u64::from(cell.lost),
            out: cell.out,
        };
        to.cells.iter().enumerate().map(bucket).collect()
    }

    /// Carries the number of targets that are out on to an instant.
    fn fill(&mut self, until: Nanos) {
        let until = self.cell(until);
        for cell in &mut self.cells[self.swept.min(until)..=until] {
            cell.out = cell.out.max(self.out);
        }
        self.swept = self.swept.max(until);
    }

    fn cell(&mut self, at: Nanos) -> usize {
        let second = at.saturating_sub(self.began) / SECOND;
        while (second >> self.shift) >= self.cap as u64 {
            self.double();
        }
        let index = usize::try_from(second >> self.shift).unwrap_or(0);
        if index >= self.cells.len() {
            self.cells.resize(index + 1, Cell::default());
        }
        index
    }

    fn double(&mut self) {
        self.shift += 1;
        self.swept /= 2;
        let halved = self.cells.chunks(2).map(|two| Cell {
            probes: two.iter().fold(0, |sum, cell| sum.saturating_add(cell.probes)),
            lost: two.iter().fold(0, |sum, cell| sum.saturating_add(cell.lost)),
            out: two.iter().map(|cell| cell.out).max().unwrap_or(0),
        });
        self.cells = halved.collect();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_when_stretches_double(
            mut sent in prop::collection::vec((0_u64..100_000, any::<bool>()), 1..200),
            began in 0_u64..50,
        ) {
            let mut line = Timeline::new(began * SECOND, 10);
            sent.iter().for_each(|(at, lost)| line.count(at * SECOND, *lost));
            let buckets = line.buckets(0);
            prop_assert!(buckets.len() <= 10);
            prop_assert_eq!(buckets.iter().map(|b| b.probes).sum::<u64>(), sent.len() as u64);
            prop_assert_eq!(buckets.iter().map(|b| b.lost).sum::<u64>(), sent.iter().filter(|s| s.1).count() as u64);
            prop_assert!(buckets.windows(3).all(|w| w[1].from - w[0].from == w[2].from - w[1].from));
            sent.reverse();
            let mut other = Timeline::new(began * SECOND, 10);
            sent.iter().for_each(|(at, lost)| other.count(at * SECOND, *lost));
            prop_assert_eq!(other.buckets(0), buckets);
        }
    }

    #[test]
    fn the_most_at_one_time_is_carried_on() {
        let mut line = Timeline::new(0, 600);
        line.level(SECOND, true);
        line.level(SECOND + 1, true);
        line.level(SECOND + 2, false);
        line.level(4 * SECOND, false);
        line.count(5 * SECOND, false);
        assert_eq!(
            line.buckets(6 * SECOND).iter().map(|b| b.out).collect::<Vec<_>>(),
            [0, 2, 1, 1, 1, 0, 0]
        );
        line.level(0, true);
        line.count(u64::MAX, true);
    }
}
