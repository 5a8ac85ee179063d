//! The standby copy, there and back, against everything a database may hold. What is compared is the fingerprint of the
//! other method, which shares no expression with the copy's own.

use std::time::Duration;

use camino::Utf8Path;
use ffu_db::Options;
use ffu_db::checkpoint::{self, Target, Thoroughness, standby};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_model::plan::CheckpointProof;

use crate::checkpoint::{fingerprint, target};
use crate::scratch;

/// Tables of every kind, some of several chunks.
pub fn seed(db: &TestDatabase) {
    db.run(&[
        "CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, uuid VARCHAR(36), txt TEXT, UNIQUE KEY u (uuid)) DEFAULT CHARSET=utf8mb3",
        "INSERT INTO big (uuid, txt) SELECT MD5(seq), REPEAT(MD5(seq), 150) FROM seq_1_to_6000",
        "CREATE TABLE by_text (uuid VARCHAR(36) NOT NULL PRIMARY KEY, txt TEXT) DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_general_ci",
        "INSERT INTO by_text SELECT IF(seq % 2, UPPER(MD5(seq)), MD5(seq)), REPEAT(MD5(seq + 1), 300) FROM seq_1_to_3000",
        "CREATE TABLE by_two (a INT NOT NULL, b VARBINARY(16) NOT NULL, txt TEXT, PRIMARY KEY (a, b))",
        "INSERT INTO by_two SELECT seq % 3, UNHEX(MD5(seq)), REPEAT(MD5(seq), 300) FROM seq_1_to_3000",
        "CREATE TABLE unique_only (name VARCHAR(64) NOT NULL, other INT, UNIQUE KEY a (other), UNIQUE KEY b (name))",
        "INSERT INTO unique_only SELECT CONCAT('n', seq), IF(seq % 3 = 0, NULL, seq) FROM seq_1_to_500",
        "CREATE TABLE parted (id INT PRIMARY KEY, txt VARCHAR(20)) PARTITION BY HASH (id) PARTITIONS 3",
        "INSERT INTO parted SELECT seq, MD5(seq) FROM seq_1_to_100",
        "CREATE TABLE `odd-name``s` (`a``b` INT PRIMARY KEY)",
        "INSERT INTO `odd-name``s` VALUES (1)",
        "CREATE TABLE searched (id INT PRIMARY KEY, txt TEXT, FULLTEXT KEY (txt))",
        "INSERT INTO searched VALUES (1, 'some words')",
    ])
    .unwrap();
    seed_kinds(db);
    seed_small(db);
}

/// Values of every type.
fn seed_kinds(db: &TestDatabase) {
    db.run(&[
        "CREATE TABLE keyless (a INT, b VARCHAR(10))",
        "INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (0, '')",
        "CREATE TABLE kinds (id INT AUTO_INCREMENT PRIMARY KEY, f FLOAT, d DOUBLE, n DECIMAL(30,10), b BIT(9), j JSON, raw LONGBLOB, \
         e ENUM('a','b'), s SET('x','y'), at DATETIME(6), ts TIMESTAMP NULL, day DATE, t TIME(3), y YEAR, c CHAR(5), l VARCHAR(9) CHARACTER SET latin1, \
         bin BINARY(4), g INT AS (id * 2) VIRTUAL, p INT AS (LENGTH(raw)) STORED, pt POINT)",
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        "INSERT INTO kinds (id, f, d, n, b, j, raw, e, s, at, ts, day, t, y, c, l, bin, pt) VALUES \
         (0, 1.2345678, 0.1, 12345678901234567890.0123456789, b'101010101', '{\"a\": [1, null]}', REPEAT(x'00ff27', 900000), 'a', 'x,y', '0000-00-00', '2020-01-01 00:00:00', '0000-00-00', '-12:00:00.5', 1999, 'a ', 'é', x'00000001', POINT(1, 2)), \
         (NULL, -0.0, 1e300, NULL, NULL, NULL, '', NULL, '', '2020-00-01', NULL, NULL, NULL, NULL, '', '', x'', NULL)",
    ])
    .unwrap();
}

