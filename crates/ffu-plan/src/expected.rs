//! How long commands are expected to take before a rehearsal has measured them: most are forks of processes that were warmed
//! before the freeze, and many find their databases at the head already and are not run.
//!
//! The catalog's estimates are those of a process that starts, imports and ends by itself (`--cold`). What rows cost is not
//! known to either: only a rehearsal tells that.

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{Action, CommandAction, NoOp};
use ffu_model::warm::{WARM_MEMORY, WARM_MEMORY_FOR_COMMANDS};
use ffu_model::{Phase, Series, Step};

use crate::context::Context;
use crate::schedule::schedule;

/// A command that is a fork: a connection, Alembic's tree, statements on tables with few rows. Measured on labs of 20 instances,
/// Train to 2026.1: 0.1 to 0.6 s.
const FORKED_MS: u64 = 500;
/// Waiting for a project that is imported in the window, 1 to 2.5 CPU seconds.
const IMPORTED_MS: u64 = 2_000;
/// Finding out that there is nothing to do.
const ASKED_MS: u64 = 20;
/// MiB of memory that a project takes while it is kept warm: 250 to 534 for seven.
const PROJECT_MIB: u64 = 75;
/// MiB that `ffu run` uses by default for what is warm, less what it takes itself.
const ROOM_MIB: u64 = (WARM_MEMORY - WARM_MEMORY_FOR_COMMANDS) / (1 << 20) - 100;

/// How the sentence of the plan begins; a rehearsal makes it untrue.
const SAID: &str = "the window is expected to take ";

/// The window has been measured: what was expected of it is not said any more.
pub(crate) fn forget(decisions: &mut Vec<String>) {
    decisions.retain(|said| !said.starts_with(SAID));
}

/// How commands are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warm {
    /// Series that fit into the memory are warm before the freeze, the others are warmed in the window.
    AsFits,
    All,
    Nothing,
}

/// Sets the estimates of the commands, and says what they rest on.
pub(crate) fn commands(context: &mut Context<'_>) {
    let idle = idle(context);
    let needed: BTreeMap<usize, u64> = memory(context);
    let mut room = ROOM_MIB;
    // In the order of the path: the first one needed is warmed first.
    let fits: BTreeSet<usize> = needed
        .iter()
        .take_while(|(_, mib)| {
            let fits = **mib <= room;
            room = room.saturating_sub(**mib);
            fits
        })
        .map(|(at, _)| *at)
        .collect();
    let window = |warm: Warm| {
        let mut steps = context.steps.clone();
        let mut imported = BTreeSet::new();
        for (at, step) in steps.iter_mut().enumerate() {
            if let Some(ms) = estimate(context, step, idle.contains(&at), warm, &fits, &mut imported) {
                step.estimate_ms = ms;
            }
        }
        let length = schedule(&steps, context.policy.parallel, Phase::is_in_window).length_ms;
        (steps, length)
    };
    let ((steps, as_fits), (_, all), (_, cold)) = (window(Warm::AsFits), window(Warm::All), window(Warm::Nothing));
    if needed.is_empty() {
        return;
    }
    let seconds = |ms: u64| format!("{} s", ms.div_ceil(1_000));
    let most = if fits.len() == needed.len() {
        format!("all {} series are warmed before the freeze", needed.len())
    } else {
        let all_mib = needed.values().sum::<u64>() + WARM_MEMORY / (1 << 20) - ROOM_MIB;
        format!(
            "{} of {} series are warmed before the freeze, the others in the window ({} with `ffu run --warm-memory {}G`, which warms all of them \
             before)",
            fits.len(),
            needed.len(),
            seconds(all),
            all_mib.div_ceil(1_024)
        )
    };
    let said = format!(
        "{SAID}{}: commands are forks of processes that have imported the projects, {most}; {} of {} steps find \
         their databases at the head and are not run; {} with `ffu run --cold`; what many rows cost is not in it, `ffu rehearse` measures that",
        seconds(as_fits),
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

/// `imported`: projects of series, by the place of the series, whose modules a command before this one has waited for.
fn estimate(
    context: &Context<'_>,
    step: &Step,
    idle: bool,
    warm: Warm,
    fits: &BTreeSet<usize>,
    imported: &mut BTreeSet<(usize, String)>,
) -> Option<u64> {
    let action = command(step).filter(|_| step.phase.is_in_window())?;
    if idle {
        return Some(ASKED_MS);
    }
    let at = place(context, &action.series)?;
    let is_warm = match warm {
        Warm::All => true,
        Warm::Nothing => false,
        Warm::AsFits => fits.contains(&at) || !imported.insert((at, action.project.clone())),
    };
    Some(match warm {
        _ if is_warm => FORKED_MS.min(step.estimate_ms),
        Warm::Nothing => step.estimate_ms,
        Warm::AsFits | Warm::All => (FORKED_MS + IMPORTED_MS).min(step.estimate_ms),
    })
}

fn place(context: &Context<'_>, series: &Series) -> Option<usize> {
    context.catalog.position(series)
}

/// MiB of every series that commands of the window need, by its place in the catalog.
fn memory(context: &Context<'_>) -> BTreeMap<usize, u64> {
    let mut projects = BTreeMap::<usize, BTreeSet<&str>>::new();
    for action in context
        .steps
        .iter()
        .filter(|step| step.phase.is_in_window())
        .filter_map(command)
    {
        if let Some(at) = place(context, &action.series) {
            projects.entry(at).or_default().insert(&action.project);
        }
    }
    let mib = |projects: BTreeSet<&str>| projects.len() as u64 * PROJECT_MIB;
    projects.into_iter().map(|(at, projects)| (at, mib(projects))).collect()
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
