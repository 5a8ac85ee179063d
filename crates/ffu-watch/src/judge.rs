//! Budgets: what was normal before the freeze, what is beyond what the operator tolerates, and what the engine is to do then.
//!
//! It is handed what happened in the order of time (see `tally`), so that the order in which fates became known changes nothing.
//! Only outages that begin after the baseline count. A breach is found as soon as it is certain: an outage that lasts counts with
//! its length so far. There is one breach a budget, and it grows until it is acknowledged or, for a budget that only writes
//! things down, a minute of quiet has passed.
//!
//! An acknowledgement covers the outages of the breach to their end, and those of other targets that began in its time and become
//! known later: they are the same fault. It does not cover what begins after it, nor a limit that was not exceeded then, nor restarts.

mod baseline;
mod chance;
mod figures;
mod ledger;
mod noise;
mod scan;
mod words;

use std::collections::HashMap;

use ffu_model::watch::{Baseline, Breach, Budget, BudgetUse, Nanos, Target, Targets, Verdict};

pub use noise::{Loss, Noise};

use crate::tally::{Event, Kind};
use baseline::Taking;
use figures::{crowds, is_above, lengths, out_share};
pub(crate) use ledger::span;
use ledger::{Figure, Ledger, Offence};
use scan::Scan;

/// The name of the budget that is meant if the file has none.
pub const ZERO_LOSS: &str = "zero loss beyond noise";

/// More budgets than this are refused in a targets file.
pub(crate) const MOST_BUDGETS: usize = 1000;

/// Judges what happened.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    ledgers: Vec<Ledger>,
    /// Which budgets are for a target: a place in `classes`.
    class: Vec<u16>,
    classes: Vec<Vec<u16>>,
    taking: Taking,
    planned: Nanos,
    known: Option<(Baseline, Noise)>,
    timeout: Nanos,
    breaches: u32,
    /// The outage of a target that was acknowledged last: its begin, and the number of the breach.
    acknowledged: HashMap<u32, (Nanos, u32)>,
}

/// Whether a budget is for a target: the target has every label that the budget asks for.
pub fn is_for(budget: &Budget, target: &Target) -> bool {
    budget
        .filter
        .iter()
        .all(|(key, value)| target.groups.get(key) == Some(value))
}

impl Judge {
    pub(crate) fn new(targets: &Targets, began: Nanos) -> Self {
        let mut budgets = targets.budgets.budget.clone();
        budgets.truncate(MOST_BUDGETS);
        let zero = budgets.is_empty();
        if zero {
            budgets.push(Budget {
                name: ZERO_LOSS.to_owned(),
                ..Budget::default()
            });
        }
        let mut classes: Vec<Vec<u16>> = Vec::new();
        let mut known = HashMap::new();
        let class = targets.targets.iter().map(|target| {
            let matched: Vec<u16> = (0_u16..)
                .zip(&budgets)
                .filter(|(_, budget)| is_for(budget, target))
                .map(|(place, _)| place)
                .collect();
            *known.entry(matched.clone()).or_insert_with(|| {
                classes.push(matched);
                u16::try_from(classes.len() - 1).unwrap_or(u16::MAX)
            })
        });
        let class = class.collect();
        let taking = Taking::new(began, targets.budgets.baseline_s);
        let on_breach = targets.budgets.on_breach;
        Judge {
            ledgers: budgets
                .into_iter()
                .map(|budget| Ledger::new(budget, on_breach, zero))
                .collect(),
            class,
            classes,
            planned: taking.to,
            taking,
            known: None,
            timeout: u64::from(targets.timeout_ms) * 1_000_000,
            breaches: 0,
            acknowledged: HashMap::new(),
        }
    }

    /// When the baseline ends, as far as is known.
    pub(crate) fn baseline_end(&self) -> Nanos {
        self.taking.to
    }

    /// The freeze begins.
    pub(crate) fn freeze(&mut self, at: Nanos) {
        if self.known.is_none() {
            self.taking.cut(at);
        }
    }

