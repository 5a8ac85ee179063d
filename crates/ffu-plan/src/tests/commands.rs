//! What a hop's commands and gates are told, and which of them are asked.

use super::*;

#[test]
fn checks_that_ask_services_are_asked_without_them_on_the_way_unless_time_does_not_matter() {
    let quick = planned("2024.1", "2025.1");
    let ids: Vec<&str> = quick.steps.iter().map(|step| step.id.as_str()).collect();
    assert!(ids.contains(&"hops.2024.2.nova.upgrade-check-alone"));
    assert!(ids.contains(&"deploy.nova.upgrade-check"));
    assert!(
        !ids.contains(&"hops.2025.1.nova.upgrade-check-alone"),
        "the whole check follows"
    );
    assert!(
        !ids.iter()
            .any(|id| id.contains(".services.start") || id.ends_with("keystone.invariants"))
    );
    let Action::Command(command) = &quick.steps[at(&quick, "hops.2024.2.nova.upgrade-check-alone")].action else {
        panic!()
    };
    assert_eq!(command.excused_checks, ["Placement API"]);
    assert!(command.needs_services.is_empty());
    assert_eq!(
        command.config_files.last().unwrap(),
        "{staged}/for-commands/nova-upgrade-check-alone.conf"
    );

    let policy = Policy {
        thorough: true,
        ..Policy::default()
    };
    let catalog = catalog();
    let plan = plan(&cloud_at(&catalog, "2024.1"), &catalog, &series("2025.1"), &policy).unwrap();
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert!(ids.contains(&"hops.2024.2.services.start") && ids.contains(&"hops.2024.2.nova.upgrade-check"));
    assert!(ids.contains(&"hops.2024.2.keystone.invariants"));
    assert!(!ids.contains(&"hops.2024.2.nova.upgrade-check-alone"));
}

#[test]
fn what_proves_that_a_command_changes_nothing_is_in_the_plan() {
    use ffu_model::step::NoOp;
    let plan = planned("2024.1", "2024.2");
    let no_op = |id: &str| match &plan.steps[at(&plan, id)].action {
        Action::Command(command) => command.no_op.clone(),
        _ => None,
    };
    // The first of glance's three commands reaches no head of its own, and has nothing to do where the last one's is reached.
    let Some(NoOp::Heads(heads)) = no_op("hops.2024.2.glance.db-expand") else {
        panic!()
    };
    assert_eq!(heads[0].database, DatabaseKey::new("glance", "main"));
    let Some(NoOp::Heads(heads)) = no_op("hops.2024.2.nova.db-sync") else {
        panic!()
    };
    let roles: Vec<&str> = heads.iter().map(|heads| heads.database.role.as_str()).collect();
    assert!(roles.contains(&"cell") && roles.contains(&"cell0"), "{roles:?}");
    let Some(NoOp::Counts(counts)) = no_op("hops.2024.2.placement.online-data-migrations") else {
        panic!()
    };
    assert_eq!(counts.len(), 4);
    // It writes the versions of the services whatever the heads are.
    assert_eq!(no_op("hops.2024.2.cinder.db-sync"), None);
    assert_eq!(no_op("hops.2024.2.nova.online-data-migrations"), None);
}

#[test]
fn options_for_commands_are_staged_and_never_installed() {
    let plan = planned("pike", "stein");
    let Action::Command(command) = &plan.steps[at(&plan, "hops.queens.cinder.online-data-migrations")].action else {
        panic!()
    };
    assert_eq!(
        command.config_files.last().unwrap(),
        "{staged}/for-commands/cinder-queens.conf"
    );
    let holds = |id: &str| {
        serde_json::to_string(&plan.steps[at(&plan, id)].action)
            .unwrap()
            .contains("/for-commands/")
    };
    assert!(holds("prepare.config") && !holds("deploy.config"));
}

#[test]
fn gates_about_what_runs_are_asked_for_the_target_only() {
    let plan = planned("2023.1", "2026.1");
    let floors: Vec<&str> = plan
        .steps
        .iter()
        .map(|s| s.id.as_str())
        .filter(|id| id.contains("compute-floor"))
        .collect();
    assert!(
        !floors.is_empty() && floors.iter().all(|id| id.contains("2026-1")),
        "{floors:?}"
    );
}

#[test]
fn deleted_instances_are_counted_before_the_window_that_2023_2_is_entered_in() {
    let asked = |from: &str| {
        let steps = planned(from, "2024.2").steps;
        let gates = steps.iter().filter(|s| s.id.contains("nova-deleted-instances"));
        gates.map(|s| s.phase).collect::<Vec<_>>()
    };
    let there = asked("train");
    assert!(
        !there.is_empty() && there.iter().all(|phase| *phase == Phase::Prepare),
        "{there:?}"
    );
    assert!(asked("2023.2").is_empty());
}

#[test]
fn further_cells_get_their_own_commands() {
    let catalog = catalog();
    let mut cloud = cloud_at(&catalog, "2024.1");
    let nova = cloud.projects.iter_mut().find(|p| p.project == "nova").unwrap();
    let mut cell = nova.databases.iter().find(|d| d.role == "cell").unwrap().clone();
    cell.role = "cell:edge".into();
    cell.connection = ConnectionRef::CellMapping {
        file: "/cloud/etc/nova/nova.conf".into(),
        uuid: "u".into(),
    };
    nova.databases.push(cell);
    let plan = plan(&cloud, &catalog, &series("2024.2"), &Policy::default()).unwrap();
    let step = &plan.steps[at(&plan, "hops.2024.2.nova.db-sync.cell2")];
    let Action::Command(command) = &step.action else {
        panic!()
    };
    assert!(command.overlay.is_some());
    assert!(command.expect_heads.iter().all(|h| h.database.role == "cell:edge"));
}
