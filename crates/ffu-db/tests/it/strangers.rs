//! Tables of somebody else are put aside with their rows, and survive the way back and all that is dropped after it.

use ffu_db::Options;
use ffu_db::checkpoint::{self, standby, strangers};
use ffu_db::testing::shared_server;

use crate::checkpoint::{fingerprint, target};
use crate::scratch;
use crate::standby::seed_small;

#[test]
fn tables_of_somebody_else_survive_the_way_back() {
    let db = shared_server().database("strangers").unwrap();
    seed_small(&db);
    let before = fingerprint(&db);
    for copied in [true, false] {
        let (_guard, dir) = scratch();
        let targets = [target("api", db.admin_access())];
        if copied {
            standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
        }
        checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
        db.run(&[
            "CREATE TABLE theirs (id INT PRIMARY KEY)",
            "INSERT INTO theirs VALUES (1), (2)",
        ])
        .unwrap();
        assert!(
            strangers::tables(&db.admin_access())
                .unwrap()
                .contains(&"theirs".to_owned())
        );
        let names = ["theirs".to_owned(), "gone again".to_owned()];
        let kept = strangers::set_aside(&dir, &db.admin_access(), &names).unwrap().unwrap();
        assert_eq!(kept.tables, ["theirs"]);
        // Again, as after a rollback that was killed: it is still said what is kept.
        assert_eq!(
            strangers::set_aside(&dir, &db.admin_access(), &names).unwrap(),
            Some(kept.clone())
        );
        checkpoint::restore_databases(&dir, &Options::default()).unwrap();
        checkpoint::drop_checkpoint(&dir).unwrap();
        assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0]);
        let admin = shared_server().admin().unwrap();
        let limit = std::time::Duration::from_secs(20);
        assert_eq!(
            admin
                .query_count(&kept.schema, "SELECT COUNT(*) FROM theirs", limit)
                .unwrap(),
            2
        );
        admin.drop_database(&kept.schema).unwrap();
        assert_eq!(strangers::set_aside(&dir, &db.admin_access(), &names).unwrap(), None);
    }
}

/// The server's times of the last write say nothing once its clock was set back: then rows are read.
#[test]
fn a_clock_that_was_set_back_hides_no_write() {
    let db = shared_server().database("clock_back").unwrap();
    db.run(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
        .unwrap();
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    let saved = manifest.databases[0].copied.as_ref().unwrap();
    let path = dir.join("checkpoint.json");
    let text = std::fs::read_to_string(&path).unwrap();
    // As if the checkpoint had been made before the clock went back by years.
    assert!(text.contains(&saved.proven_at));
    std::fs::write(&path, text.replace(&saved.proven_at, "2099-01-01 00:00:00")).unwrap();
    let admin = shared_server().admin().unwrap();
    admin
        .execute(None, &format!("DELETE FROM {}.t WHERE id = 1", saved.copy))
        .unwrap();
    db.run(&["DELETE FROM t"]).unwrap();
    let error = checkpoint::restore_databases(&dir, &Options::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("table t has"), "{error}");
    checkpoint::drop_copies(&dir).unwrap();
}
