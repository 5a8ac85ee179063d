//! The figures of a budget, each compared with its limit when something happens.

use ffu_model::watch::Nanos;

use super::ledger::{Figure, Ledger, Offence};
use super::scan::Crowd;
use super::{Judge, budgets_of};
use crate::tally::Event;

impl Judge {
    /// The baseline is complete, and from the vantage points of these targets nothing has answered: a run is not to go on as if it were
    /// measured.
    pub(crate) fn unheard(&mut self, targets: &[u32]) {
        let at = self.taking.to;
        for &target in targets {
            let offence = Offence {
                figure: Figure::Unheard,
                target,
                begin: at,
                length: 0,
                lost: 0,
                at,
            };
            // Told once, by the sharpest budget that is for it.
            let budgets = budgets_of(&self.class, &self.classes, target).iter();
            if let Some(place) = budgets.max_by_key(|place| self.ledgers[usize::from(**place)].on_breach) {
                let began = self.ledgers[usize::from(*place)].offend(offence, self.breaches + 1, at, None);
                self.breaches += u32::from(began);
            }
        }
    }
}

/// Tells the budget of an offence.
pub(super) type Tell<'a> = dyn FnMut(&mut Ledger, Offence, Nanos) + 'a;

/// An outage of this length so far: is it longer, or the sum larger, than the budget allows?
pub(super) fn lengths(ledger: &mut Ledger, offence: Offence, found: Nanos, tell: &mut Tell) {
    let used = ledger.used.entry(offence.target).or_default();
    let beyond = |limit: Option<u64>, value: Nanos| limit.is_some_and(|ms| value > ms.saturating_mul(1_000_000));
    let too_long = beyond(ledger.budget.longest_gap_ms, offence.length);
    let beyond_noise = ledger
        .scan
        .as_ref()
        .is_some_and(|scan| offence.lost >= scan.rare_length());
    if (too_long || beyond_noise) && used.gap_told != Some(offence.begin) {
        used.gap_told = Some(offence.begin);
        let figure = if too_long { Figure::Gap } else { Figure::Length };
        tell(ledger, Offence { figure, ..offence }, found);
    }
    let used = ledger.used.entry(offence.target).or_default();
    let total = used.total.saturating_add(offence.length).saturating_sub(used.known);
    if !used.total_told && beyond(ledger.budget.total_loss_ms, total) {
        used.total_told = true;
        let figure = Figure::Total;
        tell(ledger, Offence { figure, ..offence }, found);
    }
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn is_above(ledger: &Ledger) -> bool {
    ledger
        .budget
        .targets_out
        .is_some_and(|share| ledger.out as f64 > share * ledger.targets as f64)
}

/// Are more targets out at one time than the budget allows?
pub(super) fn out_share(ledger: &mut Ledger, event: &Event, found: Nanos, tell: &mut Tell) {
    if !is_above(ledger) {
        return;
    }
    // At the crossing all that are out belong to it; later ones join. Once the operator has acknowledged it, only more than were
    // out then are news.
    let crossing = !std::mem::replace(&mut ledger.above, true);
    let known = ledger.breaches.last().is_none_or(|open| open.acknowledged);
    if !crossing && known && ledger.out <= ledger.known_out {
        return;
    }
    let mut out: Vec<(u32, Nanos, Nanos)> = ledger
        .used
        .iter()
        .filter(|(target, _)| crossing || **target == event.target)
        .filter_map(|(target, used)| used.out.map(|(begin, length)| (*target, begin, length)))
        .collect();
    out.sort_unstable();
    for (target, begin, length) in out {
        let offence = Offence {
            figure: Figure::Out,
            target,
            begin,
            length,
            lost: 1,
            at: event.at,
        };
        tell(ledger, offence, found);
    }
}

/// Did more outages begin than noise explains?
pub(super) fn crowds(ledger: &mut Ledger, event: &Event, length: Nanos, found: Nanos, tell: &mut Tell) {
    if ledger.pardoned(Figure::Crowd, event.at).is_some() {
        // Part of what the operator has acknowledged: it makes no crowd with what comes later.
        return;
    }
    let Some((crowd, begun)) = ledger.scan.as_mut().and_then(|scan| scan.begun(event.at, event.target)) else {
        return;
    };
    for one in begun {
        let figure = if matches!(crowd, Crowd::Within(..)) {
            Figure::Crowd
        } else {
            Figure::Flapping
        };
        let offence = Offence {
            figure,
            target: one.target,
            begin: one.at,
            length,
            lost: 1,
            at: event.at,
        };
        tell(ledger, offence, found);
    }
    if let Some(open) = ledger.breaches.last_mut() {
        open.crowd = open.crowd.max(Some(crowd));
    }
}
