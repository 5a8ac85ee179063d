//! When each probe is due and what became of it: pure, without sockets.
//!
//! A lane holds all targets with one interval. They are probed round and round, spread evenly over the interval, so one counter says
//! which target, which sequence number and which instant is meant: no timer a target, no allocation a probe. What is pending is a ring
//! of 8 bytes a probe, in the order of sending, from which timeouts are taken at the front.

use std::collections::VecDeque;

use ffu_model::watch::{Fate, Nanos, Notice, Outcome};

use crate::Entry;

/// A target in a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// Its place in the targets file.
    pub index: u32,
    /// The number of its first probe.
    pub first_seq: u32,
    /// Cycles answered so far: the highest answered cycle and 1.
    newest: u32,
}

impl Member {
    pub(crate) fn new(index: u32, first_seq: u32) -> Member {
        Member {
            index,
            first_seq,
            newest: 0,
        }
    }
}

/// One probe that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Counts the lane's probes.
    pub counter: u64,
    /// The target's place in the lane.
    pub place: u32,
    /// The probe's number.
    pub seq: u32,
    /// When it is due.
    pub due: Nanos,
}

/// From when until when the prober's own trouble reaches; all 0 if there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Answers to probes sent before this are blurred.
    pub blurred: Nanos,
    /// Probes sent before this that stay without answer say nothing.
    pub doubted: Nanos,
    /// Nothing times out before this.
    pub hold: Nanos,
}

/// The upper bits of a slot say what is known, the lower ones when it was sent: 2^62 ns are 146 years of boot time.
const TIME: u64 = (1 << 62) - 1;
const PENDING: u64 = 0;
const ANSWERED: u64 = 1 << 62;
const OVER: u64 = 2 << 62;

/// An answer that came so long before its probe was sent, in nanoseconds, tells that the latter was dated too late.
const MISDATED: Nanos = 100_000;

/// All targets with one interval.
#[derive(Debug)]
pub(crate) struct Lane {
    interval: Nanos,
    timeout: Nanos,
    start: Nanos,
    members: Vec<Member>,
    next: u64,
    tail: u64,
    ring: VecDeque<u64>,
}

impl Lane {
    /// `members` must not be empty, `interval` not 0.
    pub(crate) fn new(interval: Nanos, timeout: Nanos, start: Nanos, members: Vec<Member>) -> Lane {
        debug_assert!(!members.is_empty() && interval > 0);
        Lane {
            interval: interval.max(1),
            timeout,
            start,
            members,
            next: 0,
            tail: 0,
            ring: VecDeque::new(),
        }
    }

    fn count(&self) -> u64 {
        (self.members.len() as u64).max(1)
    }

    /// How late a probe may be sent; later ones are skipped.
    fn late(&self) -> Nanos {
        (self.interval / 2).max(20_000_000)
    }

    fn due_at(&self, counter: u64) -> Nanos {
        let (cycle, place) = (counter / self.count(), counter % self.count());
        // An interval is 6e10 and a lane 1e6 at most: no overflow.
        self.start + cycle * self.interval + place * self.interval / self.count()
    }

    /// When the next probe is due.
    pub(crate) fn due(&self) -> Nanos {
        self.due_at(self.next)
    }

    /// The next probe that is due; ones that are too late to be sent are told as unsent first. Whoever takes a tick must say that it
    /// was sent or not before the next [`Lane::expire`].
    pub(crate) fn take(&mut self, now: Nanos, out: &mut Vec<Entry>) -> Option<Tick> {
        self.skip(now, out);
        let due = self.due();
        if due > now {
            return None;
        }
        let counter = self.next;
        self.next += 1;
        self.ring.push_back(PENDING | (due & TIME));
        Some(Tick {
            counter,
            place: (counter % self.count()) as u32,
            seq: self.seq(counter),
            due,
        })
    }

