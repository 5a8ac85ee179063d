//! What a shadow plan is, and that nothing that leads to the cloud gets by: neither when it is made nor before a step.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_db::ConnectionUrl;
use ffu_model::cloud::*;
use ffu_model::plan::Policy;
use ffu_model::rehearsal::CopyFigures;
use ffu_model::step::{Action, Step};
use ffu_model::{Phase, Plan, Series};

use super::copy::{Copies, Found, room};
use super::performer::guard;
use super::shadow::{Shadow, left_out, shadow};

const CLOUD: &str = "10.0.0.5:3306";
const COPY: &str = "127.0.0.1:7777";

struct Scene {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
    plan: Plan,
    copies: Copies,
}

/// A cloud of one nova and its plan; every database has a copy.
fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    let conf = root.join("etc/nova/nova.conf");
    fs::create_dir_all(conf.parent().unwrap()).unwrap();
    let url = |schema: &str| format!("mysql+pymysql://nova:sw0rdfish@{CLOUD}/{schema}");
    let text = format!(
        "[api_database]\nconnection = {}\n[database]\nconnection = {}\n[DEFAULT]\ntransport_url = rabbit://mq/\n",
        url("nova_api"),
        url("nova")
    );
    fs::write(&conf, text).unwrap();
    let catalog = Catalog::embedded().unwrap();
    let at: Series = "2024.1".parse().unwrap();
    let database = |role: &str, section: &str, schema: &str| CloudDatabase {
        role: role.into(),
        server: "db1".into(),
        schema: schema.into(),
        connection: ConnectionRef::Config {
            file: conf.clone(),
            section: section.into(),
            option: "connection".into(),
        },
        heads: BTreeMap::new(),
        candidates: vec![at.clone()],
        charset: "utf8mb3".into(),
        collation: "utf8mb3_general_ci".into(),
        tables: 1,
        bytes: 1,
        rows: 1,
    };
    let cloud = Cloud {
        format: CLOUD_FORMAT,
        name: "test".into(),
        deployment: "plain".into(),
        root: root.clone(),
        service_manager: ServiceManagerKind::Systemd,
        servers: vec![DatabaseServer {
            id: "db1".into(),
            address: CLOUD.into(),
            flavor: "mariadb".into(),
            version: "10.11.6".into(),
            admin_option_file: None,
        }],
        projects: vec![CloudProject {
            project: "nova".into(),
            series: Some(at.clone()),
            config_files: vec![ConfigFile {
                path: conf.clone(),
                sha256: "0".repeat(64),
                kind: FileKind::Options,
            }],
            databases: vec![
                database("api", "api_database", "nova_api"),
                database("cell", "database", "nova"),
            ],
        }],
        services: vec![CloudService {
            unit: "nova-api".into(),
            service: "nova-api".into(),
            project: "nova".into(),
            role: ServiceRole::ControlPlane,
        }],
        findings: Vec::new(),
    };
    let plan = ffu_plan::plan(&cloud, &catalog, &"2024.2".parse().unwrap(), &Policy::default()).unwrap();
    let copy = |schema: &str| {
        let url = ConnectionUrl::parse(&format!("mysql+pymysql://nova:other@{COPY}/{schema}")).unwrap();
        ((CLOUD.to_owned(), schema.to_owned()), url)
    };
    Scene {
        _dir: dir,
        root,
        plan,
        copies: Copies {
            by_place: BTreeMap::from([copy("nova_api"), copy("nova")]),
            figures: CopyFigures::default(),
            remarks: Vec::new(),
        },
    }
}

fn made(scene: &Scene) -> Result<Shadow, String> {
    let private = scene.root.join("private");
    shadow(
        &scene.plan,
        &scene.copies,
        &private,
        COPY,
        Utf8Path::new("/db/client.cnf"),
        "10.11.6",
    )
}

fn references(shadow: &Shadow) -> Vec<ConnectionRef> {
    shadow
        .plan
        .cloud
        .databases()
        .map(|(_, database)| database.connection.clone())
        .collect()
}

#[test]
fn every_step_of_a_shadow_leads_to_the_copy_and_no_service_is_left() {
    let scene = scene();
    let shadow = made(&scene).unwrap();
    assert_eq!(
        shadow.plan.steps.len() + shadow.not_rehearsed.len(),
        scene.plan.steps.len()
    );
    assert!(shadow.plan.cloud.services.is_empty());
    assert_eq!(shadow.plan.cloud.servers[0].address, COPY);
    assert!(
        shadow.plan.cloud.servers[0].admin_option_file.is_none(),
        "no more rights than in the cloud"
    );
    let staged: Vec<&Utf8PathBuf> = shadow.ground.staged.values().collect();
    let mut commands = 0;
    for step in &shadow.plan.steps {
        for need in &step.needs {
            assert!(
                shadow.plan.step(need).is_some(),
                "{} needs {need}, which is left out",
                step.id
            );
        }
        if let Action::Command(command) = &step.action {
            commands += 1;
            assert!(
                command.arguments[0].starts_with("--config-dir="),
                "{:?}",
                command.arguments
            );
            if command.config_files.iter().any(|file| staged.contains(&file)) {
                continue; // Written once it was staged.
            }
        }
        guard(&shadow.ground, &references(&shadow), step).unwrap_or_else(|error| panic!("{}: {error}", step.id));
    }
    assert!(commands >= 4);
    // Who waited for the freeze waits for what the freeze waited for.
    let checkpoint = shadow.plan.step("freeze.invariants").unwrap();
    assert!(!checkpoint.needs.is_empty());
    let text = fs::read_to_string(scene.root.join("private/connections.conf")).unwrap();
    assert!(text.contains(COPY) && !text.contains("sw0rdfish") && !text.contains(CLOUD));
    let plan = String::from_utf8(shadow.plan.to_bytes().unwrap()).unwrap();
    assert!(!plan.contains("other@") && !plan.contains("sw0rdfish"));
}

