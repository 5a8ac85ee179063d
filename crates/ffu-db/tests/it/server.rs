use std::fs;
use std::time::{Duration, Instant};

use ffu_db::resolve::{CELL0_UUID, cells};
use ffu_db::testing::shared_server;
use ffu_db::{ConnectionUrl, DbError, Server, resolve};
use ffu_model::ConnectionRef;
use ffu_model::secret::Secret;

use crate::scratch;

const SECONDS: Duration = Duration::from_secs(5);

#[test]
fn a_server_says_what_it_is() {
    let facts = shared_server().admin().unwrap().facts().clone();
    assert_eq!(facts.flavor, "mariadb");
    assert!(facts.version_number >= (10, 3, 0) && !facts.read_only, "{facts:?}");
}

#[test]
fn wrong_passwords_and_closed_doors_are_told_apart() {
    let db = shared_server().database("doors").unwrap();
    let server = Server::connect(&db.url).unwrap();
    let wrong = shared_server()
        .private()
        .url(&db.schema, &Secret::new("wr0ngpassword"), &db.schema);
    let error = Server::connect(&wrong).unwrap_err();
    assert!(
        matches!(&error, DbError::AccessDenied { user, .. } if *user == db.schema),
        "{error}"
    );
    assert!(!error.to_string().contains("wr0ngpassword"));

    let nobody = ConnectionUrl::parse("mysql+pymysql://nova:hushhush@127.0.0.1:1/nova").unwrap();
    let error = Server::connect_within(&nobody, Duration::from_secs(2)).unwrap_err();
    assert!(
        matches!(&error, DbError::Unreachable { address, .. } if address == "127.0.0.1:1"),
        "{error}"
    );
    let unresolved = ConnectionUrl::parse("mysql+pymysql://nova:hushhush@no-such-host.invalid/nova").unwrap();
    assert!(matches!(Server::connect(&unresolved), Err(DbError::Unreachable { .. })));
    let socket = ConnectionUrl::parse("mysql://nova:x@localhost/nova?unix_socket=/nowhere/s.sock").unwrap();
    assert!(matches!(Server::connect(&socket), Err(DbError::Unreachable { .. })));
    let tls = ConnectionUrl::parse("mysql://nova:x@localhost/nova?ssl_ca=/etc/ssl/ca.pem").unwrap();
    assert!(matches!(Server::connect(&tls), Err(DbError::Tls { .. })));

    assert!(matches!(server.schema_facts("mysql"), Err(DbError::NoAccess { .. })));
    assert!(matches!(server.heads("no_such_schema"), Err(DbError::NoAccess { .. })));
    let admin = shared_server().admin().unwrap();
    assert_eq!(admin.heads("no_such_schema").unwrap(), None);
    assert_eq!(admin.schema_facts("no_such_schema").unwrap(), None);
    assert_eq!(admin.fingerprint("no_such_schema").unwrap(), None);
}

#[test]
fn rights_that_are_missing_are_named() {
    let server = shared_server();
    let db = server.database("rights").unwrap();
    Server::connect(&db.url).unwrap().require_writable(&db.schema).unwrap();
    let admin = server.admin().unwrap();
    let reader = format!("{}_r", db.schema);
    admin
        .execute(None, &format!("CREATE USER {reader}@'127.0.0.1' IDENTIFIED BY 'x'"))
        .unwrap();
    admin
        .execute(
            None,
            &format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {reader}@'127.0.0.1'",
                db.schema
            ),
        )
        .unwrap();
    let url = server.private().url(&reader, &Secret::new("x"), &db.schema);
    let error = Server::connect(&url).unwrap().require_writable(&db.schema).unwrap_err();
    assert!(
        matches!(&error, DbError::MissingPrivilege { privileges, .. } if privileges.contains("CREATE, DROP, ALTER")),
        "{error}"
    );
    let error = Server::connect(&url)
        .unwrap()
        .execute(Some(&db.schema), "CREATE TABLE t (id INT)")
        .unwrap_err();
    assert!(matches!(error, DbError::MissingPrivilege { .. }), "{error}");
}

#[test]
fn heads_have_the_models_names() {
    let db = shared_server().database("heads").unwrap();
    let server = Server::connect(&db.url).unwrap();
    assert!(server.heads(&db.schema).unwrap().unwrap().is_empty());
    db.run(&[
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('c613d0b82681'), ('5c85685d616d')",
        "CREATE TABLE vpn_alembic_version (version_num VARCHAR(32) NOT NULL)",
        "CREATE TABLE migrate_version (repository_id VARCHAR(250) PRIMARY KEY, repository_path TEXT, version INT)",
        "INSERT INTO migrate_version VALUES ('keystone', '/x', 109), ('keystone_expand', '/y', 71)",
        "CREATE TABLE other (id INT PRIMARY KEY) ENGINE=MyISAM",
    ])
    .unwrap();
    let heads = server.heads(&db.schema).unwrap().unwrap();
    let shown: Vec<String> = heads
        .iter()
        .map(|(name, versions)| format!("{name}={}", versions.join("+")))
        .collect();
    assert_eq!(
        shown,
        [
            "alembic_version=5c85685d616d+c613d0b82681",
            "migrate:keystone=109",
            "migrate:keystone_expand=71",
            "vpn_alembic_version="
        ]
    );
    let facts = server.schema_facts(&db.schema).unwrap().unwrap();
    assert_eq!((facts.tables, facts.charset.as_str()), (4, "utf8mb3"));
    assert_eq!(facts.other_engines, ["other"]);
}

