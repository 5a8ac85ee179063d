//! What went wrong with the watch itself, in few words whatever the number.

use std::collections::{BTreeMap, VecDeque};

use ffu_model::watch::Nanos;

use crate::judge::span;

/// Stretches of time that are remembered, a vantage point.
const MOST: usize = 1000;
/// Blind times that are told one by one.
const TOLD: usize = 20;
const CLOCK_STEP: i64 = 500_000_000;

/// When a vantage point saw nothing, and why.
#[derive(Clone, Debug, Default)]
struct Unseen {
    /// By begin; `Nanos::MAX` while it lasts.
    spans: VecDeque<(Nanos, Nanos)>,
    stalls: u64,
    stalled: Nanos,
    longest_stall: Nanos,
}

/// What went wrong with the watch itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remarks {
    unseen: BTreeMap<String, Unseen>,
    blind: VecDeque<(String, Nanos, Option<Nanos>, String)>,
    blind_before: u64,
    /// Fates that came after their turn, or twice.
    pub late: u64,
    /// Entries that name a target that is not in the file.
    pub unknown_targets: u64,
    clock: Option<(Nanos, i64)>,
    steps: VecDeque<(Nanos, i64)>,
}

impl Remarks {
    pub(crate) fn stalled(&mut self, vantage: &str, from: Nanos, to: Nanos) {
        let unseen = self.unseen.entry(vantage.to_owned()).or_default();
        let length = to.saturating_sub(from);
        unseen.stalls += 1;
        unseen.stalled = unseen.stalled.saturating_add(length);
        unseen.longest_stall = unseen.longest_stall.max(length);
        remember(&mut unseen.spans, from, to);
    }

    pub(crate) fn blind(&mut self, vantage: &str, from: Nanos, to: Option<Nanos>, why: &str) {
        let unseen = self.unseen.entry(vantage.to_owned()).or_default();
        // One that lasts is replaced when its end is known.
        let lasting = unseen
            .spans
            .iter_mut()
            .rev()
            .find(|(begin, end)| *begin <= from && *end == Nanos::MAX);
        match (lasting, to) {
            (Some(lasting), Some(to)) => lasting.1 = to.max(lasting.0),
            (_, to) => remember(&mut unseen.spans, from, to.unwrap_or(Nanos::MAX)),
        }
        if let Some(lasting) = self
            .blind
            .iter_mut()
            .rev()
            .find(|(of, begin, ..)| of == vantage && *begin == from)
        {
            lasting.2 = to;
            return;
        }
        if self.blind.len() >= TOLD {
            self.blind.pop_front();
            self.blind_before += 1;
        }
        self.blind.push_back((vantage.to_owned(), from, to, why.to_owned()));
    }

    /// Whether a vantage point saw nothing in some part of a stretch.
    pub(crate) fn was_unseen(&self, vantage: &str, from: Nanos, to: Nanos) -> bool {
        let Some(unseen) = self.unseen.get(vantage) else {
            return false;
        };
        let first = unseen.spans.partition_point(|(_, end)| *end <= from);
        unseen.spans.get(first).is_some_and(|(begin, _)| *begin < to)
    }

    /// Boot time and wall clock at one instant.
    pub(crate) fn clock(&mut self, at: Nanos, wall: i64) {
        if let Some((at_before, wall_before)) = self.clock {
            let passed = i64::try_from(at.saturating_sub(at_before)).unwrap_or(i64::MAX);
            let step = wall.saturating_sub(wall_before).saturating_sub(passed);
            if step.saturating_abs() >= CLOCK_STEP {
                if self.steps.len() >= TOLD {
                    self.steps.pop_front();
                }
                self.steps.push_back((at, step));
            }
        }
        self.clock = Some((at, wall));
    }

    /// The wall clock at an instant, nanoseconds since 1970, if it was ever told.
    pub(crate) fn wall(&self, at: Nanos) -> Option<i64> {
        let (then, wall) = self.clock?;
        let signed = |nanos: Nanos| i64::try_from(nanos).unwrap_or(i64::MAX);
        Some(wall.saturating_add(signed(at)).saturating_sub(signed(then)))
    }

