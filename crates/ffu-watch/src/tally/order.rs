//! Fates of one target arrive almost in the order of their numbers: an answered one after its round trip, a lost one after the
//! timeout. They are held back for at most that long, so that the outage machine sees them in order.

use ffu_model::watch::{Fate, Nanos, Outcome};

/// A fate without its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub seq: u32,
    pub sent: Nanos,
    pub outcome: Outcome,
}

impl From<&Fate> for Held {
    fn from(fate: &Fate) -> Self {
        Held {
            seq: fate.seq,
            sent: fate.sent,
            outcome: fate.outcome,
        }
    }
}

/// A fate whose turn it is, and whether some before it never came.
pub(crate) type Turn = (Held, bool);

/// What waits for those before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    next: u32,
    last: Nanos,
    held: Vec<Held>,
}

impl Window {
    /// Takes a fate and appends to `out` those whose turn it is. At most `cap` are held. False if it came too late.
    pub(crate) fn put(&mut self, fate: Held, cap: usize, out: &mut Vec<Turn>) -> bool {
        if fate.seq < self.next {
            // Numbers and times grow together; a low number at a later time means that the prober began to count anew.
            if fate.sent <= self.held.last().map_or(self.last, |held| held.sent) {
                return false;
            }
            self.flush(out);
            self.next = if (fate.seq as usize) < cap { 0 } else { fate.seq };
        }
        if self.held.is_empty() && fate.seq == self.next {
            self.release(fate, false, out);
            return true;
        }
        match self.held.binary_search_by_key(&fate.seq, |held| held.seq) {
            Ok(_) => return false,
            Err(place) => self.held.insert(place, fate),
        }
        if self.held.len() > cap {
            self.skip(out);
        }
        self.follow(out);
        true
    }

    /// When the first that waits was sent.
    pub(crate) fn waiting_since(&self) -> Option<Nanos> {
        self.held.first().map(|held| held.sent)
    }

    /// Gives up those before the first that waits.
    pub(crate) fn skip(&mut self, out: &mut Vec<Turn>) {
        if !self.held.is_empty() {
            let first = self.held.remove(0);
            self.release(first, true, out);
            self.follow(out);
        }
    }

    /// Gives up all that has not come.
    pub(crate) fn flush(&mut self, out: &mut Vec<Turn>) {
        while !self.held.is_empty() {
            self.skip(out);
        }
    }

    fn follow(&mut self, out: &mut Vec<Turn>) {
        let mut count = 0;
        while let Some(held) = self.held.get(count).copied().filter(|held| held.seq == self.next) {
            count += 1;
            self.release(held, false, out);
        }
        self.held.drain(..count);
    }

    fn release(&mut self, held: Held, gap: bool, out: &mut Vec<Turn>) {
        self.next = held.seq.saturating_add(1);
        self.last = held.sent;
        out.push((held, gap));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lost(seq: u32, sent: Nanos) -> Held {
        Held {
            seq,
            sent,
            outcome: Outcome::Lost,
        }
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_comes_out_sorted(keys in prop::collection::vec(0_u32..8, 1..200)) {
            let mut arrival: Vec<u32> = (0..keys.len() as u32).collect();
            arrival.sort_by_key(|seq| seq + keys[*seq as usize]);
            let (mut window, mut out) = (Window::default(), Vec::new());
            for seq in arrival {
                prop_assert!(window.put(lost(seq, u64::from(seq) * 10), 16, &mut out));
            }
            prop_assert_eq!(out, (0..keys.len() as u32).map(|seq| (lost(seq, u64::from(seq) * 10), false)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_gap_that_never_comes_does_not_block() {
        let (mut window, mut out) = (Window::default(), Vec::new());
        (5..9).for_each(|seq| assert!(window.put(lost(seq, u64::from(seq)), 4, &mut out)));
        assert_eq!((out.len(), window.waiting_since()), (0, Some(5)));
        window.put(lost(10, 10), 4, &mut out);
        assert_eq!(
            out.iter().map(|turn| (turn.0.seq, turn.1)).collect::<Vec<_>>(),
            [(5, true), (6, false), (7, false), (8, false)]
        );
        window.flush(&mut out);
        assert_eq!(out.last(), Some(&(lost(10, 10), true)));
        assert!(!window.put(lost(9, 9), 4, &mut out), "too late");
        assert!(
            window.put(lost(11, 11), 4, &mut out) && !window.put(lost(11, 11), 4, &mut out),
            "twice"
        );
    }

    #[test]
    fn a_prober_that_counts_anew_is_followed() {
        let (mut window, mut out) = (Window::default(), Vec::new());
        (0..100).for_each(|seq| assert!(window.put(lost(seq, u64::from(seq)), 16, &mut out)));
        assert!(window.put(lost(1, 1001), 16, &mut out) && window.put(lost(0, 1000), 16, &mut out));
        assert_eq!(
            out[100..].iter().map(|turn| turn.0.sent).collect::<Vec<_>>(),
            [1000, 1001]
        );
        window.put(lost(u32::MAX, 5000), 0, &mut out);
    }
}
