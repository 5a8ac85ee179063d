//! What the watch has seen, added up as it goes: entries in, snapshots, breaches and a verdict out. Pure: no clock is read, so
//! that a record that is read again (`replay`) gives what the watch gave.
//!
//! How order is made of what arrives: fates of one target are put in order by a small window (`order`), so that its outage
//! machine (`track`) sees them by number. What that machine finds is held for the timeout and half a second more, sorted by time,
//! and only then charged to steps, timelines and budgets. The order of arrival therefore changes nothing, as long as
//! no fate is later than that. Settled time is called *swept* here.
//!
//! What counts: a target counts from its first answered probe. One that has none when the baseline ends (at least
//! [`SETTLING`] after the watch began) is set aside: it is shown, and counts nowhere.

mod groups;
mod histogram;
mod identities;
mod order;
mod remarks;
mod snapshot;
mod steps;
mod sweep;
mod timeline;
mod track;

use std::collections::HashMap;

use ffu_model::watch::{Fate, Nanos, Notice, Outcome, Targets, Verdict, WatchState};

use crate::Entry;
use crate::judge::Judge;
use groups::Groups;
use identities::Identities;
use order::{Turn, Window};
use remarks::Remarks;
use steps::Steps;
use timeline::Timeline;
use track::Track;
pub(crate) use track::{Event, Kind};

/// A target has at least this long for its first answer.
pub const SETTLING: Nanos = 5_000_000_000;
/// After the timeout, fates have this long to come home.
const TRAVEL: Nanos = 500_000_000;
/// Sweeping more often than this brings nothing.
const PACE: Nanos = 50_000_000;
/// After a stall of its prober a fate may come so much later than usual: what is unanswered is held for a while, and what was not
/// sent is told at once.
const PATIENCE: Nanos = 1_500_000_000;
/// A fate that has not come when the vantage point is silent for so long will not come.
const GIVEN_UP: Nanos = 10_000_000_000;
const STRETCHES: usize = 600;
const OUTAGES_KEPT: usize = 100;
/// Outages kept over all targets: 32 bytes each.
const ALL_OUTAGES_KEPT: usize = 1_000_000;

/// What the watch has seen so far.
#[derive(Clone, Debug)]
pub struct Tally {
    targets: Targets,
    began: Nanos,
    run: Option<String>,
    timeout: Nanos,
    /// A target has so long for its first answer, [`SETTLING`] at least: those that are probed seldom have two probes for it.
    settling: Nanos,
    keep: usize,
    /// The latest instant that anything told of.
    clock: Nanos,
    /// Everything before this was charged.
    swept: Nanos,
    tracks: Vec<Track>,
    windows: Vec<Window>,
    caps: Vec<u16>,
    vantage: Vec<u16>,
    /// The latest instant told by each vantage point.
    vantage_clock: Vec<Nanos>,
    /// By name: until when its fates may be late because its prober stood still.
    patience: HashMap<String, Nanos>,
    /// Targets whose window holds something.
    blocked: Vec<u32>,
    turns: Vec<Turn>,
    pending: Vec<Event>,
    settled: bool,
    /// Vantage points at which nothing answers were told.
    unheard_told: bool,
    identities: Identities,
    lost: u64,
    groups: Groups,
    timeline: Timeline,
    steps: Steps,
    judge: Judge,
    remarks: Remarks,
}

