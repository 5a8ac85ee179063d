//! Tables that are not read in the window, because the server knows them unwritten: whatever happens between the copy and the
//! window, the copy must be what the source is. What is compared is the server's own `CHECKSUM TABLE`.

use std::time::Duration;

use camino::Utf8Path;
use ffu_db::checkpoint::standby::Reading;
use ffu_db::checkpoint::{self, Target, Thoroughness, standby};
use ffu_db::testing::{TestDatabase, TestServer};
use ffu_db::{ConnectionUrl, Options, Server};
use mysql::prelude::Queryable as _;
use mysql::{Conn, OptsBuilder};

use crate::checkpoint::target;
use crate::scratch;

/// From here on a time that a server has seen is told apart from a later one.
pub const SETTLED: Duration = Duration::from_millis(12_500);
const LIMIT: Duration = Duration::from_secs(20);

/// A server whose dictionary cache has room for all tables.
pub fn roomy() -> TestServer {
    TestServer::start_with(&["--table-definition-cache=2000", "--innodb-file-per-table=1"]).unwrap()
}

pub fn query(server: &Server, sql: &str) -> Vec<Vec<Option<String>>> {
    server.query_rows("information_schema", sql, LIMIT).unwrap()
}

pub fn texts(server: &Server, sql: &str) -> Vec<String> {
    query(server, sql).into_iter().flatten().flatten().collect()
}

/// A connection of a service that stays open.
pub fn connection(db: &TestDatabase) -> Conn {
    connect(&db.url, &db.schema)
}

pub fn connect(url: &ConnectionUrl, schema: &str) -> Conn {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(url.port())
        .prefer_socket(false)
        .user(Some(url.user()))
        .pass(url.password().map(|password| password.expose()))
        .db_name(Some(schema));
    Conn::new(options).unwrap()
}

