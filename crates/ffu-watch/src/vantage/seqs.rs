//! Which of a target's probes have a fate, so that numbers go on without gaps when an agent has died.

use std::collections::VecDeque;

/// More undecided probes than this are not kept apart: an agent that skips so many is not to be believed.
const MOST: u32 = 1 << 16;

/// One target's numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Seqs {
    /// The lowest that has no fate.
    next: u32,
    /// Whether the ones from `next` on have one; the last is always true.
    above: VecDeque<bool>,
}

impl Seqs {
    /// A fate came; whether it is to be believed: the first for its number, and none far off.
    pub fn decide(&mut self, seq: u32) -> bool {
        let Some(place) = seq.checked_sub(self.next).filter(|place| *place < MOST) else {
            return false;
        };
        let place = place as usize;
        if self.above.len() <= place {
            self.above.resize(place + 1, false);
        }
        let new = !std::mem::replace(&mut self.above[place], true);
        while self.above.front() == Some(&true) {
            self.above.pop_front();
            self.next += 1;
        }
        if self.above.is_empty() && self.above.capacity() > 64 {
            self.above = VecDeque::new();
        }
        new
    }

    /// The agent is gone: its undecided probes below the highest that was told, which will never be decided.
    pub fn abandon(&mut self) -> Vec<u32> {
        let open = self
            .above
            .iter()
            .zip(self.next..)
            .filter(|(done, _)| !**done)
            .map(|(_, seq)| seq)
            .collect();
        self.next += self.above.len() as u32;
        self.above = VecDeque::new();
        open
    }

    /// The number of the next probe.
    pub fn next(&self) -> u32 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_without_gaps() {
        let mut seqs = Seqs::default();
        assert!([0, 1, 4, 3].iter().all(|seq| seqs.decide(*seq)));
        assert!(
            !seqs.decide(0) && !seqs.decide(4) && !seqs.decide(1 << 20),
            "again, again, far off"
        );
        assert_eq!((seqs.next(), seqs.abandon(), seqs.next()), (2, vec![2], 5));
        assert!(seqs.decide(5));
        assert_eq!((seqs.abandon(), seqs.next()), (vec![], 6));
    }
}