impl Tally {
    /// Nothing seen yet. `began`: when the watch began; `run`: the run that it watches.
    pub fn new(targets: Targets, began: Nanos, run: Option<String>) -> Self {
        let timeout = u64::from(targets.timeout_ms) * 1_000_000;
        let count = targets.targets.len();
        let mut vantages: HashMap<&str, u16> = HashMap::new();
        let (mut tracks, mut caps, mut vantage) = (Vec::new(), Vec::new(), Vec::new());
        for target in &targets.targets {
            let interval = u64::from(target.interval_ms.unwrap_or(targets.interval_ms).max(1)) * 1_000_000;
            tracks.push(Track::new(interval));
            caps.push(u16::try_from(((2 * timeout + 2 * PATIENCE) / interval + 32).min(4096)).unwrap_or(4096));
            let next = u16::try_from(vantages.len()).unwrap_or(u16::MAX);
            vantage.push(*vantages.entry(&target.vantage).or_insert(next));
        }
        let vantage_clock = vec![began; vantages.len()];
        let longest = tracks.iter().map(|track| track.interval).max().unwrap_or(0);
        Tally {
            timeout,
            settling: SETTLING.max(2 * longest + timeout),
            keep: (ALL_OUTAGES_KEPT / count.max(1)).clamp(4, OUTAGES_KEPT),
            clock: began,
            swept: began,
            windows: vec![Window::default(); count],
            tracks,
            caps,
            vantage,
            vantage_clock,
            patience: HashMap::new(),
            blocked: Vec::new(),
            turns: Vec::new(),
            pending: Vec::new(),
            settled: false,
            unheard_told: false,
            identities: Identities::default(),
            lost: 0,
            groups: Groups::new(&targets.targets, began),
            timeline: Timeline::new(began, STRETCHES),
            steps: Steps::default(),
            judge: Judge::new(&targets, began),
            remarks: Remarks::default(),
            targets,
            began,
            run,
        }
    }

