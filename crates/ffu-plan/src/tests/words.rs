//! What the planner says: errors, what lint sees, explanations.

use super::*;

#[test]
fn every_error_says_what_and_what_next() {
    let catalog = catalog();
    let good = cloud_at(&catalog, "2024.1");
    let policy = Policy::default();
    let error = |cloud: &Cloud, to: &str| plan(cloud, &catalog, &series(to), &policy).unwrap_err().to_string();
    assert!(
        error(
            &Cloud {
                projects: Vec::new(),
                ..good.clone()
            },
            "2025.1"
        )
        .contains("names no project")
    );
    assert!(error(&good, "2023.1").contains("ahead of the target"));
    assert!(error(&good, "2024.1").contains("2024.1"));
    assert!(error(&good, "2031.1").contains("2031.1"));
    let mut unknown = good.clone();
    unknown.projects[0].series = None;
    unknown.findings.push(Finding {
        id: "unknown-schema-heads".into(),
        severity: Severity::Blocker,
        project: Some(unknown.projects[0].project.clone()),
        message: "revision abc is not known".into(),
        remedy: "restore".into(),
        source: String::new(),
    });
    assert!(error(&unknown, "2025.1").contains("unknown-schema-heads"));
    let mut blocked = good.clone();
    blocked.findings = unknown.findings.clone();
    assert!(error(&blocked, "2025.1").contains("next: restore"));
    let mut stranger = good.clone();
    stranger.projects[0].project = "zaqar".into();
    assert!(error(&stranger, "2025.1").contains("--catalog DIR"));
    let mut gone = good.clone();
    gone.projects.iter_mut().for_each(|p| p.databases.clear());
    assert!(error(&gone, "2025.1").contains("does not have"));
}

#[test]
fn lint_sees_what_an_edit_broke() {
    let catalog = catalog();
    let good = planned("2024.1", "2024.2");
    let has = |plan: &Plan, id: &str| {
        let mut sealed = plan.clone();
        sealed.id = sealed.compute_id().unwrap();
        let found = lint(&sealed, &catalog);
        assert!(found.iter().any(|f| f.id == id), "{id} not in {found:?}");
    };
    let edit = |change: &dyn Fn(&mut Plan)| {
        let mut edited = good.clone();
        change(&mut edited);
        edited
    };
    let unsealed = edit(&|p| p.steps[0].timeout_seconds += 1);
    assert!(lint(&unsealed, &catalog).iter().any(|f| f.id == "plan-edited"));
    has(&unsealed, "step-changed");
    has(&edit(&|p| p.steps[3].id = "../x".into()), "bad-step-id");
    has(&edit(&|p| p.steps[1].id = p.steps[0].id.clone()), "doubled-step-id");
    has(&edit(&|p| p.steps[1].needs.push("nobody".into())), "unknown-need");
    has(
        &edit(&|p| p.steps[0].needs.push("deploy.config".into())),
        "need-comes-later",
    );
    has(
        &edit(&|p| p.steps.retain(|s| !s.id.ends_with("nova.db-sync"))),
        "step-missing",
    );
    has(&edit(&|p| p.hops.clear()), "path-ends");
    has(&edit(&|p| p.catalog = "other".into()), "catalog-changed");
    has(&edit(&|p| p.steps[0].timeout_seconds = 0), "timeout");
    has(&edit(&|p| p.steps.clear()), "no-steps");
    let checkpoint = at(&good, "checkpoint");
    has(&edit(&|p| drop(p.steps.remove(checkpoint))), "no-way-back");
    has(
        &edit(&|p| {
            for step in &mut p.steps {
                if let Action::Command(command) = &mut step.action {
                    command.program = "/bin/sh".into();
                    command.config_files = vec!["/etc/../root/x".into()];
                }
            }
        }),
        "program",
    );
    has(
        &edit(&|p| {
            for step in &mut p.steps {
                if let Action::Drain { watches } = &mut step.action {
                    watches[0].query = "SELECT 1; DROP DATABASE nova".into();
                }
            }
        }),
        "query",
    );
}

#[test]
fn malformed_plans_are_refused_with_the_place() {
    let bytes = planned("2024.1", "2024.2").to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let refused = |text: &str, why: &str| {
        let error = read_plan("p.json", text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, PlanError::Malformed { .. }) && error.to_string().contains(why),
            "{error}"
        );
    };
    refused("", "EOF");
    refused("[]", "no format");
    refused("{\"format\": 2}", "reads format 1");
    refused(&text[..text.len() / 2], "line");
    refused(
        &text.replacen("\"phase\": \"prepare\"", "\"phase\": \"later\"", 1),
        "line",
    );
    refused(
        &text.replacen("\"format\": 1", "\"format\": 1, \"hook\": \"rm\"", 1),
        "unknown field",
    );
    refused(
        &text.replacen("\"from\": \"2024.1\"", "\"from\": \"../../2024.1\"", 1),
        "cannot be a series",
    );
}

#[test]
fn a_step_explains_itself() {
    let plan = planned("2024.1", "2024.2");
    let text = explain(&plan, "hops.2024.2.nova.db-sync").unwrap();
    for part in [
        "nova-manage",
        "must reach",
        "exit    0",
        "way back:  `ffu rollback`",
        "source:",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    assert!(explain(&plan, "no.such").is_none());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn any_mix_of_series_is_planned_forward_only(mix in proptest::collection::vec(0_usize..4, 7)) {
        let catalog = catalog();
        let choices = ["2024.1", "2024.2", "2025.1", "2025.2"];
        let mut cloud = cloud_at(&catalog, "2024.1");
        for (project, choice) in cloud.projects.iter_mut().zip(&mix) {
            project.series = Some(series(choices[*choice]));
        }
        let plan = plan(&cloud, &catalog, &series("2026.1"), &Policy::default()).unwrap();
        for step in &plan.steps {
            if let (Action::Command(command), Phase::Hops) = (&step.action, step.phase) {
                let start = cloud.project(&command.project).unwrap().series.as_ref().unwrap();
                proptest::prop_assert!(catalog.position(&command.series) > catalog.position(start), "{}", step.id);
            }
        }
        proptest::prop_assert!(lint(&plan, &catalog).is_empty());
    }

    #[test]
    fn any_bytes_as_a_plan_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = read_plan("x", &bytes);
    }
}
