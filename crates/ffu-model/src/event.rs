//! What the journal holds, one JSON object a line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// The journal's format version.
pub const JOURNAL_FORMAT: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 without gaps; a gap means a damaged journal.
    pub seq: u64,
    /// When it was written (wall clock; durations are measured on the monotonic one).
    pub at: Timestamp,
    /// The same instant on the boot-time clock of the host, in nanoseconds, which no clock step moves: what the watch's
    /// measurements are laid beside. 0 in journals that were written before there was a watch.
    #[serde(default)]
    pub boot: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventKind {
    /// The journal begins.
    RunCreated {
        /// [`JOURNAL_FORMAT`].
        format: u32,
        /// The run's id.
        run: String,
        /// The plan's id.
        plan: String,
        /// The program and version.
        program: String,
    },
    /// A process took the run up: the first start, a resume, a rollback, an acceptance.
    Attached {
        /// `run`, `resume`, `rollback` or `accept`.
        purpose: String,
        /// Its process id.
        pid: u32,
        /// The host's name.
        host: String,
    },
    /// About to do a step (or to take it back, in a rollback). Written and synced before the side effect.
    Intent {
        /// The step's id, or a rollback action's.
        step: String,
        /// Counts from 1.
        attempt: u32,
    },
    /// How it went.
    Outcome {
        /// The step's id.
        step: String,
        /// Counts from 1.
        attempt: u32,
        /// How it went.
        result: StepResult,
        /// What was done or why it failed, in a sentence or two, secrets masked.
        detail: String,
        /// Milliseconds from intent to outcome.
        duration_ms: u64,
        /// Warnings and other findings of the step.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
        /// Figures of the step, e.g. rows moved.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        figures: BTreeMap<String, u64>,
    },
    /// A step without outcome was found, and its own check decided.
    UnknownResolved {
        /// The step's id.
        step: String,
        /// What was decided and on what evidence.
        detail: String,
        /// Whether the step's effect was found complete.
        complete: bool,
    },
    /// The operator told the run to take a step as done.
    TakenAsDone {
        /// The step's id.
        step: String,
    },
    /// No step is begun until the watch says so: the data plane lost more than the operator tolerates.
    Held {
        /// What was lost, in which step, and how to go on.
        detail: String,
    },
    /// The operator acknowledged it, steps are begun again.
    WentOn {
        /// How long nothing was begun, milliseconds.
        held_ms: u64,
    },
    /// The attached process let go.
    Ended {
        /// In which state the run is.
        state: RunState,
        /// In a sentence.
        detail: String,
    },
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// Done.
    Succeeded,
    /// Done, with warnings.
    Warned,
    /// Not run, because it provably changes nothing.
    Proven,
    /// Failed.
    Failed,
    /// Stopped by the operator before it was complete.
    Interrupted,
}

impl StepResult {
    /// Whether steps that need this one may run.
    pub fn is_good(self) -> bool {
        matches!(self, StepResult::Succeeded | StepResult::Warned | StepResult::Proven)
    }
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// A process works on it (or died while it did: then the lock is free).
    Running,
    /// A step failed or the operator stopped it.
    Stopped,
    /// A pause step waits for the operator.
    Paused,
    /// Everything up to the point of no return is done; `ffu accept` or `ffu rollback`.
    AwaitingAcceptance,
    /// Being taken back.
    RollingBack,
    /// Taken back and proven.
    RolledBack,
    /// Accepted and finished.
    Finished,
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            RunState::Running => "running",
            RunState::Stopped => "stopped",
            RunState::Paused => "paused",
            RunState::AwaitingAcceptance => "awaiting acceptance",
            RunState::RollingBack => "rolling back",
            RunState::RolledBack => "rolled back",
            RunState::Finished => "finished",
        })
    }
}
