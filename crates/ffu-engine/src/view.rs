//! What the events of a journal add up to.

use std::collections::BTreeMap;

use ffu_model::event::{Event, EventKind, RunState, StepResult};
use jiff::Timestamp;

/// Where a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// An intent without an outcome: running, or unknown if nobody is attached.
    Begun {
        /// Since when.
        since: Timestamp,
    },
    /// It has an outcome.
    Ended {
        /// The result.
        result: StepResult,
        /// Its detail.
        detail: String,
        /// Milliseconds.
        duration_ms: u64,
    },
    /// The operator did it by hand.
    ByHand,
}

impl StepState {
    /// Whether steps that need it may run.
    pub fn is_good(&self) -> bool {
        match self {
            StepState::Begun { .. } => false,
            StepState::Ended { result, .. } => result.is_good(),
            StepState::ByHand => true,
        }
    }
}

/// A run as its journal tells it.
#[derive(Clone, Debug, Default)]
pub struct RunView {
    /// The run's id.
    pub run: String,
    /// The plan's id.
    pub plan: String,
    /// State of the steps (and rollback actions) that were begun.
    pub steps: BTreeMap<String, StepState>,
    /// Attempts of each.
    pub attempts: BTreeMap<String, u32>,
    /// The state the last process left, or that it is running.
    pub state: Option<RunState>,
    /// What the last process that attached wanted: `run`, `resume`, `rollback`, `accept`.
    pub purpose: String,
    /// Its process id.
    pub pid: u32,
    /// When the run was created.
    pub created: Option<Timestamp>,
    /// The last event's time.
    pub last: Option<Timestamp>,
    /// Why no step is begun, while the watch holds the run.
    pub held: Option<String>,
}

impl RunView {
    /// Adds the events up.
    pub fn from_events(events: &[Event]) -> Self {
        let mut view = RunView::default();
        for event in events {
            view.add(event);
        }
        view
    }

    /// Adds one event.
    pub fn add(&mut self, event: &Event) {
        self.last = Some(event.at);
        match &event.kind {
            EventKind::RunCreated { run, plan, .. } => {
                self.run = run.clone();
                self.plan = plan.clone();
                self.created = Some(event.at);
            }
            EventKind::Attached { purpose, pid, .. } => {
                self.purpose = purpose.clone();
                self.pid = *pid;
                self.held = None;
                self.state = Some(if purpose == "rollback" {
                    RunState::RollingBack
                } else {
                    RunState::Running
                });
            }
            EventKind::Intent { step, attempt } => {
                self.attempts.insert(step.clone(), *attempt);
                self.steps.insert(step.clone(), StepState::Begun { since: event.at });
            }
            EventKind::Outcome {
                step,
                result,
                detail,
                duration_ms,
                ..
            } => {
                let ended = StepState::Ended {
                    result: *result,
                    detail: detail.clone(),
                    duration_ms: *duration_ms,
                };
                self.steps.insert(step.clone(), ended);
            }
            EventKind::UnknownResolved { .. } => {}
            EventKind::Held { detail } => self.held = Some(detail.clone()),
            EventKind::WentOn { .. } => self.held = None,
            EventKind::TakenAsDone { step } => {
                self.steps.insert(step.clone(), StepState::ByHand);
            }
            EventKind::Ended { state, .. } => {
                self.state = Some(*state);
                self.held = None;
            }
        }
    }

    /// Whether a step is done.
    pub fn is_done(&self, step: &str) -> bool {
        self.steps.get(step).is_some_and(StepState::is_good)
    }

    /// Whether a step was ever begun.
    pub fn was_begun(&self, step: &str) -> bool {
        self.steps.contains_key(step)
    }

    /// The next attempt's number.
    pub fn next_attempt(&self, step: &str) -> u32 {
        self.attempts.get(step).map_or(1, |attempt| attempt + 1)
    }

    /// Steps with an intent and no outcome, and the attempt.
    pub fn unknown(&self) -> Vec<(String, u32)> {
        self.steps
            .iter()
            .filter(|(_, state)| matches!(state, StepState::Begun { .. }))
            .map(|(step, _)| (step.clone(), self.attempts.get(step).copied().unwrap_or(1)))
            .collect()
    }

    /// Whether the run is over, one way or the other.
    pub fn is_over(&self) -> bool {
        matches!(self.state, Some(RunState::RolledBack | RunState::Finished))
    }
}
