use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use camino::Utf8Path;
use ffu_db::checkpoint::{self, Target};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_db::{Access, DbError, Options, Server};
use ffu_model::DatabaseKey;
use ffu_model::plan::CheckpointProof;

use crate::scratch;

pub fn seed(db: &TestDatabase) {
    db.run(&[
        "CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255), at DATETIME(6), raw BLOB, ratio FLOAT, txt TEXT)",
        "CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT NOT NULL, UNIQUE KEY u (parent_id, id), CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parent (id))",
        "INSERT INTO parent (name, at, raw, ratio, txt) VALUES ('ü ''\\\\ \\n', NOW(6), x'00ff27', 1.23456789, NULL), ('', NULL, NULL, 0.1, 'x')",
        "INSERT INTO child (parent_id) VALUES (1), (1), (2)",
        "CREATE VIEW v AS SELECT name FROM parent",
        "CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET NEW.parent_id = NEW.parent_id",
        "CREATE PROCEDURE p() SELECT 1",
    ])
    .unwrap();
}

pub fn target(role: &str, access: Access) -> Target {
    Target {
        key: DatabaseKey::new("nova", role),
        access,
    }
}

pub fn fingerprint(db: &TestDatabase) -> ffu_db::Fingerprint {
    shared_server()
        .admin()
        .unwrap()
        .fingerprint(&db.schema)
        .unwrap()
        .unwrap()
}

#[test]
fn there_and_back() {
    let (api, absent) = (
        shared_server().database("api").unwrap(),
        shared_server().database("absent").unwrap(),
    );
    let (_guard, root) = scratch();
    let (dir, conf) = (root.join("checkpoint"), root.join("nova.conf"));
    seed(&api);
    let admin = shared_server().admin().unwrap();
    admin.drop_database(&absent.schema).unwrap();
    fs::write(&conf, "[DEFAULT]\n").unwrap();
    let before = fingerprint(&api);
    let targets = [
        target("api", api.admin_access()),
        target("cell:x/y", absent.admin_access()),
    ];
    let manifest = checkpoint::make(&dir, &targets, std::slice::from_ref(&conf), &Options::default()).unwrap();
    assert_eq!(checkpoint::load(&dir).unwrap(), manifest);
    let saved = manifest.databases[0].saved.as_ref().unwrap();
    assert_eq!(saved.fingerprint, before);
    assert_eq!(
        (
            before.tables.len(),
            before.views.len(),
            before.triggers.len(),
            before.routines.len()
        ),
        (2, 1, 1, 1)
    );
    assert!(manifest.databases[1].saved.is_none());
    everything_is_private(&dir, &api);
    assert!(
        checkpoint::make(&dir, &targets, &[], &Options::default()).is_err(),
        "a whole checkpoint is never overwritten"
    );

    let report = checkpoint::prove(&dir, CheckpointProof::Restore, &Options::default()).unwrap();
    assert_eq!(report.findings, []);
    assert!(
        report.databases[0]
            .sentence
            .contains("scratch schema, 2 tables and 5 rows equal"),
        "{report:?}"
    );
    let scratch_schemas = admin
        .query_rows(
            &api.schema,
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'ffu_proof%'",
            Duration::from_secs(5),
        )
        .unwrap();
    assert!(
        !scratch_schemas
            .iter()
            .flatten()
            .flatten()
            .any(|name| name.contains(&api.schema)),
        "{scratch_schemas:?}"
    );

    api.run(&[
        "DROP VIEW v",
        "DROP TABLE child",
        "ALTER TABLE parent ADD COLUMN new INT",
        "CREATE TABLE of_a_newer_series (id INT)",
    ])
    .unwrap();
    admin
        .execute(None, &format!("CREATE DATABASE {}", absent.schema))
        .unwrap();
    fs::write(&conf, "changed\n").unwrap();
    assert!(!before.diff(&fingerprint(&api)).is_empty());
    // What a proof that was killed leaves behind goes with the next one, or with the way back.
    let digest = ffu_model::digest::sha256_hex(format!("{dir}\0{}", api.schema).as_bytes());
    let leftover = format!("ffu_proof_{}_00000001", &digest[..12]);
    admin.execute(None, &format!("CREATE DATABASE {leftover}")).unwrap();
    for _ in 0..2 {
        let proofs = checkpoint::restore_databases(&dir, &Options::default()).unwrap();
        assert_eq!(proofs[0].digest, before.digest);
        assert_eq!(fingerprint(&api), before);
        assert!(!admin.schema_exists(&absent.schema).unwrap());
        assert!(!admin.schema_exists(&leftover).unwrap());
    }
    assert_eq!(checkpoint::restore_files(&dir).unwrap(), std::slice::from_ref(&conf));
    assert_eq!(fs::read_to_string(&conf).unwrap(), "[DEFAULT]\n");
    assert_eq!(checkpoint::restore_files(&dir).unwrap(), [] as [&str; 0]);
    checkpoint::drop_checkpoint(&dir).unwrap();
    checkpoint::drop_checkpoint(&dir).unwrap();
    assert!(!dir.exists());
}

