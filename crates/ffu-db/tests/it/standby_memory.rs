//! What ends or outlives what a server knows of writes: restarts, a full cache, interruptions; and writers at random moments.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ffu_db::checkpoint::{self, standby};
use ffu_db::testing::{TestDatabase, TestServer};
use ffu_db::{DbError, Options};
use mysql::prelude::Queryable as _;

use crate::checkpoint::target;
use crate::scratch;
use crate::standby_evidence::{SETTLED, connection, finish, make, prepare, query, roomy, run, texts, written};

/// The server stamps a table with the time when the transaction *began*: the stamp of one that is committed late may be the
/// one that was seen before.
#[test]
fn a_transaction_that_was_open_all_the_time_is_seen() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("open").unwrap();
    make(&db, &["late", "early", "read_first", "other", "prepared", "detached"]);
    std::thread::sleep(Duration::from_secs(4));
    let (mut one, mut two, mut three) = (connection(&db), connection(&db), connection(&db));
    let clock = || {
        let now = texts(&admin, "SELECT CONCAT(UNIX_TIMESTAMP(), ' ', MICROSECOND(NOW(6)))");
        let (second, rest) = now[0].split_once(' ').unwrap();
        (second.parse::<i64>().unwrap(), rest.parse::<u32>().unwrap())
    };
    let xa = |name: &str, table: &str| {
        [
            format!("XA START '{name}'"),
            format!("UPDATE {table} SET v = -1 WHERE id = 1"),
            format!("XA END '{name}'"),
            format!("XA PREPARE '{name}'"),
        ]
    };
    // All of it within one second; a busy machine may need several.
    let stamped = loop {
        // Its clock for stamps lags behind by some milliseconds.
        while !(50_000..150_000).contains(&clock().1) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (second, _) = clock();
        run(&mut one, &["BEGIN", "UPDATE late SET v = -1 WHERE id = 1"]);
        run(&mut two, &["START TRANSACTION WITH CONSISTENT SNAPSHOT"]);
        run(&mut three, &xa("x", "prepared").each_ref().map(String::as_str));
        // Its client goes; the transaction does not.
        run(
            &mut connection(&db),
            &xa("y", "detached").each_ref().map(String::as_str),
        );
        for table in ["late", "early", "read_first", "prepared", "detached"] {
            db.run(&[&format!("UPDATE {table} SET v = -2 WHERE id = 2")]).unwrap();
        }
        if clock().0 == second {
            break Some(second);
        }
        run(&mut one, &["ROLLBACK"]);
        run(&mut two, &["ROLLBACK"]);
        run(&mut three, &["XA ROLLBACK 'x'"]);
        db.run(&["XA ROLLBACK 'y'"]).unwrap();
    };
    for table in ["late", "early", "read_first", "prepared", "detached"] {
        assert_eq!(written(&admin, &db, table), stamped, "{table}");
    }
    std::thread::sleep(SETTLED);
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    prepare(&dir, &targets);
    run(&mut one, &["COMMIT"]);
    run(&mut two, &["UPDATE read_first SET v = -1 WHERE id = 1", "COMMIT"]);
    run(&mut three, &["XA COMMIT 'x'"]);
    db.run(&["XA COMMIT 'y'"]).unwrap();
    assert_eq!(
        written(&admin, &db, "late"),
        stamped,
        "this server stamps as the rule assumes"
    );
    let reading = finish(&admin, &dir, &db, &targets);
    assert_eq!(
        reading.known.tables, 1,
        "only `other` is older than these transactions: {reading:?}"
    );

    // With nobody in the way, a further attempt knows them all.
    checkpoint::forget(&dir).unwrap();
    std::thread::sleep(SETTLED);
    prepare(&dir, &targets);
    assert_eq!(finish(&admin, &dir, &db, &targets).known.tables, 6);
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn a_restart_makes_all_tables_be_read_and_then_silence_counts() {
    // The smallest cache there is.
    let mut server = TestServer::start_with(&["--table-definition-cache=400"]).unwrap();
    let db = server.database("restart").unwrap();
    make(&db, &["a", "b", "c"]);
    std::thread::sleep(SETTLED);
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    prepare(&dir, &targets);
    db.run(&["UPDATE a SET v = 0"]).unwrap();
    server.private_mut().stop().unwrap();
    server.private_mut().start().unwrap();
    let admin = server.admin().unwrap();
    let reading = finish(&admin, &dir, &db, &targets);
    assert_eq!((reading.known.tables, reading.read.tables), (0, 3));
    checkpoint::drop_checkpoint(&dir).unwrap();
    // By now no table has a time: nothing that the server keeps of them can have been lost, until one is written.
    std::thread::sleep(SETTLED);
    prepare(&dir, &targets);
    assert_eq!(written(&admin, &db, "b"), None);
    db.run(&["UPDATE b SET v = 0"]).unwrap();
    assert_eq!(finish(&admin, &dir, &db, &targets).known.tables, 2);
    checkpoint::forget(&dir).unwrap();
    // Silence before a restart and silence after it are not the same.
    db.run(&["UPDATE c SET v = 0"]).unwrap();
    server.private_mut().stop().unwrap();
    server.private_mut().start().unwrap();
    assert_eq!(written(&admin, &db, "c"), None);
    assert_eq!(finish(&admin, &dir, &db, &targets).known.tables, 0);
    checkpoint::drop_checkpoint(&dir).unwrap();

    // Nor do they count if so many tables came and went that some may have left the cache.
    std::thread::sleep(SETTLED);
    prepare(&dir, &targets);
    assert_eq!(finish(&admin, &dir, &db, &targets).known.tables, 3);
    checkpoint::forget(&dir).unwrap();
    for _ in 0..400 {
        db.run(&["CREATE TABLE passing (id INT)", "DROP TABLE passing"])
            .unwrap();
    }
    let reading = finish(&admin, &dir, &db, &targets);
    assert_eq!((reading.known.tables, reading.forgotten.tables), (0, 3));
    checkpoint::drop_checkpoint(&dir).unwrap();
}

