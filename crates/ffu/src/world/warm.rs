//! Warm hop environments for a run: which series and programs its plan needs, when they are warmed, when they are done with.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ffu_engine::RunView;
use ffu_hopenv::{Programs, Rest, WarmPool};
use ffu_model::step::Action;
use ffu_model::{Finding, Plan, Series, Severity};

use super::World;

/// A series that has not become warm after so long is left to itself; its commands wait for what they need.
const PATIENCE: Duration = Duration::from_secs(180);

/// The pool of a run, and what is still to come of each series.
pub(super) struct Warmth {
    pub(super) pool: WarmPool,
    programs: BTreeMap<Series, Vec<Programs>>,
    /// Commands that have not succeeded yet, by series and project.
    left: Mutex<BTreeMap<Series, BTreeMap<String, usize>>>,
}

impl Warmth {
    fn new(plan: &Plan, view: &RunView, budget: u64, rest: Rest) -> std::io::Result<Warmth> {
        let mut programs = BTreeMap::<Series, Vec<Programs>>::new();
        let mut left = BTreeMap::<Series, BTreeMap<String, usize>>::new();
        for step in plan.steps.iter().filter(|step| !view.is_done(&step.id)) {
            let Action::Command(command) = &step.action else {
                continue;
            };
            let of_series = left.entry(command.series.clone()).or_default();
            *of_series.entry(command.project.clone()).or_default() += 1;
            let wanted = programs.entry(command.series.clone()).or_default();
            let at = wanted.iter().position(|one| one.project == command.project);
            let at = at.unwrap_or_else(|| {
                wanted.push(Programs {
                    project: command.project.clone(),
                    programs: Vec::new(),
                });
                wanted.len() - 1
            });
            if let Some(one) = wanted.get_mut(at)
                && !one.programs.contains(&command.program)
            {
                one.programs.push(command.program.clone());
            }
        }
        Ok(Warmth {
            pool: WarmPool::new(budget, Some(rest))?,
            programs,
            left: Mutex::new(left),
        })
    }
}

impl World {
    /// Keeps hop environments warm from now on, in so many bytes of memory. Series whose environment was verified in an earlier process are warmed at
    /// once, the others when they have been verified.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn keep_warm(&mut self, view: &RunView, budget: u64) -> std::io::Result<()> {
        self.warmth = Some(Warmth::new(&self.plan, view, budget, self.place_to_rest())?);
        for step in self.plan.steps.iter().filter(|step| view.is_done(&step.id)) {
            if let Action::VerifyEnvironment { series } = &step.action {
                self.start_warming(series);
            }
        }
        Ok(())
    }

    /// The run's directory. A checkpoint may be written there, too, and the databases' own files may be on the same disk: as many bytes as they
    /// have are left free.
    fn place_to_rest(&self) -> Rest {
        Rest {
            directory: self.run.path().to_owned(),
            reserve: self.plan.cloud.databases().map(|(_, database)| database.bytes).sum(),
        }
    }

    /// One command of a project in a series is done. What is not wanted any more makes room for the next series.
    pub(super) fn one_less(&self, series: &Series, project: &str) {
        let Some(warmth) = &self.warmth else { return };
        let mut left = warmth.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_series) = left.get_mut(series) else { return };
        let Some(count) = of_series.get_mut(project) else {
            return;
        };
        *count = count.saturating_sub(1);
        if *count > 0 {
            return;
        }
        of_series.remove(project);
        if of_series.is_empty() {
            left.remove(series);
            warmth.pool.retire(series);
        } else {
            warmth.pool.retire_project(series, project);
        }
    }

    fn start_warming(&self, series: &Series) {
        let Some(warmth) = &self.warmth else { return };
        // An environment that cannot be opened is the command's to report.
        if let (Some(wanted), Ok(environment)) = (warmth.programs.get(series), self.environments.open(series)) {
            warmth.pool.warm(environment, wanted.clone());
        }
    }

    /// Warms a series, and waits until that is settled: before the freeze there is time. What there is to say of it.
    pub(super) fn warm_ahead(&self, series: &Series) -> (String, Vec<Finding>) {
        self.start_warming(series);
        let settled = self
            .warmth
            .as_ref()
            .and_then(|warmth| warmth.pool.settle(series, PATIENCE, &self.stop));
        let Some(settled) = settled else {
            return (String::new(), Vec::new());
        };
        let text = match settled.warmed_in {
            Some(time) => {
                let rests = match settled.rests {
                    0 => String::new(),
                    bytes => format!(", and {} MiB rest in files", bytes >> 20),
                };
                let stays = settled
                    .stays
                    .map_or_else(String::new, |why| format!(" (not all of it rests: {why})"));
                format!(
                    "; warm after {:.1} s, {} MiB{rests}{stays}",
                    time.as_secs_f64(),
                    settled.memory >> 20
                )
            }
            None if settled.waits_for_room => "; it is warmed when an earlier series has made room".to_owned(),
            None => "; not warm".to_owned(),
        };
        (text, settled.cold.iter().map(|cold| ran_cold(None, cold)).collect())
    }
}

/// Why something is run by a plain process.
pub(super) fn ran_cold(project: Option<&str>, cold: &ffu_hopenv::Cold) -> Finding {
    Finding {
        id: "ran-cold".to_owned(),
        severity: Severity::Info,
        project: project.map(str::to_owned),
        message: format!("a plain process is used, which takes some seconds longer: {cold}"),
        remedy: "nothing has to be done".to_owned(),
        source: String::new(),
    }
}
