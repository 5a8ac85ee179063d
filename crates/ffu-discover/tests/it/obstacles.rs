//! Configuration and databases that are not as they should be.

use std::fs;

use camino::Utf8Path;
use ffu_db::DbError;
use ffu_db::testing::shared_server;
use ffu_discover::{DiscoverError, Options, discover_plain, to_toml};

use crate::{Deployment, decided, ids, only};

#[test]
fn a_root_that_is_none() {
    let deployment = Deployment::empty();
    let error = |root: &Utf8Path| discover_plain(root, &deployment.catalog, &Options::default()).unwrap_err();
    for root in ["relative", "/no/such/place", "/etc/../etc", "/dev/null"] {
        assert!(
            matches!(error(Utf8Path::new(root)), DiscoverError::BadRoot { .. }),
            "{root}"
        );
    }
    let nothing = error(&deployment.root);
    assert!(
        matches!(&nothing, DiscoverError::NothingFound { .. }) && nothing.to_string().contains("nova/nova.conf"),
        "{nothing}"
    );
}

#[test]
fn databases_that_do_not_answer_are_listed_all_at_once() {
    let mut deployment = Deployment::empty();
    for project in ["keystone", "glance", "heat"] {
        deployment.add(project, "train");
    }
    let (server, schema) = (shared_server().private(), &deployment.databases["keystone/main"].schema);
    let wrong = server.url(schema, &ffu_model::secret::Secret::new("wr0ngpassword"), schema);
    fs::write(
        deployment.config("keystone"),
        format!("[database]\nconnection = {}\n", wrong.to_url().expose()),
    )
    .unwrap();
    fs::write(
        deployment.config("glance"),
        "[database]\nconnection = mysql+pymysql://g:hushhush@127.0.0.1:1/glance\n",
    )
    .unwrap();
    let heat = deployment.databases["heat/main"].url.with_schema("mysql");
    fs::write(
        deployment.config("heat"),
        format!(
            "[database]\nconnection = {}\n",
            heat.to_url().expose().replace('$', "$$")
        ),
    )
    .unwrap();
    let error = deployment.try_discover(&Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        !text.contains("wr0ngpassword") && !text.contains("hushhush") && !text.contains("pw_"),
        "{text}"
    );
    let DiscoverError::Databases { obstacles } = error else {
        panic!("{text}")
    };
    assert!(matches!(obstacles[0].error, DbError::AccessDenied { .. }), "{text}");
    assert!(matches!(obstacles[1].error, DbError::Unreachable { .. }), "{text}");
    assert!(matches!(obstacles[2].error, DbError::NoAccess { .. }), "{text}");
    assert_eq!(obstacles[2].key.to_string(), "heat/main");
}

#[test]
fn configuration_that_is_missing_or_leads_elsewhere_is_found() {
    let mut deployment = Deployment::empty();
    for project in ["keystone", "glance", "nova", "neutron", "cinder", "heat"] {
        deployment.add(project, "train");
    }
    fs::remove_file(deployment.config("keystone")).unwrap();
    fs::write(deployment.config("glance"), b"[database]\nconnection = \xff\n").unwrap();
    fs::write(deployment.config("nova"), "[DEFAULT]\n").unwrap();
    fs::write(
        deployment.config("neutron"),
        "[database]\nconnection = postgresql://n:hushhush@h/neutron\n",
    )
    .unwrap();
    fs::write(deployment.config("cinder"), "[database]\nconnection = sqlite:///c.db\n").unwrap();
    let cloud = deployment.discover();
    assert_eq!(
        ids(&cloud),
        [
            "config-missing",
            "config-missing",
            "config-missing",
            "config-missing",
            "sqlite-or-postgresql",
            "sqlite-or-postgresql",
            "series-ambiguous"
        ],
        "{:?}",
        cloud.findings
    );
    let text = cloud.findings.iter().map(ToString::to_string).collect::<String>();
    for part in [
        "keystone.conf does not exist",
        "not UTF-8",
        "no section [api_database]",
        "postgresql databases are not supported",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!to_toml(&cloud).unwrap().contains("hushhush"));
    assert_eq!(decided(&cloud), ["nova ?", "neutron ?", "cinder ?", "heat rocky"]);
}

