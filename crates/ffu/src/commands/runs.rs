//! `ffu run`, `resume`, `rollback`, `accept`: everything that takes the cloud's lock and writes a journal.

use std::fmt::Write as _;

use ffu_engine::{
    CloudLock, EngineError, Execution, Gate, Journal, Open, RunDirectory, RunView, Scope, StateDirectory, StopFlag,
    execute, rollback as take_back,
};
use ffu_model::event::{EventKind, RunState};
use ffu_model::plan::Plan;
use ffu_model::{Phase, Severity};
use serde_json::json;

use super::progress::{self, Progress};
use crate::cli::runs::{Manner, ResumeArguments, RollbackArguments, RunArguments, RunChoice};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::places::{Places, absolute, read_file};
use crate::watching::{self, WatchGate, Watcher};
use crate::world::{World, dump_key};

/// A run that this process holds.
struct Held {
    plan: Plan,
    run: RunDirectory,
    journal: Journal,
    view: RunView,
    stop: StopFlag,
    /// The watch, if the run has one.
    gate: Option<WatchGate>,
    _lock: CloudLock,
}

pub fn run(places: &Places, output: Output, arguments: RunArguments) -> Result<Exit, Failure> {
    let bytes = read_file(&arguments.plan, "plan")?;
    let plan = ffu_plan::read_plan(arguments.plan.as_str(), &bytes)?;
    let catalog = places.catalog()?;
    let findings = ffu_plan::lint(&plan, &catalog);
    let blockers: Vec<String> = findings
        .iter()
        .filter(|f| f.severity == Severity::Blocker)
        .map(ToString::to_string)
        .collect();
    if !blockers.is_empty() {
        return Err(Failure::new(
            Exit::Refused,
            format!("the plan cannot be run:\n{}", blockers.join("\n")),
        ));
    }
    for finding in &findings {
        output.progress(finding.to_string());
    }
    let state = StateDirectory::open(&places.state)?;
    let lock = state.lock(&plan.cloud, &format!("ffu run {}", super::plan::short(&plan.id)))?;
    if let Some((run, view)) = state.unfinished(&plan.cloud)? {
        let state = view.state.map_or("not finished".to_owned(), |state| state.to_string());
        return Err(EngineError::Unfinished { run: run.id, state }.into());
    }
    super::discover::refuse_drift(&plan.cloud, &catalog)?;
    dump_key::can_seal(&plan, None, &format!("`ffu run {}` again", arguments.plan))?;
    let targets = arguments.watched.watch.clone().map(absolute).transpose()?;
    if let Some(file) = &targets {
        ffu_watch::targets::read(file)?;
    }
    output.line(super::plan::summary(&plan));
    if !arguments.yes && !output.confirm("This plan will be applied exactly.") {
        return Err(Failure::new(
            Exit::Refused,
            "not confirmed, nothing was done\n  next: type yes, or give --yes",
        ));
    }
    let (directory, mut journal) = state.create(&plan, &bytes, concat!("ffu ", env!("CARGO_PKG_VERSION")))?;
    output.line(format!("run {}", directory.id));
    let (stop, view) = (stop_on_signals(output)?, directory.view()?);
    let gate = match targets {
        Some(file) => {
            let watcher = Watcher::new(places, &directory, Some(file), arguments.watched.listen);
            Some(watch(output, watcher)?)
        }
        None => None,
    };
    attach(&mut journal, "run")?;
    let view = RunView {
        state: Some(RunState::Running),
        ..view
    };
    let held = Held {
        plan,
        run: directory,
        journal,
        view,
        stop,
        gate,
        _lock: lock,
    };
    drive(places, output, held, Scope::Upgrade, None, arguments.manner)
}