#[test]
fn counts_only_count() {
    let db = shared_server().database("counts").unwrap();
    db.run(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
        .unwrap();
    let server = Server::connect(&db.url).unwrap();
    let count = |sql: &str| server.query_count(&db.schema, sql, SECONDS);
    assert_eq!(count("SELECT COUNT(*) FROM t WHERE id > 1").unwrap(), 1);
    assert_eq!(
        count("SELECT (SELECT COUNT(*) FROM t) + (SELECT COUNT(*) FROM t)").unwrap(),
        4
    );
    for sql in [
        "SELECT id FROM t",
        "SELECT id, id FROM t WHERE id = 1",
        "SELECT NULL",
        "SELECT -1",
        "SELECT 'x'",
        "SELECT id FROM t WHERE id = 9",
    ] {
        assert!(matches!(count(sql), Err(DbError::NotACount { .. })), "{sql}");
    }
    for sql in [
        "DELETE FROM t",
        "SELECT 1; DROP TABLE t",
        "SELECT COUNT(*) FROM t INTO OUTFILE 'x'",
        "SELECT SLEEP(60)",
    ] {
        assert!(matches!(count(sql), Err(DbError::QueryRefused { .. })), "{sql}");
    }
    assert!(matches!(
        count("SELECT COUNT(*) FROM gone"),
        Err(DbError::Statement { code: 1146, .. })
    ));
    let started = Instant::now();
    let slow = "SELECT COUNT(*) FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b, information_schema.COLLATIONS c, information_schema.COLLATIONS d";
    let error = server
        .query_count(&db.schema, slow, Duration::from_secs(1))
        .unwrap_err();
    assert!(matches!(error, DbError::StatementTimeout { seconds: 1, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(count("SELECT COUNT(*) FROM t").unwrap(), 2);
}

#[test]
fn cells_are_found_and_followed() {
    let db = shared_server().database("cells").unwrap();
    let (_guard, dir) = scratch();
    let config = dir.join("nova.conf");
    let own = db.url.to_url();
    fs::write(
        &config,
        format!(
            "[api_database]\nconnection = {0}\n[database]\nconnection = {0}\n",
            own.expose().replace('$', "$$")
        ),
    )
    .unwrap();
    db.run(&[
        "CREATE TABLE cell_mappings (id INT PRIMARY KEY, uuid VARCHAR(36), name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled TINYINT(1))",
        &format!("INSERT INTO cell_mappings VALUES (1, 'b', 'cell1', '', '{{scheme}}://{{username}}:{{password}}@{{hostname}}:{{port}}/nova?{{query}}', 0), (2, '{CELL0_UUID}', 'cell0', '', 'mysql+pymysql://u:p@h/nova_cell0', 0), (3, 'c', NULL, '', 'postgresql://x:hushhush@h/y', 1)"),
    ])
    .unwrap();
    let found = cells(&config).unwrap();
    let names: Vec<_> = found.iter().map(|cell| (cell.name.as_str(), cell.disabled)).collect();
    assert_eq!(names, [("cell0", false), ("", true), ("cell1", false)]);
    let follow = |uuid: &str| {
        resolve(&ConnectionRef::CellMapping {
            file: config.clone(),
            uuid: uuid.to_owned(),
        })
    };
    assert_eq!(follow(CELL0_UUID).unwrap().schema(), Some("nova_cell0"));
    let cell1 = follow("b").unwrap();
    assert_eq!(
        (cell1.schema(), cell1.password(), cell1.port()),
        (Some("nova"), db.url.password(), db.url.port())
    );
    let error = follow("c").unwrap_err().to_string();
    assert!(
        error.contains("not supported") && !error.contains("hushhush"),
        "{error}"
    );
    assert!(follow("d").unwrap_err().to_string().contains("no such cell"));
}

#[test]
fn several_reads_leave_no_transaction_and_write_nothing() {
    let database = shared_server().database("reads").unwrap();
    database
        .run(&["CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)"])
        .unwrap();
    let access = database.access();
    let (server, schema) = (access.server().unwrap(), access.schema().unwrap());
    let limit = std::time::Duration::from_secs(5);
    let ask = |queries: &[&str]| {
        let queries: Vec<String> = queries.iter().map(ToString::to_string).collect();
        server.rows_by_themselves(schema, &queries, limit)
    };
    let rows = ask(&[
        "SELECT a FROM t ORDER BY a",
        "SELECT COUNT(*) FROM t",
        "SELECT @@autocommit",
    ]);
    assert!(matches!(rows, Err(DbError::QueryRefused { .. })), "{rows:?}");
    let rows = ask(&["SELECT a FROM t ORDER BY a", "SELECT COUNT(*) FROM t"]).unwrap();
    assert_eq!(
        rows.into_iter().flatten().flatten().collect::<Vec<_>>(),
        ["1", "2", "2"]
    );
    assert!(ask(&["DELETE FROM t"]).is_err());
    // Nothing waits for it.
    database.run(&["ALTER TABLE t ADD COLUMN b INT"]).unwrap();
}
