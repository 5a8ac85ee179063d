//! What a run did, added up from its plan and journal: for people as text, for programs as JSON.
//!
//! Nothing here reads a file; both views come from one [`RunReport`].

mod build;
mod estimate;
mod rehearsal;
mod text;

use std::collections::BTreeMap;

use ffu_model::event::{RunState, StepResult};
use ffu_model::{Finding, Phase, Series};
use serde::Serialize;

pub use build::build;
pub use estimate::{Comparison, PhaseComparison, StepComparison};
pub use rehearsal::render_rehearsal;
pub use text::{milliseconds, render};

/// A run, added up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// The plan's id.
    pub plan: String,
    /// Its state.
    pub state: Option<RunState>,
    /// From.
    pub from: Series,
    /// To.
    pub to: Series,
    /// Milliseconds from the first stop of a service to the last answer of the target's; absent until then.
    pub window_ms: Option<u64>,
    /// What the plan expected.
    pub planned_window_ms: u64,
    /// Wall time of each phase that was begun.
    pub phases: Vec<PhaseRow>,
    /// One row a hop.
    pub hops: Vec<HopRow>,
    /// The projects that are columns, in the order of the plan.
    pub projects: Vec<String>,
    /// Rows before and after.
    pub invariants: Vec<InvariantRow>,
    /// Steps by result.
    pub results: BTreeMap<String, usize>,
    /// Steps that are not done.
    pub open: Vec<String>,
    /// The step that failed last, with its detail.
    pub failed: Option<(String, String)>,
    /// Findings of steps, with the step.
    pub findings: Vec<(String, Finding)>,
    /// What the plan expected of the steps that were done, and what they took.
    pub comparison: Comparison,
    /// Actions of a rollback with their details.
    pub rollback: Vec<(String, StepResult, String)>,
}

/// Wall time of a phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseRow {
    /// The phase.
    pub phase: Phase,
    /// Milliseconds from its first intent to its last outcome.
    pub wall_ms: u64,
    /// Steps done, and steps in all.
    pub done: usize,
    /// See `done`.
    pub steps: usize,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HopRow {
    /// The series that was entered.
    pub to: Series,
    /// By project: added up step times, steps, and the worst result.
    pub cells: BTreeMap<String, Cell>,
    /// Wall time of the hop.
    pub wall_ms: u64,
}

/// One project on one hop.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// Milliseconds of its steps, added up.
    pub ms: u64,
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
    /// Warnings.
    pub warnings: usize,
    /// Whether one failed and was not repeated with success.
    pub failed: bool,
}

/// One invariant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InvariantRow {
    /// Its id.
    pub id: String,
    /// Rows at the freeze.
    pub before: u64,
    /// Rows at the target; absent if it was not compared yet.
    pub after: Option<u64>,
    /// Whether rows and fingerprints were found equal.
    pub equal: Option<bool>,
}
