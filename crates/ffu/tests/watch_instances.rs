//! Workloads from nova's database: a real MariaDB with nova's own tables, and the real program. Instances are probed at loopback
//! addresses, so that this needs neither root nor guests.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use common::{Lab, text};
use ffu_db::Server;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(10);

/// Waits until something is so.
fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn admin(lab: &Lab) -> Server {
    let file = Utf8PathBuf::from_path_buf(lab.dir().join("mariadb/client.cnf")).unwrap();
    Server::admin(&file).unwrap()
}

fn column(server: &Server, sql: &str) -> Vec<String> {
    let rows = server.query_rows("nova", sql, LIMIT).unwrap();
    rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
}

/// Instances that run.
fn running(server: &Server) -> Vec<String> {
    let sql = "SELECT uuid FROM instances WHERE deleted = 0 AND power_state = 1 AND vm_state = 'active' AND task_state IS NULL AND \
               host IS NOT NULL ORDER BY id LIMIT 6";
    let found = column(server, sql);
    assert_eq!(found.len(), 6);
    found
}

/// One target an instance: `i0`, `i1`, …
fn targets(lab: &Lab, uuids: &[String]) -> PathBuf {
    let mut toml = "timeout_ms = 500\n[budgets]\nbaseline_s = 2\n".to_owned();
    for (number, uuid) in uuids.iter().enumerate() {
        toml.push_str(&format!(
            "[[targets]]\nname = \"i{number}\"\naddress = \"127.7.0.{}\"\nworkload = {{ type = \"instance\", uuid = \"{uuid}\" }}\n",
            number + 1
        ));
    }
    let path = lab.scratch.path("instances.toml");
    std::fs::write(&path, toml).unwrap();
    path
}

/// Restarts by target.
fn restarts(figures: &Value) -> BTreeMap<String, u64> {
    let of = |target: &Value| {
        let count = target["totals"]["restarts"].as_u64().unwrap();
        (count > 0).then(|| (target["name"].as_str().unwrap().to_owned(), count))
    };
    figures["targets"].as_array().unwrap().iter().filter_map(of).collect()
}

fn change(server: &Server, uuid: &str, what: &str) {
    server
        .execute(
            Some("nova"),
            &format!("UPDATE instances SET {what} WHERE uuid = '{uuid}'"),
        )
        .unwrap();
}

fn ask_for(server: &Server, uuid: &str, action: &str, user: &str) {
    let sql = format!(
        "INSERT INTO instance_actions (action, instance_uuid, user_id, start_time, created_at, deleted) VALUES \
         ('{action}', '{uuid}', {user}, UTC_TIMESTAMP(), UTC_TIMESTAMP(), 0)"
    );
    server.execute(Some("nova"), &sql).unwrap();
}

fn changes(server: &Server, uuids: &[String]) {
    change(server, &uuids[0], "launched_at = UTC_TIMESTAMP()");
    change(server, &uuids[1], "power_state = 4, vm_state = 'stopped'");
    ask_for(server, &uuids[1], "stop", "NULL"); // as nova does itself when it finds a guest off
    change(
        server,
        &uuids[2],
        "host = 'elsewhere', node = 'elsewhere', launched_at = UTC_TIMESTAMP()",
    );
    change(
        server,
        &uuids[3],
        "deleted = id, vm_state = 'deleted', terminated_at = UTC_TIMESTAMP()",
    );
    change(server, &uuids[4], "power_state = 4, vm_state = 'stopped'");
    ask_for(server, &uuids[4], "stop", "'someone'");
}

