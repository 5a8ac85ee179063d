//! The standby copy interrupted: after every statement, by a server that dies, by a disk that fills up.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ffu_db::checkpoint::{self, standby};
use ffu_db::testing::{TestServer, shared_server};
use ffu_db::{DbError, Options};
use ffu_model::plan::CheckpointProof;

use crate::checkpoint::{fingerprint, target};
use crate::scratch;
use crate::standby::{migrate, migrate_small, seed, seed_small};

/// Ends the work at its n-th question whether it may go on.
fn stopping_at<R>(n: u32, work: impl Fn(&Options) -> R) -> R {
    let asked = AtomicU32::new(0);
    let stop = || asked.fetch_add(1, Ordering::SeqCst) >= n;
    work(&Options {
        lanes: 1,
        stop: Some(&stop),
        ..Options::default()
    })
}

#[test]
fn the_way_back_goes_on_wherever_it_was_stopped() {
    let db = shared_server().database("standby_stops").unwrap();
    seed_small(&db);
    let before = fingerprint(&db);
    let (_guard, root) = scratch();
    let mut stops = 0;
    for n in 0.. {
        let dir = root.join(n.to_string());
        let targets = [target("api", db.admin_access())];
        standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
        checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
        migrate_small(&db);
        let stopped = stopping_at(n, |options| checkpoint::restore_databases(&dir, options));
        match stopped {
            Err(DbError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{n}: {other}"),
            Ok(_) => {
                checkpoint::drop_checkpoint(&dir).unwrap();
                break;
            }
        }
        checkpoint::restore_databases(&dir, &Options::default()).unwrap();
        assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0], "stopped at {n}");
        checkpoint::drop_checkpoint(&dir).unwrap();
    }
    assert!(stops >= 8, "{stops}");
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn a_rename_that_was_done_in_part_is_finished() {
    let db = shared_server().database("standby_half").unwrap();
    seed(&db);
    let before = fingerprint(&db);
    let admin = shared_server().admin().unwrap();
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    migrate(&db);
    let saved = manifest.databases[0].copied.as_ref().unwrap();
    db.run(&["DROP TRIGGER tr2", "DROP TRIGGER tr3"]).unwrap();
    // Several renames in one statement are not one: a server that dies has done the first ones.
    for sql in [
        format!("CREATE DATABASE {}", saved.gone),
        format!("RENAME TABLE {}.big TO {}.big", db.schema, saved.gone),
        format!("RENAME TABLE {}.parent TO {}.parent", db.schema, saved.gone),
        format!("RENAME TABLE {}.big TO {}.big", saved.copy, db.schema),
    ] {
        admin.execute(None, &sql).unwrap();
    }
    checkpoint::restore_databases(&dir, &Options::default()).unwrap();
    assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0]);
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn the_early_copy_goes_on_wherever_it_was_stopped() {
    let db = shared_server().database("standby_early").unwrap();
    seed(&db);
    let targets = [target("api", db.admin_access())];
    let before = fingerprint(&db);
    for n in [0, 5, 17] {
        let (_guard, dir) = scratch();
        let stopped = stopping_at(n, |options| standby::prepare(&dir, &targets, None, options));
        assert!(matches!(stopped, Err(DbError::Stopped { .. })), "{n}: {stopped:?}");
        db.run(&["UPDATE big SET txt = CONCAT(txt, 'x') WHERE id = 1"]).unwrap();
        let prepared = standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
        assert_eq!(prepared.databases[0].rows, before.rows());
        let now = fingerprint(&db);
        checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
        db.run(&["DELETE FROM big"]).unwrap();
        let full = checkpoint::restore_with(&dir, checkpoint::Thoroughness::Full.into(), &Options::default());
        full.unwrap();
        assert_eq!(fingerprint(&db), now);
        checkpoint::drop_checkpoint(&dir).unwrap();
    }
}

