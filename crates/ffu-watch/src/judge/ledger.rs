//! One budget: whom it is for, what they have used up of it, and the breach that is open.

use std::collections::{BTreeMap, HashMap};

use ffu_model::watch::{Breach, Budget, Confidence, Nanos, OnBreach};

use super::noise::{Loss, Noise};
use super::scan::{Crowd, Scan};

const MILLISECOND: Nanos = 1_000_000;

/// What a target has used up, as far as the budget limits it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// The outage that lasts: when it began and how long it is so far.
    pub out: Option<(Nanos, Nanos)>,
    /// Outages that are over, added up.
    pub total: Nanos,
    /// What of the total the operator has acknowledged.
    pub known: Nanos,
    /// The total was told since then.
    pub total_told: bool,
    /// The begin of the outage that was told last.
    pub gap_told: Option<Nanos>,
}

/// A figure that is beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    Gap,
    Total,
    Out,
    Restarts,
    Length,
    Crowd,
    Flapping,
    Streams,
}

/// An outage that is beyond a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offence {
    pub figure: Figure,
    pub target: u32,
    pub begin: Nanos,
    pub length: Nanos,
    pub lost: u32,
    /// When it was certain.
    pub at: Nanos,
}

/// A breach while it grows.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub number: u32,
    pub since: Nanos,
    pub found: Nanos,
    /// The latest thing that belongs to it.
    pub last: Nanos,
    /// Targets: the longest outage of each, and when the one that was told last began.
    pub targets: HashMap<u32, (Nanos, Nanos)>,
    /// The outages that belong to it.
    pub loss: Loss,
    /// Figures and their worst values.
    pub figures: BTreeMap<Figure, u64>,
    pub crowd: Option<Crowd>,
    pub acknowledged: bool,
}

/// A budget and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub budget: Budget,
    pub on_breach: OnBreach,
    /// Targets that it is for and that count.
    pub targets: usize,
    pub used: HashMap<u32, Used>,
    pub out: usize,
    /// More are out than may be, and it was told.
    pub above: bool,
    /// It is the default budget: zero loss beyond noise.
    pub zero: bool,
    /// Its means, once the baseline is known.
    pub scan: Option<Scan>,
    pub noise: Option<Noise>,
    pub breaches: Vec<Open>,
}

/// A budget for continuing is over when nothing happened for so long.
const QUIET: Nanos = 60_000_000_000;
/// After so many breaches of one budget the last one grows.
const MOST: usize = 100;

impl Ledger {
    pub(crate) fn new(budget: Budget, on_breach: OnBreach, zero: bool) -> Self {
        Ledger {
            on_breach: budget.on_breach.unwrap_or(on_breach),
            budget,
            targets: 0,
            used: HashMap::new(),
            out: 0,
            above: false,
            zero,
            scan: None,
            noise: None,
            breaches: Vec::new(),
        }
    }

    /// The breach that grows, if there is one.
    fn open(&mut self, at: Nanos) -> Option<&mut Open> {
        let full = self.breaches.len() >= MOST;
        let over = |open: &Open| self.on_breach == OnBreach::Continue && open.last.saturating_add(QUIET) < at;
        let open = self.breaches.last_mut()?;
        if !full && (open.acknowledged || over(open)) {
            return None;
        }
        open.acknowledged = false;
        Some(open)
    }

    /// Something is beyond a limit: a breach grows or begins. `next`: the number of a new one. True if it began.
    pub(crate) fn offend(&mut self, offence: Offence, next: u32, found: Nanos) -> bool {
        let began = self.open(offence.at).is_none();
        if began {
            self.breaches.push(Open {
                number: next,
                since: offence.begin,
                found,
                last: offence.at,
                targets: HashMap::new(),
                loss: Loss::default(),
                figures: BTreeMap::new(),
                crowd: None,
                acknowledged: false,
            });
        }
        let Some(open) = self.breaches.last_mut() else {
            return began;
        };
        open.since = open.since.min(offence.begin);
        open.last = open.last.max(offence.at);
        open.loss.probes = open.loss.probes.max(u64::from(offence.lost));
        let (worst, told) = open.targets.entry(offence.target).or_default();
        *worst = (*worst).max(offence.length);
        // One outage may be beyond several limits.
        if *told != offence.begin {
            *told = offence.begin;
            open.loss.bursts += 1;
            open.loss.longer += u64::from(offence.lost > 1);
        }
        let value = match offence.figure {
            Figure::Gap | Figure::Length => offence.length,
            Figure::Total => {
                let used = self.used.get(&offence.target).copied().unwrap_or_default();
                used.total.saturating_add(offence.length).saturating_sub(used.known)
            }
            Figure::Out => self.out as u64,
            Figure::Restarts | Figure::Streams => open.figures.get(&offence.figure).copied().unwrap_or(0) + 1,
            Figure::Crowd | Figure::Flapping => open.targets.len() as u64,
        };
        let figure = open.figures.entry(offence.figure).or_default();
        *figure = (*figure).max(value);
        began
    }

