//! A rehearsal beside a living cloud: nothing of it is touched, whatever happens; and what is made of what was measured.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use common::{Lab, text};
use ffu_db::Server;

fn admin(lab: &Lab) -> Server {
    let file = Utf8PathBuf::from_path_buf(lab.dir().join("mariadb/client.cnf")).unwrap();
    Server::admin(&file).unwrap()
}

fn ask(lab: &Lab, sql: &str) -> Vec<Vec<Option<String>>> {
    admin(lab)
        .query_rows("information_schema", sql, Duration::from_secs(20))
        .unwrap()
}

/// Every row of every schema.
fn fingerprints(lab: &Lab) -> BTreeMap<String, String> {
    let own = "SELECT SCHEMA_NAME FROM SCHEMATA WHERE SCHEMA_NAME NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')";
    let schemas = ask(lab, own).into_iter().flatten().flatten();
    schemas
        .map(|schema| {
            let digest = admin(lab).fingerprint(&schema).unwrap().unwrap().digest;
            (schema, digest)
        })
        .collect()
}

/// How many statements that write the cloud's server has done since it was started.
fn written(lab: &Lab) -> Vec<Vec<Option<String>>> {
    ask(
        lab,
        "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM GLOBAL_STATUS WHERE VARIABLE_NAME IN ('COM_INSERT', 'COM_INSERT_SELECT', 'COM_UPDATE', \
         'COM_UPDATE_MULTI', 'COM_DELETE', 'COM_DELETE_MULTI', 'COM_REPLACE', 'COM_CREATE_TABLE', 'COM_ALTER_TABLE', 'COM_DROP_TABLE', \
         'COM_TRUNCATE', 'COM_CREATE_DB', 'COM_DROP_DB', 'COM_CREATE_USER', 'COM_GRANT', 'COM_LOCK_TABLES', 'COM_CREATE_INDEX', 'COM_DROP_INDEX') \
         ORDER BY VARIABLE_NAME",
    )
}

fn rehearsals(lab: &Lab) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(lab.scratch.path("state/ffu/rehearsals")) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found)
        } else {
            found.push(path)
        }
    }
}