    /// Tells probes that are too late as unsent.
    pub(crate) fn skip(&mut self, now: Nanos, out: &mut Vec<Entry>) {
        while self.misses(now) {
            let (counter, due) = (self.next, self.due());
            self.next += 1;
            self.ring.push_back(OVER | (due & TIME));
            self.tell(counter, due, Outcome::Unsent, out);
        }
    }

    /// Whether the next probe is so late that it will be skipped.
    pub(crate) fn misses(&self, now: Nanos) -> bool {
        self.due() + self.late() < now
    }

    fn seq(&self, counter: u64) -> u32 {
        let member = &self.members[(counter % self.count()) as usize];
        member.first_seq.wrapping_add((counter / self.count()) as u32)
    }

    fn tell(&self, counter: u64, sent: Nanos, outcome: Outcome, out: &mut Vec<Entry>) {
        let target = self.members[(counter % self.count()) as usize].index;
        out.push(Entry::Fate(Fate {
            target,
            seq: self.seq(counter),
            sent,
            outcome,
        }));
    }

    fn slot(&mut self, counter: u64) -> Option<&mut u64> {
        self.ring
            .get_mut(usize::try_from(counter.checked_sub(self.tail)?).ok()?)
    }

    /// The probe was sent at this time, in whole microseconds.
    pub(crate) fn sent(&mut self, counter: u64, at: Nanos) {
        if let Some(slot) = self.slot(counter) {
            *slot = (*slot & !TIME) | ((at / 1000 * 1000) & TIME);
        }
    }

    /// The probe is settled without an answer.
    fn settle(&mut self, counter: u64, outcome: Outcome, out: &mut Vec<Entry>) {
        let Some(slot) = self.slot(counter).filter(|slot| **slot & !TIME == PENDING) else {
            return;
        };
        let sent = *slot & TIME;
        *slot = OVER | sent;
        self.tell(counter, sent, outcome, out);
    }

    /// The probe could not be sent.
    pub(crate) fn unsent(&mut self, counter: u64, out: &mut Vec<Entry>) {
        self.settle(counter, Outcome::Unsent, out);
    }

    /// An answer says no.
    pub(crate) fn lost(&mut self, counter: u64, out: &mut Vec<Entry>) {
        self.settle(counter, Outcome::Lost, out);
    }

    /// The counter of a target's probe, if it can still be pending.
    pub(crate) fn counter(&self, place: u32, seq: u32) -> Option<u64> {
        let member = self.members.get(place as usize)?;
        let cycle = u64::from(seq.wrapping_sub(member.first_seq));
        let counter = cycle * self.count() + u64::from(place);
        (counter >= self.tail && counter < self.next).then_some(counter)
    }

    /// The newest probe of a target that was taken.
    pub(crate) fn newest(&self, place: u32) -> Option<u64> {
        let place = u64::from(place);
        let cycle = self.next.checked_sub(place + 1)? / self.count();
        let counter = cycle * self.count() + place;
        (counter >= self.tail).then_some(counter)
    }

    /// An answer came at this time. `duplicates`: a second one is told.
    pub(crate) fn answer(&mut self, counter: u64, at: Nanos, trouble: Trouble, duplicates: bool, out: &mut Vec<Entry>) {
        let timeout = self.timeout;
        let Some(slot) = self.slot(counter) else { return };
        let sent = *slot & TIME;
        let target = self.members[(counter % self.count()) as usize].index;
        match self.slot(counter).map(|slot| *slot & !TIME) {
            Some(PENDING) => {
                // The prober stood still in the call that sent a batch: it was sent before its answer came, whatever was taken down.
                let misdated = at + MISDATED < sent;
                let sent = if misdated { at / 1000 * 1000 } else { sent };
                let (rtt, blurred) = (at.saturating_sub(sent).max(1000), misdated || sent < trouble.blurred);
                if rtt > timeout && !blurred {
                    return; // It is lost, as soon as it is looked at.
                }
                if let Some(slot) = self.slot(counter) {
                    *slot = ANSWERED | sent;
                }
                self.tell(counter, sent, Outcome::Answered { rtt, blurred }, out);
                let cycle = (counter / self.count()) as u32;
                let place = (counter % self.count()) as usize;
                let newest = &mut self.members[place].newest;
                if cycle < *newest {
                    out.push(Entry::Notice(Notice::Reordered { target, at }));
                } else {
                    *newest = cycle.saturating_add(1);
                }
            }
            Some(ANSWERED) if duplicates => out.push(Entry::Notice(Notice::Duplicate { target, at })),
            _ => {}
        }
    }