    /// In words. Instants are told as time since the watch began.
    pub(crate) fn words(&self, began: Nanos) -> Vec<String> {
        let since = |at: Nanos| span(at.saturating_sub(began));
        let mut words = Vec::new();
        for (vantage, unseen) in self.unseen.iter().filter(|(_, unseen)| unseen.stalls > 0) {
            words.push(format!(
                "the prober at {vantage} stood still {} times, {} in all, the longest {}: nothing is said of this time",
                unseen.stalls,
                span(unseen.stalled),
                span(unseen.longest_stall)
            ));
        }
        for (at, step) in &self.steps {
            let way = if *step > 0 { "forward" } else { "back" };
            words.push(format!(
                "the wall clock was set {way} by {} after {}: no figure is touched",
                span(step.unsigned_abs()),
                since(*at)
            ));
        }
        if self.late > 0 {
            words.push(format!(
                "{} fates came twice, or too late to be put in order, and are left out",
                self.late
            ));
        }
        if self.unknown_targets > 0 {
            words.push(format!(
                "{} entries name targets that the file does not have",
                self.unknown_targets
            ));
        }
        if self.blind_before > 0 {
            words.push(format!(
                "vantage points were blind {} times before those told here",
                self.blind_before
            ));
        }
        for (vantage, from, to, why) in &self.blind {
            let until = to.map_or("and still is".to_owned(), |to| {
                format!("for {}", span(to.saturating_sub(*from)))
            });
            words.push(format!(
                "vantage point {vantage} was blind after {} {until}: {why}",
                since(*from)
            ));
        }
        words
    }
}

/// Keeps stretches sorted and apart.
fn remember(spans: &mut VecDeque<(Nanos, Nanos)>, from: Nanos, to: Nanos) {
    if to < from {
        return;
    }
    let (mut from, mut to) = (from, to);
    let first = spans.partition_point(|(_, end)| *end < from);
    while let Some((begin, end)) = spans.get(first).copied().filter(|(begin, _)| *begin <= to) {
        (from, to) = (from.min(begin), to.max(end));
        spans.remove(first);
    }
    spans.insert(first, (from, to));
    if spans.len() > MOST {
        spans.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn unseen_time_is_found_and_told() {
        let mut remarks = Remarks::default();
        remarks.stalled("here", 10 * SECOND, 11 * SECOND);
        remarks.stalled("here", 5 * SECOND, 6 * SECOND);
        remarks.stalled("here", 9, 3);
        remarks.blind("far", 20 * SECOND, None, "killed");
        assert!(remarks.was_unseen("far", 100 * SECOND, 101 * SECOND));
        remarks.blind("far", 20 * SECOND, Some(30 * SECOND), "killed");
        assert!(!remarks.was_unseen("far", 100 * SECOND, 101 * SECOND));
        assert!(remarks.was_unseen("here", 0, 100 * SECOND) && !remarks.was_unseen("here", 6 * SECOND, 10 * SECOND));
        let words = remarks.words(0);
        assert_eq!(words.len(), 2);
        assert!(words[0].contains("stood still 3 times, 2000 ms in all"), "{words:?}");
        assert_eq!(words[1], "vantage point far was blind after 20.0 s for 10.0 s: killed");
    }

    #[test]
    fn a_thousand_stalls_are_one_remark_and_clock_steps_are_said() {
        let mut remarks = Remarks::default();
        (0..5000).for_each(|n| remarks.stalled("here", n * 10, n * 10 + 5));
        assert_eq!((remarks.words(0).len(), remarks.unseen["here"].spans.len()), (1, MOST));
        remarks.clock(0, 1000);
        remarks.clock(SECOND, 1_000_001_000);
        remarks.clock(2 * SECOND, -7_000_000_000);
        assert!(
            remarks.words(0)[1].starts_with("the wall clock was set back by 9000 ms after 2000 ms"),
            "{:?}",
            remarks.words(0)
        );
        assert_eq!(remarks.wall(3 * SECOND), Some(-6_000_000_000));
        (0..100).for_each(|n| remarks.blind("far", n * 100, Some(n * 100 + 1), "x"));
        assert!(remarks.words(0).len() < 30);
    }
}
