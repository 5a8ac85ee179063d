//! The server dies in the middle, or takes no writes any more. Each test has a server of its own to hurt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ffu_db::checkpoint::{self, DumpKey, Means, Target};
use ffu_db::testing::TestServer;
use ffu_db::{DbError, Options, Server};
use ffu_model::DatabaseKey;

use crate::scratch;

const ROWS: &str = "INSERT INTO big (txt) SELECT REPEAT(MD5(RAND(seq)), 20) FROM seq_1_to_60000";

/// Kills the server as soon as the program on it is at work.
fn kill_when_busy(server: &TestServer, schema: &str, word: &str, done: &AtomicBool) {
    let admin = server.admin().unwrap();
    let mut other = ffu_db::PrivateServer::open_existing(server.private().dir()).unwrap();
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{word}%' AND ID <> CONNECTION_ID()"
    );
    while !done.load(Ordering::SeqCst) {
        if admin
            .query_count(schema, &sql, Duration::from_secs(5))
            .is_ok_and(|count| count > 0)
        {
            other.kill().unwrap();
            return;
        }
    }
}

#[test]
fn kill_minus_nine_while_dumping_and_while_restoring() {
    let mut server = TestServer::start().unwrap();
    let db = server.database("big").unwrap();
    db.run(&[
        "CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, txt TEXT)",
        ROWS,
        "CREATE TABLE small (id INT AUTO_INCREMENT PRIMARY KEY, big INT, FOREIGN KEY (big) REFERENCES big (id))",
        "INSERT INTO small (big) VALUES (1), (2)",
    ])
    .unwrap();
    let before = server.admin().unwrap().fingerprint(&db.schema).unwrap().unwrap();
    let (_guard, root) = scratch();
    let dir = root.join("c");
    let key = DumpKey::generate(&root.join("key")).unwrap();
    let means = Means {
        key: Some(&key),
        own_file: 1,
        ..Means::default()
    };
    let targets = [Target {
        key: DatabaseKey::new("nova", "api"),
        access: db.admin_access(),
    }];

    let killed = |server: &TestServer, word: &str, work: &(dyn Fn() -> Result<(), DbError> + Sync)| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| kill_when_busy(server, "information_schema", word, &done));
            let result = work();
            done.store(true, Ordering::SeqCst);
            killer.join().unwrap();
            result
        })
    };
    let error = killed(&server, "SELECT /*!40001", &|| {
        checkpoint::make_with(&dir, &targets, &[], means, &Options::default()).map(|_| ())
    })
    .unwrap_err();
    assert!(error.is_connection_loss(), "{error}");
    assert!(matches!(checkpoint::load(&dir), Err(DbError::BadCheckpoint { .. })));
    server.private_mut().start().unwrap();
    // Files of tables that were whole by then are made again with the others.
    let made = checkpoint::make_with(&dir, &targets, &[], means, &Options::default()).unwrap();
    let pieces = &made.databases[0].saved.as_ref().unwrap().pieces;
    let files = std::fs::read_dir(&dir).unwrap().flatten();
    let dumps = files.filter(|entry| entry.file_name().to_string_lossy().contains(".sql.zst"));
    assert_eq!((pieces.len(), dumps.count()), (3, 3));

    let error = killed(&server, "INSERT INTO", &|| {
        checkpoint::restore_with(&dir, means, &Options::default()).map(|_| ())
    })
    .unwrap_err();
    assert!(error.is_connection_loss(), "{error}");
    server.private_mut().start().unwrap();
    let half = server.admin().unwrap().fingerprint(&db.schema).unwrap();
    assert_ne!(half.map(|f| f.digest), Some(before.digest.clone()));
    checkpoint::restore_with(&dir, means, &Options::default()).unwrap();
    assert_eq!(server.admin().unwrap().fingerprint(&db.schema).unwrap(), Some(before));

    // Read-only, seen by an account that cannot get around it.
    let admin = server.admin().unwrap();
    admin.execute(None, "SET GLOBAL read_only = 1").unwrap();
    let service = Server::connect(&db.url).unwrap();
    assert!(matches!(
        service.require_writable(&db.schema),
        Err(DbError::ReadOnly { .. })
    ));
    let error = service.execute(Some(&db.schema), "DELETE FROM big").unwrap_err();
    assert!(matches!(error, DbError::ReadOnly { .. }), "{error}");
    admin.execute(None, "SET GLOBAL read_only = 0").unwrap();
    server.private_mut().stop().unwrap();
    assert!(service.require_writable(&db.schema).unwrap_err().is_connection_loss());
}