/// Tables that refer to each other in a circle, and what is no table.
pub fn seed_small(db: &TestDatabase) {
    db.run(&[
        "CREATE TABLE parent (id INT PRIMARY KEY, child_id INT, name VARCHAR(20))",
        "CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE)",
        "ALTER TABLE parent ADD CONSTRAINT to_child FOREIGN KEY (child_id) REFERENCES child (id)",
        "SET SESSION foreign_key_checks = 0",
        "INSERT INTO parent VALUES (1, NULL, 'one'), (2, NULL, 'two')",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "UPDATE parent SET child_id = id",
        "CREATE TABLE log (what VARCHAR(40))",
        "CREATE TRIGGER tr AFTER UPDATE ON parent FOR EACH ROW INSERT INTO log VALUES (CONCAT('p', NEW.id))",
        "CREATE VIEW b_view AS SELECT name FROM parent",
        "CREATE VIEW a_view AS SELECT name FROM b_view",
        "CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DISABLE DO DELETE FROM log",
    ])
    .unwrap();
}

/// What a migration does to the tables of [`seed`].
pub fn migrate(db: &TestDatabase) {
    db.run(&[
        "CREATE TRIGGER tr2 BEFORE INSERT ON big FOR EACH ROW SET NEW.txt = 'new'",
        "ALTER TABLE big ADD COLUMN more INT, DROP KEY u",
        "DELETE FROM by_text",
        "RENAME TABLE by_two TO renamed",
        "CREATE TABLE by_two (x INT)",
        "UPDATE kinds SET raw = 'x'",
        "ALTER TABLE parted REMOVE PARTITIONING",
    ])
    .unwrap();
    migrate_small(db);
}

/// What a migration does to the tables of [`seed_small`].
pub fn migrate_small(db: &TestDatabase) {
    db.run(&[
        "SET SESSION foreign_key_checks = 0",
        "DROP VIEW a_view",
        "DROP TRIGGER tr",
        "CREATE TRIGGER tr3 BEFORE INSERT ON parent FOR EACH ROW SET NEW.name = 'new'",
        "DROP FUNCTION twice",
        "CREATE VIEW new_view AS SELECT 1",
        "ALTER TABLE child DROP FOREIGN KEY to_parent",
        "DROP TABLE child, log",
        "CREATE TABLE newer (id INT PRIMARY KEY, p INT, CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id))",
    ])
    .unwrap();
}

fn schemas(word: &str) -> Vec<String> {
    let sql = format!(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE LEFT(SCHEMA_NAME, 4) = 'ffu_' AND SCHEMA_NAME LIKE '%{word}'"
    );
    let admin = shared_server().admin().unwrap();
    let rows = admin
        .query_rows("information_schema", &sql, Duration::from_secs(5))
        .unwrap();
    rows.into_iter().flatten().flatten().collect()
}

fn prepared(dir: &Utf8Path, targets: &[Target]) -> standby::Prepared {
    standby::prepare(dir, targets, None, &Options::default()).unwrap()
}

