//! Estimates of a real plan from rehearsals of it, of another cloud, and of another path.

use ffu_model::event::StepResult;
use ffu_model::plan::{Plan, Policy};
use ffu_model::rehearsal::*;

use super::*;
use crate::tests::{catalog, cloud_at, series};

fn planned(to: &str) -> Plan {
    let catalog = catalog();
    crate::plan(&cloud_at(&catalog, "2024.1"), &catalog, &series(to), &Policy::default()).unwrap()
}

/// Every hop's step took 1.5 s; nothing else was rehearsed.
fn rehearsed(plan: &Plan) -> Rehearsal {
    let done = plan.steps.iter().filter(|step| step.phase == Phase::Hops);
    Rehearsal {
        format: REHEARSAL_FORMAT,
        program: "ffu 0".into(),
        plan: plan.id.clone(),
        catalog: plan.catalog.clone(),
        cloud: cloud_digest(&plan.cloud),
        name: "test".into(),
        from: plan.from.clone(),
        to: plan.to.clone(),
        hops: plan.hops.clone(),
        parallel: plan.policy.parallel,
        begun: "2026-11-24T22:00:00Z".parse().unwrap(),
        outcome: RehearsalOutcome::Complete,
        machine: Machine {
            server: "mariadb 10.11.6-MariaDB".into(),
            ..Machine::default()
        },
        copy: CopyFigures {
            databases: plan
                .cloud
                .databases()
                .map(|(database, facts)| CopiedDatabase {
                    database,
                    tables: facts.tables,
                    rows: facts.rows,
                    carried_bytes: facts.bytes,
                    source_bytes: facts.bytes,
                    ms: 1,
                })
                .collect(),
            ..CopyFigures::default()
        },
        wall_ms: 0,
        steps: done
            .map(|step| RehearsedStep {
                id: step.id.clone(),
                action: action_digest(&step.action).unwrap(),
                ms: 1500,
                result: StepResult::Succeeded,
                detail: String::new(),
                findings: Vec::new(),
                figures: Default::default(),
            })
            .collect(),
        not_rehearsed: Vec::new(),
        remarks: Vec::new(),
    }
}

#[test]
fn what_was_rehearsed_takes_as_long_as_it_took_and_the_rest_is_counted() {
    let mut plan = planned("2025.1");
    let (before, rehearsal) = (plan.clone(), rehearsed(&plan));
    estimate_from(&mut plan, &rehearsal).unwrap();
    for (was, is) in before.steps.iter().zip(&plan.steps) {
        let wanted = if was.phase == Phase::Hops {
            1500
        } else {
            was.estimate_ms
        };
        assert_eq!(is.estimate_ms, wanted, "{}", is.id);
    }
    let measured = plan.report.measured.clone().unwrap();
    let said = plan.report.decisions.join("\n");
    assert!(!said.contains("is expected to take"), "{said}");
    let hops = plan.steps.iter().filter(|step| step.phase == Phase::Hops).count();
    assert_eq!(measured.measured_steps, hops);
    assert_eq!(measured.measured_ms, 1500 * hops as u64);
    assert!(
        measured.window_steps > hops && measured.percent() > 50 && measured.percent() < 100,
        "{measured:?}"
    );
    assert!(measured.remarks.is_empty(), "{measured:?}");
    assert_ne!(plan.report.window_ms, before.report.window_ms);
    // The plan is whole: its id is its own, and it reads back.
    let bytes = plan.to_bytes().unwrap();
    assert_eq!(crate::read_plan("p", &bytes).unwrap(), plan);
    assert_ne!(plan.id, before.id);
    assert_eq!(crate::lint(&plan, &catalog()), crate::lint(&before, &catalog()));
}

#[test]
fn a_step_that_does_something_else_now_or_failed_then_keeps_the_catalog_s_estimate() {
    let mut plan = planned("2024.2");
    let (before, mut rehearsal) = (plan.clone(), rehearsed(&plan));
    rehearsal.steps[0].result = StepResult::Failed;
    rehearsal.steps[1].action = "another".into();
    estimate_from(&mut plan, &rehearsal).unwrap();
    for at in [0, 1] {
        let id = rehearsal.steps[at].id.as_str();
        assert_eq!(plan.step(id).unwrap().estimate_ms, before.step(id).unwrap().estimate_ms);
    }
}

#[test]
fn what_differs_since_is_said() {
    let mut plan = planned("2024.2");
    let mut rehearsal = rehearsed(&plan);
    rehearsal.copy.databases[0].source_bytes = 400 << 20;
    rehearsal.machine.server = "mariadb 11.4.2-MariaDB".into();
    rehearsal.outcome = RehearsalOutcome::Stopped;
    rehearsal.parallel = 9;
    estimate_from(&mut plan, &rehearsal).unwrap();
    let remarks = plan.report.measured.unwrap().remarks.join("\n");
    for part in [
        "had 400 MiB in the rehearsal and has 0 MiB now",
        "rehearsed on mariadb 11.4",
        "did not come to its end",
        "9 steps at once",
    ] {
        assert!(remarks.contains(part), "{part}: {remarks}");
    }
}

#[test]
fn another_cloud_another_path_and_another_file_are_refused() {
    let mut plan = planned("2025.1");
    let same = rehearsed(&plan);
    let mut path = rehearsed(&planned("2024.2"));
    path.cloud.clone_from(&same.cloud);
    let mut cloud = same.clone();
    cloud.cloud = "0".repeat(64);
    for (rehearsal, why) in [
        (path, "through 2024.2, the plan goes"),
        (cloud, "databases or schemas are not those"),
    ] {
        let before = plan.clone();
        let error = estimate_from(&mut plan, &rehearsal).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("next: `ffu rehearse`"), "{error}");
        assert_eq!(plan, before, "nothing is changed by a refusal");
    }
    let bytes = serde_json::to_vec(&same).unwrap();
    assert_eq!(read_rehearsal("r.json", &bytes).unwrap(), same);
    let future = String::from_utf8(bytes)
        .unwrap()
        .replacen("\"format\":1", "\"format\":2", 1);
    for (text, why) in [
        (future.as_str(), "format 2"),
        ("{}", "format"),
        ("nonsense", "expected"),
    ] {
        let error = read_rehearsal("r.json", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("r.json") && error.contains(why), "{error}");
    }
}