pub fn run(conn: &mut Conn, statements: &[&str]) {
    for sql in statements {
        conn.query_drop(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

pub fn written(server: &Server, db: &TestDatabase, table: &str) -> Option<i64> {
    let sql = format!(
        "SELECT CAST(UNIX_TIMESTAMP(UPDATE_TIME) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{table}'",
        db.schema
    );
    texts(server, &sql).first().map(|text| text.parse().unwrap())
}

/// Plain tables with a hundred rows.
pub fn make(db: &TestDatabase, names: &[&str]) {
    for name in names {
        db.run(&[
            &format!("CREATE TABLE {name} (id INT PRIMARY KEY, v INT, txt VARCHAR(40))"),
            &format!("INSERT INTO {name} SELECT seq, seq, MD5(seq) FROM seq_1_to_100"),
        ])
        .unwrap();
    }
}

pub fn prepare(dir: &Utf8Path, targets: &[Target]) {
    standby::prepare(dir, targets, None, &Options::default()).unwrap();
}

/// Finishes the checkpoint, and compares every table of the copy with its source.
pub fn finish(server: &Server, dir: &Utf8Path, db: &TestDatabase, targets: &[Target]) -> Reading {
    let manifest = checkpoint::make(dir, targets, &[], &Options::default()).unwrap();
    let saved = manifest.databases[0].copied.clone().unwrap();
    let tables = |schema: &str| {
        let sql =
            format!("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{schema}' ORDER BY 1");
        texts(server, &sql)
    };
    let names = tables(&db.schema);
    assert_eq!(names, tables(&saved.copy));
    let mut root = root(db);
    let mut sum = |schema: &str, name: &str| {
        let sql = format!("CHECKSUM TABLE `{schema}`.`{name}` EXTENDED");
        let row: Option<(String, Option<String>)> = root.query_first(sql).unwrap();
        row.and_then(|(_, sum)| sum).unwrap()
    };
    for name in &names {
        assert_eq!(
            sum(&db.schema, name),
            sum(&saved.copy, name),
            "table {name}: {:?}",
            saved.reading
        );
    }
    assert_eq!(
        saved.reading.known.tables + saved.reading.read.tables,
        names.len() as u64
    );
    saved.reading
}

/// A connection of the administrator.
pub fn root(db: &TestDatabase) -> Conn {
    let text = std::fs::read_to_string(db.option_file()).unwrap();
    let setting = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
        line.map(|value| value.trim().trim_matches('"').to_owned())
    };
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("localhost"))
        .socket(setting("socket"))
        .user(setting("user"))
        .pass(setting("password"));
    Conn::new(options).unwrap()
}

#[test]
fn every_way_to_write_is_seen() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("ways").unwrap();
    let plain = [
        "still",
        "inserted",
        "updated",
        "deleted",
        "selected",
        "loaded",
        "xa",
        "xa_left",
        "rolled_back",
        "savepoint",
        "truncated",
        "altered",
        "flushed",
        "replaced",
        "swap_a",
        "swap_b",
        "triggering",
        "triggered",
        "exchanged",
        "imported",
    ];
    make(&db, &plain);
    db.run(&[
        "CREATE TABLE emptied LIKE still",
        "CREATE TABLE bulk LIKE still",
        "CREATE TABLE parted (id INT PRIMARY KEY, v INT, txt VARCHAR(40)) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (1000), PARTITION b VALUES LESS THAN (2000))",
        "INSERT INTO parted VALUES (1, 1, 'x'), (1001, 1, 'y')",
        "CREATE TABLE parted_still LIKE parted",
        "INSERT INTO parted_still SELECT * FROM parted",
        "CREATE TABLE parted_exchanged LIKE parted",
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        "CREATE TABLE grandchild (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES child (id) ON DELETE SET NULL)",
        "CREATE TABLE relative (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
        "INSERT INTO parent VALUES (1), (2), (3)",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "INSERT INTO grandchild VALUES (1, 1), (2, 2)",
        "INSERT INTO relative VALUES (1, 3)",
        "CREATE TRIGGER tr AFTER INSERT ON triggering FOR EACH ROW UPDATE triggered SET v = NEW.id",
    ])
    .unwrap();
    let total = plain.len() as u64 + 9;
    let (_guard, root) = scratch();
    let dir = root.join("checkpoint");
    let targets = [target("api", db.admin_access())];
    // Nothing was written: nothing is read, unless somebody wants it. A busy machine may need a few attempts to see that.
    let unread = (0..4).any(|_| {
        let _ = checkpoint::forget(&dir);
        std::thread::sleep(SETTLED);
        prepare(&dir, &targets);
        finish(&admin, &dir, &db, &targets).read.tables == 0
    });
    assert!(unread);
    checkpoint::forget(&dir).unwrap();
    let full = checkpoint::make_with(&dir, &targets, &[], Thoroughness::Full.into(), &Options::default()).unwrap();
    let read = full.databases[0].copied.clone().unwrap().reading;
    assert_eq!((read.known.tables, read.read.tables), (0, total), "{read:?}");
    checkpoint::forget(&dir).unwrap();

    let file = root.join("rows.txt");
    std::fs::write(&file, "500\t5\tloaded\n").unwrap();
    let data = server.private().dir().join("data").join(&db.schema);
    db.run(&["FLUSH TABLES imported FOR EXPORT"]).unwrap();
    let exported = root.join("imported");
    std::fs::copy(data.join("imported.ibd"), exported.with_extension("ibd")).unwrap();
    for statements in [
        &["INSERT INTO inserted VALUES (500, 1, 'x')"][..],
        &["UPDATE updated SET v = 0 WHERE id = 50"],
        &["DELETE FROM deleted WHERE id = 50"],
        &["INSERT INTO selected SELECT id + 1000, v, txt FROM still"],
        &[
            "INSERT INTO emptied SELECT * FROM still",
            "DELETE FROM emptied WHERE id > 1",
        ],
        &[
            "SET unique_checks = 0, foreign_key_checks = 0",
            "INSERT INTO bulk SELECT * FROM still",
        ],
        &[&format!("LOAD DATA INFILE '{file}' INTO TABLE loaded")],
        &[
            "XA START 'a'",
            "UPDATE xa SET v = 0 WHERE id = 1",
            "XA END 'a'",
            "XA PREPARE 'a'",
            "XA COMMIT 'a'",
        ],
        &[
            "XA START 'b'",
            "UPDATE xa_left SET v = 0 WHERE id = 1",
            "XA END 'b'",
            "XA PREPARE 'b'",
        ],
        &["XA COMMIT 'b'"],
        &[
            "BEGIN",
            "UPDATE rolled_back SET v = 0",
            "DELETE FROM rolled_back WHERE id > 50",
            "ROLLBACK",
        ],
        &[
            "BEGIN",
            "UPDATE savepoint SET v = 0 WHERE id = 1",
            "SAVEPOINT s",
            "DELETE FROM savepoint WHERE id = 2",
            "ROLLBACK TO s",
            "COMMIT",
        ],
        &["TRUNCATE TABLE truncated"],
        &[
            "UPDATE altered SET v = 0 WHERE id = 1",
            "ALTER TABLE altered ADD COLUMN more INT, ALGORITHM=INSTANT",
            "ALTER TABLE altered DROP COLUMN more, ALGORITHM=INSTANT",
        ],
        &["UPDATE flushed SET v = 0 WHERE id = 1", "FLUSH TABLES"],
        &["REPLACE INTO replaced VALUES (1, 0, 'x')"],
        &["RENAME TABLE swap_a TO s, swap_b TO swap_a, s TO swap_b"],
        &["INSERT INTO triggering VALUES (777, 1, 'x')"],
        &["UPDATE parted SET v = 0 WHERE id = 1"],
        &["DELETE FROM parent WHERE id = 1"],
        &[
            "DELETE FROM exchanged WHERE id > 5",
            "ALTER TABLE parted_exchanged EXCHANGE PARTITION a WITH TABLE exchanged",
        ],
        &["UPDATE imported SET v = 0"],
        // Neither of these writes a row.
        &[
            "UPDATE still SET v = v",
            "SELECT * FROM still FOR UPDATE",
            "ANALYZE TABLE still",
            "FLUSH TABLES parted_still",
        ],
    ] {
        db.run(statements).unwrap();
    }
    let reading = finish(&admin, &dir, &db, &targets);
    // These alone were not written: still, rolled_back, parted_still, relative.
    assert!((1..=4).contains(&reading.known.tables), "{reading:?}");
    checkpoint::drop_checkpoint(&dir).unwrap();

    // An import of older rows.
    db.run(&["DELETE FROM imported WHERE id = 7"]).unwrap();
    std::thread::sleep(SETTLED);
    prepare(&dir, &targets);
    db.run(&["ALTER TABLE imported DISCARD TABLESPACE"]).unwrap();
    std::fs::copy(exported.with_extension("ibd"), data.join("imported.ibd")).unwrap();
    db.run(&["ALTER TABLE imported IMPORT TABLESPACE"]).unwrap();
    finish(&admin, &dir, &db, &targets);
    let sql = format!("SELECT COUNT(*) FROM {}.imported WHERE v > 0", db.schema);
    assert_eq!(texts(&admin, &sql), ["100"]);
    checkpoint::drop_checkpoint(&dir).unwrap();
}
