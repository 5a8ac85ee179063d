//! `ffu status` and `ffu report`: read the journal only, so they work beside a run and after a crash.

use std::fmt::Write as _;

use ffu_engine::{RunDirectory, RunView, StateDirectory, StepState, read_journal};
use ffu_model::event::RunState;
use ffu_model::{Phase, Plan};
use serde_json::json;

use crate::cli::runs::{ReportArguments, StatusArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

pub fn status(places: &Places, output: Output, arguments: &StatusArguments) -> Result<Exit, Failure> {
    let state = StateDirectory::open(&places.state)?;
    if arguments.all {
        let mut text = String::new();
        let mut rows = Vec::new();
        for id in state.list()? {
            let directory = state.find(Some(&id))?;
            match directory.view() {
                Ok(view) => {
                    let (word, live) = word(&state, &directory, &view)?;
                    let _ = writeln!(text, "{id}  {word}");
                    rows.push(json!({"run": id, "state": view.state, "live": live}));
                }
                Err(error) => {
                    let _ = writeln!(text, "{id}  {error}");
                    rows.push(json!({"run": id, "error": error.to_string()}));
                }
            }
        }
        let text = if rows.is_empty() {
            "no runs\n  next: `ffu run PLAN`".to_owned()
        } else {
            text
        };
        output.result(text, &json!({"runs": rows}));
        return Ok(Exit::Success);
    }
    let directory = state.find(arguments.run.as_deref())?;
    let view = directory.view()?;
    let (word, live) = word(&state, &directory, &view)?;
    let (plan, _) = directory.plan()?;
    let mut text = format!("run {}: {word}\n", directory.id);
    let Some(plan) = plan else {
        return Err(Failure::new(
            Exit::BadInput,
            format!("{}: its plan cannot be read", directory.path()),
        ));
    };
    let _ = writeln!(
        text,
        "  {} → {}, plan {}",
        plan.from,
        plan.to,
        super::plan::short(&plan.id)
    );
    phases(&mut text, &plan, &view);
    let begun: Vec<&str> = begun(&view).collect();
    for step in &begun {
        let how = if live {
            "running"
        } else {
            "unknown: its process died; `ffu resume` looks at it"
        };
        let _ = writeln!(text, "  {how}: {step}");
    }
    if let Some(why) = &view.held {
        let _ = writeln!(text, "  held: {}", why.replace('\n', "\n  "));
    }
    for (step, detail) in failed(&view) {
        let _ = writeln!(text, "  failed: {step}: {}", detail.lines().next().unwrap_or_default());
    }
    let _ = writeln!(
        text,
        "  journal {}\n  outputs {}",
        directory.journal(),
        directory.outputs()
    );
    let _ = writeln!(text, "  next: {}", next(&directory.id, &view, live));
    output.result(
        text,
        &json!({
            "run": directory.id, "state": view.state, "live": live, "held": view.held, "from": plan.from, "to": plan.to, "plan": plan.id,
            "begun": begun, "failed": failed(&view), "done": view.steps.values().filter(|s| s.is_good()).count(),
            "steps": plan.steps.len(),
        }),
    );
    Ok(Exit::Success)
}

fn word(state: &StateDirectory, directory: &RunDirectory, view: &RunView) -> Result<(String, bool), Failure> {
    let locked = directory.plan()?.0.is_some_and(|plan| state.is_locked(&plan.cloud));
    let running = matches!(view.state, Some(RunState::Running | RunState::RollingBack) | None);
    let live = locked && running;
    let word = match view.state {
        Some(RunState::Running) if !live => format!("its process ({}, {}) died", view.purpose, view.pid),
        None if !live => "created, its process died before the first step".to_owned(),
        Some(state) => state.to_string(),
        None => "starting".to_owned(),
    };
    Ok((word, live))
}

fn phases(text: &mut String, plan: &Plan, view: &RunView) {
    for phase in Phase::ALL {
        let steps: Vec<_> = plan.steps.iter().filter(|step| step.phase == phase).collect();
        let done = steps.iter().filter(|step| view.is_done(&step.id)).count();
        let _ = writeln!(text, "  {phase:<11} {done:>3} of {:>3} steps done", steps.len());
    }
}

fn begun(view: &RunView) -> impl Iterator<Item = &str> {
    view.steps
        .iter()
        .filter(|(_, s)| matches!(s, StepState::Begun { .. }))
        .map(|(step, _)| step.as_str())
}

fn failed(view: &RunView) -> Vec<(String, String)> {
    view.steps
        .iter()
        .filter_map(|(step, state)| match state {
            StepState::Ended { result, detail, .. } if !result.is_good() => Some((step.clone(), detail.clone())),
            _ => None,
        })
        .collect()
}

fn next(run: &str, view: &RunView, live: bool) -> String {
    if live {
        return "wait, or stop it with Ctrl-C where it runs".to_owned();
    }
    match view.state {
        Some(RunState::AwaitingAcceptance) => {
            format!("`ffu report {run}`, then `ffu accept {run}` or `ffu rollback {run}`")
        }
        Some(RunState::RolledBack | RunState::Finished) => format!("`ffu report {run}`"),
        Some(RunState::RollingBack) => format!("`ffu rollback {run}` goes on with it"),
        _ => format!("`ffu resume {run}` or `ffu rollback {run}`"),
    }
}

/// Steps in which something was lost, in the text; the JSON has all.
const COSTLY_STEPS: usize = 10;

pub fn report(places: &Places, output: Output, arguments: &ReportArguments) -> Result<Exit, Failure> {
    let state = StateDirectory::open(&places.state)?;
    let directory = state.find(arguments.run.as_deref())?;
    let Some(plan) = directory.plan()?.0 else {
        return Err(Failure::new(
            Exit::BadInput,
            format!("{}: its plan cannot be read", directory.path()),
        ));
    };
    let report = ffu_report::build(&plan, &read_journal(&directory.journal())?);
    let mut text = ffu_report::render(&report);
    let mut value = serde_json::to_value(&report).unwrap_or_default();
    if let Some(seen) = ffu_watch::session::last(&crate::watching::directory(directory.path())) {
        text.push('\n');
        text.push_str(&ffu_live::plain::account(&seen, COSTLY_STEPS));
        if let Some(fields) = value.as_object_mut() {
            let figures = serde_json::to_value(ffu_live::report::figures(&seen)).unwrap_or_default();
            fields.insert("data_plane".to_owned(), figures);
        }
    }
    output.result(text, &value);
    Ok(Exit::Success)
}