/// Starts a rehearsal and waits until its private server is up.
fn copying(lab: &Lab, plan: &Path) -> (std::process::Child, PathBuf, u32) {
    let before = rehearsals(lab);
    // Slowly: there has to be a middle.
    let mut child = lab.scratch.start(&["rehearse", text(plan), "--limit", "1"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "no server was started"
        );
        let new = rehearsals(lab).into_iter().find(|path| !before.contains(path));
        let copied = new.filter(|path| path.join("db/data/keystone").is_dir());
        if let Some(path) = copied {
            let pid = std::fs::read_to_string(path.join("db/pid"))
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            return (child, path, pid);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(pid: u32, name: &str) {
    assert!(
        Command::new("kill")
            .args([name, &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[track_caller]
fn is_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline, "the private server outlived its rehearsal");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_cloud_is_rehearsed_beside_itself_and_then_upgraded_as_it_was_measured() {
    let lab = Lab::up("2024.1", 4);
    let plan = lab.plan("2024.2");
    let (before, counted) = (fingerprints(&lab), written(&lab));
    assert!(before.len() >= 9, "{before:?}");

    killed_and_stopped_it_leaves_no_server(&lab, &plan);
    assert_eq!((fingerprints(&lab), written(&lab)), (before.clone(), counted.clone()));

    // The cloud answers through all of it.
    let over = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while !over.load(Ordering::SeqCst) {
                lab.token();
                answers += 1;
                std::thread::sleep(Duration::from_millis(300));
            }
            answers
        });
        let ran = lab.scratch.ffu(&["rehearse", text(&plan), "--limit", "0"]);
        over.store(true, Ordering::SeqCst);
        ran.exits(0)
            .says("complete")
            .says("not rehearsed:")
            .says("58 invariants equal");
        asking.join().unwrap()
    });
    assert!(answers > 2, "asked {answers} times only");
    assert_eq!(fingerprints(&lab), before, "every row of the cloud is what it was");
    assert_eq!(written(&lab), counted, "and nobody even tried");
    let directory = rehearsals(&lab).pop().unwrap();
    assert!(!directory.join("db").exists() && !directory.join("private").exists());
    let mut files = vec![lab.scratch.path("rehearsal.json")];
    files_below(&directory, &mut files);
    assert!(files.iter().any(|file| text(file).ends_with(".out")), "{files:?}");
    for file in &files {
        lab.no_secret_in(file);
    }
    let rehearsal: serde_json::Value =
        serde_json::from_slice(&std::fs::read(lab.scratch.path("rehearsal.json")).unwrap()).unwrap();
    assert_eq!(
        (&rehearsal["format"], &rehearsal["outcome"]),
        (&1.into(), &"complete".into())
    );
    assert_eq!(rehearsal["copy"]["snapshots"], 1);
    for step in rehearsal["steps"].as_array().unwrap() {
        assert!(
            step["detail"]
                .as_str()
                .is_some_and(|detail| !detail.contains("--config-dir")),
            "{step}"
        );
    }

    a_failing_gate_is_reported(&lab);
    assert_eq!(fingerprints(&lab), before);

    // What was measured becomes the plan's estimates; of another path it is refused.
    let cloud = lab.scratch.path("cloud.toml");
    let file = lab.scratch.path("rehearsal.json");
    let plan_to = |to: &str, output: &str| {
        lab.scratch.ffu(&[
            "plan",
            "--cloud",
            text(&cloud),
            "--to",
            to,
            "--from-rehearsal",
            text(&file),
            "-o",
            text(&lab.scratch.path(output)),
        ])
    };
    plan_to("2025.1", "far.json")
        .exits(4)
        .says("the rehearsal is of something else");
    plan_to("2024.2", "measured.json")
        .exits(0)
        .says("% of its work) by the rehearsal of");
    let measured = lab.scratch.path("measured.json");
    lab.scratch.ffu(&["lint", text(&measured)]).exits(0);

    lab.scratch.ffu(&["run", text(&measured), "--yes"]).exits(0);
    let report = lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    let comparison = &report["comparison"];
    assert!(
        comparison["basis"].as_str().unwrap().starts_with("a rehearsal of"),
        "{comparison}"
    );
    let hops = comparison["phases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["phase"] == "hops")
        .unwrap();
    let measured_ms: u64 = rehearsal["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["id"].as_str().unwrap().starts_with("hops."))
        .map(|step| step["ms"].as_u64().unwrap())
        .sum();
    assert_eq!(
        hops["estimate_ms"], measured_ms,
        "what was expected is what was measured"
    );
    assert!(hops["actual_ms"].as_u64().unwrap() > 0);
    lab.token();
}

/// While the copy is made: after kill -9 a shell ends the server, after Ctrl-C `ffu` itself.
fn killed_and_stopped_it_leaves_no_server(lab: &Lab, plan: &Path) {
    let (mut child, path, server) = copying(lab, plan);
    signal(child.id(), "-9");
    child.wait().unwrap();
    is_gone(server);
    let left = std::fs::read_to_string(path.join("LEFT")).unwrap();
    assert!(left.contains("ffu rehearse --clean"), "{left}");
    lab.scratch.ffu(&["rehearse", "--clean"]).exits(0).says("cleaned");
    assert!(!path.join("db").exists() && !path.join("LEFT").exists());
    lab.scratch
        .ffu(&["rehearse", "--clean"])
        .exits(0)
        .says("nothing was left");

    let (mut child, path, server) = copying(lab, plan);
    signal(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    is_gone(server);
    assert!(!path.join("db").exists() && !path.join("private").exists());
}

/// A kept copy is gone after the test, also on panic.
struct Cleaned<'a>(&'a Lab);

impl Drop for Cleaned<'_> {
    fn drop(&mut self) {
        self.0.scratch.ffu(&["rehearse", "--clean"]);
    }
}

fn a_failing_gate_is_reported(lab: &Lab) {
    let (own, plan, output) = (
        lab.scratch.path("own"),
        lab.scratch.path("gated.json"),
        lab.scratch.path("failed.json"),
    );
    std::fs::create_dir_all(own.join("gates")).unwrap();
    let gate = "[[gate]]\nid = \"site-projects\"\nproject = \"keystone\"\ndatabase = \"main\"\nentering = \"2024.2\"\nin_prepare = true\n\
        query = \"SELECT COUNT(*) FROM project\"\nseverity = \"blocker\"\nmessage = \"there are projects\"\nremedy = \"have none\"\nsource = \"this test\"\n";
    std::fs::write(own.join("gates/site.toml"), gate).unwrap();
    let cloud = lab.scratch.path("cloud.toml");
    let ffu = |arguments: &[&str]| lab.scratch.ffu(&[&["--catalog", text(&own)], arguments].concat());
    ffu(&["plan", "--cloud", text(&cloud), "--to", "2024.2", "-o", text(&plan)]).exits(0);
    let cleaned = Cleaned(lab);
    ffu(&[
        "rehearse",
        text(&plan),
        "--limit",
        "0",
        "--keep",
        "--cold",
        "-o",
        text(&output),
    ])
    .exits(5)
    .says("FAILED")
    .says("gate site-projects")
    .says("have none")
    .says("`ffu rehearse` again");
    let failed: serde_json::Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    assert_eq!(failed["outcome"], "failed");
    // What was kept can be looked into, and is removed on request.
    let path = rehearsals(lab).pop().unwrap();
    let kept = Utf8PathBuf::from_path_buf(path.join("db/client.cnf")).unwrap();
    let copy = Server::admin(&kept).unwrap();
    let rows = |sql: &str| copy.query_rows("nova_api", sql, Duration::from_secs(5)).unwrap();
    let server = Utf8PathBuf::from_path_buf(path.join("db")).unwrap();
    let port = ffu_db::PrivateServer::open_existing(&server).unwrap().port();
    let cells = rows("SELECT database_connection FROM cell_mappings");
    assert_eq!(cells.len(), 2);
    for cell in cells.into_iter().flatten().flatten() {
        assert!(cell.contains(&format!("@127.0.0.1:{port}/nova")), "a cell leads out");
    }
    drop(cleaned);
    assert!(!path.join("db").exists());
    assert!(Server::admin(&kept).is_err(), "its server is gone, too");
}