fn check(figures: &Value) {
    let wanted: BTreeMap<String, u64> = (0..4).map(|number| (format!("i{number}"), 1)).collect();
    assert_eq!(restarts(figures), wanted, "{figures}");
    let remarks = figures["remarks"].to_string();
    for words in [
        "workload of i1: power-state running → shutdown",
        "workload of i2: host ",
        "workload of i3: instance there → gone",
        "workload of i4: power-state running → shutdown; no restart: a user asked nova for \\\"stop\\\"",
        "6 instances of nova are compared",
    ] {
        assert!(remarks.contains(words), "{words:?} not in {remarks}");
    }
    assert!(!remarks.contains("workload of i5"), "{remarks}");
    let budget = &figures["budgets"][0];
    assert_eq!(
        (&budget["state"], &budget["seen"]["restarts"]),
        (&"exceeded".into(), &4.into())
    );
    let says = figures["breaches"][0]["says"].as_str().unwrap();
    assert_eq!(says, "4 restarts of workloads, none is allowed");
}

#[test]
fn instances_that_change_by_themselves_are_told_by_a_watch_of_its_own() {
    let lab = Lab::up("2024.1", 12);
    lab.discover("cloud.toml");
    let (server, cloud) = (admin(&lab), lab.scratch.path("cloud.toml"));
    let uuids = running(&server);
    let (targets, record) = (targets(&lab, &uuids), lab.scratch.path("record"));
    let arguments = [
        "--json",
        "watch",
        "--plain",
        "--targets",
        text(&targets),
        "--cloud",
        text(&cloud),
        "--record",
        text(&record),
    ];
    let child = lab.scratch.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let seen = || std::fs::read_to_string(record.join("snapshot.json")).unwrap_or_default();
    until("a look at nova's databases", Duration::from_secs(60), || {
        seen().contains("have not been compared yet") && seen().contains("\"baseline\":{")
    });
    changes(&server, &uuids);
    lab.scratch.ffu(&["watch", "stop", "--record", text(&record)]).exits(0);
    let ended = common::Ran::of(&child.wait_with_output().unwrap()).exits(4);
    check(&ended.json()["figures"]);
    // The record gives the same restarts again, and holds no secret.
    let again = lab
        .scratch
        .ffu(&["--json", "watch", "replay", text(&record)])
        .exits(4)
        .json();
    assert_eq!(restarts(&again["figures"]), restarts(&ended.json()["figures"]));
    for file in std::fs::read_dir(&record).unwrap() {
        lab.no_secret_in(&file.unwrap().path());
    }
    // Without the cloud it says what is missing.
    let blind = [
        "watch",
        "--plain",
        "--targets",
        text(&targets),
        "--for",
        "1s",
        "--html",
        "blind.html",
    ];
    lab.scratch
        .ffu(&blind)
        .exits(0)
        .says("a watch by itself has them from --cloud FILE")
        .says("budget zero loss beyond noise (every target)");

    // Targets that are made from neutron's database name their instances.
    let ports = column(
        &server,
        "SELECT n.name FROM neutron.networks n JOIN neutron.ports p ON p.network_id = n.id WHERE p.device_owner \
                                 LIKE 'compute:%' GROUP BY n.name ORDER BY COUNT(*) DESC LIMIT 1",
    );
    let vantage = format!("network={}:nowhere", ports[0]);
    let made = lab.scratch.path("made.toml");
    let arguments = [
        "watch",
        "targets",
        "--cloud",
        text(&cloud),
        "-o",
        text(&made),
        "--vantage",
        &vantage,
    ];
    lab.scratch.ffu(&arguments).exits(0);
    let made = ffu_watch::targets::read(&Utf8PathBuf::from_path_buf(made).unwrap()).unwrap();
    let known = column(&server, "SELECT uuid FROM instances");
    let of_instances = made.targets.iter().filter(|target| target.groups["kind"] == "instance");
    let mut count = 0;
    for target in of_instances {
        count += 1;
        let Some(ffu_model::watch::Workload::Instance { uuid }) = &target.workload else {
            panic!("{target:?}")
        };
        assert!(known.contains(uuid), "{target:?}");
    }
    assert!(count > 0);
}

