//! Shows a run while it happens: a line an outcome for people, and one now and then for what takes long; the journal's own lines for
//! programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ffu_engine::{Journal, RollbackAction, RunView};
use ffu_model::Plan;
use ffu_model::event::{Event, EventKind, StepResult};
use ffu_report::milliseconds;

use crate::notes::Notes;
use crate::output::{Format, Output};

/// A step that runs is spoken of this often.
const STILL: Duration = Duration::from_secs(30);

/// Shows what is written to a journal from now on, but what `hides`.
pub fn follow(journal: &mut Journal, progress: Progress, hides: impl Fn(&Event) -> bool + Send + 'static) {
    let progress = Arc::new(Mutex::new(progress));
    let watched = Arc::downgrade(&progress);
    journal.observe(move |event| {
        if !hides(event) {
            progress.lock().unwrap_or_else(PoisonError::into_inner).show(event);
        }
    });
    // Ends with the journal.
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let Some(progress) = watched.upgrade() else { break };
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            for line in progress.still(Instant::now()) {
                progress.output.line(line);
            }
        }
    });
}

/// What is shown of a run.
pub struct Progress {
    output: Output,
    notes: Notes,
    /// When each running step began, and when it was spoken of last.
    running: BTreeMap<String, (Instant, Instant)>,
    titles: BTreeMap<String, String>,
    total: usize,
    done: usize,
}

impl Progress {
    /// For a plan of which some steps may be done.
    pub fn new(plan: &Plan, view: &RunView, output: Output, notes: Notes) -> Self {
        let mut titles: BTreeMap<String, String> = plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), step.title.clone()))
            .collect();
        titles.extend(RollbackAction::ALL.map(|action| (action.id().to_owned(), action.title().to_owned())));
        let steps = plan.steps.iter().filter(|step| !step.phase.is_after_acceptance());
        Progress {
            output,
            notes,
            running: BTreeMap::new(),
            titles,
            total: steps.count(),
            done: plan.steps.iter().filter(|s| view.is_done(&s.id)).count(),
        }
    }

    /// Lines for steps that have run for long since they were spoken of.
    fn still(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for (step, (begun, spoken)) in &mut self.running {
            if now.saturating_duration_since(*spoken) < STILL {
                continue;
            }
            *spoken = now;
            let took = now.saturating_duration_since(*begun);
            let took = milliseconds(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            let words = self
                .notes
                .of(step)
                .map(|words| format!(": {words}"))
                .unwrap_or_default();
            lines.push(format!("          still  {took:>9}  {step}{words}"));
        }
        lines
    }

    fn remember(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Intent { step, .. } => {
                let now = Instant::now();
                self.running.insert(step.clone(), (now, now));
            }
            EventKind::Outcome { step, .. } => {
                self.running.remove(step);
            }
            _ => {}
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        self.remember(event);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_spoken_of_now_and_then() {
        let notes = Notes::default();
        let begun = Instant::now();
        let mut progress = Progress {
            output: Output { format: Format::Json },
            notes: notes.clone(),
            running: ["a.long", "a.short"]
                .map(|step| (step.to_owned(), (begun, begun)))
                .into(),
            titles: BTreeMap::new(),
            total: 2,
            done: 0,
        };
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(progress.still(at(29)), [""; 0]);
        progress.running.remove("a.short");
        assert_eq!(progress.still(at(30)), ["          still     30.0 s  a.long"]);
        notes.say("a.long", "100 rows moved in 2 rounds so far".to_owned());
        assert_eq!(progress.still(at(59)), [""; 0]);
        assert_eq!(
            progress.still(at(61)),
            ["          still     61.0 s  a.long: 100 rows moved in 2 rounds so far"]
        );
        assert_eq!(progress.still(at(62)), [""; 0]);
    }
}