pub fn resume(places: &Places, output: Output, arguments: ResumeArguments) -> Result<Exit, Failure> {
    let mut held = hold(places, output, arguments.run.as_deref(), "resume", |view| {
        match view.state {
            Some(RunState::AwaitingAcceptance) => {
                Some(("everything before acceptance is done", "`ffu accept` or `ffu rollback`"))
            }
            Some(RunState::RollingBack) => Some(("it is being rolled back", "`ffu rollback` goes on with it")),
            Some(RunState::RolledBack) => Some(("there is nothing to go on with", "`ffu run PLAN` starts a new run")),
            Some(RunState::Finished) => Some(("there is nothing to go on with", "`ffu report`")),
            _ => None,
        }
    })?;
    if arguments.no_watch {
        held.gate = None;
    }
    let accepted = held
        .plan
        .steps
        .iter()
        .any(|step| step.phase >= Phase::Release && held.view.was_begun(&step.id));
    let scope = if accepted { Scope::Acceptance } else { Scope::Upgrade };
    let mut manner = arguments.manner;
    manner.cold |= accepted;
    drive(places, output, held, scope, arguments.from.as_deref(), manner)
}

pub fn accept(places: &Places, output: Output, choice: RunChoice) -> Result<Exit, Failure> {
    let held = hold_if(
        places,
        output,
        choice.run.as_deref(),
        "accept",
        &|view| match view.state {
            Some(RunState::AwaitingAcceptance) => None,
            Some(RunState::Stopped | RunState::Running)
                if view.purpose == "accept" || view.was_begun("release.agents") =>
            {
                None
            }
            Some(RunState::Finished) => Some(("it is finished", "`ffu report`")),
            _ => Some((
                "only a run whose every step before the point of no return is done can be accepted",
                "`ffu status`",
            )),
        },
        &|_, _, _| Ok(()),
        || {
            let question = "This passes the point of no return: the checkpoint is deleted.";
            choice.yes || output.confirm(question)
        },
    )?;
    // A handful of commands, and nobody waits: there is no use in keeping anything warm.
    let manner = Manner {
        cold: true,
        ..Manner::default()
    };
    drive(places, output, held, Scope::Acceptance, None, manner)
}

pub fn rollback(places: &Places, output: Output, arguments: RollbackArguments) -> Result<Exit, Failure> {
    let choice = arguments.choice;
    let elsewhere = arguments.dump_key.map(absolute).transpose()?;
    let mut held = hold_if(
        places,
        output,
        choice.run.as_deref(),
        "rollback",
        &|view| match view.state {
            Some(RunState::RolledBack) => Some(("there is nothing left to take back", "`ffu report` shows the proof")),
            Some(RunState::Finished) => Some((
                "it is past the point of no return",
                "going back is now a restore from your own backups",
            )),
            _ if view.was_begun("release.agents") => {
                Some(("it is past the point of no return", "`ffu accept` finishes it"))
            }
            _ => None,
        },
        &|plan, run, view| dump_key::can_open(plan, &run.checkpoint(), view, elsewhere.as_deref()),
        || choice.yes || output.confirm("This brings databases, configuration and services back to the checkpoint."),
    )?;
    let mut world = World::new(&held.plan, &held.run, &places.catalog()?, places, &held.stop)?;
    if arguments.full_proof {
        world.prove_fully();
    }
    if let Some(file) = elsewhere {
        world.open_dumps_with(file);
    }
    observe(&mut held, output, &world);
    let state = take_back(&held.plan, &world, &mut held.journal, &mut held.view)?;
    Ok(end(output, &held, state))
}

/// Finds the run, takes the lock, checks that it may be done, and attaches.
fn hold(
    places: &Places,
    output: Output,
    run: Option<&str>,
    purpose: &str,
    refuse: impl Fn(&RunView) -> Option<(&'static str, &'static str)>,
) -> Result<Held, Failure> {
    let ready = |plan: &Plan, run: &RunDirectory, view: &RunView| {
        let id = &run.id;
        let next = format!("`ffu {purpose} {id}`; or `ffu rollback {id}`, which needs no key yet");
        dump_key::can_seal(plan, Some(view), &next)
    };
    hold_if(places, output, run, purpose, &refuse, &ready, || true)
}