    /// A probe's fate is known; only the baseline counts them.
    pub(crate) fn count(&mut self, sent: Nanos, lost: bool) {
        if self.known.is_none() {
            self.taking.count(sent, lost);
        }
    }

    /// Everything before this instant has been taken. `counts`: whether a target is not set aside.
    pub(crate) fn pass(&mut self, instant: Nanos, counts: impl Fn(u32) -> bool) {
        if self.known.is_some() || instant < self.taking.to {
            return;
        }
        self.recount(counts);
        let length = self.taking.to - self.taking.from;
        let seen = self.taking.bursts_by_target();
        for (place, ledger) in (0_u16..).zip(&mut self.ledgers) {
            let noise = self
                .taking
                .noise(|target| budgets_of(&self.class, &self.classes, target).contains(&place));
            if ledger.zero {
                ledger.scan = Some(Scan::new(&noise, seen.clone(), length, ledger.targets));
            }
            ledger.noise = Some(noise);
        }
        self.known = Some((self.taking.finish(), self.taking.noise(|_| true)));
    }

    /// Which targets count has changed.
    pub(crate) fn recount(&mut self, counts: impl Fn(u32) -> bool) {
        let mut members = vec![0_usize; self.classes.len()];
        for (target, class) in (0_u32..).zip(&self.class) {
            members[usize::from(*class)] += usize::from(counts(target));
        }
        for (place, ledger) in (0_u16..).zip(&mut self.ledgers) {
            let classes = self
                .classes
                .iter()
                .zip(&members)
                .filter(|(class, _)| class.contains(&place));
            ledger.targets = classes.map(|(_, members)| members).sum();
        }
    }

    /// Something happened. Instants come in order.
    pub(crate) fn take(&mut self, event: &Event) {
        if self.known.is_none() {
            return self.taking.take(event);
        }
        let begin = match event.kind {
            Kind::Lost { begin, .. } | Kind::End { begin, .. } => begin,
            Kind::Begin { .. } | Kind::Restart | Kind::Broke => event.at,
        };
        if begin < self.taking.to {
            return;
        }
        let streams = self.taking.broken_streams;
        let (mut breaches, found) = (self.breaches, event.at.saturating_add(self.timeout));
        for place in budgets_of(&self.class, &self.classes, event.target) {
            let ledger = &mut self.ledgers[usize::from(*place)];
            let acknowledged = &self.acknowledged;
            let mut tell = |ledger: &mut Ledger, offence: Offence, found: Nanos| {
                let known = acknowledged.get(&offence.target);
                let again = known
                    .filter(|(begin, _)| *begin == offence.begin)
                    .map(|(_, number)| *number);
                breaches += u32::from(ledger.offend(offence, breaches + 1, found, again));
            };
            let offence = |figure| Offence {
                figure,
                target: event.target,
                begin,
                length: 0,
                lost: 0,
                at: event.at,
            };
            match event.kind {
                Kind::Restart => ledger.seen.restarts += 1,
                Kind::Broke => ledger.seen.streams += 1,
                Kind::Begin { .. } | Kind::Lost { .. } | Kind::End { .. } => {}
            }
            match event.kind {
                Kind::Restart if !ledger.budget.restarts_allowed => tell(ledger, offence(Figure::Restarts), event.at),
                Kind::Broke if ledger.zero && streams == 0 => tell(ledger, offence(Figure::Streams), event.at),
                Kind::Restart | Kind::Broke => {}
                Kind::Begin { length } => {
                    ledger.used.entry(event.target).or_default().out = Some((begin, length));
                    ledger.out += 1;
                    ledger.see(event.target, length);
                    out_share(ledger, event, found, &mut tell);
                    crowds(ledger, event, length, found, &mut tell);
                    lengths(
                        ledger,
                        Offence {
                            length,
                            lost: 1,
                            ..offence(Figure::Gap)
                        },
                        found,
                        &mut tell,
                    );
                }
                Kind::Lost { length, lost, .. } => {
                    ledger.used.entry(event.target).or_default().out = Some((begin, length));
                    ledger.see(event.target, length);
                    ledger.grow(event.target, begin, length, lost, event.at);
                    lengths(
                        ledger,
                        Offence {
                            length,
                            lost,
                            ..offence(Figure::Gap)
                        },
                        found,
                        &mut tell,
                    );
                }
                Kind::End { length, .. } => {
                    ledger.see(event.target, length);
                    ledger.grow(event.target, begin, length, 0, event.at);
                    lengths(
                        ledger,
                        Offence {
                            length,
                            ..offence(Figure::Gap)
                        },
                        found,
                        &mut tell,
                    );
                    let pardoned = ledger.pardoned(Figure::Total, begin).is_some();
                    let used = ledger.used.entry(event.target).or_default();
                    used.total = used.total.saturating_add(length);
                    if pardoned {
                        // To its end: later outages have the whole budget.
                        used.known = used.total;
                        used.total_told = false;
                    }
                    ledger.out = ledger.out.saturating_sub(usize::from(used.out.take().is_some()));
                    // Who is back is not known to be out any more: others in their place are news.
                    ledger.known_out = ledger.known_out.min(ledger.out);
                    ledger.above &= is_above(ledger);
                }
            }
        }
        self.breaches = breaches;
    }