#[test]
fn what_an_interrupted_window_changed_in_a_copy_is_not_taken_for_the_early_copy() {
    let db = shared_server().database("standby_window").unwrap();
    db.run(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
        .unwrap();
    let before = fingerprint(&db);
    let targets = [target("api", db.admin_access())];
    let mut stops = 0;
    for n in 0.. {
        let (_guard, dir) = scratch();
        standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
        db.run(&["INSERT INTO t VALUES (3)"]).unwrap();
        let stopped = stopping_at(n, |options| checkpoint::make(&dir, &targets, &[], options));
        // The source is again as the early copy found it; the copy may not be.
        db.run(&["DELETE FROM t WHERE id = 3"]).unwrap();
        match stopped {
            Err(DbError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{n}: {other}"),
            // Whole, but of no use to anybody: it is made again, as after a proof that failed.
            Ok(_) => checkpoint::forget(&dir).unwrap(),
        }
        let whole = stopped.is_ok();
        checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
        db.run(&["DELETE FROM t"]).unwrap();
        checkpoint::restore_databases(&dir, &Options::default()).unwrap();
        assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0], "stopped at {n}");
        checkpoint::drop_checkpoint(&dir).unwrap();
        if whole {
            break;
        }
    }
    assert!(stops >= 4, "{stops}");
}

#[test]
fn a_copy_that_somebody_dropped_is_begun_anew() {
    let db = shared_server().database("standby_dropped").unwrap();
    seed_small(&db);
    let before = fingerprint(&db);
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    let prepared = standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    let admin = shared_server().admin().unwrap();
    admin.drop_database(&prepared.databases[0].copy).unwrap();
    standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    // A second look would take the copies for what they were: they are all that leads back.
    let error = standby::prepare(&dir, &targets, None, &Options::default()).unwrap_err();
    assert!(matches!(error, DbError::AlreadyWhole { .. }), "{error}");
    assert!(error.to_string().contains("`ffu rollback` goes back to it"), "{error}");
    migrate_small(&db);
    db.run(&["SET SESSION foreign_key_checks = 0", "DELETE FROM parent"])
        .unwrap();
    checkpoint::restore_databases(&dir, &Options::default()).unwrap();
    assert_eq!(before.diff(&fingerprint(&db)), [] as [&str; 0]);
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn a_database_whose_server_is_another_one_by_now_is_dumped_and_that_is_said() {
    let db = shared_server().database("standby_moved").unwrap();
    db.run(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
        .unwrap();
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    let state = dir.join("standby.json");
    let text = std::fs::read_to_string(&state).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["databases"][0]["identity"] = "another".into();
    std::fs::write(&state, json.to_string()).unwrap();
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    assert!(manifest.databases[0].saved.is_some() && manifest.databases[0].copied.is_none());
    let report = checkpoint::prove(&dir, CheckpointProof::Restore, &Options::default()).unwrap();
    let said: Vec<_> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(said, ["checkpoint-by-dump"]);
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn the_limit_is_kept() {
    let db = shared_server().database("standby_slow").unwrap();
    db.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY, txt TEXT)",
        "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 60) FROM seq_1_to_5000",
        "ANALYZE TABLE t",
    ])
    .unwrap();
    let (_guard, dir) = scratch();
    let begun = std::time::Instant::now();
    standby::prepare(
        &dir,
        &[target("api", db.admin_access())],
        Some(5 << 20),
        &Options::default(),
    )
    .unwrap();
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    checkpoint::drop_copies(&dir).unwrap();
}

/// Kills the server when a statement that begins so is running.
fn killed<R>(server: &TestServer, word: &str, work: impl FnOnce() -> R) -> R {
    let admin = server.admin().unwrap();
    let mut other = ffu_db::PrivateServer::open_existing(server.private().dir()).unwrap();
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{word}%' AND ID <> CONNECTION_ID()"
    );
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let busy = admin.query_count("information_schema", &sql, Duration::from_secs(5));
                if busy.is_ok_and(|count| count > 0) {
                    other.kill().unwrap();
                    break;
                }
            }
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        result
    })
}

