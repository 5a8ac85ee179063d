//! One budget: whom it is for, what they have used up of it, and the breach that is open.

use std::collections::{BTreeMap, HashMap};

use ffu_model::watch::{Budget, BudgetUse, Nanos, OnBreach};

use super::noise::{Loss, Noise};
use super::scan::{Crowd, Scan};

pub(super) const MILLISECOND: Nanos = 1_000_000;

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
    /// The breach that it was told with last: a place in [`Ledger::breaches`].
    pub breach: Option<usize>,
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
    Unheard,
}

impl Figure {
    /// Whether an acknowledged breach of some figures covers this one as well: the tests of the default budget are one limit.
    /// A restart is covered by none: it is no part of an outage that somebody looked at.
    fn is_within(self, known: &BTreeMap<Figure, u64>) -> bool {
        let of_noise = |figure: &Figure| {
            matches!(
                figure,
                Figure::Length | Figure::Crowd | Figure::Flapping | Figure::Streams
            )
        };
        match self {
            Figure::Restarts | Figure::Unheard => false,
            Figure::Gap | Figure::Total | Figure::Out => known.contains_key(&self),
            _ => known.keys().any(of_noise),
        }
    }
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
    /// Once it is acknowledged: what began in this time belongs to it, whenever it becomes known.
    pub pardon: Option<(Nanos, Nanos)>,
    /// The acknowledged breach that has one of these outages as well.
    pub again: Option<u32>,
}

/// What was seen of the figures that a budget may limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub longest: Nanos,
    pub worst_total: Nanos,
    pub most_out: usize,
    pub restarts: u32,
    pub streams: u32,
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
    /// So many were out when the operator acknowledged it: more than these are news.
    pub known_out: usize,
    /// What was seen, whatever was told.
    pub seen: Seen,
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
/// What begins within this of a breach that the operator acknowledged is the same fault.
const SAME_FAULT: Nanos = 1_000_000_000;

impl Ledger {
    pub(crate) fn new(budget: Budget, on_breach: OnBreach, zero: bool) -> Self {
        Ledger {
            on_breach: budget.on_breach.unwrap_or(on_breach),
            budget,
            targets: 0,
            used: HashMap::new(),
            out: 0,
            above: false,
            known_out: 0,
            seen: Seen::default(),
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

    /// The acknowledged breach that an outage belongs to, as far as this limit goes.
    pub(crate) fn pardoned(&self, figure: Figure, begin: Nanos) -> Option<usize> {
        let covers = |open: &Open| {
            let within = |(from, until): (Nanos, Nanos)| (from..=until).contains(&begin);
            open.pardon.is_some_and(within) && figure.is_within(&open.figures)
        };
        self.breaches.iter().rposition(covers)
    }

    /// Something is beyond a limit: a breach grows or begins. `next`: the number of a new one; `again`: the acknowledged breach
    /// that has this outage. True if it began.
    pub(crate) fn offend(&mut self, offence: Offence, next: u32, found: Nanos, again: Option<u32>) -> bool {
        if let Some(place) = self.pardoned(offence.figure, offence.begin) {
            self.add(place, offence);
            return false;
        }
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
                pardon: None,
                again: None,
            });
        }
        if let Some(place) = self.breaches.len().checked_sub(1) {
            self.add(place, offence);
            let open = &mut self.breaches[place];
            open.again = open.again.or(again.filter(|number| *number != open.number));
        }
        began
    }

    /// An outage belongs to a breach.
    fn add(&mut self, place: usize, offence: Offence) {
        let Some(open) = self.breaches.get_mut(place) else {
            return;
        };
        let used = self.used.entry(offence.target).or_default();
        used.breach = Some(place);
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
            Figure::Total => used.total.saturating_add(offence.length).saturating_sub(used.known),
            Figure::Out => self.out as u64,
            Figure::Restarts | Figure::Streams => open.figures.get(&offence.figure).copied().unwrap_or(0) + 1,
            Figure::Crowd | Figure::Flapping | Figure::Unheard => open.targets.len() as u64,
        };
        let figure = open.figures.entry(offence.figure).or_default();
        *figure = (*figure).max(value);
    }

    /// An outage that was told is a little longer, or over; also one that the operator has acknowledged.
    pub(crate) fn grow(&mut self, target: u32, begin: Nanos, length: Nanos, lost: u32, at: Nanos) {
        let place = self.used.get(&target).and_then(|used| used.breach);
        let Some(open) = place.and_then(|place| self.breaches.get_mut(place)) else {
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

    /// The operator knows of a breach: it is not told again, nor what else began in its time, and totals are counted anew.
    pub(crate) fn acknowledge(&mut self, place: usize, at: Nanos) {
        let Some(open) = self.breaches.get_mut(place) else {
            return;
        };
        open.acknowledged = true;
        let lasts = open.targets.iter().any(|(target, (_, begin))| {
            let out = self.used.get(target).and_then(|used| used.out);
            out.is_some_and(|(of, _)| of == *begin)
        });
        let until = if lasts {
            at
        } else {
            at.min(open.last.saturating_add(SAME_FAULT))
        };
        open.pardon = Some((open.since.saturating_sub(SAME_FAULT), until));
        self.known_out = self.out;
        for used in self.used.values_mut() {
            used.known = used.total.saturating_add(used.out.map_or(0, |(_, length)| length));
            used.total_told = false;
        }
        if let Some(scan) = &mut self.scan {
            scan.forget();
        }
    }

    /// An outage goes on: what was seen.
    pub(crate) fn see(&mut self, target: u32, length: Nanos) {
        let total = self.used.get(&target).map_or(0, |used| used.total);
        self.seen.longest = self.seen.longest.max(length);
        self.seen.worst_total = self.seen.worst_total.max(total.saturating_add(length));
        self.seen.most_out = self.seen.most_out.max(self.out);
    }

    /// What became of it. `judged`: whether the baseline is complete.
    pub(crate) fn account(&self, judged: bool) -> BudgetUse {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        BudgetUse {
            budget: self.budget.clone(),
            noise_only: self.zero,
            rare_length: self.scan.as_ref().map(Scan::rare_length),
            targets: count(self.targets),
            longest_gap: self.seen.longest,
            worst_total: self.seen.worst_total,
            most_out: count(self.seen.most_out),
            restarts: self.seen.restarts,
            broken_streams: self.seen.streams,
            breaches: self.breaches.iter().map(|open| open.number).collect(),
            judged,
        }
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
