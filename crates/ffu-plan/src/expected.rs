//! How long commands are expected to take before a rehearsal has measured them: most are forks of processes that were warmed
//! before the freeze, and many find their databases at the head already and are not run.
//!
//! The catalog's estimates are those of a process that starts, imports and ends by itself (`--cold`). What rows cost is not
//! known to either: only a rehearsal tells that.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{Action, CommandAction, NoOp};
use ffu_model::{Phase, Series, Step};

use crate::context::Context;
use crate::schedule::schedule;

/// A command that is a fork: a connection, Alembic's tree, statements on tables with few rows. Measured on labs of 20 instances,
/// Train to 2026.1: 0.1 to 0.6 s.
const FORKED_MS: u64 = 500;
/// Finding out that there is nothing to do.
const ASKED_MS: u64 = 20;
/// MiB of files in which the memory of a project rests while it is kept warm: 520 to 760 for seven.
const PROJECT_MIB: u64 = 100;

/// How the sentence of the plan begins; a rehearsal makes it untrue.
const SAID: &str = "the window is expected to take ";

/// The window has been measured: what was expected of it is not said any more.
pub(crate) fn forget(decisions: &mut Vec<String>) {
    decisions.retain(|said| !said.starts_with(SAID));
}

/// Sets the estimates of the commands, and says what they rest on.
pub(crate) fn commands(context: &mut Context<'_>) {
    let idle = idle(context);
    let projects = projects(context);
    if projects.is_empty() {
        return;
    }
    let window = |is_warm: bool| {
        let mut steps = context.steps.clone();
        for (at, step) in steps.iter_mut().enumerate() {
            if command(step).is_some() && step.phase.is_in_window() {
                step.estimate_ms = match (idle.contains(&at), is_warm) {
                    (true, _) => ASKED_MS,
                    (false, true) => FORKED_MS.min(step.estimate_ms),
                    (false, false) => step.estimate_ms,
                };
            }
        }
        let length = schedule(&steps, context.policy.parallel, Phase::is_in_window).length_ms;
        (steps, length)
    };
    let ((steps, warm), (_, cold)) = (window(true), window(false));
    let seconds = |ms: u64| format!("{} s", ms.div_ceil(1_000));
    let series: BTreeSet<&Series> = projects.iter().map(|(series, _)| *series).collect();
    let said = format!(
        "{SAID}{}: commands are forks of processes that have imported the projects, all {} series are warmed before the freeze (their memory \
         rests in files of the run's directory, some {} MiB); {} of {} steps find \
         their databases at the head and are not run; {} with `ffu run --cold`; what many rows cost is not in it, `ffu rehearse` measures that",
        seconds(warm),
        series.len(),
        projects.len() as u64 * PROJECT_MIB,
        idle.len(),
        context
            .steps
            .iter()
            .filter(|step| step.phase.is_in_window() && command(step).is_some())
            .count(),
        seconds(cold)
    );
    context.steps = steps;
    context.report.decisions.push(said);
}

fn command(step: &Step) -> Option<&CommandAction> {
    match &step.action {
        Action::Command(command) => Some(command),
        _ => None,
    }
}

/// Projects of series that commands of the window need.
fn projects<'a>(context: &'a Context<'_>) -> BTreeSet<(&'a Series, &'a str)> {
    let in_window = context.steps.iter().filter(|step| step.phase.is_in_window());
    in_window
        .filter_map(command)
        .map(|action| (&action.series, action.project.as_str()))
        .collect()
}

/// Places of the steps that will find their databases at the heads that prove them idle: no migration of an earlier step of the
/// plan has left those.
fn idle(context: &Context<'_>) -> BTreeSet<usize> {
    let mut heads = BTreeMap::<(DatabaseKey, String), Vec<String>>::new();
    for (key, database) in context.cloud.databases() {
        for (name, versions) in &database.heads {
            heads.insert((key.clone(), name.clone()), versions.clone());
        }
    }
    let mut idle = BTreeSet::new();
    for (at, step) in context.steps.iter().enumerate() {
        let Some(action) = command(step) else { continue };
        let place = |expected: &ffu_model::step::ExpectedHeads| (expected.database.clone(), expected.name.clone());
        if let Some(NoOp::Heads(expected)) = &action.no_op
            && step.phase.is_in_window()
            && !expected.is_empty()
            && expected.iter().all(|one| heads.get(&place(one)) == Some(&one.versions))
        {
            idle.insert(at);
        }
        for expected in &action.expect_heads {
            heads.insert(place(expected), expected.versions.clone());
        }
    }
    idle
}