#[test]
fn kill_minus_nine_while_copying_and_while_renaming() {
    let mut server = TestServer::start().unwrap();
    let db = server.database("big").unwrap();
    seed(&db);
    // Enough tables for the renames to take a while.
    for n in 0..60 {
        db.run(&[
            &format!("CREATE TABLE many_{n} (id INT PRIMARY KEY)"),
            &format!("INSERT INTO many_{n} VALUES ({n})"),
        ])
        .unwrap();
    }
    let digest = |server: &TestServer| server.admin().unwrap().fingerprint(&db.schema).unwrap().unwrap();
    let before = digest(&server);
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    let error = killed(&server, "INSERT INTO `ffu", || {
        standby::prepare(&dir, &targets, None, &Options::default()).map(|_| ())
    })
    .unwrap_err();
    assert!(error.is_connection_loss(), "{error}");
    server.private_mut().start().unwrap();
    assert_eq!(digest(&server), before);
    standby::prepare(&dir, &targets, None, &Options::default()).unwrap();
    checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    migrate(&db);
    let error = killed(&server, "RENAME TABLE", || {
        checkpoint::restore_databases(&dir, &Options::default()).map(|_| ())
    })
    .unwrap_err();
    assert!(error.is_connection_loss(), "{error}");
    server.private_mut().start().unwrap();
    checkpoint::restore_databases(&dir, &Options::default()).unwrap();
    assert_eq!(before.diff(&digest(&server)), [] as [&str; 0]);
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn a_server_without_room_keeps_its_databases_and_no_half_copy() {
    // Tables in files of a fixed size: the server is as full as on a full disk, and says the same.
    let server = TestServer::start_with(&[
        "--innodb-file-per-table=0",
        "--innodb-data-file-path=ibdata1:12M;ibdata2:36M",
    ])
    .unwrap();
    let db = server.database("full").unwrap();
    db.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY, txt TEXT)",
        "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 60) FROM seq_1_to_11000",
    ])
    .unwrap();
    let admin = server.admin().unwrap();
    let before = admin.fingerprint(&db.schema).unwrap().unwrap();
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    let error = standby::prepare(&dir, &targets, None, &Options::default()).unwrap_err();
    assert!(matches!(error, DbError::ServerFull { .. }), "{error}");
    assert!(error.to_string().contains("the databases are untouched"), "{error}");
    assert_eq!(admin.fingerprint(&db.schema).unwrap(), Some(before.clone()));
    assert!(standby::leftovers(&db.admin_access()).unwrap().is_empty());
    // The other method still works, and knows of no copy.
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    assert!(manifest.databases[0].saved.is_some());
}

#[test]
fn the_early_copy_waits_for_nobody_and_holds_nobody_up() {
    let db = shared_server().database("standby_busy").unwrap();
    db.run(&[
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, txt TEXT, KEY (n))",
        "INSERT INTO t SELECT seq, 0, REPEAT(MD5(seq), 60) FROM seq_1_to_20000",
    ])
    .unwrap();
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    let done = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        // A transaction that stays open for longer than the copy takes has changed every tenth row, and will not have.
        let holder = scope.spawn(|| {
            db.run(&[
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                "START TRANSACTION",
                "UPDATE t SET n = 9 WHERE id % 10 = 0",
                "DO SLEEP(12)",
                "ROLLBACK",
            ])
        });
        std::thread::sleep(Duration::from_millis(1500));
        // Others change rows all over the table, and give up when they have to wait for a second.
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !done.load(Ordering::SeqCst) {
                let id = (written * 7919) % 20_000 / 10 * 10 + 1;
                db.run(&[
                    "SET SESSION innodb_lock_wait_timeout = 1",
                    &format!("UPDATE t SET n = n + 1, txt = CONCAT('x', txt) WHERE id = {id}"),
                    &format!("DELETE FROM t WHERE id = {}", id + 2),
                    &format!("INSERT INTO t VALUES ({}, 5, 'new')", 20_001 + written),
                ])
                .unwrap();
                written += 1;
            }
            written
        });
        let begun = std::time::Instant::now();
        let prepared = standby::prepare(&dir, &targets, Some(8 << 20), &Options::default());
        let took = begun.elapsed();
        done.store(true, Ordering::SeqCst);
        prepared.unwrap();
        assert!(writer.join().unwrap() > 10);
        assert!(
            !holder.is_finished(),
            "the copy took too long to say anything: {took:?}"
        );
        holder.join().unwrap().unwrap();
        took
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
    let before = fingerprint(&db);
    let manifest = checkpoint::make(&dir, &targets, &[], &Options::default()).unwrap();
    assert!(manifest.databases[0].copied.as_ref().unwrap().late_rows > 0);
    db.run(&["DELETE FROM t"]).unwrap();
    checkpoint::restore_with(&dir, checkpoint::Thoroughness::Full.into(), &Options::default()).unwrap();
    assert_eq!(fingerprint(&db), before);
    checkpoint::drop_checkpoint(&dir).unwrap();
}
