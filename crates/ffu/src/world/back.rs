//! Taking back: nothing of the run works any more, databases and files as at the checkpoint, old services started.

use ffu_db::checkpoint;
use ffu_engine::Performed;
use ffu_model::step::{Action, Phase};

use super::{World, failed};

impl World {
    pub(super) fn quiesce(&self) -> Performed {
        let ended = match self.end_orphans() {
            Ok(ended) => ended,
            Err(reason) => return failed(reason),
        };
        if !self.touched_services() {
            return Performed::succeeded(format!("{ended} left-over commands ended; services were never stopped"));
        }
        let mut stopped = 0;
        for unit in self.control_plane_units() {
            match self.manager.stop(&unit) {
                Ok(()) => stopped += 1,
                Err(error) => return failed(error),
            }
        }
        Performed::succeeded(format!("{ended} left-over commands ended, {stopped} units stopped"))
    }

    pub(super) fn restore_databases(&self) -> Performed {
        if !self.begun_after_checkpoint() {
            return Performed::succeeded("no migration was begun: the databases are untouched");
        }
        match self.with_options(|options| checkpoint::restore_databases(&self.run.checkpoint(), options)) {
            Ok(proofs) => {
                let names: Vec<String> = proofs.iter().map(|proof| proof.key.to_string()).collect();
                Performed::succeeded(format!(
                    "{} databases are as they were, every table proven by fingerprint: {}",
                    proofs.len(),
                    names.join(", ")
                ))
            }
            Err(error) => failed(format!("{error}\n  next: mend it, then `ffu rollback` again")),
        }
    }

    pub(super) fn restore_files(&self) -> Performed {
        if !self.begun_after_checkpoint() {
            return Performed::succeeded("no file was changed");
        }
        match checkpoint::restore_files(&self.run.checkpoint()) {
            Ok(changed) => Performed::succeeded(format!("{} files brought back", changed.len())),
            Err(error) => failed(format!("{error}\n  next: mend it, then `ffu rollback` again")),
        }
    }

    pub(super) fn restore_services(&self) -> Performed {
        if !self.touched_services() {
            return Performed::succeeded("services were never stopped");
        }
        let mut units = self.control_plane_units();
        units.reverse();
        let mut started = Vec::new();
        for unit in units {
            if let Err(error) = self.manager.start(&unit) {
                return failed(format!("{error}\n  next: mend it, then `ffu rollback` again"));
            }
            started.push(unit);
        }
        let agents = match self.agents_unchanged() {
            Ok(said) => said,
            Err(reason) => return failed(reason),
        };
        Performed::succeeded(format!("started: {}; {agents}", started.join(", ")))
    }

    /// Units of the control plane in stop order, as the plan has them.
    pub(super) fn control_plane_units(&self) -> Vec<String> {
        let mut units = Vec::new();
        for step in self.plan.steps.iter().filter(|step| step.phase == Phase::Freeze) {
            if let Action::StopServices { units: stopped } = &step.action {
                units.extend(stopped.iter().cloned());
            }
        }
        units
    }

    fn begun(&self, test: impl Fn(&ffu_model::Step) -> bool) -> bool {
        // A journal that cannot be read says nothing: then everything counts as begun.
        let Ok(view) = self.run.view() else { return true };
        self.plan
            .steps
            .iter()
            .any(|step| test(step) && view.was_begun(&step.id))
    }

    fn touched_services(&self) -> bool {
        self.begun(|step| step.phase >= Phase::Freeze)
    }

    fn begun_after_checkpoint(&self) -> bool {
        self.begun(|step| step.phase > Phase::Checkpoint)
    }
}
