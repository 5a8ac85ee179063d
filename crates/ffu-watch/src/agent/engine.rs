//! What both engines share: where they put what they saw, when they end, how targets are put into lanes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ffu_model::watch::{Nanos, Notice};

use super::lane::{Lane, Member};
use super::task::{AgentTarget, AgentTask};
use crate::{Entry, clock};

/// The shortest sleep between two passes: what bundles probes into batches.
const QUANTUM: Nanos = 1_000_000;

/// The longest.
const NAP: Nanos = 20_000_000;

/// A prober of some kinds of targets, on a thread of its own.
pub(super) trait Engine: Send {
    /// Probes until it is stopped.
    fn run(self, shared: &Shared);
}

/// What the threads of an agent share.
#[derive(Default)]
pub(super) struct Shared {
    entries: Mutex<Vec<Entry>>,
    stop: AtomicBool,
}

impl Shared {
    /// Hands over what was seen; `out` is empty afterwards.
    pub fn give(&self, out: &mut Vec<Entry>) {
        if !out.is_empty() {
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).append(out);
        }
    }

    /// Takes what was handed over.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends everything.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether all is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The lanes of one engine: lanes, the slots of each lane's places, and the engine's targets with lane and place.
type Lanes<'a> = (Vec<Lane>, Vec<Vec<u32>>, Vec<(&'a AgentTarget, u32, u32)>);

/// Puts the targets that are an engine's into lanes, one an interval.
pub(super) fn lanes(task: &AgentTask, start: Nanos, mine: fn(&AgentTarget) -> bool) -> Lanes<'_> {
    let mut by_interval: BTreeMap<u32, (Vec<Member>, Vec<u32>)> = BTreeMap::new();
    let mut targets = Vec::new();
    for target in task.targets.iter().filter(|target| mine(target)) {
        let (members, slots) = by_interval.entry(task.interval_ms(target)).or_default();
        slots.push(targets.len() as u32);
        targets.push((target, task.interval_ms(target), members.len() as u32));
        members.push(Member::new(target.index, target.first_seq));
    }
    let numbers: BTreeMap<u32, u32> = by_interval
        .keys()
        .zip(0..)
        .map(|(interval, number)| (*interval, number))
        .collect();
    for (_, lane, _) in &mut targets {
        *lane = numbers[lane];
    }
    let ms = |value: u32| u64::from(value) * 1_000_000;
    let (mut lanes, mut slots_of) = (Vec::new(), Vec::new());
    for (interval, (members, slots)) in by_interval {
        lanes.push(Lane::new(ms(interval), ms(task.timeout_ms), start, members));
        slots_of.push(slots);
    }
    (lanes, slots_of, targets)
}

/// The notice of an own stall.
pub(super) fn stalled(vantage: &str, from: Nanos, to: Nanos) -> Entry {
    Entry::Notice(Notice::Stalled {
        vantage: vantage.to_owned(),
        from,
        to,
    })
}

/// How long an engine may sleep after a pass that began at `now`, when the next probe is due at `due`.
pub(super) fn nap(now: Nanos, due: Option<Nanos>) -> Duration {
    let wake = due.unwrap_or(Nanos::MAX).clamp(now + QUANTUM, now + NAP);
    Duration::from_nanos(wake.saturating_sub(clock::now()))
}

/// Sleeps for that long.
pub(super) fn rest(now: Nanos, due: Option<Nanos>) {
    std::thread::sleep(nap(now, due));
}
