use std::time::{Duration, Instant};

use ffu_db::snapshot::{NOWHERE, Source, account, copy, new_password, rewrite_cells, settings_like};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_db::{ConnectionUrl, DbError, Options, Server};
use ffu_model::secret::Secret;

use crate::scratch;

struct Dropped(String);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = shared_server().admin().unwrap().drop_database(&self.0);
    }
}

fn source(db: &TestDatabase, admin: bool) -> (Source, Dropped) {
    let copy = format!("{}_copy", db.schema);
    let access = if admin { db.admin_access() } else { db.access() };
    (
        Source {
            access,
            copy: copy.clone(),
        },
        Dropped(copy),
    )
}

/// What INSERT statements could get wrong.
fn odd_rows(db: &TestDatabase) {
    db.run(&[
        "CREATE TABLE odd (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, b BIT(9), f DOUBLE, d DECIMAL(20,6), bin VARBINARY(64), big LONGBLOB, \
         words TEXT CHARACTER SET utf8mb4, ts TIMESTAMP NULL, dt DATETIME(6), t TIME, y YEAR, e ENUM('a','b'), s SET('x','y'), j JSON, \
         twice DOUBLE AS (f * 2) STORED, soon INT AS (y + 1) VIRTUAL)",
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        "INSERT INTO odd (id, b, f, d, bin, big, words, ts, dt, t, y, e, s, j) VALUES \
         (0, b'100000001', 0.1, -12345678901234.567890, x'00ff27', REPEAT(x'f000', 700000), 'it''s \\\\ \\n 😀', '2026-11-24 22:33:44', \
         '0000-00-00 00:00:00', '-838:59:59', 2026, 'b', 'x,y', '{\"a\": [1, null]}'), \
         (7, NULL, NULL, NULL, '', '', '', NULL, '2026-11-24 01:02:03.456789', NULL, NULL, NULL, '', NULL)",
        "CREATE VIEW seen AS SELECT id, words FROM odd",
        "CREATE TRIGGER counts BEFORE INSERT ON odd FOR EACH ROW SET NEW.words = CONCAT(NEW.words, '!')",
    ])
    .unwrap();
}

#[test]
fn the_copy_is_the_source_and_the_source_is_what_it_was() {
    let db = shared_server().database("snapshot").unwrap();
    crate::checkpoint::seed(&db);
    odd_rows(&db);
    let admin = Server::admin(db.option_file()).unwrap();
    let before = admin.fingerprint(&db.schema).unwrap().unwrap();
    for with_admin in [true, false] {
        let (source, dropped) = source(&db, with_admin);
        let made = copy(&[source], shared_server().private(), None, &Options::default()).unwrap();
        assert_eq!(made.transactions, 1);
        let copied = admin.fingerprint(&dropped.0).unwrap().unwrap();
        let wanted: Vec<String> = before
            .diff(&copied)
            .into_iter()
            // Left out, and said so.
            .filter(|line| !line.starts_with("routine") && !line.starts_with("event"))
            .collect();
        assert!(wanted.is_empty(), "{wanted:#?}");
        assert_eq!(made.copies[0].rows, copied.rows());
        assert_eq!(admin.fingerprint(&db.schema).unwrap().unwrap(), before);
    }
}

#[test]
fn all_schemas_of_an_account_are_of_one_moment_and_no_table_stays_locked() {
    let one = shared_server().database("moment").unwrap();
    let two = shared_server().database("moment").unwrap();
    for db in [&one, &two] {
        db.run(&[
            "CREATE TABLE t (id INT PRIMARY KEY, x LONGTEXT)",
            "INSERT INTO t VALUES (1, REPEAT('y', 600000))",
        ])
        .unwrap();
    }
    let ((first, _a), (second, kept)) = (source(&one, true), source(&two, true));
    // Slow enough for a writer to come between the two.
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        two.run(&["INSERT INTO t VALUES (2, 'late')"]).unwrap();
        // The first table was read: its owner may change it while the copy goes on.
        let begun = Instant::now();
        one.run(&["SET SESSION lock_wait_timeout = 5", "ALTER TABLE t ADD COLUMN z INT"])
            .unwrap();
        (one, two, begun.elapsed())
    });
    let begun = Instant::now();
    let made = copy(
        &[first, second],
        shared_server().private(),
        Some(400_000),
        &Options::default(),
    )
    .unwrap();
    let (_one, two, waited) = writer.join().unwrap();
    assert_eq!(made.transactions, 1, "one account, one snapshot");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(2500), "1.2 MB at 400 kB/s in {took:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    let admin = Server::admin(two.option_file()).unwrap();
    let rows = |schema: &str| {
        admin
            .query_count(schema, "SELECT COUNT(*) FROM t", Duration::from_secs(5))
            .unwrap()
    };
    assert_eq!(
        (rows(&kept.0), rows(&two.schema)),
        (1, 2),
        "what came later is not in it"
    );
}

