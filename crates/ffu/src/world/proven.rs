//! Commands that provably change nothing are not run: the proof is what the database says, and it is journalled.
//!
//! A schema command whose databases are at the heads of its own series has nothing to migrate; the heads in the plan are
//! those of the package's own migration tree. An online migration whose every count is 0 has no row to look at. Where the
//! question cannot be answered the command is run.

use ffu_model::step::{CommandAction, ExpectedHeads, NoOp, PendingCount};

use super::World;

impl World {
    /// Runs every command, also those that would change nothing, and reads every row for the checkpoint (`--paranoid`).
    pub fn run_everything(&mut self) {
        self.paranoid = true;
    }

    /// Why a command need not run; `None` if it must.
    pub(super) fn proven_no_op(&self, action: &CommandAction) -> Option<String> {
        if self.paranoid {
            return None;
        }
        match action.no_op.as_ref()? {
            NoOp::Heads(heads) => self.at_heads(action, heads),
            NoOp::Counts(counts) => self.nothing_pending(counts),
        }
    }

    fn at_heads(&self, action: &CommandAction, heads: &[ExpectedHeads]) -> Option<String> {
        if heads.is_empty() || !self.not_at(heads).ok()?.is_empty() {
            return None;
        }
        let places: Vec<String> = heads
            .iter()
            .map(|heads| format!("{} is at {}", heads.database, heads.versions.join(", ")))
            .collect();
        Some(format!(
            "not run: {}, which is the head of {}, so there is nothing to migrate",
            places.join("; "),
            action.series
        ))
    }

    fn nothing_pending(&self, counts: &[PendingCount]) -> Option<String> {
        let mut none = Vec::new();
        for pending in counts {
            if self.count(&pending.database, &pending.query).ok()? > 0 {
                return None;
            }
            none.push(format!("{} counts 0 rows in {}", pending.what, pending.database));
        }
        (!none.is_empty()).then(|| format!("not run: {}", none.join("; ")))
    }
}