    /// Every pending probe of one target is lost.
    pub(crate) fn lost_all(&mut self, place: u32, out: &mut Vec<Entry>) {
        let mut counter = self.newest(place);
        while let Some(pending) = counter.filter(|pending| *pending >= self.tail) {
            self.lost(pending, out);
            counter = pending.checked_sub(self.count());
        }
    }

    /// Settles what has waited for the timeout. Everything that had arrived by `now` must have been told before.
    pub(crate) fn expire(&mut self, now: Nanos, trouble: Trouble, out: &mut Vec<Entry>) {
        if now < trouble.hold {
            return;
        }
        while let Some(slot) = self
            .ring
            .front()
            .copied()
            .filter(|slot| (slot & TIME) + self.timeout < now)
        {
            let sent = slot & TIME;
            if slot & !TIME == PENDING {
                let outcome = if sent < trouble.doubted {
                    Outcome::Unsent
                } else {
                    Outcome::Lost
                };
                self.tell(self.tail, sent, outcome, out);
            }
            self.ring.pop_front();
            self.tail += 1;
        }
        if self.ring.capacity() > 4096 && self.ring.len() < self.ring.capacity() / 8 {
            self.ring.shrink_to(self.ring.capacity() / 4);
        }
    }

    /// At the end: what is pending was sent, but nobody waits for its answer any more.
    pub(crate) fn close(&mut self, out: &mut Vec<Entry>) {
        while let Some(slot) = self.ring.pop_front() {
            if slot & !TIME == PENDING {
                self.tell(self.tail, slot & TIME, Outcome::Unsent, out);
            }
            self.tail += 1;
        }
    }
}

/// Finds the prober's own stalls: two passes of its loop too far apart.
#[derive(Debug)]
pub(crate) struct Pulse {
    last: Nanos,
    /// When the first stall of those that follow close upon each other was over.
    held_since: Nanos,
    /// What follows from the stalls so far.
    pub trouble: Trouble,
}

/// Two passes further apart than this are a stall, in nanoseconds.
pub(crate) const STALL: Nanos = 50_000_000;

/// After a stall nothing times out for as long as it was, but at most this, in nanoseconds.
pub(crate) const HOLD: Nanos = 200_000_000;

/// However many stalls follow close upon each other, nothing is held longer than this, in nanoseconds.
const MAX_HOLD: Nanos = 1_000_000_000;

impl Pulse {
    pub(crate) fn new(now: Nanos) -> Pulse {
        Pulse {
            last: now,
            held_since: now,
            trouble: Trouble::default(),
        }
    }

    /// One pass of the loop begins; `missed`: probes are too late to be sent. A stall is given as from and to.
    pub(crate) fn pass(&mut self, now: Nanos, missed: bool) -> Option<(Nanos, Nanos)> {
        let from = std::mem::replace(&mut self.last, now);
        let gap = now.saturating_sub(from);
        if gap <= STALL && !missed {
            return None;
        }
        self.trouble.blurred = now;
        // The machine may have stood still as a whole: what was on the way gets a moment to come in.
        if from > self.trouble.hold {
            self.held_since = now;
        }
        self.trouble.hold = (now + gap.min(HOLD)).min(self.held_since + MAX_HOLD);
        Some((from, now))
    }

    /// The kernel threw received packets away: what is unanswered now says nothing.
    pub(crate) fn dropped(&mut self, now: Nanos) {
        self.trouble.doubted = now;
    }

    /// When the last pass began.
    pub(crate) fn last(&self) -> Nanos {
        self.last
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
