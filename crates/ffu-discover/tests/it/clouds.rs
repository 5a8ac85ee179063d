use std::fs;

use ffu_db::testing::shared_server;
use ffu_discover::{DiscoverError, Options, drift, from_toml, to_toml};
use ffu_model::cloud::{ServiceManagerKind, ServiceRole};
use ffu_model::{ConnectionRef, DatabaseKey, Severity};

use crate::{Deployment, decided, ids, only, series};

#[test]
fn a_whole_cloud_is_seen_as_it_is_and_holds_no_secret() {
    let deployment = Deployment::at("2024.1");
    deployment.unit("keystone-api", "keystone", "control-plane", "2024.1");
    deployment.unit("nova-compute", "nova", "agent", "2023.1");
    let options = Options {
        series: None,
        admin_option_file: Some(shared_server().private().option_file()),
    };
    let cloud = deployment.try_discover(&options).unwrap();
    assert_eq!(ids(&cloud), [] as [&str; 0], "{:?}", cloud.findings);
    assert_eq!(
        decided(&cloud),
        [
            "keystone 2024.1",
            "glance 2024.1",
            "placement 2024.1",
            "nova 2024.1",
            "neutron 2024.1",
            "cinder 2024.1",
            "heat 2024.1"
        ]
    );
    assert_eq!(cloud.name, "region one");
    assert_eq!(cloud.servers.len(), 1);
    assert_eq!(
        cloud.servers[0].address,
        format!("127.0.0.1:{}", shared_server().private().port())
    );
    assert_eq!(
        cloud.service_manager,
        ServiceManagerKind::Process {
            directory: deployment.root.join("services")
        }
    );
    let roles: Vec<_> = cloud.services.iter().map(|s| (s.service.as_str(), s.role)).collect();
    assert_eq!(
        roles,
        [
            ("keystone-api", ServiceRole::ControlPlane),
            ("nova-compute", ServiceRole::Agent)
        ]
    );
    let api = cloud.database(&DatabaseKey::new("nova", "api")).unwrap();
    assert_eq!((api.tables, api.charset.as_str()), (2, "utf8mb3"));
    assert!(matches!(&api.connection, ConnectionRef::Config { section, .. } if section == "api_database"));

    let text = to_toml(&cloud).unwrap();
    for database in deployment.databases.values() {
        for secret in database.url.secrets() {
            assert!(!text.contains(secret.expose()) && !format!("{cloud:?}").contains(secret.expose()));
        }
        assert!(!text.contains("pw_"));
    }
    assert_eq!(from_toml("cloud.toml", &text).unwrap(), cloud);
    assert_eq!(
        to_toml(&deployment.try_discover(&options).unwrap()).unwrap(),
        text,
        "the same cloud, the same bytes"
    );
}

#[test]
fn every_series_is_recognised_from_its_heads() {
    for at in ["pike", "train", "xena", "2023.1", "2026.2"] {
        let deployment = Deployment::at(at);
        let given = Options {
            series: Some(series(at)),
            admin_option_file: None,
        };
        let cloud = deployment.try_discover(&given).unwrap();
        assert!(
            cloud.projects.iter().all(|p| p.series == Some(series(at))),
            "{at}: {:?}",
            decided(&cloud)
        );
        assert_eq!(ids(&cloud), [] as [&str; 0], "{at}: {:?}", cloud.findings);
        assert_eq!(cloud.project("placement").is_some(), at != "pike", "{at}");
    }
}

#[test]
fn where_heads_leave_a_choice_the_earliest_is_taken_and_said() {
    let mut deployment = Deployment::empty();
    deployment.add("heat", "rocky");
    let cloud = deployment.discover();
    assert_eq!(decided(&cloud), ["heat rocky"]);
    let finding = only(&cloud, "series-ambiguous");
    assert!(
        finding.message.contains("rocky, stein, train") && finding.severity == Severity::Info,
        "{finding}"
    );
    let given = |text: &str| Options {
        series: Some(series(text)),
        admin_option_file: None,
    };
    assert_eq!(
        decided(&deployment.try_discover(&given("train")).unwrap()),
        ["heat train"]
    );
    let error = deployment.try_discover(&given("2026.1")).unwrap_err();
    assert!(
        matches!(&error, DiscoverError::SeriesDoesNotFit { .. }) && error.to_string().contains("rocky, stein"),
        "{error}"
    );
    deployment.unit("heat-api", "heat", "control-plane", "stein");
    assert_eq!(
        decided(&deployment.discover()),
        ["heat stein"],
        "unit files know better"
    );
    deployment.unit("heat-api", "heat", "control-plane", "2026.1");
    let cloud = deployment.discover();
    assert_eq!(ids(&cloud), ["series-ambiguous", "series-disagrees"]);
}

