//! The engine against a scripted world: every order of crash, failure and resume that a journal can describe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use camino::Utf8PathBuf;
use ffu_model::cloud::{Cloud, ServiceManagerKind};
use ffu_model::event::{EventKind, RunState};
use ffu_model::plan::{PLAN_FORMAT, Plan, PlanningReport, Policy};
use ffu_model::step::{Action, Phase, Step, Undo};

use crate::*;

mod crashes;
mod held;
mod kept;

/// A world of effects: each step leaves its name, and doing it twice is counted.
#[derive(Default)]
struct ScriptedWorld {
    effects: Mutex<BTreeMap<String, u32>>,
    fail_once: Mutex<BTreeSet<String>>,
    log: Mutex<Vec<String>>,
}

impl ScriptedWorld {
    fn failing(steps: &[&str]) -> Self {
        let world = ScriptedWorld::default();
        world
            .fail_once
            .lock()
            .unwrap()
            .extend(steps.iter().map(|s| (*s).to_owned()));
        world
    }

    fn effects(&self) -> BTreeMap<String, u32> {
        self.effects.lock().unwrap().clone()
    }
}

impl Performer for ScriptedWorld {
    fn perform(&self, step: &Step, _attempt: u32) -> Performed {
        self.log.lock().unwrap().push(step.id.clone());
        if self.fail_once.lock().unwrap().remove(&step.id) {
            return Performed::failed("scripted");
        }
        *self.effects.lock().unwrap().entry(step.id.clone()).or_default() += 1;
        Performed::succeeded("done")
    }

    fn inspect(&self, step: &Step, _attempt: u32) -> Inspection {
        if self.effects().contains_key(&step.id) {
            Inspection::Complete("its effect is there".to_owned())
        } else {
            Inspection::Incomplete("its effect is not there".to_owned())
        }
    }

    fn take_back(&self, action: RollbackAction) -> Performed {
        if action == RollbackAction::Databases {
            self.effects.lock().unwrap().clear();
        }
        self.log.lock().unwrap().push(action.id().to_owned());
        Performed::succeeded("taken back")
    }
}

fn step(id: &str, phase: Phase, needs: &[&str]) -> Step {
    Step {
        id: id.to_owned(),
        phase,
        title: id.to_owned(),
        project: None,
        hop: None,
        action: Action::VerifyServices { units: Vec::new() },
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        timeout_seconds: 10,
        estimate_ms: 1,
        undo: Undo::Nothing,
        sources: Vec::new(),
    }
}

fn cloud() -> Cloud {
    Cloud {
        format: 1,
        name: "test".into(),
        deployment: "plain".into(),
        root: "/cloud".into(),
        service_manager: ServiceManagerKind::Systemd,
        servers: Vec::new(),
        projects: Vec::new(),
        services: Vec::new(),
        findings: Vec::new(),
    }
}

fn plan_of(steps: Vec<Step>) -> Plan {
    let mut plan = Plan {
        format: PLAN_FORMAT,
        id: String::new(),
        generator: "test".into(),
        catalog: "c".into(),
        from: "train".parse().unwrap(),
        to: "ussuri".parse().unwrap(),
        hops: Vec::new(),
        policy: Policy::default(),
        cloud: cloud(),
        steps,
        report: PlanningReport::default(),
    };
    plan.id = plan.compute_id().unwrap();
    plan
}

fn diamond() -> Plan {
    plan_of(vec![
        step("prepare.a", Phase::Prepare, &[]),
        step("checkpoint", Phase::Checkpoint, &["prepare.a"]),
        step("hops.left", Phase::Hops, &["checkpoint"]),
        step("hops.right", Phase::Hops, &["checkpoint"]),
        step("deploy.z", Phase::Deploy, &["hops.left", "hops.right"]),
        step("release.agents", Phase::Release, &["deploy.z"]),
        step("finish.x", Phase::Finish, &["release.agents"]),
    ])
}

struct Scratch {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    state: StateDirectory,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    let state = StateDirectory::open(&root).unwrap();
    Scratch { _dir: dir, root, state }
}

fn go(plan: &Plan, world: &ScriptedWorld, scope: Scope, from: Option<&str>, run: &RunDirectory) -> RunState {
    let (mut journal, events) = Journal::open(&run.journal()).unwrap();
    let mut view = RunView::from_events(&events);
    let stop = StopFlag::new();
    let execution = Execution {
        plan,
        scope,
        parallel: 2,
        from,
        performer: world,
        gate: &crate::Open,
        stop,
    };
    execute(&execution, &mut journal, &mut view).unwrap()
}

fn start(scratch: &Scratch, plan: &Plan) -> RunDirectory {
    scratch.state.create(plan, &plan.to_bytes().unwrap(), "test").unwrap().0
}

