//! The executor: starts steps whose needs are met, as many at once as the plan allows, and journals what becomes of them.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ffu_model::Plan;
use ffu_model::event::{EventKind, RunState, StepResult};
use ffu_model::fault;
use ffu_model::step::{Action, Phase, Step};
use ffu_model::stop::{StopFlag, StopLevel};

use crate::error::EngineError;
use crate::gate::{Gate, PROBES_LOST, Permit};
use crate::journal::Journal;
use crate::performer::{Inspection, Performed, Performer};
use crate::view::RunView;

/// Which part of the plan is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything up to the point of no return.
    Upgrade,
    /// What follows the operator's acceptance.
    Acceptance,
}

impl Scope {
    fn includes(self, phase: Phase) -> bool {
        phase.is_after_acceptance() == (self == Scope::Acceptance)
    }
}

/// What [`execute`] needs.
pub struct Execution<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The part of it.
    pub scope: Scope,
    /// Steps at once.
    pub parallel: usize,
    /// Go on from this step: failed or interrupted steps it needs were done by hand.
    pub from: Option<&'a str>,
    /// The outside world.
    pub performer: &'a dyn Performer,
    /// Whether steps may be begun.
    pub gate: &'a dyn Gate,
    /// The operator's wish to stop.
    pub stop: StopFlag,
}

struct Ended {
    at: usize,
    attempt: u32,
    performed: Performed,
    duration: Duration,
}

/// Executes what is open, and leaves the run in the state that is returned and journalled.
///
/// `view` is what the journal says so far and is kept up to date.
///
/// # Errors
/// [`EngineError::JournalWrite`] – then running steps were waited for and nothing further was begun – and
/// [`EngineError::BadFrom`].
pub fn execute(execution: &Execution<'_>, journal: &mut Journal, view: &mut RunView) -> Result<RunState, EngineError> {
    if let Some(from) = execution.from {
        take_as_done(execution, from, journal, view)?;
    }
    if let Some(stuck) = resolve_unknown(execution, journal, view)? {
        return end(journal, view, RunState::Stopped, stuck);
    }
    let mut dispatcher = Dispatcher {
        execution,
        journal,
        view,
        running: BTreeSet::new(),
        halt: None,
        held: None,
        waits: false,
        tried: BTreeSet::new(),
    };
    let (sender, receiver) = channel();
    std::thread::scope(|scope| dispatcher.run(scope, &sender, &receiver))?;
    let halt = dispatcher.halt.take();
    let (state, detail) = match halt {
        Some(halt) => halt,
        None if execution.scope == Scope::Acceptance => (RunState::Finished, "accepted and finished".to_owned()),
        None => (
            RunState::AwaitingAcceptance,
            "everything up to the point of no return is done; `ffu accept` or `ffu rollback`".to_owned(),
        ),
    };
    end(journal, view, state, detail)
}

fn end(journal: &mut Journal, view: &mut RunView, state: RunState, detail: String) -> Result<RunState, EngineError> {
    let event = journal.write(EventKind::Ended { state, detail })?;
    view.add(&event);
    Ok(state)
}

struct Dispatcher<'a, 'b> {
    execution: &'b Execution<'a>,
    journal: &'b mut Journal,
    view: &'b mut RunView,
    running: BTreeSet<usize>,
    /// Why no further step is begun.
    halt: Option<(RunState, String)>,
    /// Since when the gate lets nothing be begun.
    held: Option<Instant>,
    /// The gate is asked again before anything is begun.
    waits: bool,
    /// Begun by this process: not begun twice.
    tried: BTreeSet<usize>,
}

