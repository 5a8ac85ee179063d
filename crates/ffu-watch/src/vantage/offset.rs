//! How far the boot-time clock of an agent's host is from ours: from the question whose answer came fastest.

use std::collections::VecDeque;

use ffu_model::watch::{Nanos, Notice};

use crate::Entry;

/// Answers that are remembered; old ones go, because clocks drift.
const KEPT: usize = 16;

/// The distance of two boot-time clocks.
#[derive(Debug, Default)]
pub(super) struct Offset {
    /// Delay and distance of the last answers.
    samples: VecDeque<(Nanos, i64)>,
}

impl Offset {
    /// An answer: asked at `asked` and received at `now` by our clock, answered at `theirs` by theirs.
    pub fn sample(&mut self, asked: Nanos, theirs: Nanos, now: Nanos) {
        let middle = asked + now.saturating_sub(asked) / 2;
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples
            .push_back((now.saturating_sub(asked), theirs.wrapping_sub(middle) as i64));
    }

    /// Theirs less ours in nanoseconds, whole microseconds; `None` before the first answer.
    pub fn nanos(&self) -> Option<i64> {
        self.samples
            .iter()
            .min_by_key(|(delay, _)| *delay)
            .map(|(_, offset)| offset / 1000 * 1000)
    }
}

/// A time of a clock that is `offset` ahead, on our clock.
pub(super) fn ours(time: Nanos, offset: i64) -> Nanos {
    u64::try_from(i128::from(time) - i128::from(offset)).unwrap_or(0)
}

/// An entry of an agent whose clock is `offset` ahead of ours, on our clock.
pub(super) fn convert(entry: &mut Entry, offset: i64) {
    let ours = |time: &mut Nanos| *time = ours(*time, offset);
    match entry {
        Entry::Fate(fate) => ours(&mut fate.sent),
        Entry::Notice(Notice::Stalled { from, to, .. }) => {
            ours(from);
            ours(to);
        }
        Entry::Notice(Notice::Blind { from, to, .. }) => {
            ours(from);
            to.iter_mut().for_each(ours);
        }
        Entry::Notice(
            Notice::Duplicate { at, .. }
            | Notice::Reordered { at, .. }
            | Notice::StreamBroke { at, .. }
            | Notice::Identity { at, .. }
            | Notice::Clock { at, .. },
        ) => ours(at),
        // An agent does not send the others.
        Entry::Notice(Notice::SetAside { .. } | Notice::Acknowledged { .. } | Notice::Step(_)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_answer_counts() {
        let mut offset = Offset::default();
        assert_eq!(offset.nanos(), None);
        offset.sample(1_000_000, 500_000_000, 91_000_000);
        offset.sample(200_000_000, 700_100_000, 200_200_000);
        offset.sample(300_000_000, 900_000_000, 350_000_000);
        assert_eq!(offset.nanos(), Some(500_000_000));
        for asked in 0..16 {
            offset.sample(asked, asked, asked + 1_000_000);
        }
        assert_eq!(offset.nanos(), Some(-500_000), "old answers are forgotten");
        let mut entry = Entry::Notice(Notice::Stalled {
            vantage: "far".into(),
            from: 10,
            to: 500_000_020,
        });
        convert(&mut entry, 500_000_000);
        assert_eq!(
            entry,
            Entry::Notice(Notice::Stalled {
                vantage: "far".into(),
                from: 0,
                to: 20
            })
        );
    }
}