#[test]
fn a_run_stops_before_the_point_of_no_return_and_acceptance_finishes_it() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    assert_eq!(
        go(&plan, &world, Scope::Upgrade, None, &run),
        RunState::AwaitingAcceptance
    );
    assert!(!world.effects().contains_key("release.agents"));
    assert_eq!(go(&plan, &world, Scope::Acceptance, None, &run), RunState::Finished);
    assert!(
        world.effects().values().all(|&times| times == 1),
        "{:?}",
        world.effects()
    );
    let events = read_journal(&run.journal()).unwrap();
    for step in &plan.steps {
        let at = |kind: fn(&EventKind, &str) -> bool| events.iter().position(|e| kind(&e.kind, &step.id)).unwrap();
        let intent = at(|k, id| matches!(k, EventKind::Intent { step, .. } if step == id));
        let outcome = at(|k, id| matches!(k, EventKind::Outcome { step, .. } if step == id));
        assert!(intent < outcome);
    }
}

#[test]
fn a_failure_stops_the_run_and_resume_repeats_only_what_is_open() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::failing(&["hops.left"]));
    let run = start(&scratch, &plan);
    assert_eq!(go(&plan, &world, Scope::Upgrade, None, &run), RunState::Stopped);
    assert!(!world.effects().contains_key("deploy.z"));
    assert_eq!(
        go(&plan, &world, Scope::Upgrade, None, &run),
        RunState::AwaitingAcceptance
    );
    assert!(world.effects().values().all(|&times| times == 1));
}

#[test]
fn if_the_journal_cannot_be_written_nothing_further_is_done() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    let events = read_journal(&run.journal()).unwrap();
    let full = scratch.root.join("full");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    // /dev/full reads as endless zeros, so the journal is opened by hand instead of through `open`.
    let mut journal = Journal::on_full_disk(&full);
    let mut view = RunView::from_events(&events);
    let stop = StopFlag::new();
    let execution = Execution {
        plan: &plan,
        scope: Scope::Upgrade,
        parallel: 2,
        from: None,
        performer: &world,
        gate: &crate::Open,
        stop,
    };
    let error = execute(&execution, &mut journal, &mut view).unwrap_err();
    assert!(matches!(error, EngineError::JournalWrite { .. }), "{error}");
    assert!(
        world.log.lock().unwrap().is_empty(),
        "a step was done without an intent on disk"
    );
}

#[test]
fn a_pause_waits_for_the_operator_once() {
    let scratch = scratch();
    let mut pause = step("deploy.pause", Phase::Deploy, &["prepare.a"]);
    pause.action = Action::Pause {
        message: "deploy it".into(),
    };
    let plan = plan_of(vec![
        step("prepare.a", Phase::Prepare, &[]),
        pause,
        step("deploy.z", Phase::Deploy, &["deploy.pause"]),
    ]);
    let (run, world) = (start(&scratch, &plan), ScriptedWorld::default());
    assert_eq!(go(&plan, &world, Scope::Upgrade, None, &run), RunState::Paused);
    assert!(!world.effects().contains_key("deploy.z"));
    assert_eq!(
        go(&plan, &world, Scope::Upgrade, None, &run),
        RunState::AwaitingAcceptance
    );
    assert!(world.effects().contains_key("deploy.z"));
}

#[test]
fn from_takes_failed_steps_as_done_and_refuses_to_skip_what_was_never_tried() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::failing(&["hops.left"]));
    let run = start(&scratch, &plan);
    go(&plan, &world, Scope::Upgrade, None, &run);
    let (mut journal, events) = Journal::open(&run.journal()).unwrap();
    let mut view = RunView::from_events(&events);
    for (from, why) in [
        ("finish.x", "never begun"),
        ("prepare.a", "done already"),
        ("nonsense", "no such step"),
    ] {
        let stop = StopFlag::new();
        let execution = Execution {
            plan: &plan,
            scope: Scope::Upgrade,
            parallel: 2,
            from: Some(from),
            performer: &world,
            gate: &crate::Open,
            stop,
        };
        let error = execute(&execution, &mut journal, &mut view).unwrap_err().to_string();
        assert!(error.contains(why), "{from}: {error}");
    }
    drop(journal);
    assert_eq!(
        go(&plan, &world, Scope::Upgrade, Some("deploy.z"), &run),
        RunState::AwaitingAcceptance
    );
    assert!(
        !world.effects().contains_key("hops.left"),
        "it was said to be done by hand"
    );
}

#[test]
fn a_wish_to_stop_lets_running_steps_end() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    let (mut journal, events) = Journal::open(&run.journal()).unwrap();
    let mut view = RunView::from_events(&events);
    let stop = StopFlag::new();
    let raise = stop.clone();
    journal.observe(move |event| {
        if matches!(&event.kind, EventKind::Intent { step, .. } if step == "checkpoint") {
            raise.raise();
        }
    });
    let execution = Execution {
        plan: &plan,
        scope: Scope::Upgrade,
        parallel: 2,
        from: None,
        performer: &world,
        gate: &crate::Open,
        stop,
    };
    assert_eq!(execute(&execution, &mut journal, &mut view).unwrap(), RunState::Stopped);
    assert!(view.is_done("checkpoint") && !view.was_begun("hops.left"));
}