fn hold_if(
    places: &Places,
    output: Output,
    run: Option<&str>,
    purpose: &str,
    refuse: &dyn Fn(&RunView) -> Option<(&'static str, &'static str)>,
    ready: &dyn Fn(&Plan, &RunDirectory, &RunView) -> Result<(), Failure>,
    confirmed: impl FnOnce() -> bool,
) -> Result<Held, Failure> {
    let state = StateDirectory::open(&places.state)?;
    let directory = state.find(run)?;
    let plan = directory.checked_plan()?;
    let lock = state.lock(&plan.cloud, &format!("ffu {purpose} {}", directory.id))?;
    let (mut journal, events) = Journal::open(&directory.journal())?;
    let mut view = RunView::from_events(&events);
    if let Some((reason, next)) = refuse(&view) {
        let state = view.state.map_or("not begun".to_owned(), |state| state.to_string());
        let (reason, next) = (reason.to_owned(), next.to_owned());
        return Err(EngineError::WrongState {
            run: directory.id,
            state,
            reason,
            next,
        }
        .into());
    }
    // Before a word of it is in the journal: a run that was refused is what it was.
    ready(&plan, &directory, &view)?;
    if !confirmed() {
        return Err(Failure::new(
            Exit::Refused,
            "not confirmed, nothing was done\n  next: type yes, or give --yes",
        ));
    }
    let stop = stop_on_signals(output)?;
    view.add(&attach(&mut journal, purpose)?);
    let gate = still_watched(places, output, &directory);
    Ok(Held {
        plan,
        run: directory,
        journal,
        view,
        stop,
        gate,
        _lock: lock,
    })
}

/// Starts the watch of a run.
fn watch(output: Output, watcher: Watcher) -> Result<WatchGate, Failure> {
    let child = watcher.start()?;
    output.line(format!(
        "the data plane is watched, first what is normal; `ffu watch show` in another terminal shows it ({})",
        watcher.directory()
    ));
    Ok(WatchGate::new(watcher, Some(child)))
}

/// The watch of a run that had one: the one that lives, or it is started again.
fn still_watched(places: &Places, output: Output, run: &RunDirectory) -> Option<WatchGate> {
    let directory = watching::directory(run.path());
    if !directory.join(ffu_watch::record::FRAMES).exists() {
        return None;
    }
    let watcher = Watcher::new(places, run, None, None);
    if watching::living(&directory).is_some() {
        return Some(WatchGate::new(watcher, None));
    }
    match watch(output, watcher.clone()) {
        Ok(gate) => Some(gate),
        Err(failure) => {
            output.line(format!("nothing is measured: {}", failure.message));
            // It is tried again before every step.
            Some(WatchGate::new(watcher, None))
        }
    }
}

pub fn attach(journal: &mut Journal, purpose: &str) -> Result<ffu_model::Event, Failure> {
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default();
    Ok(journal.write(EventKind::Attached {
        purpose: purpose.to_owned(),
        pid: std::process::id(),
        host,
    })?)
}

fn drive(
    places: &Places,
    output: Output,
    mut held: Held,
    scope: Scope,
    from: Option<&str>,
    manner: Manner,
) -> Result<Exit, Failure> {
    let mut world = World::new(&held.plan, &held.run, &places.catalog()?, places, &held.stop)?;
    if manner.paranoid {
        world.run_everything();
    }
    if !manner.cold
        && let Err(error) = world.keep_warm(&held.view, manner.warm_memory)
    {
        output.line(format!("commands are started as plain processes: {error}"));
    }
    observe(&mut held, output, &world);
    let execution = Execution {
        plan: &held.plan,
        scope,
        parallel: held.plan.policy.parallel as usize,
        from,
        performer: &world,
        gate: held.gate.as_ref().map_or(&Open as &dyn Gate, |gate| gate),
        stop: held.stop.clone(),
    };
    let state = execute(&execution, &mut held.journal, &mut held.view)?;
    Ok(end(output, &held, state))
}

