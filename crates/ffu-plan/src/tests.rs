//! The planner against the embedded catalog: paths, lanes, the extraction, half-way clouds.

mod commands;
mod expected;
mod words;

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
fn a_database_that_the_run_creates_is_on_the_server_of_the_one_it_comes_from() {
    let catalog = catalog();
    let mut cloud = cloud_at(&catalog, "rocky");
    let mut second = cloud.servers[0].clone();
    second.id = "db2".into();
    second.address = "127.0.0.1:3307".into();
    cloud.servers.push(second);
    let nova = cloud.projects.iter_mut().find(|p| p.project == "nova").unwrap();
    for database in &mut nova.databases {
        database.server = "db2".into();
    }
    let plan = plan(&cloud, &catalog, &series("train"), &Policy::default()).unwrap();
    let server = |project: &str, role: &str| {
        let key = DatabaseKey::new(project, role);
        plan.server_of(&key).map(|server| server.id.as_str())
    };
    assert_eq!(server("nova", "api"), Some("db2"));
    assert_eq!(server("keystone", "main"), Some("db1"));
    assert_eq!(server("placement", "main"), Some("db2"), "extracted from nova's");
    assert_eq!(server("trove", "main"), None);
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