#[test]
fn what_left_the_servers_cache_is_read() {
    // The smallest cache there is, and more tables.
    let server = TestServer::start_with(&["--table-definition-cache=400", "--table-open-cache=10"]).unwrap();
    let admin = server.admin().unwrap();
    let (db, others) = (server.database("evicted").unwrap(), server.database("others").unwrap());
    make(&db, &["never", "earlier", "later"]);
    db.run(&[
        "CREATE TABLE parted (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (1000), PARTITION b VALUES LESS THAN (2000))",
        "INSERT INTO parted VALUES (1, 1), (1001, 1)",
    ])
    .unwrap();
    let creates: Vec<String> = (0..700)
        .map(|n| format!("CREATE TABLE o{n} (id INT PRIMARY KEY)"))
        .collect();
    others
        .run(&creates.iter().map(String::as_str).collect::<Vec<_>>())
        .unwrap();
    // Tables leave the cache when others are used; the server looks at that once a second, if it is idle.
    let evict = |table: &str| {
        let until = Instant::now() + Duration::from_secs(90);
        while written(&admin, &db, table).is_some() {
            assert!(Instant::now() < until, "{table} stays in the cache");
            let sql = format!(
                "SELECT COUNT(UPDATE_TIME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}'",
                others.schema
            );
            db.run(&["FLUSH TABLES"]).unwrap();
            query(&admin, &sql);
            std::thread::sleep(Duration::from_millis(1500));
        }
    };
    evict("never");
    db.run(&[
        "UPDATE earlier SET v = 0 WHERE id = 1",
        "UPDATE parted SET v = 0 WHERE id = 1001",
    ])
    .unwrap();
    std::thread::sleep(SETTLED);
    let (_guard, dir) = scratch();
    let targets = [target("api", db.admin_access())];
    prepare(&dir, &targets);
    db.run(&[
        "UPDATE never SET v = -1 WHERE id = 3",
        "UPDATE later SET v = -1 WHERE id = 3",
    ])
    .unwrap();
    evict("never");
    evict("later");
    let reading = finish(&admin, &dir, &db, &targets);
    // `earlier` may be known, if it stayed in the cache; the others had been forgotten, or might have been.
    assert!(
        reading.known.tables <= 1 && reading.forgotten.tables >= 3,
        "{reading:?}"
    );
    assert!(reading.cache_needed > 700, "{reading:?}");
    checkpoint::drop_checkpoint(&dir).unwrap();
}

