use std::time::Duration;

use ffu_db::copy::{Created, copy_tables, create_database};
use ffu_db::testing::{TestDatabase, shared_server};
use ffu_db::{Access, DbError, Options, Server};

use crate::scratch;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn count(db: &TestDatabase, schema: &str, sql: &str) -> u64 {
    Server::admin(db.option_file())
        .unwrap()
        .query_count(schema, sql, Duration::from_secs(5))
        .unwrap()
}

/// The access of the source's account to a schema beside it.
fn beside(db: &TestDatabase, admin: bool) -> (Access, String) {
    let schema = format!("{}_new", db.schema);
    let admin = admin.then(|| db.option_file().to_owned());
    (
        Access {
            service: db.url.with_schema(&schema),
            admin,
        },
        schema,
    )
}

struct Dropped<'a>(&'a TestDatabase, String);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        let _ = Server::admin(self.0.option_file()).unwrap().drop_database(&self.1);
    }
}

#[test]
fn tables_move_with_keys_and_counters() {
    let db = shared_server().database("moves").unwrap();
    crate::checkpoint::seed(&db);
    let (to, schema) = beside(&db, true);
    let _dropped = Dropped(&db, schema.clone());
    let from = db.admin_access();
    let refused = create_database(
        &Access {
            admin: None,
            ..to.clone()
        },
        &db.schema,
    )
    .unwrap_err()
    .to_string();
    assert!(
        refused.contains("CREATE DATABASE") && refused.contains("GRANT ALL ON"),
        "{refused}"
    );
    assert_eq!(
        create_database(&to, &db.schema).unwrap(),
        Created {
            created: true,
            granted: true
        }
    );
    assert_eq!(
        create_database(&to, &db.schema).unwrap(),
        Created {
            created: false,
            granted: false
        }
    );
    to.server().unwrap().require_writable(&schema).unwrap();

    let (_guard, dir) = scratch();
    let tables = names(&["parent", "child", "not_there"]);
    let copy = |stamp| copy_tables(&from, &to, &tables, stamp, &dir, &Options::default());
    let copied = copy(Some("b4ed3a175331")).unwrap();
    assert_eq!(
        (copied.skipped.as_slice(), copied.already),
        (&names(&["not_there"])[..], false)
    );
    assert_eq!(copied.copied.values().sum::<u64>(), 5);
    let admin = Server::admin(db.option_file()).unwrap();
    assert_eq!(
        admin.heads(&schema).unwrap().unwrap()["alembic_version"],
        ["b4ed3a175331"]
    );
    let keys = format!(
        "SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = '{schema}' AND REFERENCED_TABLE_SCHEMA = '{schema}'"
    );
    assert_eq!(count(&db, &schema, &keys), 1);
    let counter = format!(
        "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{schema}' AND TABLE_NAME = 'child'"
    );
    assert_eq!(count(&db, &schema, &counter), 4);

    assert!(
        copy(Some("b4ed3a175331")).unwrap().already,
        "a complete copy is recognised"
    );
    assert!(matches!(copy(Some("another")), Err(DbError::NotEmpty { .. })));
    admin.execute(Some(&schema), "DELETE FROM child WHERE id = 1").unwrap();
    assert!(
        matches!(copy(Some("b4ed3a175331")), Err(DbError::NotEmpty { .. })),
        "nothing is overwritten"
    );
    // What an interrupted copy leaves behind.
    admin
        .execute(Some(&schema), "CREATE TABLE ffu_copy_in_progress (id INT PRIMARY KEY)")
        .unwrap();
    assert!(!copy(Some("b4ed3a175331")).unwrap().already);
    assert_eq!(count(&db, &schema, "SELECT COUNT(*) FROM child"), 3);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "no option file is left");
}

#[test]
fn a_copy_onto_itself_or_of_nothing_is_refused() {
    let db = shared_server().database("itself").unwrap();
    crate::checkpoint::seed(&db);
    let (_guard, dir) = scratch();
    let same = copy_tables(
        &db.access(),
        &db.access(),
        &names(&["parent"]),
        None,
        &dir,
        &Options::default(),
    );
    assert!(matches!(same, Err(DbError::NotEmpty { .. })));
    let other = shared_server().database("empty").unwrap();
    let nothing = copy_tables(
        &db.access(),
        &other.access(),
        &names(&["gone"]),
        None,
        &dir,
        &Options::default(),
    );
    assert!(matches!(nothing, Err(DbError::UnknownTable { .. })));
    // Two accounts that know nothing of each other's schema.
    let copied = copy_tables(
        &db.access(),
        &other.access(),
        &names(&["parent"]),
        None,
        &dir,
        &Options::default(),
    )
    .unwrap();
    assert_eq!(copied.copied["parent"], 2);
}
