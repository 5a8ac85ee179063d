//! Taking back: nothing of the run works any more, databases and files as at the checkpoint, old services started.

use ffu_db::checkpoint::{self, Means};
use ffu_engine::Performed;
use ffu_model::step::{Action, Phase};
use ffu_model::{Finding, Severity};

use super::{World, failed, judged};

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
        let kept = match self.keep_strangers() {
            Ok(kept) => kept,
            Err(reason) => return failed(format!("{reason}\n  next: mend it, then `ffu rollback` again")),
        };
        let restored = self.opening_key().and_then(|key| {
            let means = Means {
                thoroughness: self.proof,
                key: key.as_ref(),
                ..Means::default()
            };
            self.with_options(|options| checkpoint::restore_with(&self.run.checkpoint(), means, options))
        });
        match restored {
            Ok(proofs) => {
                let sentences: Vec<String> = proofs
                    .iter()
                    .map(|proof| format!("{}: {}", proof.key, proof.sentence))
                    .collect();
                let detail = format!("{} databases are as they were: {}", proofs.len(), sentences.join("; "));
                judged(detail, kept)
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
            return judged("services were never stopped", self.leave_no_copies());
        }
        let mut units = self.control_plane_units();
        units.reverse();
        let start = |unit: &str| self.manager.start(unit).map_err(|error| error.to_string());
        if let Err(reason) = self.start_side_by_side(&units, start) {
            return failed(format!("{reason}\n  next: mend it, then `ffu rollback` again"));
        }
        let agents = match self.agents_unchanged() {
            Ok(said) => said,
            Err(reason) => return failed(reason),
        };
        // Only now: dropping gigabytes takes a while, and nobody waits for it.
        let copies = self.leave_no_copies();
        judged(format!("started: {}; {agents}", units.join(", ")), copies)
    }

    /// Drops what the run's copies left on the servers: the copies of a run that changed nothing, or the migrated tables
    /// that were put aside. The cloud is back without it, so a failure is a warning.
    fn leave_no_copies(&self) -> Vec<Finding> {
        match checkpoint::drop_copies(&self.run.checkpoint()) {
            Ok(_) => Vec::new(),
            Err(error) => vec![Finding {
                id: "copies-left".to_owned(),
                severity: Severity::Warning,
                project: None,
                message: format!("schemas of this run stay on the server: {error}"),
                remedy: "drop the schemas that begin with `ffu_` by hand once the server is well".to_owned(),
                source: String::new(),
            }],
        }
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
