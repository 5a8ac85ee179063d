//! The planner against the embedded catalog: paths, lanes, the extraction, half-way clouds, errors, and what lint sees.

use ffu_catalog::Catalog;
use ffu_model::cloud::*;
use ffu_model::plan::{Plan, Policy};
use ffu_model::step::{Action, Phase};
use ffu_model::{Finding, Series, Severity};

use crate::{PlanError, explain, lint, plan, read_plan};

pub(crate) fn catalog() -> Catalog {
    Catalog::embedded().unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn series(text: &str) -> Series {
    text.parse().unwrap()
}

/// A cloud of plain services as discovery would describe it.
pub(crate) fn cloud_at(catalog: &Catalog, at: &str) -> Cloud {
    let at = series(at);
    let mut cloud = Cloud {
        format: CLOUD_FORMAT,
        name: "test".into(),
        deployment: "plain".into(),
        root: "/cloud".into(),
        service_manager: ServiceManagerKind::Process {
            directory: "/cloud/services".into(),
        },
        servers: vec![DatabaseServer {
            id: "db1".into(),
            address: "127.0.0.1:3306".into(),
            flavor: "mariadb".into(),
            version: "10.11.14".into(),
            admin_option_file: None,
        }],
        projects: Vec::new(),
        services: Vec::new(),
        findings: Vec::new(),
    };
    for project in catalog.projects_at(&at) {
        let files: Vec<ConfigFile> = project
            .config
            .iter()
            .filter(|c| c.commands)
            .map(|c| ConfigFile {
                path: format!("/cloud/etc/{}", c.path).into(),
                sha256: "0".repeat(64),
                kind: FileKind::Options,
            })
            .collect();
        let mut databases = Vec::new();
        for entry in project
            .database
            .iter()
            .filter(|d| catalog.holds(&d.since, &d.until, &at))
        {
            let mut roles = vec![entry.role.clone()];
            if entry.role == "cell" {
                roles.push("cell0".into());
            }
            for role in roles {
                databases.push(CloudDatabase {
                    schema: format!("{}_{role}", project.name),
                    role,
                    server: "db1".into(),
                    connection: ConnectionRef::Config {
                        file: files[0].path.clone(),
                        section: entry.section.clone(),
                        option: entry.option.clone(),
                    },
                    heads: Default::default(),
                    candidates: vec![at.clone()],
                    charset: "utf8mb3".into(),
                    collation: "utf8mb3_general_ci".into(),
                    tables: 10,
                    bytes: 1_000_000,
                    rows: 100,
                });
            }
        }
        cloud.projects.push(CloudProject {
            project: project.name.clone(),
            series: Some(at.clone()),
            config_files: files,
            databases,
        });
    }
    for (unit, project, role) in [
        ("keystone-api", "keystone", ServiceRole::ControlPlane),
        ("placement-api", "placement", ServiceRole::ControlPlane),
        ("mock-nova-compute", "nova", ServiceRole::Agent),
    ] {
        cloud.services.push(CloudService {
            unit: unit.into(),
            service: unit.trim_start_matches("mock-").into(),
            project: project.into(),
            role,
        });
    }
    cloud
}

fn planned(at: &str, to: &str) -> Plan {
    let catalog = catalog();
    plan(&cloud_at(&catalog, at), &catalog, &series(to), &Policy::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn at(plan: &Plan, id: &str) -> usize {
    plan.steps
        .iter()
        .position(|s| s.id == id)
        .unwrap_or_else(|| panic!("no step {id}"))
}

#[test]
fn every_start_to_every_later_target_gives_a_plan_that_lints_clean() {
    let catalog = catalog();
    let all: Vec<String> = catalog.series.iter().map(|s| s.id.to_string()).collect();
    for (i, from) in all.iter().enumerate().step_by(3) {
        let cloud = cloud_at(&catalog, from);
        for to in &all[i + 1..] {
            let plan =
                plan(&cloud, &catalog, &series(to), &Policy::default()).unwrap_or_else(|e| panic!("{from}→{to}: {e}"));
            let findings = lint(&plan, &catalog);
            assert!(findings.is_empty(), "{from} → {to}: {findings:?}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (planned("2024.1", "2026.1"), planned("2024.1", "2026.1"));
    assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
    assert_eq!(one.compute_id().unwrap(), one.id);
    let read = read_plan("plan.json", &one.to_bytes().unwrap()).unwrap();
    assert_eq!(read, one);
}

#[test]
fn the_steps_of_one_hop() {
    let plan = planned("2024.1", "2024.2");
    let text: Vec<String> = plan
        .steps
        .iter()
        .map(|s| format!("{} <- {}", s.id, s.needs.join(" ")))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn placement_is_extracted_on_entering_train_after_nova_s_api_database_stopped_moving() {
    let plan = planned("rocky", "train");
    let create = at(&plan, "hops.train.placement.create-database");
    let copy = at(&plan, "hops.train.placement.copy-tables");
    let sync = at(&plan, "hops.train.placement.db-sync");
    assert!(create < copy && copy < sync);
    // Stein's migrations of nova's API database have ended, its checks included; Train's nova comes later.
    let last = "hops.stein.nova.upgrade-check-alone".to_owned();
    assert!(
        plan.steps[create].needs.contains(&last),
        "{:?}",
        plan.steps[create].needs
    );
    assert!(
        !plan.steps.iter().any(|s| s.id.starts_with("hops.stein.placement")),
        "it is a part of nova until then"
    );
    let Action::Checkpoint { databases, .. } = &plan.steps[at(&plan, "checkpoint")].action else {
        panic!()
    };
    assert!(
        databases.contains(&DatabaseKey::new("placement", "main")),
        "its absence is a part of the way back"
    );
    let Action::Command(command) = &plan.steps[sync].action else {
        panic!()
    };
    assert_eq!(command.config_files, ["{staged}/cloud/etc/placement/placement.conf"]);
}

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
    assert_eq!(counts.len(), 2);
    // It writes the versions of the services whatever the heads are.
    assert_eq!(no_op("hops.2024.2.cinder.db-sync"), None);
    assert_eq!(no_op("hops.2024.2.nova.online-data-migrations"), None);
}

#[test]
fn a_release_that_cannot_be_installed_is_left_out_and_said() {
    let plan = planned("pike", "rocky");
    assert!(!plan.steps.iter().any(|s| s.id.starts_with("hops.queens.glance")));
    assert!(plan.steps.iter().any(|s| s.id.starts_with("hops.rocky.glance")));
    assert!(
        plan.report
            .decisions
            .iter()
            .any(|d| d.starts_with("glance 16") && d.contains("still linear"))
    );
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
fn nothing_starts_before_the_checkpoint_and_nothing_irreversible_before_release() {
    let plan = planned("train", "2024.1");
    for step in &plan.steps {
        if step.undo == ffu_model::step::Undo::Irreversible {
            assert!(step.phase >= Phase::Release, "{}", step.id);
        }
    }
    assert!(plan.steps.windows(2).all(|pair| pair[0].phase <= pair[1].phase));
}

#[test]
fn agents_are_in_no_step() {
    let plan = planned("2024.1", "2025.1");
    for step in &plan.steps {
        if let Action::StopServices { units } | Action::StartServices { units, .. } = &step.action {
            assert!(!units.iter().any(|unit| unit.contains("compute")), "{}", step.id);
        }
    }
}

#[test]
fn a_half_way_cloud_is_caught_up_project_by_project() {
    let catalog = catalog();
    let mut cloud = cloud_at(&catalog, "2024.1");
    for project in &mut cloud.projects {
        if project.project == "glance" || project.project == "heat" {
            project.series = Some(series("2025.1"));
        }
    }
    let plan = plan(&cloud, &catalog, &series("2025.2"), &Policy::default()).unwrap();
    assert!(!plan.steps.iter().any(|s| s.id.starts_with("hops.2024.2.glance")));
    assert!(plan.steps.iter().any(|s| s.id.starts_with("hops.2024.2.nova")));
    assert!(plan.steps.iter().any(|s| s.id.starts_with("hops.2025.2.glance")));
    assert!(
        plan.report
            .decisions
            .iter()
            .any(|d| d.starts_with("glance is at 2025.1"))
    );
    assert!(lint(&plan, &catalog).is_empty());
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
