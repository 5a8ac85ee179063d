//! Shows a run while it happens: a line an outcome for people, the journal's own lines for programs.

use std::collections::BTreeMap;

use ffu_engine::{RollbackAction, RunView};
use ffu_model::Plan;
use ffu_model::event::{Event, EventKind, StepResult};
use ffu_report::milliseconds;

use crate::output::{Format, Output};

/// The observer of a journal.
pub struct Progress {
    output: Output,
    titles: BTreeMap<String, String>,
    total: usize,
    done: usize,
}

impl Progress {
    /// For a plan of which some steps may be done.
    pub fn new(plan: &Plan, view: &RunView, output: Output) -> Self {
        let mut titles: BTreeMap<String, String> = plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), step.title.clone()))
            .collect();
        titles.extend(RollbackAction::ALL.map(|action| (action.id().to_owned(), action.title().to_owned())));
        let steps = plan.steps.iter().filter(|step| !step.phase.is_after_acceptance());
        Progress {
            output,
            titles,
            total: steps.count(),
            done: plan.steps.iter().filter(|s| view.is_done(&s.id)).count(),
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        if self.output.format == Format::Json {
            self.output.json(event);
            return;
        }
        match &event.kind {
            EventKind::Outcome {
                step,
                result,
                detail,
                duration_ms,
                findings,
                ..
            } => {
                self.done += usize::from(result.is_good() && !step.starts_with("rollback."));
                let mark = match result {
                    StepResult::Succeeded => "ok",
                    StepResult::Warned => "warn",
                    StepResult::Proven => "proven",
                    StepResult::Failed => "FAILED",
                    StepResult::Interrupted => "again",
                };
                let count = format!("[{}/{}]", self.done, self.total.max(self.done));
                self.output.line(format!(
                    "{count:>9} {mark:<6} {:>9}  {step}: {detail}",
                    milliseconds(*duration_ms)
                ));
                for finding in findings {
                    self.output.line(format!(
                        "{:>18}{}",
                        "",
                        finding.to_string().replace('\n', "\n                  ")
                    ));
                }
            }
            EventKind::UnknownResolved { step, detail, .. } => {
                self.output.line(format!("          unknown {step}: {detail}"));
            }
            EventKind::TakenAsDone { step } => self.output.line(format!("          by hand {step}")),
            EventKind::Intent { step, .. } => {
                // Long waits are announced; everything else shows when it ends.
                if matches!(
                    step.as_str(),
                    "prepare.checkpoint" | "checkpoint" | "freeze.drain" | "deploy.services"
                ) || step.starts_with("rollback.")
                {
                    let title = self.titles.get(step).map_or("", String::as_str);
                    self.output.line(format!("          begun  {step}: {title}"));
                }
            }
            EventKind::Held { detail } => self.output.line(format!(
                "          held   {}",
                detail.replace('\n', "\n                 ")
            )),
            EventKind::WentOn { held_ms } => {
                let time = milliseconds(*held_ms);
                self.output.line(format!(
                    "          on     acknowledged, steps are begun again; held for {time}"
                ));
            }
            EventKind::Ended { detail, .. } => self.output.line(format!("          {detail}")),
            EventKind::RunCreated { .. } | EventKind::Attached { .. } => {}
        }
    }
}
