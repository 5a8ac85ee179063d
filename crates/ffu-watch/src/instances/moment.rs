//! When the databases may be asked: pure, from the steps that the journal tells of.

use std::collections::BTreeSet;

use ffu_model::watch::StepMark;

/// What asking would mean now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The freeze has not begun: what is seen is what later is compared with.
    Before,
    /// The databases are stopped, migrated or brought back: nobody asks.
    Window,
    /// The hops are over.
    After,
}

/// The steps of a run so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    frozen: bool,
    after: bool,
    /// Steps that run and touch the databases' tables.
    open: BTreeSet<String>,
}

impl Steps {
    /// A step began or ended.
    pub(crate) fn take(&mut self, mark: &StepMark) {
        match mark.phase.as_str() {
            "prepare" => return,
            "deploy" | "release" | "finish" => {
                self.after = true;
                return;
            }
            // Freeze, checkpoint, hops; steps of a rollback; and whatever is not known.
            _ if mark.end.is_some() => {
                self.open.remove(&mark.step);
            }
            _ => {
                self.after = false;
                self.open.insert(mark.step.clone());
            }
        }
        self.frozen = true;
    }

    /// What asking would mean now.
    pub(crate) fn moment(&self) -> Moment {
        match (self.frozen, self.after && self.open.is_empty()) {
            (_, true) => Moment::After,
            (false, false) => Moment::Before,
            (true, false) => Moment::Window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_from_the_freeze_to_the_end_of_the_hops_nor_in_a_rollback() {
        let mut steps = Steps::default();
        let mut told = Vec::new();
        for (step, phase, ended) in [
            ("prepare.check", "prepare", false),
            ("prepare.check", "prepare", true),
            ("freeze.stop", "freeze", false),
            ("freeze.stop", "freeze", true),
            ("hops.nova", "hops", false),
            ("hops.glance", "hops", false),
            ("hops.nova", "hops", true),
            ("deploy.config", "deploy", false),
            ("hops.glance", "hops", true),
            ("deploy.config", "deploy", true),
            ("rollback.databases", "rollback", false),
            ("rollback.databases", "rollback", true),
        ] {
            steps.take(&StepMark {
                step: step.to_owned(),
                phase: phase.to_owned(),
                begin: 1,
                end: ended.then_some(2),
            });
            told.push(steps.moment());
        }
        use Moment::{After, Before, Window};
        let wanted = [
            Before, Before, Window, Window, Window, Window, Window, Window, After, After, Window, Window,
        ];
        assert_eq!(told, wanted);
    }
}
