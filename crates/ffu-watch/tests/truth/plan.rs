//! Which guest is out when: planned from a seed, carried out on the clock of the watch.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use ffu_model::watch::Nanos;

use crate::common::{MS, now};
use crate::net::Segment;

/// Between two outages of a guest a 10 Hz target is answered at least twice.
const APART: u64 = 350;

/// An outage that is planned, in milliseconds from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub guest: usize,
    pub from: u64,
    pub to: u64,
}

/// An outage that was made: when its begin and its end were, each between two instants.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub guest: usize,
    /// As it was planned, in milliseconds.
    pub planned: u64,
    pub begin: (Nanos, Nanos),
    pub end: (Nanos, Nanos),
}

/// Random numbers, the same for the same seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Single outages of these lengths at random times, and between them sets in which all guests go at once; in some sets a few guests
/// are out already and stay out longer.
pub fn plan(seed: u64, guests: usize, total: u64, lengths: &[u64], sets: &[(u64, u64)]) -> Vec<Planned> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    for guest in 0..guests {
        let mut mine: Vec<(u64, u64)> = sets.iter().map(|(from, length)| (*from, from + length)).collect();
        if guest % 5 == 0 {
            // Two outages that overlap are one.
            for (from, to) in mine.iter_mut().filter(|(from, to)| to - from >= 500) {
                (*from, *to) = (*from - 130, *to + 270);
            }
        }
        let mut at = random.below(1000);
        // Every guest takes the lengths from another one on, so that each is there often.
        for turn in guest.. {
            let length = lengths[turn % lengths.len()];
            if let Some((_, until)) = mine
                .iter()
                .find(|(from, to)| at < to + APART && *from < at + length + APART)
            {
                at = until + APART + random.below(300);
                if at + length > total {
                    break;
                }
                continue;
            }
            if at + length > total {
                break;
            }
            mine.push((at, at + length));
            at += length + APART + random.below(400);
        }
        all.extend(mine.into_iter().map(|(from, to)| Planned { guest, from, to }));
    }
    all
}

/// Makes the outages; `start` is the plan's 0. When this thread is late itself, what follows of that guest moves on, so that lengths
/// and the time between two outages stay at least what was planned.
pub fn carry_out(segment: &Segment, planned: &[Planned], start: Nanos) -> Vec<Truth> {
    // This thread's priority alone: on a busy machine it should be in time. Without root it is late more often.
    let _ = rustix::process::setpriority_process(None, -10);
    let last = planned.iter().map(|one| start + one.to * MS).max().unwrap_or(start);
    let mut mine: BTreeMap<usize, VecDeque<Planned>> = BTreeMap::new();
    for one in planned {
        mine.entry(one.guest).or_default().push_back(*one);
    }
    let mut turns = BinaryHeap::new();
    for (guest, all) in &mut mine {
        all.make_contiguous().sort_by_key(|one| one.from);
        turns.extend(all.front().map(|one| Reverse((start + one.from * MS, *guest, true))));
    }
    let (mut begun, mut truth) = (BTreeMap::new(), Vec::new());
    while let Some(Reverse((at, guest, begin))) = turns.pop() {
        std::thread::sleep(Duration::from_nanos(at.saturating_sub(now())));
        let left = mine.get_mut(&guest).expect("a guest");
        let Some(one) = left.front().copied() else { continue };
        let length = one.to - one.from;
        if begin && now() + length * MS > last + 500 * MS {
            continue;
        }
        let instants = segment.swallow(guest, begin);
        if begin {
            begun.insert(guest, instants);
            turns.push(Reverse((instants.1 + length * MS, guest, false)));
            continue;
        }
        left.pop_front();
        truth.push(Truth {
            guest,
            planned: length,
            begin: begun[&guest],
            end: instants,
        });
        let next = left
            .front()
            .map(|next| (start + next.from * MS).max(instants.1 + APART * MS));
        turns.extend(next.map(|at| Reverse((at, guest, true))));
    }
    truth
}

#[test]
fn planned_outages_of_one_guest_are_apart_and_of_every_length() {
    let lengths = [20, 50, 100, 200, 500, 1000, 3000];
    let planned = plan(7, 20, 30_000, &lengths, &[(3000, 200), (12_000, 1000)]);
    for guest in 0..20 {
        let mut mine: Vec<Planned> = planned.iter().filter(|one| one.guest == guest).copied().collect();
        mine.sort_by_key(|one| one.from);
        assert!(
            mine.len() > 5 && mine.windows(2).all(|two| two[0].to + APART <= two[1].from),
            "{mine:?}"
        );
    }
    for length in lengths {
        assert!(
            planned.iter().filter(|one| one.to - one.from == length).count() >= 10,
            "{length}"
        );
    }
}
