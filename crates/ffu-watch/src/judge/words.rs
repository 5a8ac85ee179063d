//! A breach as others see it: in words, with how sure it is.

use ffu_model::watch::{Breach, Confidence, Nanos, Origin};

use super::ledger::{Figure, Ledger, MILLISECOND, Open, span};
use super::noise::Noise;
use super::scan::{Crowd, Scan};

impl Ledger {
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
            .all(|figure| matches!(figure, Figure::Restarts | Figure::Streams | Figure::Unheard))
        {
            // Neither restarts nor broken streams are made by lost packets here and there.
            return Confidence {
                origin: Origin::Burst,
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
            Figure::Unheard => {
                format!(
                    "nothing answers at the vantage points of {value} targets, they are not measured: put that right and start anew, or acknowledge it"
                )
            }
            Figure::Crowd | Figure::Flapping => crowd(open.crowd, *value),
        };
        let mut says: Vec<String> = open.figures.iter().map(figure).collect();
        says.extend(open.again.map(|number| {
            format!("the same outage as in breach {number}, which was acknowledged before this limit was exceeded")
        }));
        says.join("; ")
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