/// A small generator: the seed says which run it was.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Writers at random moments: before, while and after the copy is made, with transactions of all lengths.
#[test]
fn whatever_is_written_whenever_the_copy_is_the_source() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("random").unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    make(&db, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
        | 1;
    let (mut known, mut read) = (0, 0);
    for _ in 0..3 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005) | 1;
        let (_guard, dir) = scratch();
        let targets = [target("api", db.admin_access())];
        let begun = Instant::now();
        // Transactions that begin now are open for longer than a time needs to be taken for settled.
        std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                let db = &db;
                scope.spawn(move || write_at_random(db, Chance(seed.rotate_left(writer as u32 * 7) | 1), begun));
            }
            std::thread::sleep(SETTLED);
            // Slow, so that writes fall into all of its parts.
            let options = Options::default();
            standby::prepare(&dir, &targets, Some(400 << 10), &options).unwrap();
        });
        let reading = finish(&admin, &dir, &db, &targets);
        known += reading.known.tables;
        read += reading.read.tables;
        checkpoint::drop_checkpoint(&dir).unwrap();
    }
    assert!(
        known > 0 && read > 0,
        "seed {seed}: {known} known, {read} read: one side was not tried"
    );
}

/// A few transactions, each on two tables of forty, beginning and ending at random.
fn write_at_random(db: &TestDatabase, mut chance: Chance, begun: Instant) {
    let mut conn = connection(db);
    // The freeze: by then all is committed.
    let end = begun + SETTLED + Duration::from_secs(7);
    let wait = |until: u64, chance: &mut Chance| {
        let pause = Duration::from_millis(chance.below(until));
        std::thread::sleep(pause.min(end.saturating_duration_since(Instant::now())));
    };
    wait(300, &mut chance);
    for _ in 0..5 {
        let (one, two, id) = (chance.below(40), chance.below(40), chance.below(100) + 1);
        run(
            &mut conn,
            &["BEGIN", &format!("UPDATE t{one} SET v = v + 1 WHERE id = {id}")],
        );
        wait(9000, &mut chance);
        // Another transaction stamps the same table meanwhile.
        let _ = db.run(&[
            "SET innodb_lock_wait_timeout = 1",
            &format!("UPDATE t{one} SET v = v + 1 WHERE id = {}", id % 100 + 1),
        ]);
        let _ = conn.query_drop(format!("DELETE FROM t{two} WHERE id = {id}"));
        let _ = conn.query_drop(format!(
            "REPLACE INTO t{two} VALUES ({id}, {}, 'x')",
            chance.below(1000)
        ));
        let end = if chance.below(4) == 0 { "ROLLBACK" } else { "COMMIT" };
        run(&mut conn, &[end]);
        wait(2000, &mut chance);
    }
}

/// The second look changes a copy that was whole. Should it end there, and the source be by then as it was before, the copy
/// must not be taken for what it was.
#[test]
fn a_second_look_that_was_stopped_leaves_nothing_false() {
    let server = roomy();
    let admin = server.admin().unwrap();
    let db = server.database("stopped").unwrap();
    make(&db, &["t"]);
    let targets = [target("api", db.admin_access())];
    let mut stops = 0;
    for n in 0.. {
        let (_guard, dir) = scratch();
        prepare(&dir, &targets);
        db.run(&["INSERT INTO t VALUES (500, 1, 'x')"]).unwrap();
        let asked = AtomicU32::new(0);
        let stop = || asked.fetch_add(1, Ordering::SeqCst) >= n;
        let options = Options {
            lanes: 1,
            stop: Some(&stop),
            ..Options::default()
        };
        let stopped = standby::prepare(&dir, &targets, None, &options);
        db.run(&["DELETE FROM t WHERE id = 500"]).unwrap();
        finish(&admin, &dir, &db, &targets);
        checkpoint::drop_checkpoint(&dir).unwrap();
        match stopped {
            Err(DbError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{n}: {other}"),
            Ok(_) => break,
        }
    }
    assert!(stops >= 6, "{stops}");
}
