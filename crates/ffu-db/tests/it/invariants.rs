use ffu_db::invariants::{Difference, compare, measure};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_db::{DbError, Server};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, uuid VARCHAR(36) CHARACTER SET latin1, at DATETIME, \
                     flag TINYINT(1), note TEXT, kind ENUM('a','b'), ratio FLOAT, raw VARBINARY(20)) DEFAULT CHARSET utf8";
const ROWS: &str = "INSERT INTO t VALUES (1, 'ü-1', '2026-01-02 03:04:05', 1, NULL, 'a', 1.5, x'00ff'), \
                    (2, 'x-2', NULL, 0, '', 'b', NULL, NULL), (3, 'x-3', '2020-02-29 00:00:00', NULL, 'long', NULL, 0.1, '')";

fn key() -> Vec<String> {
    vec!["uuid".to_owned()]
}

fn seeded(label: &str) -> (TestDatabase, Server) {
    let db = shared_server().database(label).unwrap();
    db.run(&[TABLE, ROWS]).unwrap();
    let server = Server::connect(&db.url).unwrap();
    (db, server)
}

#[test]
fn a_change_of_form_is_no_difference() {
    let (db, server) = seeded("form");
    let before = measure(&server, &db.schema, "t", "", &key()).unwrap();
    assert_eq!((before.rows, before.columns.len()), (3, 8));
    db.run(&[
        "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "ALTER TABLE t MODIFY at DATETIME(6), MODIFY flag INT, MODIFY note LONGTEXT, MODIFY kind VARCHAR(20), MODIFY id BIGINT, ADD COLUMN new INT",
    ])
    .unwrap();
    let after = measure(&server, &db.schema, "t", "", &key()).unwrap();
    assert_eq!(compare(&before, &after, &[]), []);
}

#[test]
fn a_change_of_content_is_one() {
    let (db, server) = seeded("content");
    let before = measure(&server, &db.schema, "t", "id < 3", &key()).unwrap();
    for (change, back, column) in [
        (
            "UPDATE t SET note = '' WHERE id = 1",
            "UPDATE t SET note = NULL WHERE id = 1",
            "note",
        ),
        (
            "UPDATE t SET at = '2026-01-02 03:04:06' WHERE id = 1",
            "UPDATE t SET at = '2026-01-02 03:04:05' WHERE id = 1",
            "at",
        ),
        (
            "UPDATE t SET flag = 1 - flag WHERE id < 3",
            "UPDATE t SET flag = 1 - flag WHERE id < 3",
            "flag",
        ),
    ] {
        db.run(&[change]).unwrap();
        let after = measure(&server, &db.schema, "t", "id < 3", &key()).unwrap();
        assert_eq!(
            compare(&before, &after, &[]),
            [Difference::Column {
                column: column.to_owned()
            }],
            "{change}"
        );
        assert_eq!(compare(&before, &after, &[column.to_owned()]), []);
        db.run(&[back]).unwrap();
    }
    db.run(&["DELETE FROM t WHERE id = 2"]).unwrap();
    let after = measure(&server, &db.schema, "t", "id < 3", &key()).unwrap();
    assert_eq!(
        compare(&before, &after, &[]),
        [Difference::Rows { before: 2, after: 1 }]
    );
    let all: Vec<String> = before.columns.keys().cloned().collect();
    assert_eq!(compare(&before, &before, &all), [Difference::NothingInCommon]);
}

#[test]
fn hostile_names_and_conditions_do_nothing() {
    let (db, server) = seeded("hostile");
    let with = |table: &str, filter: &str, key: &str| measure(&server, &db.schema, table, filter, &[key.to_owned()]);
    assert!(matches!(
        with("t` ; DROP TABLE t; -- ", "", "id"),
        Err(DbError::BadName { .. } | DbError::UnknownTable { .. })
    ));
    assert!(matches!(with("gone", "", "id"), Err(DbError::UnknownTable { .. })));
    assert!(matches!(
        with("t", "", "id`, SLEEP(9), `id"),
        Err(DbError::UnknownColumn { .. })
    ));
    for filter in [
        "1=1; DROP TABLE t",
        "1) UNION SELECT (1",
        "id = SLEEP(9)",
        "id IN (SELECT 1) INTO OUTFILE 'x'",
    ] {
        assert!(
            matches!(with("t", filter, "id"), Err(DbError::QueryRefused { .. })),
            "{filter}"
        );
    }
    assert!(matches!(
        measure(&server, "a\0b", "t", "", &[]),
        Err(DbError::BadName { .. })
    ));
    assert_eq!(with("t", "id > 0", "id").unwrap().rows, 3);
}