fn observe(held: &mut Held, output: Output, world: &World) {
    let progress = Progress::new(&held.plan, &held.view, output, world.notes());
    progress::follow(&mut held.journal, progress, |_| false);
}

/// Says how it ended, and the ways on.
fn end(output: Output, held: &Held, state: RunState) -> Exit {
    let run = &held.run.id;
    let (exit, text) = match state {
        RunState::AwaitingAcceptance => (
            Exit::Success,
            format!(
                "\n{} → {} is done, and can still be taken back.\n  next: look at the cloud and at `ffu report`; then `ffu accept` \
                 (ends the offer to go back) or `ffu rollback`",
                held.plan.from, held.plan.to
            ),
        ),
        RunState::Finished => (Exit::Success, format!("\nrun {run} is accepted and finished")),
        RunState::RolledBack => (
            Exit::Success,
            "\nrolled back: databases (proven), configuration and services are as they were".to_owned(),
        ),
        RunState::Paused => (
            Exit::Paused,
            format!("\nThe run waits for you. When it is done: `ffu resume {run}`"),
        ),
        RunState::RollingBack => (
            Exit::Failure,
            format!("\nThe rollback is not complete. Mend what failed, then `ffu rollback {run}`"),
        ),
        RunState::Stopped | RunState::Running => (Exit::Stopped, ways_on(held)),
    };
    if let Some(seen) = super::watch::summary(&held.run) {
        output.line(format!("\ndata plane: {seen}"));
    }
    output.line(&text);
    output.json(&json!({"event": "end", "run": run, "state": state, "exit": exit.code()}));
    exit
}

fn ways_on(held: &Held) -> String {
    let mut text = String::from("\nThe run has stopped. Nothing was lost; agents and workloads were not touched.\n");
    let open: Vec<&str> = held
        .plan
        .steps
        .iter()
        .filter(|step| step.phase < Phase::Release && !held.view.is_done(&step.id))
        .map(|step| step.id.as_str())
        .collect();
    for id in open.iter().filter(|id| held.view.was_begun(id)) {
        let attempt = held.view.attempts.get(*id).copied().unwrap_or(1);
        let path = held.run.outputs().join(format!("{id}.{attempt}.out"));
        let output = if path.exists() {
            format!("; its output: {path}")
        } else {
            String::new()
        };
        let _ = writeln!(text, "  failed or stopped: {id}{output}");
    }
    let waiting = open.iter().filter(|id| !held.view.was_begun(id)).count();
    let run = &held.run.id;
    let _ = write!(
        text,
        "  {waiting} more steps wait for it (`ffu status {run}`).\n  The ways on:\n    ffu resume {run}              repeats what failed\n    \
         ffu rollback {run}            brings everything back to the checkpoint\n    ffu resume {run} --from STEP  after you did by \
         hand what failed"
    );
    text
}

/// First Ctrl-C: finish the running steps; second: stop now.
pub fn stop_on_signals(output: Output) -> Result<StopFlag, Failure> {
    let stop = StopFlag::new();
    let raise = stop.clone();
    let signals = [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ];
    let mut signals = signal_hook::iterator::Signals::new(signals)
        .map_err(|error| Failure::new(Exit::Failure, format!("signals cannot be caught: {error}")))?;
    std::thread::spawn(move || {
        let mut nth = 0;
        for _ in signals.forever() {
            nth += 1;
            raise.raise();
            if output.format == Format::Text {
                output.progress(match nth {
                    1 => "stopping after the running steps; once more stops them now",
                    _ => "stopping now",
                });
            }
        }
    });
    Ok(stop)
}
