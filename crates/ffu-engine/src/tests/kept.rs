//! What is kept of runs: one process a cloud, runs found again, the plan as it was, a journal that is damaged.

use camino::Utf8Path;

use super::*;

#[test]
fn one_process_a_cloud() {
    let scratch = scratch();
    let first = scratch.state.lock(&cloud(), "ffu run").unwrap();
    let error = scratch.state.lock(&cloud(), "ffu run").unwrap_err().to_string();
    assert!(
        error.contains(&std::process::id().to_string()) && error.contains("next:"),
        "{error}"
    );
    assert!(scratch.state.is_locked(&cloud()));
    drop(first);
    assert!(!scratch.state.is_locked(&cloud()));
    scratch.state.lock(&cloud(), "ffu run").unwrap();
}

#[test]
fn an_unfinished_run_of_the_cloud_is_found() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    assert!(scratch.state.unfinished(&plan.cloud).unwrap().is_none());
    let run = start(&scratch, &plan);
    assert_eq!(scratch.state.unfinished(&plan.cloud).unwrap().unwrap().0.id, run.id);
    go(&plan, &world, Scope::Upgrade, None, &run);
    assert!(
        scratch.state.unfinished(&plan.cloud).unwrap().is_some(),
        "it waits for acceptance"
    );
    go(&plan, &world, Scope::Acceptance, None, &run);
    assert!(scratch.state.unfinished(&plan.cloud).unwrap().is_none());
}

#[test]
fn a_changed_plan_is_not_run_again() {
    let (scratch, plan) = (scratch(), diamond());
    let run = start(&scratch, &plan);
    assert_eq!(run.checked_plan().unwrap(), plan);
    let path = run.path().join("plan.json");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("hops.left", "hops.lost");
    std::fs::write(&path, text).unwrap();
    assert!(matches!(run.checked_plan(), Err(EngineError::PlanChanged { .. })));
}

#[test]
fn damage_in_the_journal_is_named_by_line() {
    let (scratch, plan, world) = (scratch(), diamond(), ScriptedWorld::default());
    let run = start(&scratch, &plan);
    go(&plan, &world, Scope::Upgrade, None, &run);
    let good = std::fs::read_to_string(run.journal()).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let mut gap = lines.clone();
    gap.remove(2);
    let cases = [
        ("garbage\n".to_owned(), 1),
        (format!("{}\nnot json\n", lines[0]), 2),
        (gap.join("\n") + "\n", 3),
        (format!("{}\n{}\n", lines[1], lines[0]), 1),
    ];
    for (text, at) in cases {
        std::fs::write(run.journal(), text).unwrap();
        match read_journal(&run.journal()).unwrap_err() {
            EngineError::JournalDamaged { line, .. } => assert_eq!(line, at),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn missing_runs_are_named() {
    let scratch = scratch();
    assert!(
        scratch
            .state
            .find(None)
            .unwrap_err()
            .to_string()
            .contains("`ffu run PLAN`")
    );
    assert!(
        scratch
            .state
            .find(Some("../../etc"))
            .unwrap_err()
            .to_string()
            .contains("no run ../../etc")
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_as_a_journal_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let scratch = scratch();
        let path = scratch.root.join("journal.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let _ = read_journal(Utf8Path::new(path.as_str()));
    }
}