#[test]
fn a_database_without_a_copy_is_an_error_not_a_way_to_the_cloud() {
    let mut scene = scene();
    scene.copies.by_place.remove(&(CLOUD.to_owned(), "nova".to_owned()));
    let error = made(&scene).err().unwrap();
    assert!(
        error.contains("[database] connection")
            && error.contains("not among the copied ones")
            && !error.contains("sw0rdfish"),
        "{error}"
    );
}

fn command(shadow: &Shadow) -> Step {
    let step = shadow.plan.steps.iter().find(|step| {
        matches!(&step.action, Action::Command(command) if command.config_files.iter().all(|file| file.is_file()))
    });
    step.unwrap().clone()
}

#[test]
fn a_step_that_would_reach_anything_else_is_refused() {
    let scene = scene();
    let shadow = made(&scene).unwrap();
    let (ground, own) = (&shadow.ground, references(&shadow));
    let step = command(&shadow);
    guard(ground, &own, &step).unwrap();

    // The cloud's own reference, as it stood in the plan.
    let real: Vec<ConnectionRef> = scene
        .plan
        .cloud
        .databases()
        .map(|(_, d)| d.connection.clone())
        .collect();
    assert!(
        guard(ground, &real, &step)
            .unwrap_err()
            .contains("is not the rehearsal's")
    );

    // A command that was given the cloud's own file.
    let mut given = step.clone();
    if let Action::Command(command) = &mut given.action {
        command.config_files = vec![scene.root.join("etc/nova/nova.conf")];
    }
    assert!(guard(ground, &own, &given).unwrap_err().contains("the cloud's own"));

    // Services, whatever the step.
    let stop = scene
        .plan
        .steps
        .iter()
        .find(|step| matches!(step.action, Action::StopServices { .. }))
        .unwrap();
    assert!(guard(ground, &own, stop).unwrap_err().contains("not for a rehearsal"));

    // Its own file, changed under its hands.
    let Action::Command(command) = &step.action else {
        panic!()
    };
    let file = &command.config_files[0];
    let text = fs::read_to_string(file).unwrap();
    fs::write(
        file,
        format!("{text}\n[database]\nconnection = mysql+pymysql://nova:sw0rdfish@{CLOUD}/nova\n"),
    )
    .unwrap();
    let error = guard(ground, &own, &step).unwrap_err();
    assert!(
        error.contains("[database] connection leads out") && !error.contains("sw0rdfish"),
        "{error}"
    );
    fs::write(file, text).unwrap();

    // The connections of the rehearsal, likewise.
    let connections = ground.connections();
    let text = fs::read_to_string(&connections).unwrap().replace(COPY, CLOUD);
    fs::write(&connections, text).unwrap();
    let error = guard(ground, &own, &step).unwrap_err();
    assert!(error.contains(&format!("would reach {CLOUD}, not the copy")), "{error}");
}

#[test]
fn what_touches_the_cloud_or_follows_its_acceptance_is_left_out() {
    let scene = scene();
    for step in &scene.plan.steps {
        let out = left_out(step).is_some();
        let touches = matches!(
            step.action,
            Action::StopServices { .. }
                | Action::StartServices { .. }
                | Action::InstallConfig { .. }
                | Action::Pause { .. }
        );
        assert!(!touches || out, "{}", step.id);
        assert!(step.phase < Phase::Release || out, "{}", step.id);
        assert!(!matches!(step.action, Action::Gate { .. }) || !out, "{}", step.id);
    }
}

#[test]
fn room_is_reckoned_from_sizes_before_anything_is_written() {
    let scene = scene();
    let found = |bytes: u64| {
        let service = ConnectionUrl::parse(&format!("mysql+pymysql://nova:p@{CLOUD}/nova")).unwrap();
        vec![Found {
            keys: Vec::new(),
            access: ffu_db::Access { service, admin: None },
            copy: "nova".into(),
            bytes,
        }]
    };
    let needed = |bytes: u64| room(&scene.root, &scene.plan, &found(bytes)).unwrap();
    // The copy, its largest part once more, dumps and their proof.
    assert_eq!(needed(1 << 30).0 - needed(0).0, 4 << 30);
    let (needed, free) = needed(u64::MAX);
    assert!(free > 0 && free < needed);
}