#[test]
fn the_root_may_be_an_etc_itself() {
    let mut deployment = Deployment::empty();
    deployment.add("keystone", "train");
    let etc = deployment.root.join("etc");
    let cloud = ffu_discover::discover_plain(&etc, &deployment.catalog, &Options::default()).unwrap();
    assert_eq!(decided(&cloud), ["keystone train"]);
}

#[test]
fn cells_beyond_the_configured_one_are_found() {
    let mut deployment = Deployment::empty();
    deployment.add("nova", "2024.1");
    let (cell0, cell2) = (
        shared_server().database("cell0").unwrap(),
        shared_server().database("cell2").unwrap(),
    );
    deployment.databases.insert("nova/cell0".to_owned(), cell0);
    deployment.databases.insert("nova/cell:az two".to_owned(), cell2);
    for key in ["nova/cell0", "nova/cell:az two"] {
        deployment.databases[key]
            .run(&["CREATE TABLE things (id INT PRIMARY KEY)"])
            .unwrap();
        deployment.stamp(key, "2024.1");
    }
    let url = |key: &str| deployment.databases[key].url.to_url().expose().replace('\'', "%27");
    deployment.databases["nova/api"]
        .run(&[
            "CREATE TABLE cell_mappings (uuid VARCHAR(36), name VARCHAR(255), database_connection TEXT, disabled TINYINT(1))",
            &format!("INSERT INTO cell_mappings VALUES ('b', 'az two', '{}', 1)", url("nova/cell:az two")),
            "INSERT INTO cell_mappings VALUES ('a', 'cell1', '{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}', 0)",
            &format!("INSERT INTO cell_mappings VALUES ('00000000-0000-0000-0000-000000000000', 'cell0', '{}', 0)", url("nova/cell0")),
            "INSERT INTO cell_mappings VALUES ('c', 'old', 'postgresql://x:hushhush@h/y', 0)",
        ])
        .unwrap();
    let cloud = deployment.discover();
    let roles: Vec<&str> = cloud.projects[0].databases.iter().map(|d| d.role.as_str()).collect();
    assert_eq!(roles, ["api", "cell", "cell0", "cell:az two"]);
    let text = to_toml(&cloud).unwrap();
    assert!(!text.contains("hushhush") && !text.contains("pw_"), "{text}");
    assert!(only(&cloud, "sqlite-or-postgresql").message.contains("\"old\""));
    let cell2 = cloud.database(&DatabaseKey::new("nova", "cell:az two")).unwrap();
    assert_eq!(
        ffu_db::resolve(&cell2.connection).unwrap().schema(),
        Some(cell2.schema.as_str())
    );
}

#[test]
fn drift_is_what_matters_to_a_plan() {
    let deployment = Deployment::at("2024.1");
    deployment.unit("keystone-api", "keystone", "control-plane", "2024.1");
    let before = deployment.discover();
    deployment.databases["glance/main"]
        .run(&["INSERT INTO things VALUES (1), (2)", "ANALYZE TABLE things"])
        .unwrap();
    assert_eq!(
        drift(&before, &deployment.discover()),
        [] as [&str; 0],
        "rows come and go"
    );

    deployment.alembic("keystone/main", &["742c857f1dfb".to_owned(), "c88cdce8f248".to_owned()]);
    let config = deployment.config("glance");
    fs::write(&config, format!("{}# touched\n", fs::read_to_string(&config).unwrap())).unwrap();
    deployment.unit("glance-api", "glance", "control-plane", "2024.1");
    let mut after = deployment.discover();
    after.servers[0].version = "11.4.2-MariaDB".to_owned();
    let sentences = drift(&before, &after);
    assert_eq!(sentences.len(), 4, "{sentences:?}");
    for part in [
        "glance-api.conf was changed",
        "schema heads of keystone/main are",
        "is mariadb 11.4.2-MariaDB instead of",
        "unit glance-api is new",
    ] {
        assert!(sentences.iter().any(|s| s.contains(part)), "{part}: {sentences:?}");
    }
    let mut gone = before.clone();
    gone.projects.retain(|p| p.project != "heat");
    let sentences = drift(&before, &gone);
    assert!(
        sentences.contains(&"heat is gone".to_owned()) && sentences.contains(&"database heat/main is gone".to_owned()),
        "{sentences:?}"
    );
}