#[test]
fn a_run_asks_before_the_freeze_and_after_the_hops_and_never_between() {
    let lab = Lab::up("2024.1", 12);
    let plan = lab.plan("2024.2");
    let server = admin(&lab);
    let uuids = running(&server);
    let targets = targets(&lab, &uuids);
    server.execute(None, "SET GLOBAL log_output = 'TABLE'").unwrap();
    server.execute(None, "SET GLOBAL general_log = ON").unwrap();
    lab.scratch
        .ffu(&["run", text(&plan), "--yes", "--watch", text(&targets)])
        .exits(0);
    let asked = "SELECT UNIX_TIMESTAMP(event_time) FROM mysql.general_log WHERE command_type IN ('Query', 'Prepare', 'Execute') AND \
                 argument LIKE 'SELECT i.uuid, i.deleted%'";
    let last_hop = journal(&lab, "outcome", "hops.");
    until("a look after the hops", Duration::from_secs(60), || {
        times(&server, asked).iter().any(|at| *at > last_hop)
    });
    let freeze = journal(&lab, "intent", "freeze.");
    let asked = times(&server, asked);
    assert!(asked.iter().any(|at| *at < freeze), "{asked:?} {freeze}");
    // One that was asked just before the freeze may be answered in its first moment.
    let between: Vec<&f64> = asked
        .iter()
        .filter(|at| **at > freeze + 1.0 && **at < last_hop)
        .collect();
    assert!(between.is_empty(), "{between:?} between {freeze} and {last_hop}");
    // Instances change while the run waits to be accepted: it is held before it goes on.
    changes(&server, &uuids);
    let state = || {
        let path = lab.scratch.run_directory().unwrap().join("watch/state.json");
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()
    };
    until("a breach", Duration::from_secs(60), || {
        state()["breaches"][0]["says"]
            .as_str()
            .is_some_and(|says| says.starts_with("4 restarts"))
    });
    assert_eq!(state()["verdict"], "hold");
    lab.scratch.ffu(&["watch", "acknowledge"]).exits(0);
    // The report has what the watch wrote last, every two seconds.
    let report = || lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    until("an acknowledged breach in the report", Duration::from_secs(10), || {
        report()["data_plane"]["breaches"][0]["acknowledged"] == true
    });
    let report = report();
    let wanted: BTreeMap<String, u64> = (0..4).map(|number| (format!("i{number}"), 1)).collect();
    assert_eq!(restarts(&report["data_plane"]), wanted);
    lab.scratch
        .ffu(&["report"])
        .exits(0)
        .says("budget zero loss beyond noise (every target) exceeded")
        .says("4 restarts of workloads, none is allowed");
    lab.scratch.ffu(&["rollback", "--yes"]).exits(0);
    let record = lab.scratch.run_directory().unwrap().join("watch");
    until("the watch to end with its run", Duration::from_secs(60), || {
        record.join("report.html").exists()
    });
    for file in std::fs::read_dir(&record).unwrap() {
        lab.no_secret_in(&file.unwrap().path());
    }
}

fn times(server: &Server, sql: &str) -> Vec<f64> {
    let rows = server.query_rows("mysql", sql, LIMIT).unwrap();
    rows.iter().flatten().flatten().map(|at| at.parse().unwrap()).collect()
}

/// The first intent, or the last outcome, of steps whose id begins so: seconds since 1970.
fn journal(lab: &Lab, event: &str, prefix: &str) -> f64 {
    let journal = lab.scratch.journal();
    let events = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of =
        events.filter(|one| one["event"] == event && one["step"].as_str().is_some_and(|step| step.starts_with(prefix)));
    let times: Vec<f64> = of
        .map(|one| {
            let at: jiff::Timestamp = one["at"].as_str().unwrap().parse().unwrap();
            at.as_nanosecond() as f64 / 1e9
        })
        .collect();
    let worst = if event == "intent" {
        times.iter().copied().reduce(f64::min)
    } else {
        times.iter().copied().reduce(f64::max)
    };
    worst.unwrap()
}