    /// An outage of the open breach is a little longer, or over.
    pub(crate) fn grow(&mut self, target: u32, begin: Nanos, length: Nanos, lost: u32, at: Nanos) {
        let Some(open) = self.breaches.last_mut().filter(|open| !open.acknowledged) else {
            return;
        };
        let Some((worst, _)) = open.targets.get_mut(&target).filter(|(_, told)| *told == begin) else {
            return;
        };
        *worst = (*worst).max(length);
        open.loss.probes = open.loss.probes.max(u64::from(lost));
        open.loss.longer += u64::from(lost == 2);
        open.last = open.last.max(at);
        for figure in [Figure::Gap, Figure::Length] {
            if let Some(value) = open.figures.get_mut(&figure) {
                *value = (*value).max(length);
            }
        }
    }

    /// The operator knows: what was told is not told again, and totals are counted anew.
    pub(crate) fn acknowledge(&mut self) {
        for used in self.used.values_mut() {
            used.known = used.total.saturating_add(used.out.map_or(0, |(_, length)| length));
            used.total_told = false;
        }
        if let Some(scan) = &mut self.scan {
            scan.forget();
        }
    }

    /// As others see it. `steps`: what ran at an instant.
    pub(crate) fn breach(&self, open: &Open, steps: Vec<String>) -> Breach {
        let mut targets: Vec<(u32, Nanos)> = open
            .targets
            .iter()
            .map(|(target, (worst, _))| (*target, *worst))
            .collect();
        targets.sort_by_key(|(target, worst)| (std::cmp::Reverse(*worst), *target));
        Breach {
            number: open.number,
            budget: self.budget.name.clone(),
            says: self.says(open),
            since: open.since,
            found: open.found,
            targets: targets.into_iter().map(|(target, _)| target).collect(),
            steps,
            confidence: self.confidence(open),
            on_breach: self.on_breach,
            acknowledged: open.acknowledged,
        }
    }

    fn confidence(&self, open: &Open) -> Confidence {
        let time = open.last.saturating_sub(open.since).max(MILLISECOND);
        if open
            .figures
            .keys()
            .all(|figure| matches!(figure, Figure::Restarts | Figure::Streams))
        {
            // Neither restarts nor broken streams are made by lost packets here and there.
            return Confidence {
                origin: ffu_model::watch::Origin::Burst,
                chance: 0.0,
            };
        }
        Noise::of(self.noise.as_ref()).confidence(open.loss, time)
    }

    fn says(&self, open: &Open) -> String {
        let ms = |limit: Option<u64>| limit.unwrap_or(0);
        let figure = |(figure, value): (&Figure, &u64)| match figure {
            Figure::Gap => format!(
                "longest gap {}, allowed {} ms",
                span(*value),
                ms(self.budget.longest_gap_ms)
            ),
            Figure::Total => format!(
                "{} of outages of one target, allowed {} ms",
                span(*value),
                ms(self.budget.total_loss_ms)
            ),
            Figure::Out => format!(
                "{value} of {} targets out at one time, allowed {} %",
                self.targets,
                self.budget.targets_out.unwrap_or(0.0) * 100.0
            ),
            Figure::Restarts => format!("{value} restarts of workloads, none is allowed"),
            Figure::Streams => format!("{value} broken streams, none broke in the baseline"),
            Figure::Length => format!(
                "longest gap {}, more than noise makes: {} lost probes in a row",
                span(*value),
                self.scan.as_ref().map_or(0, Scan::rare_length).saturating_sub(1)
            ),
            Figure::Crowd | Figure::Flapping => crowd(open.crowd, *value),
        };
        open.figures.iter().map(figure).collect::<Vec<_>>().join("; ")
    }
}

fn crowd(crowd: Option<Crowd>, targets: u64) -> String {
    match crowd {
        Some(Crowd::Within(seconds, count, rare)) => {
            format!(
                "outages of {targets} targets, {count} begun within {seconds} s where noise makes fewer than {rare}"
            )
        }
        Some(Crowd::Flapping(count, rare)) => {
            format!("{count} outages of one target within a minute where noise makes fewer than {rare}")
        }
        None => format!("outages of {targets} targets at one time, more than noise makes"),
    }
}

/// A time for people.
pub(crate) fn span(nanos: Nanos) -> String {
    let ms = nanos / MILLISECOND;
    if ms < 10_000 {
        format!("{ms} ms")
    } else {
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}
