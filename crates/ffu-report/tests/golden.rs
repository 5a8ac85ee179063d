//! The texts people read after a run and after a rehearsal, whole.

use ffu_model::event::{Event, EventKind, RunState, StepResult};
use ffu_model::rehearsal::*;
use ffu_model::{DatabaseKey, Finding, Plan, Severity};
use ffu_report::{build, render, render_rehearsal};
use serde_json::{Value, json};

fn plan() -> Plan {
    let step = |id: &str, phase: &str, estimate: u64, hop: bool, project: Option<&str>| {
        let mut step = json!({
            "id": id, "phase": phase, "title": id, "action": {"kind": "pause", "message": id}, "needs": [],
            "timeout_seconds": 60, "estimate_ms": estimate, "undo": "nothing",
        });
        if hop {
            step["hop"] = json!({"from": "2024.1", "to": "2024.2"});
        }
        if let Some(project) = project {
            step["project"] = json!(project);
        }
        step
    };
    let plan: Value = json!({
        "format": 1, "id": "0123456789abcdef", "generator": "ffu", "catalog": "c", "from": "2024.1", "to": "2024.2",
        "hops": [{"from": "2024.1", "to": "2024.2"}],
        "policy": ffu_model::Policy::default(),
        "cloud": {
            "format": 1, "name": "north", "deployment": "plain", "root": "/", "service_manager": {"kind": "systemd"},
        },
        "steps": [
            step("prepare.config", "prepare", 200, false, None),
            step("freeze.apis", "freeze", 1000, false, None),
            step("freeze.invariants", "freeze", 500, false, None),
            step("checkpoint", "checkpoint", 5740, false, None),
            step("hops.2024.2.keystone.db-sync", "hops", 7000, true, Some("keystone")),
            step("hops.2024.2.nova.online-data-migrations", "hops", 9000, true, Some("nova")),
            step("hops.2024.2.nova.upgrade-check", "hops", 3000, true, Some("nova")),
            step("deploy.invariants", "deploy", 500, false, None),
            step("release.agents", "release", 100, false, None),
        ],
        "report": {
            "decisions": [], "waits_for": [], "irreversible": [], "findings": [], "window_ms": 26_740, "critical_path": [],
        },
    });
    serde_json::from_value(plan).unwrap()
}

fn done(id: &str, ms: u64, result: StepResult) -> RehearsedStep {
    RehearsedStep {
        id: id.into(),
        action: "0".into(),
        ms,
        result,
        detail: "what was done".into(),
        findings: Vec::new(),
        figures: Default::default(),
    }
}

fn rehearsal() -> Rehearsal {
    let plan = plan();
    let not = |id: &str, reason: &str| NotRehearsed {
        id: id.into(),
        reason: reason.into(),
    };
    let mut online = done("hops.2024.2.nova.online-data-migrations", 41_200, StepResult::Warned);
    online.figures.insert("populate_instance_compute_id".into(), 120_000);
    online.findings.push(Finding {
        id: "command-warned".into(),
        severity: Severity::Warning,
        project: Some("nova".into()),
        message: "nova-manage warned".into(),
        remedy: "read its output".into(),
        source: String::new(),
    });
    Rehearsal {
        format: REHEARSAL_FORMAT,
        program: "ffu 0.1.0".into(),
        plan: plan.id.clone(),
        catalog: plan.catalog.clone(),
        cloud: cloud_digest(&plan.cloud),
        name: plan.cloud.name.clone(),
        from: plan.from.clone(),
        to: plan.to.clone(),
        hops: plan.hops.clone(),
        parallel: 2,
        begun: "2026-11-24T22:00:00Z".parse().unwrap(),
        outcome: RehearsalOutcome::Complete,
        machine: Machine {
            cores: 2,
            memory_bytes: 8 << 30,
            server: "mariadb 10.11.6-MariaDB".into(),
            cloud_servers: vec!["mariadb 10.11.4-MariaDB".into()],
        },
        copy: CopyFigures {
            ms: 63_000,
            limit: Some(64 << 20),
            snapshots: 1,
            databases: vec![CopiedDatabase {
                database: DatabaseKey::new("nova", "cell"),
                tables: 110,
                rows: 1_200_000,
                carried_bytes: 3 << 30,
                source_bytes: 4 << 30,
                ms: 63_000,
            }],
        },
        wall_ms: 52_000,
        steps: vec![
            done("prepare.config", 900, StepResult::Succeeded),
            done("freeze.invariants", 2_100, StepResult::Succeeded),
            done("checkpoint", 14_000, StepResult::Succeeded),
            done("hops.2024.2.keystone.db-sync", 0, StepResult::Proven),
            online,
            done("hops.2024.2.nova.upgrade-check", 1_700, StepResult::Succeeded),
            done("deploy.invariants", 1_900, StepResult::Succeeded),
        ],
        not_rehearsed: vec![
            not("freeze.apis", "the cloud's services stay as they are"),
            not("release.agents", "it follows `ffu accept`"),
        ],
        remarks: vec!["its processes ran at low priority".into()],
    }
}