#[test]
fn databases_that_are_empty_missing_or_shared_are_found() {
    let mut deployment = Deployment::empty();
    for project in ["keystone", "glance", "neutron", "heat", "cinder"] {
        deployment.add(project, "train");
    }
    deployment.databases["keystone/main"]
        .run(&["DROP TABLE things", "DROP TABLE migrate_version"])
        .unwrap();
    let admin = shared_server().admin().unwrap();
    admin
        .drop_database(&deployment.databases["glance/main"].schema)
        .unwrap();
    fs::copy(deployment.config("heat"), deployment.config("neutron")).unwrap();
    deployment.databases["cinder/main"]
        .run(&["CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM"])
        .unwrap();
    let cloud = deployment.discover();
    assert!(only(&cloud, "database-empty").message.contains("keystone/main"));
    assert!(only(&cloud, "database-missing").message.contains("glance/main"));
    assert!(
        only(&cloud, "database-shared")
            .message
            .contains("one and the same database")
    );
    assert!(only(&cloud, "engine-not-transactional").message.contains("old"));
    let server =
        ffu_db::resolve(&cloud.projects.iter().find(|p| p.project == "cinder").unwrap().databases[0].connection);
    assert!(server.is_ok());
}

#[test]
fn a_second_server_is_mentioned() {
    let mut deployment = Deployment::empty();
    deployment.add("keystone", "train");
    let other = ffu_db::testing::TestServer::start().unwrap();
    let database = other.database("heat_main").unwrap();
    database.run(&["CREATE TABLE things (id INT PRIMARY KEY)"]).unwrap();
    deployment.databases.insert("heat/main".to_owned(), database);
    deployment.stamp("heat/main", "train");
    fs::create_dir_all(deployment.config("heat").parent().unwrap()).unwrap();
    let url = deployment.databases["heat/main"].url.to_url();
    fs::write(
        deployment.config("heat"),
        format!("[database]\nconnection = {}\n", url.expose()),
    )
    .unwrap();
    let cloud = deployment.discover();
    assert_eq!(
        cloud.servers.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["db1", "db2"]
    );
    assert!(only(&cloud, "several-servers").message.contains("2 servers"));

    // Each server has the administrator's file only if it leads to that server.
    let with = |file| Options {
        series: None,
        admin_option_file: Some(file),
    };
    let cloud = deployment.try_discover(&with(other.private().option_file())).unwrap();
    let admins: Vec<bool> = cloud.servers.iter().map(|s| s.admin_option_file.is_some()).collect();
    assert_eq!(admins, [false, true]);
    let none = deployment
        .try_discover(&with(deployment.root.join("none.cnf")))
        .unwrap_err();
    assert!(
        matches!(&none, DiscoverError::Admin(_)) && none.to_string().contains("none.cnf"),
        "{none}"
    );
    fs::remove_file(deployment.config("keystone")).unwrap();
    let elsewhere = deployment
        .try_discover(&with(shared_server().private().option_file()))
        .unwrap();
    assert!(only(&elsewhere, "admin-elsewhere").message.contains("left out"));

    other
        .admin()
        .unwrap()
        .execute(None, "SET GLOBAL read_only = 1")
        .unwrap();
    assert!(
        only(&deployment.discover(), "server-read-only")
            .message
            .contains(&other.private().port().to_string())
    );
    drop(deployment);
    drop(other);
}

#[test]
fn unit_files_that_cannot_be_read_are_an_error() {
    let mut deployment = Deployment::empty();
    deployment.add("keystone", "train");
    fs::write(deployment.root.join("services/x.toml"), "name = 1\n").unwrap();
    assert!(matches!(
        deployment.try_discover(&Options::default()),
        Err(DiscoverError::Services(_))
    ));
}