    /// The operator says at this instant that the run may go on. False if there is no such breach.
    pub(crate) fn acknowledge(&mut self, number: u32, at: Nanos) -> bool {
        let found = self.ledgers.iter_mut().find_map(|ledger| {
            let place = ledger.breaches.iter().position(|open| open.number == number)?;
            Some((ledger, place))
        });
        let Some((ledger, place)) = found else { return false };
        let open = &ledger.breaches[place];
        if !open.acknowledged {
            let outages = open
                .targets
                .iter()
                .map(|(target, (_, begin))| (*target, (*begin, number)));
            self.acknowledged.extend(outages);
            ledger.acknowledge(place, at);
        }
        true
    }

    /// What became of each budget.
    pub(crate) fn budgets(&self) -> Vec<BudgetUse> {
        let judged = self.known.is_some();
        self.ledgers.iter().map(|ledger| ledger.account(judged)).collect()
    }

    /// All breaches by number. `steps`: what ran at an instant.
    pub(crate) fn breaches(&self, steps: impl Fn(Nanos) -> Vec<String>) -> Vec<Breach> {
        let all = self
            .ledgers
            .iter()
            .flat_map(|ledger| ledger.breaches.iter().map(move |open| (ledger, open)));
        let mut breaches: Vec<Breach> = all
            .map(|(ledger, open)| ledger.breach(open, steps(open.since)))
            .collect();
        breaches.sort_by_key(|breach| breach.number);
        breaches
    }

    /// What the engine is to do.
    pub(crate) fn verdict(&self) -> Verdict {
        let open = self
            .ledgers
            .iter()
            .filter(|ledger| ledger.breaches.iter().any(|open| !open.acknowledged));
        open.map(|ledger| ledger.on_breach)
            .max()
            .map_or(Verdict::Go, Verdict::from)
    }

    /// The baseline, when it is complete.
    pub(crate) fn baseline(&self) -> Option<&Baseline> {
        self.known.as_ref().map(|(baseline, _)| baseline)
    }

    /// The noise of all targets, when it is known.
    pub(crate) fn noise(&self) -> Option<&Noise> {
        self.known.as_ref().map(|(_, noise)| noise)
    }

    /// What the operator should know of the baseline.
    pub(crate) fn remark(&self) -> Option<String> {
        let baseline = self.baseline()?;
        (self.taking.to < self.planned).then(|| {
            format!(
                "the baseline is short: {} instead of {}, because the freeze began",
                span(baseline.to - baseline.from),
                span(self.planned - baseline.from)
            )
        })
    }
}

fn budgets_of<'a>(class: &[u16], classes: &'a [Vec<u16>], target: u32) -> &'a [u16] {
    let class = class
        .get(target as usize)
        .map_or(usize::MAX, |class| usize::from(*class));
    classes.get(class).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "judge/acknowledge_tests.rs"]
mod acknowledge;