#[test]
fn writes_meanwhile_are_found_and_the_way_back_is_a_rename() {
    let db = shared_server().database("standby").unwrap();
    let absent = shared_server().database("standby_absent").unwrap();
    let admin = shared_server().admin().unwrap();
    admin.drop_database(&absent.schema).unwrap();
    seed(&db);
    let untouched = fingerprint(&db);
    let (_guard, root) = scratch();
    let dir = root.join("checkpoint");
    let targets = [target("api", db.admin_access()), target("cell", absent.admin_access())];
    let first = prepared(&dir, &targets);
    assert_eq!((first.databases.len(), first.refusals.as_slice()), (1, &[][..]));
    assert_eq!(first.databases[0].rows, 12_612);
    assert_eq!(fingerprint(&db), untouched, "the databases are only read");
    assert_eq!(schemas(&db.schema).len(), 1);

    db.run(&[
        "UPDATE big SET txt = 'changed' WHERE id = 3000",
        "DELETE FROM big WHERE id BETWEEN 10 AND 20",
        "INSERT INTO big (uuid, txt) VALUES ('new', NULL)",
        // A unique value goes from a row of the first chunk to one of the last, and from the last to the first.
        "UPDATE big SET uuid = 'swap' WHERE id = 1",
        "UPDATE big SET uuid = MD5(1) WHERE id = 5999",
        "UPDATE big SET uuid = MD5(5999) WHERE id = 1",
        // A primary key goes to another chunk.
        "UPDATE by_text SET uuid = 'zzz' WHERE uuid = (SELECT * FROM (SELECT MIN(uuid) FROM by_text) AS t)",
        // The same key in another case.
        "UPDATE by_text SET uuid = LOWER(uuid) WHERE uuid = MD5(1)",
        "DELETE FROM keyless WHERE a = 1 LIMIT 1",
        "UPDATE kinds SET f = f + 0.0000001 WHERE id = 0",
        "ALTER TABLE unique_only ADD COLUMN later INT DEFAULT 7",
        "CREATE TABLE late (id INT AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO late VALUES (NULL), (NULL)",
        "DELETE FROM late",
        "DROP TABLE searched",
        "UPDATE parent SET name = 'uno' WHERE id = 1",
    ])
    .unwrap();
    let before = fingerprint(&db);
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    assert_eq!(checkpoint::load(&dir).unwrap(), manifest);
    let saved = manifest.databases[0].copied.as_ref().unwrap();
    assert!(manifest.databases.iter().all(|database| database.saved.is_none()));
    assert_eq!(saved.fingerprint.rows(), before.rows());
    assert!(
        saved.late_rows > 0 && saved.late_rows < before.rows(),
        "{}",
        saved.late_rows
    );
    assert!(
        saved.ids.contains_key("parted#P#p1") && saved.ids.contains_key("odd@002dname@0060s"),
        "{:?}",
        saved.ids
    );
    let report = checkpoint::prove(&dir, CheckpointProof::Restore, &Options::default()).unwrap();
    assert!(report.databases[0].sentence.contains("rows equal"), "{report:?}");

    migrate(&db);
    admin
        .execute(None, &format!("CREATE DATABASE {}", absent.schema))
        .unwrap();
    for proof in [Thoroughness::Sufficient, Thoroughness::Full] {
        let proofs = checkpoint::restore_with(&dir, proof.into(), &Options::default()).unwrap();
        assert_eq!(proofs[0].digest, saved.fingerprint.digest);
        let word = if proof == Thoroughness::Full {
            "every row was read"
        } else {
            "InnoDB ids"
        };
        assert!(proofs[0].sentence.contains(word), "{proofs:?}");
        // What had not changed, and nothing refers to, stayed.
        assert!(
            proofs[0].sentence.contains(" were read and had not changed"),
            "{proofs:?}"
        );
        assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0]);
        assert_eq!(fingerprint(&db).digest, before.digest);
        assert!(!admin.schema_exists(&absent.schema).unwrap());
    }
    db.run(&["INSERT INTO late VALUES (NULL)"]).unwrap();
    let counted = admin.query_count(&db.schema, "SELECT MAX(id) FROM late", Duration::from_secs(5));
    assert_eq!(counted.unwrap(), 3, "counters go on where they were");
    let error = db.run(&["INSERT INTO child VALUES (9, 77)"]).unwrap_err();
    assert!(error.to_string().contains("to_parent"), "{error}");
    assert_eq!(schemas(&db.schema).len(), 2);
    checkpoint::drop_checkpoint(&dir).unwrap();
    assert_eq!(schemas(&db.schema), [] as [&str; 0]);
}

#[test]
fn one_changed_byte_is_found() {
    let db = shared_server().database("standby_byte").unwrap();
    seed_kinds(&db);
    seed_small(&db);
    let admin = shared_server().admin().unwrap();
    let raw = "UPDATE kinds SET raw = CONCAT(LEFT(raw, 1000000), x'01', SUBSTR(raw, 1000002)) WHERE id = 0";
    for (table, change) in [
        ("kinds", raw),
        ("kinds", "UPDATE kinds SET f = 1.2345679 WHERE id = 0"),
        ("kinds", "UPDATE kinds SET l = 'è' WHERE id = 0"),
        ("keyless", "UPDATE keyless SET b = '' WHERE b IS NULL"),
        // Values change places: sums of a linear hash might not see it.
        ("parent", "UPDATE parent SET name = IF(id = 1, 'two', 'one')"),
    ] {
        let (_guard, root) = scratch();
        let targets = [target("api", db.admin_access())];
        db.run(&["DELETE FROM log"]).unwrap();
        prepared(&root, &targets);
        db.run(&[change, "DELETE FROM log"]).unwrap();
        let manifest = checkpoint::make(&root, &targets, &[], &Options::default()).unwrap();
        let saved = manifest.databases[0].copied.as_ref().unwrap();
        assert_eq!(saved.late_rows, saved.fingerprint.tables[table].rows, "{change}");
        // And one in the copy, after the proof: the way back must not take it.
        db.run(&[&format!("ALTER TABLE {table} ADD COLUMN migrated INT")])
            .unwrap();
        let before = fingerprint(&db);
        std::thread::sleep(Duration::from_millis(1100));
        let damage = match table {
            "kinds" => "UPDATE kinds SET c = 'b'",
            "keyless" => "DELETE FROM keyless LIMIT 1",
            _ => "UPDATE parent SET name = 'x' WHERE id = 2",
        };
        admin.execute(Some(&saved.copy), damage).unwrap();
        let error = checkpoint::restore_databases(&root, &Options::default()).unwrap_err();
        assert!(error.to_string().contains(table), "{error}");
        assert_eq!(fingerprint(&db), before, "nothing was touched");
        checkpoint::drop_checkpoint(&root).unwrap();
        db.run(&[&format!("ALTER TABLE {table} DROP COLUMN migrated")]).unwrap();
    }
}