fn everything_is_private(dir: &Utf8Path, db: &TestDatabase) {
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.as_std_path()), 0o700);
    let password = db.url.password().unwrap().expose().to_owned();
    for entry in fs::read_dir(dir)
        .unwrap()
        .chain(fs::read_dir(dir.join("files")).unwrap())
    {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.starts_with(".client-"), "{name}");
        if entry.file_type().unwrap().is_file() {
            assert_eq!(mode(&entry.path()), 0o600, "{name}");
            if name == "checkpoint.json" {
                assert!(!fs::read_to_string(entry.path()).unwrap().contains(&password));
            }
        }
    }
}

#[test]
fn without_an_administrator_the_services_own_account_does() {
    let db = shared_server().database("own").unwrap();
    seed(&db);
    // Its own account may not recreate what root defined.
    db.run(&["DROP VIEW v", "DROP TRIGGER tr", "DROP PROCEDURE p"]).unwrap();
    let (_guard, root) = scratch();
    let dir = root.join("c");
    let before = fingerprint(&db);
    checkpoint::make(&dir, &[target("cell", db.access())], &[], &Options::default()).unwrap();
    let report = checkpoint::prove(&dir, CheckpointProof::Restore, &Options::default()).unwrap();
    assert_eq!(report.findings[0].id, "checkpoint-not-restored");
    assert!(report.databases[0].sentence.contains("read back"), "{report:?}");
    db.run(&["DELETE FROM child"]).unwrap();
    let error = checkpoint::prove(&dir, CheckpointProof::Read, &Options::default()).unwrap_err();
    assert!(
        matches!(&error, DbError::WrittenMeanwhile { differences, .. } if differences.contains("child has 0 rows instead of 3")),
        "{error}"
    );
    checkpoint::restore_databases(&dir, &Options::default()).unwrap();
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn a_dump_that_was_changed_stops_everything_before_a_database_is_touched() {
    let db = shared_server().database("tampered").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let dir = root.join("c");
    checkpoint::make(&dir, &[target("api", db.admin_access())], &[], &Options::default()).unwrap();
    let dump = dir.join("nova-api.sql.zst");
    let mut bytes = fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&dump, &bytes).unwrap();
    let before = fingerprint(&db);
    for result in [
        checkpoint::restore_databases(&dir, &Options::default()).map(|_| ()),
        checkpoint::prove(&dir, CheckpointProof::Read, &Options::default()).map(|_| ()),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, DbError::BadCheckpoint { .. }), "{error}");
    }
    fs::remove_file(&dump).unwrap();
    assert!(matches!(
        checkpoint::restore_databases(&dir, &Options::default()),
        Err(DbError::Io { .. })
    ));
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn stopping_and_time_limits_end_it_and_leave_no_checkpoint() {
    let db = shared_server().database("stopped").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let dir = root.join("c");
    let targets = [target("api", db.admin_access())];
    let stop = || true;
    let stopped = Options {
        stop: Some(&stop),
        ..Options::default()
    };
    assert!(matches!(
        checkpoint::make(&dir, &targets, &[], &stopped),
        Err(DbError::Stopped { .. })
    ));
    let late = Options {
        timeout: Duration::ZERO,
        ..Options::default()
    };
    assert!(matches!(
        checkpoint::make(&dir, &targets, &[], &late),
        Err(DbError::Timeout { .. })
    ));
    assert!(matches!(checkpoint::load(&dir), Err(DbError::BadCheckpoint { .. })));
    checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
}

#[test]
fn a_foreign_load_that_is_still_running_is_ended_first() {
    let db = shared_server().database("leftover").unwrap();
    seed(&db);
    let (_guard, root) = scratch();
    let dir = root.join("c");
    checkpoint::make(&dir, &[target("api", db.admin_access())], &[], &Options::default()).unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            Server::connect(&db.url)
                .unwrap()
                .execute(Some(&db.schema), "DO SLEEP(600)")
        });
        let admin = shared_server().admin().unwrap();
        let busy = || {
            admin.query_count(&db.schema, &format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND COMMAND = 'Query' AND ID <> CONNECTION_ID()", db.schema), Duration::from_secs(5)).unwrap()
        };
        while busy() == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        checkpoint::restore_databases(&dir, &Options::default()).unwrap();
        assert!(matches!(sleeper.join().unwrap(), Err(DbError::Lost { .. })));
    });
}
