//! `ffu rehearse`: a plan's whole chain on a copy of the databases, while the cloud stays up.

use std::process::{Command, Stdio};

use camino::Utf8PathBuf;
use ffu_db::{DbError, PrivateServer};
use ffu_engine::{Execution, RunView, Scope, StateDirectory, StopFlag, execute, read_journal};
use ffu_model::event::{EventKind, RunState};
use ffu_model::rehearsal::{Machine, Rehearsal, RehearsalOutcome};
use ffu_model::{Plan, Severity};
use jiff::Timestamp;
use serde_json::json;

use super::progress::{self, Progress};
use super::runs;
use crate::cli::runs::RehearseArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::{Places, read_file, write_file};
use crate::rehearsal::performer::Rehearsing;
use crate::rehearsal::place::{self, Place};
use crate::rehearsal::record::{Circumstances, record};
use crate::rehearsal::shadow::{Shadow, shadow};
use crate::rehearsal::{copy, copy::Found};
use crate::world::World;

/// How much less a rehearsal's processes count than others (nice(1)).
const NICENESS: &str = "10";

pub fn run(places: &Places, output: Output, arguments: &RehearseArguments) -> Result<Exit, Failure> {
    let root = places.state.join("rehearsals");
    let cleaned = place::clean(&root, arguments.clean).map_err(|error| Failure::new(Exit::Failure, error))?;
    if arguments.clean {
        let text = match cleaned.as_slice() {
            [] => "nothing was left of any rehearsal".to_owned(),
            some => some.iter().map(|path| format!("cleaned {path}\n")).collect(),
        };
        output.result(text, &json!({"cleaned": cleaned}));
        return Ok(Exit::Success);
    }
    let bytes = read_file(&arguments.plan, "plan")?;
    let plan = ffu_plan::read_plan(arguments.plan.as_str(), &bytes)?;
    let catalog = places.catalog()?;
    let blockers: Vec<String> = ffu_plan::lint(&plan, &catalog)
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(ToString::to_string)
        .collect();
    if !blockers.is_empty() {
        let message = format!("the plan cannot be rehearsed:\n{}", blockers.join("\n"));
        return Err(Failure::new(Exit::Refused, message));
    }
    refuse_if_unfit(places, &plan)?;
    super::discover::refuse_drift(&plan.cloud, &catalog)?;
    let failed = |error: String| Failure::new(Exit::Failure, error);
    let found = copy::find(&plan.cloud).map_err(failed)?;
    let mut place = Place::create(&root, &plan.id).map_err(failed)?;
    let stop = runs::stop_on_signals(output)?;
    let done = rehearse(places, output, arguments, &plan, &found, &mut place, &stop);
    let path = place.path().to_owned();
    let keep = arguments.keep && done.is_ok();
    let over = if keep { place.leave() } else { place.finish() };
    let rehearsal = done?;
    over.map_err(failed)?;
    Ok(told(output, arguments, &plan, &rehearsal, path, keep))
}

/// A run that goes on changes what would be copied; and there is no private server of another make.
fn refuse_if_unfit(places: &Places, plan: &Plan) -> Result<(), Failure> {
    let state = StateDirectory::open(&places.state)?;
    if state.is_locked(&plan.cloud) {
        let message = "another ffu works on this cloud: a copy of it now would be of half a run\n  next: `ffu status`";
        return Err(Failure::new(Exit::Locked, message));
    }
    if let Some(server) = plan.cloud.servers.iter().find(|server| server.flavor != "mariadb") {
        let message = format!(
            "{} runs {} {}, and only MariaDB can be started privately: its DDL would be another server's\n  next: rehearse by hand on \
             a replica",
            server.address, server.flavor, server.version
        );
        return Err(Failure::new(Exit::Refused, message));
    }
    // The checkpoint is rehearsed, too.
    crate::world::dump_key::can_seal(plan, None, "`ffu rehearse` again")
}

fn rehearse(
    places: &Places,
    output: Output,
    arguments: &RehearseArguments,
    plan: &Plan,
    found: &[Found],
    place: &mut Place,
    stop: &StopFlag,
) -> Result<Rehearsal, Failure> {
    let failed = |error: String| Failure::new(Exit::Failure, error);
    let begun = Timestamp::now();
    let (needed, free) = copy::room(place.path(), plan, found).map_err(failed)?;
    if free < needed {
        let message = format!(
            "{}: {} MiB free, and the rehearsal may need {} MiB\n  next: make room, or put it elsewhere with --state-dir",
            place.path(),
            free >> 20,
            (needed >> 20) + 1
        );
        return Err(Failure::new(Exit::Refused, message));
    }
    let mut remarks = Vec::new();
    if lower_priority() {
        remarks.push(format!(
            "its processes ran at low priority (nice {NICENESS}): where the machine was busy they took longer than a run's"
        ));
    }
    output.line(format!(
        "copying {} MiB of {} databases into a private server in {}",
        found.iter().map(|found| found.bytes).sum::<u64>() >> 20,
        found.len(),
        place.path()
    ));
    place.keep_watch().map_err(failed)?;
    let (server, unlike) = copy::server(&place.server(), &plan.cloud, found).map_err(failed)?;
    remarks.extend(unlike);
    let limit = Some(arguments.limit)
        .filter(|limit| *limit > 0)
        .map(|limit| limit << 20);
    let copies = copy::copy(&plan.cloud, found, &server, limit, stop).map_err(|error| match error {
        DbError::Stopped { .. } => Failure::new(Exit::Stopped, "stopped while copying; nothing of the copy is left"),
        other => Failure::new(
            Exit::Failure,
            format!("{other}\n  next: mend it, then `ffu rehearse` again"),
        ),
    })?;
    let machine = machine(plan, &server)?;
    let shadow = shadow(
        plan,
        &copies,
        &place.private(),
        &format!("127.0.0.1:{}", server.port()),
        &server.option_file(),
        machine.server.trim_start_matches("mariadb "),
    )
    .map_err(failed)?;
    remarks.extend(copies.remarks);
    remarks.push(
        "commands were given the in-memory message driver, and addresses where nobody listens for everything but their databases"
            .to_owned(),
    );
    remarks.push(
        "nobody writes to a copy: tables that the cloud writes between `prepare` and the freeze are read once more in the window, for the \
         checkpoint and for what must be the same, and that is not in these times"
            .to_owned(),
    );
    let events = steps(places, output, arguments, &shadow, place, stop)?;
    let rehearsal = record(
        plan,
        &events,
        Circumstances {
            begun,
            machine,
            copy: copies.figures,
            not_rehearsed: shadow.not_rehearsed,
            remarks,
        },
    );
    let rehearsal = rehearsal.map_err(|error| Failure::new(Exit::Failure, error))?;
    let mut bytes = serde_json::to_vec_pretty(&rehearsal).map_err(|error| Failure::new(Exit::Failure, error))?;
    bytes.push(b'\n');
    write_file(&place.path().join("rehearsal.json"), &bytes)?;
    write_file(
        &place.path().join("report.txt"),
        ffu_report::render_rehearsal(plan, &rehearsal).as_bytes(),
    )?;
    write_file(&arguments.output, &bytes)?;
    Ok(rehearsal)
}

