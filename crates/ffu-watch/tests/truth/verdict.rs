//! What was found beside what was made.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ffu_model::watch::{Fate, Nanos, Outage, Outcome};

use crate::common::MS;
use crate::plan::Truth;

/// How long a stall of the prober can be on a machine that is not hopeless.
const BLIND: Nanos = 200 * MS;

/// One target with all that is known of it.
pub struct Watched<'a> {
    pub guest: usize,
    pub interval: Nanos,
    pub fates: Vec<Fate>,
    pub outages: &'a [Outage],
}

impl Watched<'_> {
    /// Whether an outage that began earlier reaches over this one, and really nothing was answered in it.
    fn is_in_one_before(&self, made: &Truth) -> bool {
        let spans = |outage: &&Outage| {
            outage.partly_blind && outage.begin < made.begin.0 && outage.end.is_some_and(|end| end > made.begin.1)
        };
        self.outages.iter().find(spans).is_some_and(|outage| {
            let within = |fate: &&Fate| (outage.begin..outage.end.unwrap_or(Nanos::MAX)).contains(&fate.sent);
            self.fates
                .iter()
                .filter(within)
                .all(|fate| !matches!(fate.outcome, Outcome::Answered { .. }))
        })
    }
}

/// Figures of all outages of one length, seen at one rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    pub made: u32,
    pub owed: u32,
    pub found: u32,
    pub missed: u32,
    pub blind: u32,
    pub begin: Nanos,
    pub end: Nanos,
    pub beyond: u32,
}

/// All of a run.
#[derive(Default)]
pub struct Verdict {
    /// By interval and planned length in milliseconds.
    pub rows: BTreeMap<(u64, u64), Row>,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
    /// The widest that an instant of the truth is.
    pub bracket: Nanos,
}

impl Verdict {
    /// Lays the outages of a target beside those that were made of its guest.
    pub fn judge(&mut self, target: &Watched<'_>, truth: &[Truth]) {
        let near = late(target.interval);
        let mut left: Vec<&Outage> = target.outages.iter().collect();
        for made in truth.iter().filter(|made| made.guest == target.guest) {
            self.bracket = self
                .bracket
                .max(made.begin.1 - made.begin.0)
                .max(made.end.1 - made.end.0);
            let (begins, rest) = left.into_iter().partition(|outage| {
                // Where it says that the watch was partly blind, its begin is as wrong as that.
                let reaches = outage.partly_blind
                    && outage
                        .up_before
                        .is_some_and(|up| up <= made.begin.1 && made.begin.0 <= outage.begin + BLIND)
                    && outage.end.is_some_and(|end| end >= made.begin.0);
                reaches || outage.begin + near >= made.begin.0 && outage.begin <= made.end.1 + near
            });
            left = rest;
            self.judge_one(target, made, &begins);
        }
        for outage in left {
            self.wrong.push(format!(
                "invented: guest {} at {} ms: {outage:?}",
                target.guest,
                target.interval / MS
            ));
        }
    }

    fn judge_one(&mut self, target: &Watched<'_>, made: &Truth, found: &[&Outage]) {
        let name = format!("guest {} every {} ms, {made:?}", target.guest, target.interval / MS);
        let within = |fate: &&Fate| (made.begin.1..=made.end.0).contains(&fate.sent);
        let mut owed = false;
        for fate in target.fates.iter().filter(within) {
            match fate.outcome {
                Outcome::Answered { rtt, blurred: false } if fate.sent + rtt < made.end.0 => {
                    self.wrong.push(format!("answered in an outage: {name}: {fate:?}"));
                }
                // Sent just before its end and on its way for so long that it got through.
                Outcome::Answered { .. } | Outcome::Unsent => {}
                Outcome::Lost => owed = true,
            }
        }
        let blind = found.iter().any(|outage| outage.partly_blind);
        let dark = made.end.0 - made.begin.1;
        if dark > target.interval + late(target.interval) && !target.fates.iter().any(|fate| within(&fate)) {
            self.wrong.push(format!("no probe was due in it: {name}"));
        }
        let row = self.rows.entry((target.interval / MS, made.planned)).or_default();
        row.made += 1;
        row.owed += u32::from(owed);
        row.blind += u32::from(blind);
        let [outage] = found else {
            if found.len() > 1 {
                row.found += 1;
                self.wrong
                    .push(format!("one was found as {}: {name}: {found:?}", found.len()));
            } else if owed && target.is_in_one_before(made) {
                // The prober stood still between the two: no probe was answered there, so that they are one to it.
                row.found += 1;
                row.blind += 1;
            } else if owed {
                row.missed += 1;
                self.wrong.push(format!("missed: {name}"));
            }
            return;
        };
        row.found += 1;
        let Some(end) = outage.end else {
            return self.wrong.push(format!("without end: {name}: {outage:?}"));
        };
        let off =
            |instant: Nanos, (from, to): (Nanos, Nanos)| instant.saturating_sub(to).max(from.saturating_sub(instant));
        let (begin_off, end_off) = (off(outage.begin, made.begin), off(end, made.end));
        if !blind {
            // Where the watch was partly blind it says so itself.
            row.begin = row.begin.max(begin_off);
            row.end = row.end.max(end_off);
            row.beyond += u32::from(begin_off.max(end_off) > target.interval + MS);
            if begin_off.max(end_off) > target.interval + late(target.interval) {
                self.wrong
                    .push(format!("off by {begin_off} and {end_off} ns: {name}: {outage:?}"));
            }
        }
        // What it says of itself holds: it began after the last answer, and its probes are those that were lost.
        if outage.up_before.is_none_or(|up| up > made.begin.1) {
            self.wrong.push(format!("up after it began: {name}: {outage:?}"));
        }
        let is_lost = |fate: &&Fate| fate.outcome == Outcome::Lost && (outage.begin..end).contains(&fate.sent);
        let lost = target.fates.iter().filter(is_lost).count();
        if lost != outage.lost as usize {
            self.wrong.push(format!("{lost} probes were lost: {name}: {outage:?}"));
        }
    }

    /// The table, as Markdown.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| probes | outage | made | with a probe in it | found | missed | begin off by at most | end off by at most | more than an interval | partly blind |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for ((interval, length), row) in &self.rows {
            let ms = |nanos: Nanos| format!("{:.1} ms", nanos as f64 / 1e6);
            let _ = writeln!(
                table,
                "| {} Hz | {length} ms | {} | {} | {} | {} | {} | {} | {} | {} |",
                1000 / interval,
                row.made,
                row.owed,
                row.found,
                row.missed,
                ms(row.begin),
                ms(row.end),
                row.beyond,
                row.blind
            );
        }
        table
    }
}

/// A probe is sent at most so much late, or not at all and is told as unsent: half an interval, 20 ms at least.
fn late(interval: Nanos) -> Nanos {
    (interval / 2).max(20 * MS)
}
