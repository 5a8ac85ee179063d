//! A real Galera cluster of two nodes: what a peer has committed counts, also where the node that is asked lags behind, and a
//! checkpoint and its way back are the same on both.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ffu_db::checkpoint::{self, Means};
use ffu_db::invariants::{Wanted, Witness, measure, take};
use ffu_db::testing::{TestDatabase, TestServer, galera_node, two_free_ports};
use ffu_db::{ConnectionUrl, DbError, Options, Server};
use ffu_model::plan::CheckpointProof;

use crate::checkpoint::target;
use crate::scratch;
use crate::standby_evidence::{SETTLED, connect, finish, make, prepare, root, run, texts, written};

/// Arguments of a node whose dictionary cache has room for all tables.
fn node(own: u16, other: Option<u16>) -> Vec<String> {
    let mut options = galera_node(own, other);
    options.push("table-definition-cache=2000".to_owned());
    options.iter().map(|option| format!("--{option}")).collect()
}

/// Two nodes that end with the test.
struct Cluster {
    first: TestServer,
    second: Child,
    second_port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It has a copy of everything: no need to end it gently.
        let _ = self.second.kill();
        let _ = self.second.wait();
    }
}

impl Cluster {
    /// The second begins with a copy of the first one's files, so that nothing has to be transferred.
    fn start() -> Self {
        let (one, two) = (two_free_ports(), two_free_ports());
        let options = node(one, None);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut first = TestServer::start_with(&options).unwrap();
        let own = first.private().dir().to_owned();
        let pid = std::fs::read_to_string(own.join("pid")).unwrap();
        let command = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap();
        first.private_mut().stop().unwrap();
        let (dir, path) = scratch();
        let copied = Command::new("cp")
            .args(["-r", own.join("data").as_str(), path.join("data").as_str()])
            .status();
        assert!(copied.unwrap().success());
        std::fs::create_dir(path.join("tmp")).unwrap();
        // Where the test is root's, rsync's daemon, by which a node is told that it may begin, is nobody.
        for (dir, mode) in [(path.clone(), 0o755), (path.join("data"), 0o777)] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        first.private_mut().start().unwrap();

        let second_port = two_free_ports();
        let gone = ["--wsrep-", "--init-file=", "--port="];
        let mut arguments: Vec<String> = command
            .split('\0')
            .filter(|part| !part.is_empty() && gone.iter().all(|start| !part.starts_with(start)))
            .map(|part| part.replace(own.as_str(), path.as_str()))
            .collect();
        arguments.extend(node(two, Some(one)));
        arguments.push(format!("--port={second_port}"));
        arguments.push(format!("--wsrep-sst-receive-address=127.0.0.1:{}", two_free_ports()));
        let second = Command::new(&arguments[0])
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cluster = Cluster {
            first,
            second,
            second_port,
            _dir: dir,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let log = path.join("error.log");
        while cluster.status("wsrep_cluster_size") != "2"
            || !std::fs::read_to_string(&log).unwrap().contains("-> SYNCED")
        {
            let said = |path| std::fs::read_to_string(path).unwrap();
            assert!(
                Instant::now() < deadline,
                "{}\n{}",
                said(&own.join("error.log")),
                said(&log)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        cluster
    }

    fn status(&self, name: &str) -> String {
        let admin = self.first.admin().unwrap();
        texts(
            &admin,
            &format!("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '{name}'"),
        )
        .pop()
        .unwrap()
    }

    /// The URL of a database at the other node.
    fn on_second(&self, db: &TestDatabase) -> ConnectionUrl {
        let text = db.url.to_url().expose().to_owned();
        let moved = text.replace(&format!(":{}/", db.url.port()), &format!(":{}/", self.second_port));
        assert_ne!(text, moved);
        ConnectionUrl::parse(&moved).unwrap()
    }
}

#[test]
fn what_a_peer_has_committed_is_seen_by_a_node_that_lags() {
    let cluster = Cluster::start();
    let db = cluster.first.database("lag").unwrap();
    make(&db, &["t"]);
    let mut there = connect(&cluster.on_second(&db), &db.schema);
    let first = Server::connect(&db.url).unwrap();
    assert!(first.facts().cluster, "{:?}", first.facts());
    // The first applies nothing meanwhile.
    let mut lagging = root(&db);
    run(&mut lagging, &["FLUSH TABLES WITH READ LOCK"]);
    run(&mut there, &["UPDATE t SET v = -1 WHERE id = 7"]);
    let asked = std::thread::spawn({
        let (first, schema) = (first.clone(), db.schema.clone());
        move || first.query_count(&schema, "SELECT COUNT(*) FROM t WHERE v = -1", Duration::from_secs(20))
    });
    std::thread::sleep(Duration::from_millis(1500));
    run(&mut lagging, &["UNLOCK TABLES"]);
    assert_eq!(asked.join().unwrap().unwrap(), 1);

    // One that does not catch up is said to be that.
    run(
        &mut lagging,
        &[
            "SET GLOBAL wsrep_provider_options = 'repl.causal_read_timeout=PT1S'",
            "FLUSH TABLES WITH READ LOCK",
        ],
    );
    run(&mut there, &["UPDATE t SET v = -2 WHERE id = 8"]);
    let error = measure(&first, &db.schema, "t", "", &["id".to_owned()]).unwrap_err();
    assert!(matches!(error, DbError::Waited { .. }), "{error:?}");
    assert!(error.to_string().contains("wsrep_local_"), "{error}");
    run(&mut lagging, &["UNLOCK TABLES"]);
}

#[test]
fn writes_through_a_peer_are_seen_in_the_window_and_the_way_back_is_the_peers_too() {
    let cluster = Cluster::start();
    let admin = cluster.first.admin().unwrap();
    let db = cluster.first.database("peer").unwrap();
    make(&db, &["still", "here", "there", "open_there"]);
    let url = cluster.on_second(&db);
    let second = Server::connect(&url).unwrap();
    let (mut there, mut open) = (connect(&url, &db.schema), connect(&url, &db.schema));
    std::thread::sleep(SETTLED);

    let wanted: Vec<Wanted> = ["still", "here", "there", "open_there"]
        .map(|table| Wanted {
            id: table.to_owned(),
            server: admin.clone(),
            observer: admin.clone(),
            schema: db.schema.clone(),
            table: table.to_owned(),
            filter: String::new(),
            key: vec!["id".to_owned()],
        })
        .into();
    run(&mut open, &["BEGIN", "UPDATE open_there SET v = -1 WHERE id = 1"]);
    let measured = take(&wanted, &BTreeMap::new(), Witness::Kept, &Options::default()).unwrap();
    let (_guard, root) = scratch();
    let dir = root.join("checkpoint");
    let targets = [target("api", db.admin_access())];
    prepare(&dir, &targets);
    let before = written(&admin, &db, "there");
    db.run(&["UPDATE here SET v = -1 WHERE id = 1"]).unwrap();
    run(&mut there, &["UPDATE there SET v = -1 WHERE id = 1"]);
    run(&mut open, &["COMMIT"]);
    let again = take(&wanted, &measured.measures, Witness::Spared, &Options::default()).unwrap();
    let known: Vec<&str> = again.known.iter().map(String::as_str).collect();
    assert!(known.iter().all(|table| *table == "still"), "{known:?}");
    assert_ne!(written(&admin, &db, "there"), before);
    // Compares every table of the copy with its source.
    let reading = finish(&admin, &dir, &db, &targets);
    assert!(reading.known.tables <= 1, "{reading:?}");

    // A migration by way of the other node, and back.
    let key = ["id".to_owned()];
    let all = |server: &Server| {
        ["still", "here", "there", "open_there"].map(|table| measure(server, &db.schema, table, "", &key).unwrap())
    };
    let frozen = all(&admin);
    assert_eq!(frozen, all(&second));
    let migration = [
        "ALTER TABLE still ADD COLUMN more INT DEFAULT 1",
        "DELETE FROM here WHERE id > 50",
        "CREATE TABLE new (id INT PRIMARY KEY)",
    ];
    run(&mut there, &migration);
    checkpoint::restore_databases(&dir, &Options::default()).unwrap();
    assert_eq!(frozen, all(&admin));
    assert_eq!(frozen, all(&second));
    let tables = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}'",
        db.schema
    );
    assert_eq!(texts(&second, &tables), ["4"]);

    // By a dump, in one file: a table's rows and one that refers to it are not written at once here.
    db.run(&["CREATE TABLE leaf (id INT PRIMARY KEY, still INT, FOREIGN KEY (still) REFERENCES still (id))"])
        .unwrap();
    let (dumps, means) = (
        root.join("dumps"),
        Means {
            own_file: 1,
            ..Means::default()
        },
    );
    let saved = checkpoint::make_with(&dumps, &targets, &[], means, &Options::default()).unwrap();
    assert_eq!(saved.databases[0].saved.as_ref().unwrap().pieces.len(), 1);
    checkpoint::prove(&dumps, CheckpointProof::Restore, &Options::default()).unwrap();
    run(&mut there, &["DROP TABLE leaf", "DELETE FROM still WHERE id > 50"]);
    checkpoint::restore_databases(&dumps, &Options::default()).unwrap();
    assert_eq!(frozen, all(&admin));
    assert_eq!(frozen, all(&second));
    assert_eq!(texts(&second, &tables), ["5"]);
}
