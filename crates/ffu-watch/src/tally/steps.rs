//! Which step cost what: losses are charged to the steps that ran when the lost probe was sent, however late that is known.

use std::collections::HashMap;

use ffu_model::watch::{Nanos, StepCost, StepMark};

use crate::judge::{Loss, Noise};

/// More steps than this are not kept.
const MOST: usize = 50_000;

/// All steps so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    /// By begin.
    all: Vec<Charged>,
    /// Steps that may still be charged: places in `all`.
    live: Vec<usize>,
    /// The latest end of the steps up to and with each place; a running one ends never.
    latest_end: Vec<Nanos>,
    places: HashMap<(String, Nanos), usize>,
    /// Steps that found no room.
    pub(crate) left_out: u64,
}

#[derive(Clone, Debug)]
struct Charged {
    mark: StepMark,
    lost: u64,
    /// Outages that began in it.
    begun: u64,
    /// Outages whose second lost probe was sent in it.
    longer: u64,
    targets: u32,
    longest: Nanos,
    /// Which targets lost any; one bit each, only while the step may still be charged.
    who: Vec<u64>,
}

impl Steps {
    /// A step began, or ended.
    pub(crate) fn take(&mut self, mark: &StepMark) {
        let key = (mark.step.clone(), mark.begin);
        if let Some(place) = self.places.get(&key) {
            if mark.end.is_some() {
                self.all[*place].mark.end = mark.end;
                self.measure_ends(*place);
            }
            return;
        }
        if self.all.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let place = self.all.partition_point(|other| other.mark.begin <= mark.begin);
        if place < self.all.len() {
            self.places
                .values_mut()
                .chain(&mut self.live)
                .filter(|at| **at >= place)
                .for_each(|at| *at += 1);
        }
        self.places.insert(key, place);
        self.live.push(place);
        self.all.insert(
            place,
            Charged {
                mark: mark.clone(),
                lost: 0,
                begun: 0,
                longer: 0,
                targets: 0,
                longest: 0,
                who: Vec::new(),
            },
        );
        self.latest_end.push(0);
        self.measure_ends(place);
    }

    fn measure_ends(&mut self, from: usize) {
        let mut latest = from.checked_sub(1).map_or(0, |before| self.latest_end[before]);
        for place in from..self.all.len() {
            latest = latest.max(self.all[place].mark.end.unwrap_or(Nanos::MAX));
            // Those after it are right already if nothing changes here.
            if std::mem::replace(&mut self.latest_end[place], latest) == latest && place > from {
                break;
            }
        }
    }

    /// The nth probe of an outage was lost. Instants come in order.
    pub(crate) fn lost(&mut self, at: Nanos, target: u32, nth: u32) {
        for place in &self.live {
            let step = &mut self.all[*place];
            if !running(&step.mark, at) {
                continue;
            }
            step.lost += 1;
            step.begun += u64::from(nth == 1);
            step.longer += u64::from(nth == 2);
            let (word, bit) = (target as usize / 64, 1 << (target % 64));
            if step.who.len() <= word {
                step.who.resize(word + 1, 0);
            }
            step.targets += u32::from(step.who[word] & bit == 0);
            step.who[word] |= bit;
        }
    }

    /// An outage is over.
    pub(crate) fn outage(&mut self, begin: Nanos, end: Nanos, length: Nanos) {
        let until = self.all.partition_point(|step| step.mark.begin < end);
        for place in (0..until).rev() {
            if self.latest_end[place] <= begin {
                break;
            }
            let step = &mut self.all[place];
            if step.mark.end.is_none_or(|ended| ended > begin) {
                step.longest = step.longest.max(length);
            }
        }
    }

    /// Nothing more comes of the time before this: ended steps need not remember who lost any.
    pub(crate) fn settle(&mut self, until: Nanos) {
        let all = &mut self.all;
        self.live.retain(|place| {
            let over = all[*place].mark.end.is_some_and(|end| end <= until);
            if over {
                all[*place].who = Vec::new();
            }
            !over
        });
    }

