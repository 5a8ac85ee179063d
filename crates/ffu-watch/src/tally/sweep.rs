//! What is settled is charged, in the order of time: to steps, timelines and budgets.

use std::collections::HashSet;

use ffu_model::watch::Nanos;

use super::{Event, GIVEN_UP, Kind, PATIENCE, Tally};

impl Tally {
    /// Gives up fates that will not come, of blocked targets for which `hopeless` is true (given when the first that waits was
    /// sent).
    pub(super) fn release(&mut self, hopeless: impl Fn(&Tally, u32, Nanos) -> bool) {
        let mut blocked = std::mem::take(&mut self.blocked);
        blocked.retain(|target| {
            let place = *target as usize;
            while self.windows[place]
                .waiting_since()
                .is_some_and(|since| hopeless(self, *target, since))
            {
                self.windows[place].skip(&mut self.turns);
                self.see(*target);
            }
            self.windows[place].waiting_since().is_some()
        });
        self.blocked = blocked;
    }

    /// Charges what is settled.
    pub(super) fn sweep(&mut self) {
        let lag = self.lag();
        self.release(|tally, target, since| {
            let heard = tally.vantage_clock[usize::from(tally.vantage[target as usize])];
            let vantage = &tally.targets.targets[target as usize].vantage;
            let patient = tally.patience.get(vantage).is_some_and(|until| heard < *until);
            since.saturating_add(lag) <= heard && !patient || since.saturating_add(lag + GIVEN_UP) <= tally.clock
        });
        let late = if self.patience.values().any(|until| self.clock < *until) {
            PATIENCE
        } else {
            0
        };
        let until = self.clock.saturating_sub(lag + late).max(self.swept);
        let mut pending = std::mem::take(&mut self.pending);
        let (mut due, later): (Vec<Event>, Vec<Event>) = pending.drain(..).partition(|event| event.at < until);
        self.pending = later;
        due.sort_unstable_by_key(|event| (event.at, event.kind, event.target));
        for event in &due {
            self.pass(event.at);
            self.charge(event);
        }
        self.pass(until);
        self.swept = until;
        self.steps.settle(until);
    }

    /// Everything before this instant was charged.
    fn pass(&mut self, instant: Nanos) {
        if !self.settled && instant >= self.settling_end() {
            self.settled = true;
            for track in &mut self.tracks {
                track.aside |= track.first_answer.is_none();
            }
            let tracks = &self.tracks;
            self.judge.recount(|target| !tracks[target as usize].aside);
        }
        let tracks = &self.tracks;
        self.judge.pass(instant, |target| !tracks[target as usize].aside);
        // The baseline may be shorter than what it takes to know who never answers.
        if self.settled && !self.unheard_told && self.judge.baseline().is_some() {
            self.unheard_told = true;
            self.judge.unheard(&self.unheard());
        }
    }

    /// Targets of vantage points from which nothing at all has answered: what one of them would have seen is not measured.
    fn unheard(&self) -> Vec<u32> {
        let mut heard = HashSet::new();
        let all = || (0_u32..).zip(self.tracks.iter().zip(&self.vantage));
        heard.extend(
            all()
                .filter(|(_, (track, _))| !track.aside)
                .map(|(_, (_, vantage))| *vantage),
        );
        all()
            .filter(|(_, (_, vantage))| !heard.contains(*vantage))
            .map(|(target, _)| target)
            .collect()
    }

    fn charge(&mut self, event: &Event) {
        match event.kind {
            Kind::Begin { .. } => {
                self.steps.lost(event.at, event.target, 1);
                self.timeline.level(event.at, true);
                self.groups
                    .each(event.target, |timeline| timeline.level(event.at, true));
            }
            Kind::Lost { lost, .. } => self.steps.lost(event.at, event.target, lost),
            Kind::End { begin, length } => {
                self.steps.outage(begin, event.at, length);
                self.timeline.level(event.at, false);
                self.groups
                    .each(event.target, |timeline| timeline.level(event.at, false));
            }
            Kind::Restart | Kind::Broke => {}
        }
        self.judge.take(event);
    }
}