impl<'a> Dispatcher<'a, '_> {
    fn run<'scope>(
        &mut self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        sender: &Sender<Ended>,
        receiver: &Receiver<Ended>,
    ) -> Result<(), EngineError>
    where
        'a: 'scope,
    {
        let mut failure: Option<EngineError> = None;
        loop {
            if failure.is_none() && self.halt.is_none() {
                if self.execution.stop.level() > StopLevel::Run {
                    self.halt = Some((RunState::Stopped, "the operator stopped the run".to_owned()));
                } else if let Err(error) = self.ask_gate().and_then(|()| self.begin_ready(scope, sender)) {
                    failure = Some(error);
                }
            }
            let waits = self.waits && self.halt.is_none() && failure.is_none();
            if self.running.is_empty() && !waits {
                return failure.map_or(Ok(()), Err);
            }
            // Short, so that a wish to stop is noticed while steps run.
            let Ok(ended) = receiver.recv_timeout(Duration::from_millis(200)) else {
                continue;
            };
            self.running.remove(&ended.at);
            if let Err(error) = self.record(ended)
                && failure.is_none()
            {
                failure = Some(error);
            }
        }
    }

    /// Asks whether steps may be begun, and journals when that changes.
    fn ask_gate(&mut self) -> Result<(), EngineError> {
        let mut steps = self.execution.plan.steps.iter().enumerate();
        let Some((_, next)) = steps.find(|(at, step)| self.is_ready(*at, step)) else {
            self.waits = false;
            return Ok(());
        };
        let permit = self.execution.gate.permit(next);
        self.waits = !matches!(permit, Permit::Go | Permit::Stop(_));
        match (permit, self.held) {
            (Permit::Go | Permit::Wait, None) | (Permit::Hold(_), Some(_)) => {}
            (Permit::Go | Permit::Wait, Some(since)) => {
                self.held = None;
                let held_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.journal_event(EventKind::WentOn { held_ms })?;
            }
            (Permit::Hold(detail), None) => {
                self.held = Some(Instant::now());
                self.journal_event(EventKind::Held { detail })?;
            }
            (Permit::Stop(why), _) => self.halt = Some((RunState::Stopped, why)),
        }
        Ok(())
    }

    fn begin_ready<'scope>(
        &mut self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        sender: &Sender<Ended>,
    ) -> Result<(), EngineError>
    where
        'a: 'scope,
    {
        let plan: &'a Plan = self.execution.plan;
        if self.waits || self.halt.is_some() {
            return Ok(());
        }
        for (at, step) in plan.steps.iter().enumerate() {
            if self.running.len() >= self.execution.parallel.max(1) {
                break;
            }
            if !self.is_ready(at, step) {
                continue;
            }
            if let Action::Pause { message } = &step.action {
                if self.running.is_empty() {
                    let attempt = self.view.next_attempt(&step.id);
                    self.journal_event(EventKind::Intent {
                        step: step.id.clone(),
                        attempt,
                    })?;
                    self.halt = Some((RunState::Paused, message.clone()));
                    break;
                }
                continue;
            }
            let attempt = self.view.next_attempt(&step.id);
            self.journal_event(EventKind::Intent {
                step: step.id.clone(),
                attempt,
            })?;
            self.tried.insert(at);
            self.running.insert(at);
            let (sender, performer, gate) = (sender.clone(), self.execution.performer, self.execution.gate);
            scope.spawn(move || {
                let (begun, before) = (Instant::now(), gate.lost());
                let mut performed = performer.perform(step, attempt);
                if let (Some(before), Some(after)) = (before, gate.lost()) {
                    let lost = after.saturating_sub(before);
                    performed.figures.insert(PROBES_LOST.to_owned(), lost);
                }
                fault::point("after-effect", &step.id);
                let _ = sender.send(Ended {
                    at,
                    attempt,
                    performed,
                    duration: begun.elapsed(),
                });
            });
        }
        Ok(())
    }

    fn is_ready(&self, at: usize, step: &Step) -> bool {
        self.execution.scope.includes(step.phase)
            && !self.tried.contains(&at)
            && !self.view.is_done(&step.id)
            && step.needs.iter().all(|need| self.view.is_done(need))
    }

    fn record(&mut self, ended: Ended) -> Result<(), EngineError> {
        let step = &self.execution.plan.steps[ended.at];
        let Performed {
            result,
            detail,
            findings,
            figures,
        } = ended.performed;
        let duration_ms = u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX);
        if self.halt.is_none() && !result.is_good() {
            let why = if result == StepResult::Interrupted {
                "was stopped"
            } else {
                "failed"
            };
            let first = detail.lines().next().unwrap_or_default();
            self.halt = Some((RunState::Stopped, format!("{} {why}: {first}", step.id)));
        }
        self.journal_event(EventKind::Outcome {
            step: step.id.clone(),
            attempt: ended.attempt,
            result,
            detail,
            duration_ms,
            findings,
            figures,
        })
    }

    fn journal_event(&mut self, kind: EventKind) -> Result<(), EngineError> {
        let event = self.journal.write(kind)?;
        self.view.add(&event);
        Ok(())
    }
}

/// For each step with an intent and no outcome its own check decides. Gives the reason if the run cannot go on.
fn resolve_unknown(
    execution: &Execution<'_>,
    journal: &mut Journal,
    view: &mut RunView,
) -> Result<Option<String>, EngineError> {
    for (id, attempt) in view.unknown() {
        let Some(step) = execution.plan.step(&id) else { continue };
        let begun = Instant::now();
        let inspection = match &step.action {
            Action::Pause { .. } => Inspection::Complete("the operator went on".to_owned()),
            _ => execution.performer.inspect(step, attempt),
        };
        let (complete, detail) = match inspection {
            Inspection::Complete(detail) => (true, detail),
            Inspection::Incomplete(detail) => (false, detail),
            Inspection::Stuck(detail) => {
                let event = journal.settle(EventKind::UnknownResolved {
                    step: id.clone(),
                    detail: detail.clone(),
                    complete: false,
                })?;
                view.add(&event);
                return Ok(Some(format!(
                    "{id} was interrupted and cannot simply be repeated: {detail}"
                )));
            }
        };
        let event = journal.settle(EventKind::UnknownResolved {
            step: id.clone(),
            detail: detail.clone(),
            complete,
        })?;
        view.add(&event);
        let result = if complete {
            StepResult::Succeeded
        } else {
            StepResult::Interrupted
        };
        let event = journal.settle(EventKind::Outcome {
            step: id,
            attempt,
            result,
            detail,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            findings: Vec::new(),
            figures: Default::default(),
        })?;
        view.add(&event);
    }
    Ok(None)
}

/// `--from STEP`: what STEP needs and was tried without success counts as done by the operator's hand.
fn take_as_done(
    execution: &Execution<'_>,
    from: &str,
    journal: &mut Journal,
    view: &mut RunView,
) -> Result<(), EngineError> {
    let bad = |reason: String| EngineError::BadFrom {
        step: from.chars().take(120).collect(),
        reason,
    };
    let step = execution
        .plan
        .step(from)
        .ok_or_else(|| bad("the plan has no such step".to_owned()))?;
    if view.is_done(from) {
        return Err(bad("it is done already".to_owned()));
    }
    let mut open: Vec<&str> = step.needs.iter().map(String::as_str).collect();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if view.is_done(id) || taken.contains(id) {
            continue;
        }
        if !view.was_begun(id) {
            return Err(bad(format!("{id} has to come before it and was never begun")));
        }
        taken.insert(id);
        open.extend(
            execution
                .plan
                .step(id)
                .into_iter()
                .flat_map(|s| s.needs.iter().map(String::as_str)),
        );
    }
    for id in taken {
        let event = journal.write(EventKind::TakenAsDone { step: id.to_owned() })?;
        view.add(&event);
    }
    Ok(())
}