#[test]
fn a_wish_to_stop_ends_it() {
    let db = shared_server().database("stopped").unwrap();
    db.run(&[
        "CREATE TABLE t (x LONGTEXT)",
        "INSERT INTO t VALUES (REPEAT('y', 900000))",
    ])
    .unwrap();
    let (source, _dropped) = source(&db, false);
    let begun = Instant::now();
    let stop = || begun.elapsed() > Duration::from_millis(300);
    let options = Options {
        stop: Some(&stop),
        ..Options::default()
    };
    let error = copy(&[source], shared_server().private(), Some(10_000), &options).unwrap_err();
    assert!(matches!(error, DbError::Stopped { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn accounts_and_cells_of_the_copy_lead_to_the_copy_alone() {
    let db = shared_server().database("cells").unwrap();
    db.run(&[
        "CREATE TABLE cell_mappings (uuid VARCHAR(36) PRIMARY KEY, transport_url TEXT, database_connection TEXT)",
        "INSERT INTO cell_mappings VALUES ('0', 'none:///', 'mysql://a'), ('1', 'rabbit://u:secret@mq/', 'mysql://b'), ('2', NULL, 'mysql://c')",
    ])
    .unwrap();
    let private = shared_server().private();
    let like =
        ConnectionUrl::parse("mysql+mysqldb://nova:x@db.example.org:3307/nova?charset=utf8&unix_socket=/s&ssl_ca=/ca")
            .unwrap();
    let (_guard, root) = scratch();
    let url = account(private, &like, &new_password(&root).unwrap(), &db.schema).unwrap();
    let shown = url.without_password();
    assert_eq!(
        shown,
        format!(
            "mysql+mysqldb://nova:***@127.0.0.1:{}/{}?charset=utf8",
            private.port(),
            db.schema
        )
    );
    assert!(Server::connect(&url).unwrap().schema_exists(&db.schema).unwrap());
    let mut of =
        |uuid: &str, was: &str| (uuid == "1" && was == "mysql://b").then(|| Secret::new("mysql://copy".to_owned()));
    assert_eq!(rewrite_cells(private, &db.schema, &mut of).unwrap(), 3);
    let rows = Server::admin(db.option_file())
        .unwrap()
        .query_rows(
            &db.schema,
            "SELECT uuid, transport_url, database_connection FROM cell_mappings ORDER BY uuid",
            Duration::from_secs(5),
        )
        .unwrap();
    let row = |a: &str, b: Option<&str>, c: &str| vec![Some(a.to_owned()), b.map(str::to_owned), Some(c.to_owned())];
    assert_eq!(
        rows,
        [
            row("0", Some("none:///"), NOWHERE),
            row("1", Some("fake:///"), "mysql://copy"),
            row("2", Some("fake:///"), NOWHERE)
        ]
    );
    db.run(&["DROP TABLE cell_mappings"]).unwrap();
    assert_eq!(rewrite_cells(private, &db.schema, &mut of).unwrap(), 0);
}

#[test]
fn a_private_server_is_made_like_the_one_it_stands_for() {
    let db = shared_server().database("like").unwrap();
    let settings = settings_like(&db.admin_access()).unwrap();
    assert!(
        settings.contains(&"--character-set-server=utf8mb4".to_owned()),
        "{settings:?}"
    );
    assert!(
        settings.iter().any(|option| option.starts_with("--sql-mode=")),
        "{settings:?}"
    );
}
