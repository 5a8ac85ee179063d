//! What the engine asks of the outside world.

use std::collections::BTreeMap;

use ffu_model::{Finding, Step, StepResult};

/// Does steps, looks whether an interrupted one is complete, takes things back.
///
/// Calls come from several threads at once, for steps that do not need each other.
pub trait Performer: Sync {
    /// Does a step. Never panics; whatever goes wrong is a [`StepResult::Failed`] with what to do next in the detail.
    fn perform(&self, step: &Step, attempt: u32) -> Performed;

    /// Looks at the world, not at memory, whether a step that was interrupted is complete. A command that outlived its
    /// `ffu` is waited for first.
    fn inspect(&self, step: &Step, attempt: u32) -> Inspection;

    /// One action of a rollback. Each may be repeated.
    fn take_back(&self, action: RollbackAction) -> Performed;
}

/// How a step went.
#[derive(Clone, Debug, PartialEq)]
pub struct Performed {
    /// The result.
    pub result: StepResult,
    /// In a sentence or two, secrets masked.
    pub detail: String,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Figures.
    pub figures: BTreeMap<String, u64>,
}

impl Performed {
    /// Done.
    pub fn succeeded(detail: impl Into<String>) -> Self {
        Performed::with(StepResult::Succeeded, detail)
    }

    /// Failed.
    pub fn failed(detail: impl Into<String>) -> Self {
        Performed::with(StepResult::Failed, detail)
    }

    /// Any result, without findings and figures.
    pub fn with(result: StepResult, detail: impl Into<String>) -> Self {
        Performed {
            result,
            detail: detail.into(),
            findings: Vec::new(),
            figures: BTreeMap::new(),
        }
    }
}

/// What [`Performer::inspect`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The step's effect is there, whole; the evidence.
    Complete(String),
    /// It is not, and the step may be done again; the evidence.
    Incomplete(String),
    /// It is not, and doing it again could do harm; why.
    Stuck(String),
}

/// The actions of a rollback, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackAction {
    /// Orphaned commands have ended, services of other series are stopped.
    Quiesce,
    /// Databases are as they were at the checkpoint.
    Databases,
    /// Configuration and unit files are as they were.
    Files,
    /// The old services are started and answer.
    Services,
}

impl RollbackAction {
    /// All, in order.
    pub const ALL: [RollbackAction; 4] = [
        RollbackAction::Quiesce,
        RollbackAction::Databases,
        RollbackAction::Files,
        RollbackAction::Services,
    ];

    /// Its id in the journal.
    pub fn id(self) -> &'static str {
        match self {
            RollbackAction::Quiesce => "rollback.quiesce",
            RollbackAction::Databases => "rollback.databases",
            RollbackAction::Files => "rollback.files",
            RollbackAction::Services => "rollback.services",
        }
    }

    /// What it does, for people.
    pub fn title(self) -> &'static str {
        match self {
            RollbackAction::Quiesce => "Nothing of the run works on the databases any more",
            RollbackAction::Databases => "Bring the databases back to the checkpoint and prove it",
            RollbackAction::Files => "Bring configuration and unit files back",
            RollbackAction::Services => "Start the old services",
        }
    }
}