    /// The steps that ran at an instant.
    pub(crate) fn at(&self, instant: Nanos) -> Vec<String> {
        let until = self.all.partition_point(|step| step.mark.begin <= instant);
        let mut found = Vec::new();
        for place in (0..until).rev() {
            if self.latest_end[place] <= instant {
                break;
            }
            if running(&self.all[place].mark, instant) {
                found.push(self.all[place].mark.step.clone());
            }
        }
        found.reverse();
        found
    }

    /// What each cost. `out`: begin and length so far of the outages that last, by begin. `settled`: until when fates are known.
    pub(crate) fn costs(
        &self,
        out: &[(Nanos, Nanos)],
        settled: Nanos,
        noise: Option<&Noise>,
        interval: Nanos,
    ) -> Vec<StepCost> {
        let mut longest_until = Vec::with_capacity(out.len());
        for (_, length) in out {
            longest_until.push((*length).max(longest_until.last().copied().unwrap_or(0)));
        }
        let noise = Noise::of(noise);
        let cost = |step: &Charged| {
            let before = out.partition_point(|(begin, _)| step.mark.end.is_none_or(|end| *begin < end));
            let lasting = before.checked_sub(1).map_or(0, |last| longest_until[last]);
            let longest_gap = step.longest.max(lasting);
            let time = step.mark.end.unwrap_or(settled).saturating_sub(step.mark.begin);
            let loss = Loss {
                bursts: step.begun.max(u64::from(step.targets)),
                longer: step.longer,
                probes: longest_gap.div_ceil(interval.max(1)),
            };
            StepCost {
                mark: step.mark.clone(),
                lost: step.lost,
                targets: step.targets,
                longest_gap,
                confidence: (step.lost > 0).then(|| noise.confidence(loss, time.max(interval))),
            }
        };
        self.all.iter().map(cost).collect()
    }
}

fn running(mark: &StepMark, at: Nanos) -> bool {
    mark.begin <= at && mark.end.is_none_or(|end| at < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(step: &str, begin: Nanos, end: Option<Nanos>) -> StepMark {
        StepMark {
            step: step.to_owned(),
            phase: "hops".to_owned(),
            begin,
            end,
        }
    }

    #[test]
    fn parallel_steps_are_each_charged_and_a_late_loss_goes_where_it_was_sent() {
        let mut steps = Steps::default();
        steps.take(&mark("b", 100, None));
        steps.take(&mark("a", 0, None));
        steps.take(&mark("b", 100, Some(200)));
        steps.take(&mark("c", 200, None));
        steps.lost(50, 7, 1);
        steps.lost(150, 7, 2);
        steps.lost(199, 900, 1);
        steps.lost(200, 7, 3);
        steps.outage(50, 210, 160);
        steps.outage(195, 199, 4);
        let costs = steps.costs(&[(199, 300)], 1000, None, 10);
        let told: Vec<_> = costs
            .iter()
            .map(|c| (c.mark.step.as_str(), c.lost, c.targets, c.longest_gap))
            .collect();
        assert_eq!(told, [("a", 4, 2, 300), ("b", 2, 2, 300), ("c", 1, 1, 300)]);
        let costs = steps.costs(&[], 1000, None, 10);
        assert_eq!(costs.iter().map(|c| c.longest_gap).collect::<Vec<_>>(), [160, 160, 160]);
        assert_eq!(steps.at(150), ["a", "b"]);
        assert_eq!(steps.at(200), ["a", "c"]);
        steps.settle(300);
        assert_eq!((steps.live.len(), steps.all[1].who.len()), (2, 0));
    }

    #[test]
    fn an_outage_finds_the_steps_that_it_overlaps_and_no_others() {
        let mut steps = Steps::default();
        for n in 0..1000 {
            steps.take(&mark(&n.to_string(), n * 10, Some(n * 10 + 10)));
        }
        steps.outage(505, 525, 20);
        let touched: Vec<_> = steps
            .costs(&[], 0, None, 1)
            .into_iter()
            .filter(|c| c.longest_gap > 0)
            .map(|c| c.mark.step)
            .collect();
        assert_eq!(touched, ["50", "51", "52"]);
        assert!(steps.at(50_000).is_empty());
    }
}