    /// Takes what was seen. Entries that name targets the file does not have are counted and left out.
    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Fate(fate) => self.take_fate(fate),
            Entry::Notice(notice) => self.take_notice(notice),
        }
        if self.clock >= self.swept.saturating_add(self.lag() + PACE) {
            self.sweep();
        }
    }

    /// It is `now`: what has not come until now is judged to be late. Call it every tenth of a second or so.
    pub fn advance(&mut self, now: Nanos) {
        self.clock = self.clock.max(now);
        self.sweep();
    }

    /// The latest instant that an entry, or [`Tally::advance`], told of.
    pub fn clock(&self) -> Nanos {
        self.clock
    }

    /// The wall clock at an instant, nanoseconds since 1970, if a [`Notice::Clock`] was seen.
    pub fn wall(&self, at: Nanos) -> Option<i64> {
        self.remarks.wall(at)
    }

    /// What a target's workload last said of itself.
    pub fn identity(&self, target: u32, kind: &str) -> Option<&str> {
        self.identities.of(target, kind)
    }

    /// What is watched.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The operator says at an instant that the run may go on in spite of a breach. False if there is no breach of that number.
    pub fn acknowledge(&mut self, number: u32, at: Nanos) -> bool {
        self.judge.acknowledge(number, at)
    }

    /// What the engine is to do.
    pub fn verdict(&self) -> Verdict {
        self.judge.verdict()
    }

    /// What the engine reads. `pid`: the watch's process; `now`: when it is written.
    pub fn state(&self, pid: u32, now: Nanos) -> WatchState {
        let mut breaches = self.judge.breaches(|instant| self.steps.at(instant));
        breaches.retain(|breach| !breach.acknowledged);
        WatchState {
            pid,
            at: now,
            baseline_done: self.judge.baseline().is_some(),
            verdict: self.verdict(),
            lost: self.lost,
            breaches,
        }
    }

    /// What is noted now is judged after this.
    pub fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.lag() + PACE)
    }

    fn lag(&self) -> Nanos {
        self.timeout + TRAVEL
    }

    fn take_fate(&mut self, fate: &Fate) {
        let place = fate.target as usize;
        let Some(window) = self.windows.get_mut(place) else {
            self.remarks.unknown_targets += 1;
            return;
        };
        self.clock = self.clock.max(fate.sent);
        let of = &mut self.vantage_clock[usize::from(self.vantage[place])];
        *of = fate.sent.max(*of);
        let was_held = window.waiting_since().is_some();
        let in_time = window.put(fate.into(), usize::from(self.caps[place]), &mut self.turns);
        self.remarks.late += u64::from(!in_time);
        if !was_held && window.waiting_since().is_some() {
            self.blocked.push(fate.target);
        }
        self.see(fate.target);
    }

    /// What has its turn goes to the target's outage machine.
    fn see(&mut self, target: u32) {
        let mut turns = std::mem::take(&mut self.turns);
        let settling_end = self.settling_end();
        for (held, gap) in turns.drain(..) {
            let track = &mut self.tracks[target as usize];
            let is_first = track.first_answer.is_none();
            let event = track.see(target, held, gap, self.keep);
            if is_first && track.first_answer.is_some() {
                // Late for the set-aside decision, or known only after it though sent before it.
                track.aside = held.sent >= settling_end;
            }
            let track = &self.tracks[target as usize];
            if !track.counts() {
                continue;
            }
            self.pending.extend(event);
            let lost = match held.outcome {
                Outcome::Unsent => continue,
                Outcome::Lost => true,
                Outcome::Answered { .. } => false,
            };
            self.lost += u64::from(lost);
            self.timeline.count(held.sent, lost);
            self.groups.each(target, |timeline| timeline.count(held.sent, lost));
            self.judge.count(held.sent, lost);
        }
        self.turns = turns;
    }

    fn settling_end(&self) -> Nanos {
        self.judge.baseline_end().max(self.began.saturating_add(self.settling))
    }

    fn take_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Stalled { vantage, from, to } => {
                self.clock = self.clock.max(*to);
                self.remarks.stalled(vantage, *from, *to);
                if self.targets.targets.iter().any(|target| target.vantage == *vantage) {
                    let until = self.patience.entry(vantage.clone()).or_default();
                    *until = to.saturating_add(PATIENCE).max(*until);
                }
            }
            Notice::Blind { vantage, from, to, why } => {
                self.clock = self.clock.max(to.unwrap_or(*from));
                self.remarks.blind(vantage, *from, *to, why);
                self.release(|tally, target, _| tally.targets.targets[target as usize].vantage == *vantage);
            }
            Notice::Duplicate { target, at } => self.with(*target, *at, |track| track.duplicates += 1),
            Notice::Reordered { target, at } => self.with(*target, *at, |track| track.reordered += 1),
            Notice::StreamBroke { target, at, .. } => {
                self.with(*target, *at, |track| track.streams += 1);
                self.note(*target, *at, Kind::Broke);
            }
            Notice::Identity {
                target,
                kind,
                value,
                at,
                explained,
            } => {
                self.with(*target, *at, |_| {});
                if let Some(track) = self.tracks.get_mut(*target as usize)
                    && self.identities.take(*target, kind, value, *at, explained.as_deref())
                {
                    track.restarts += 1;
                    self.note(*target, *at, Kind::Restart);
                }
            }
            // If it answers before the settling time is over, it counts all the same.
            Notice::SetAside { target } => self.with(*target, 0, |track| track.aside |= track.first_answer.is_none()),
            Notice::Clock { at, wall } => {
                self.clock = self.clock.max(*at);
                self.remarks.clock(*at, *wall);
            }
            Notice::Acknowledged { number, at } => {
                // What was known by then is known, live and in a replay.
                self.advance(*at);
                let open = self.judge.breaches(|_| Vec::new());
                for breach in open.iter().filter(|breach| breach.number <= *number) {
                    self.acknowledge(breach.number, *at);
                }
            }
            Notice::Step(mark) => {
                // The journal's clock is not ours: it does not say what time it is.
                if mark.phase == "freeze" {
                    self.judge.freeze(mark.begin);
                }
                self.steps.take(mark);
            }
        }
    }

    fn with(&mut self, target: u32, at: Nanos, change: impl FnOnce(&mut Track)) {
        self.clock = self.clock.max(at);
        match self.tracks.get_mut(target as usize) {
            Some(track) => change(track),
            None => self.remarks.unknown_targets += 1,
        }
    }

    fn note(&mut self, target: u32, at: Nanos, kind: Kind) {
        if self.tracks.get(target as usize).is_some_and(|track| !track.aside) {
            self.pending.push(Event { at, kind, target });
        }
    }
}

#[cfg(test)]
#[path = "tally/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "tally/anything_tests.rs"]
mod anything;
