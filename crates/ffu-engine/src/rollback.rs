//! Taking a run back to its checkpoint. A rollback that is killed is simply started again: what was done stays done, and the
//! action it was killed in may be repeated.

use std::time::Instant;

use ffu_model::Plan;
use ffu_model::event::{EventKind, RunState};
use ffu_model::fault;
use ffu_model::step::Phase;

use crate::error::EngineError;
use crate::journal::Journal;
use crate::performer::{Performer, RollbackAction};
use crate::view::RunView;

/// Whether the run can still be taken back.
///
/// # Errors
/// [`EngineError::WrongState`] with the reason.
pub(crate) fn allowed(plan: &Plan, view: &RunView) -> Result<(), EngineError> {
    let wrong = |reason: String, next: &str| EngineError::WrongState {
        run: view.run.clone(),
        state: view.state.map_or("not begun".to_owned(), |state| state.to_string()),
        reason,
        next: next.to_owned(),
    };
    if view.state == Some(RunState::RolledBack) {
        return Err(wrong(
            "there is nothing left to take back".to_owned(),
            "`ffu status` shows the proof",
        ));
    }
    let passed = plan
        .steps
        .iter()
        .find(|step| step.phase >= Phase::Release && view.was_begun(&step.id));
    match passed {
        Some(step) => Err(wrong(
            format!("it is past the point of no return ({} was begun)", step.id),
            "`ffu accept` finishes it; going back is then a restore from your own backups",
        )),
        None => Ok(()),
    }
}

/// Takes the run back; the state is [`RunState::RolledBack`] when every action succeeded, else [`RunState::RollingBack`].
///
/// # Errors
/// [`EngineError::WrongState`] past the point of no return, [`EngineError::JournalWrite`].
pub fn rollback(
    plan: &Plan,
    performer: &dyn Performer,
    journal: &mut Journal,
    view: &mut RunView,
) -> Result<RunState, EngineError> {
    allowed(plan, view)?;
    for action in RollbackAction::ALL {
        // What an earlier process did is not done again: the old services may be up by now, and what they have written since
        // is no part of the run.
        if view.is_done(action.id()) {
            continue;
        }
        let attempt = view.next_attempt(action.id());
        let event = journal.write(EventKind::Intent {
            step: action.id().to_owned(),
            attempt,
        })?;
        view.add(&event);
        let begun = Instant::now();
        let performed = performer.take_back(action);
        fault::point("after-effect", action.id());
        let good = performed.result.is_good();
        let event = journal.write(EventKind::Outcome {
            step: action.id().to_owned(),
            attempt,
            result: performed.result,
            detail: performed.detail.clone(),
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            findings: performed.findings,
            figures: performed.figures,
        })?;
        view.add(&event);
        if !good {
            let detail = format!(
                "{} failed: {}; mend it and `ffu rollback` again",
                action.id(),
                performed.detail
            );
            let event = journal.write(EventKind::Ended {
                state: RunState::RollingBack,
                detail,
            })?;
            view.add(&event);
            return Ok(RunState::RollingBack);
        }
    }
    let detail = "databases, configuration and services are as they were at the checkpoint".to_owned();
    let event = journal.write(EventKind::Ended {
        state: RunState::RolledBack,
        detail,
    })?;
    view.add(&event);
    Ok(RunState::RolledBack)
}