#[test]
fn a_copy_that_was_built_anew_or_dropped_is_not_taken() {
    let db = shared_server().database("standby_ids").unwrap();
    db.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
    ])
    .unwrap();
    let admin = shared_server().admin().unwrap();
    let (_guard, root) = scratch();
    let targets = [target("api", db.admin_access())];
    prepared(&root, &targets);
    let manifest = checkpoint::make(&root, &targets, &[], &Options::default()).unwrap();
    let before = fingerprint(&db);
    let copy = manifest.databases[0].copied.as_ref().unwrap().copy.clone();
    admin
        .execute(Some(&copy), "ALTER TABLE t FORCE, ALGORITHM=COPY")
        .unwrap();
    let error = checkpoint::restore_databases(&root, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("built anew"), "{error}");
    assert_eq!(fingerprint(&db), before, "nothing was touched");
    admin.execute(Some(&copy), "DROP TABLE t").unwrap();
    let error = checkpoint::restore_databases(&root, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("is gone"), "{error}");
    assert_eq!(fingerprint(&db), before, "nothing was touched");
    checkpoint::drop_checkpoint(&root).unwrap();
}

#[test]
fn databases_that_cannot_have_a_copy_are_dumped_and_the_reason_is_said() {
    let (mine, other) = (
        shared_server().database("standby_poor").unwrap(),
        shared_server().database("standby_isam").unwrap(),
    );
    mine.run(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
        .unwrap();
    other
        .run(&["CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM"])
        .unwrap();
    let (_guard, root) = scratch();
    // The service's own account has rights on its own schema only.
    let targets = [target("api", mine.access()), target("cell", other.admin_access())];
    let prepared = prepared(&root, &targets);
    assert!(prepared.databases.is_empty());
    let reasons: Vec<&str> = prepared
        .refusals
        .iter()
        .map(|refusal| refusal.reason.as_str())
        .collect();
    assert!(
        reasons[0].contains("may not make schema") && reasons[1].contains("MyISAM"),
        "{reasons:?}"
    );
    let manifest = checkpoint::make(&root, &targets, &[], &Options::default()).unwrap();
    assert!(
        manifest
            .databases
            .iter()
            .all(|d| d.saved.is_some() && d.copied.is_none())
    );
    let before = fingerprint(&mine);
    mine.run(&["DROP TABLE t"]).unwrap();
    checkpoint::restore_databases(&root, &Options::default()).unwrap();
    assert_eq!(fingerprint(&mine), before);
    assert_eq!(schemas(&mine.schema), [] as [&str; 0]);
    checkpoint::drop_checkpoint(&root).unwrap();
}

#[test]
fn copies_of_runs_that_nobody_finished_are_listed() {
    let db = shared_server().database("standby_left").unwrap();
    db.run(&["CREATE TABLE t (id INT PRIMARY KEY)"]).unwrap();
    let (_guard, root) = scratch();
    let copy = prepared(&root, &[target("api", db.admin_access())]).databases[0]
        .copy
        .clone();
    assert!(standby::leftovers(&db.admin_access()).unwrap().contains(&copy));
    assert_eq!(checkpoint::drop_copies(&root).unwrap(), [copy.as_str()]);
    assert!(!standby::leftovers(&db.admin_access()).unwrap().contains(&copy));
}