#[test]
fn a_complete_rehearsal() {
    insta::assert_snapshot!(render_rehearsal(&plan(), &rehearsal()));
}

#[test]
fn a_rehearsal_that_failed() {
    let mut failed = rehearsal();
    failed.outcome = RehearsalOutcome::Failed;
    failed.copy.limit = None;
    failed.copy.snapshots = 3;
    failed.steps.truncate(5);
    failed.steps[4].result = StepResult::Failed;
    failed.steps[4].detail = "nova-manage failed (exit code 1): a row is in the way\n  next: mend it".into();
    failed.steps[4].findings.clear();
    failed.steps[4].figures.clear();
    insta::assert_snapshot!(render_rehearsal(&plan(), &failed));
}

#[test]
fn estimate_and_fact_of_a_run() {
    let mut plan = plan();
    plan.report.measured = Some(MeasuredEstimates {
        rehearsed: "2026-11-24T22:00:00Z".parse().unwrap(),
        plan: plan.id.clone(),
        measured_steps: 4,
        window_steps: 7,
        measured_ms: 880,
        estimated_ms: 1000,
        remarks: Vec::new(),
    });
    let mut events = Vec::new();
    let mut at = 0_i64;
    let mut push = |events: &mut Vec<Event>, ms: u64, kind: EventKind| {
        at += i64::try_from(ms).unwrap();
        events.push(Event {
            seq: events.len() as u64 + 1,
            at: jiff::Timestamp::from_millisecond(at).unwrap(),
            boot: 0,
            kind,
        });
    };
    let created = EventKind::RunCreated {
        format: 1,
        run: "r".into(),
        plan: plan.id.clone(),
        program: "ffu".into(),
    };
    push(&mut events, 0, created);
    let took = [
        ("prepare.config", 250, StepResult::Succeeded),
        ("freeze.apis", 4_000, StepResult::Failed),
        ("freeze.apis", 1_100, StepResult::Succeeded),
        ("freeze.invariants", 400, StepResult::Succeeded),
        ("checkpoint", 9_000, StepResult::Succeeded),
        ("hops.2024.2.keystone.db-sync", 6_400, StepResult::Succeeded),
        ("hops.2024.2.nova.online-data-migrations", 2_000, StepResult::Succeeded),
    ];
    for (step, ms, result) in took {
        let intent = EventKind::Intent {
            step: step.into(),
            attempt: 1,
        };
        push(&mut events, 0, intent);
        let outcome = EventKind::Outcome {
            step: step.into(),
            attempt: 1,
            result,
            detail: "done".into(),
            duration_ms: ms,
            findings: Vec::new(),
            figures: Default::default(),
        };
        push(&mut events, ms, outcome);
    }
    let ended = EventKind::Ended {
        state: RunState::Stopped,
        detail: "stopped".into(),
    };
    push(&mut events, 0, ended);
    let report = build(&plan, &events);
    // A failed attempt is no fact about how long the step takes; what was never done is compared with nothing.
    let freeze = &report.comparison.phases[1];
    assert_eq!((freeze.steps, freeze.estimate_ms, freeze.actual_ms), (2, 1500, 1500));
    assert_eq!(
        report.comparison.furthest[0].step,
        "hops.2024.2.nova.online-data-migrations"
    );
    assert_eq!(report.comparison.furthest.len(), 3, "{:?}", report.comparison.furthest);
    insta::assert_snapshot!(render(&report));
}