/// The steps, by the engine that does those of a run.
fn steps(
    places: &Places,
    output: Output,
    arguments: &RehearseArguments,
    shadow: &Shadow,
    place: &Place,
    stop: &StopFlag,
) -> Result<Vec<ffu_model::Event>, Failure> {
    let state = StateDirectory::open(&place.path().join("run"))?;
    let bytes = shadow
        .plan
        .to_bytes()
        .map_err(|error| Failure::new(Exit::Failure, error))?;
    let (run, mut journal) = state.create(&shadow.plan, &bytes, concat!("ffu ", env!("CARGO_PKG_VERSION")))?;
    runs::attach(&mut journal, "rehearse")?;
    let mut view = RunView {
        state: Some(RunState::Running),
        ..run.view()?
    };
    let mut world = World::new(&shadow.plan, &run, &places.catalog()?, places, stop)?;
    if !arguments.cold
        && let Err(error) = world.keep_warm(&view, ffu_model::warm::WARM_MEMORY)
    {
        output.line(format!("commands are started as plain processes: {error}"));
    }
    let progress = Progress::new(&shadow.plan, &view, output, world.notes());
    // Its last words are about a run.
    let last_words = |event: &ffu_model::Event| matches!(event.kind, EventKind::Ended { .. });
    progress::follow(&mut journal, progress, last_words);
    let performer = Rehearsing {
        world: &world,
        ground: &shadow.ground,
        staged: run.staged(),
        references: shadow
            .plan
            .cloud
            .databases()
            .map(|(_, database)| database.connection.clone())
            .collect(),
    };
    let execution = Execution {
        plan: &shadow.plan,
        scope: Scope::Upgrade,
        parallel: shadow.plan.policy.parallel as usize,
        from: None,
        performer: &performer,
        gate: &ffu_engine::Open,
        stop: stop.clone(),
    };
    execute(&execution, &mut journal, &mut view)?;
    Ok(read_journal(&run.journal())?)
}

fn machine(plan: &Plan, server: &PrivateServer) -> Result<Machine, Failure> {
    let facts = server.admin().map_err(|error| Failure::new(Exit::Failure, error))?;
    let facts = facts.facts();
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_bytes: copy::memory(),
        server: format!("{} {}", facts.flavor, facts.version),
        cloud_servers: plan
            .cloud
            .servers
            .iter()
            .map(|server| format!("{} {}", server.flavor, server.version))
            .collect(),
    })
}

/// This process and all that it starts let others go first.
fn lower_priority() -> bool {
    let own = std::process::id().to_string();
    Command::new("renice")
        .args(["-n", NICENESS, "-p", &own])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn told(
    output: Output,
    arguments: &RehearseArguments,
    plan: &Plan,
    rehearsal: &Rehearsal,
    path: Utf8PathBuf,
    keep: bool,
) -> Exit {
    let exit = match rehearsal.outcome {
        RehearsalOutcome::Complete => Exit::Success,
        RehearsalOutcome::Failed | RehearsalOutcome::Stopped => Exit::Stopped,
    };
    let kept = if keep {
        format!(
            "\nthe copy is kept: `mariadb --defaults-file={path}/db/client.cnf`; `ffu rehearse --clean` ends its server and removes it"
        )
    } else {
        String::new()
    };
    let next = match rehearsal.outcome {
        RehearsalOutcome::Complete => format!(
            "`ffu plan … --from-rehearsal {}` makes the plan's estimates of it",
            arguments.output
        ),
        _ => "mend what failed, then `ffu rehearse` again; the cloud is as it was".to_owned(),
    };
    output.result(
        format!(
            "\n{}\nwritten to {}; journal and outputs in {path}{kept}\n  next: {next}",
            ffu_report::render_rehearsal(plan, rehearsal).trim_end(),
            arguments.output
        ),
        &json!({
            "event": "rehearsal", "directory": path, "output": arguments.output, "kept": keep, "exit": exit.code(),
            "rehearsal": rehearsal,
        }),
    );
    exit
}
