//! A run whose data plane is measured: real guests in network namespaces (this needs root), a fault that holds it, a watch that is
//! killed, a way back.

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Lab, Ran, text};
use serde_json::Value;

/// Waits until something is so.
fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "{what} did not come to pass");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ended(mut child: Child) -> i32 {
    let mut code = None;
    until("the end of ffu run", Duration::from_secs(300), || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    code.unwrap().code().unwrap()
}

fn events(lab: &Lab, kind: &str) -> Vec<Value> {
    let journal = lab.scratch.journal();
    let events = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == kind).collect()
}

fn state(lab: &Lab) -> Option<Value> {
    let path = lab.scratch.run_directory()?.join("watch/state.json");
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn fault(lab: &Lab, arguments: &[&str]) -> Ran {
    lab.scratch
        .ffu(&[&["--json", "lab", "fault", "--dir", text(&lab.dir())], arguments].concat())
        .exits(0)
}

#[test]
fn a_run_is_held_by_an_outage_and_goes_on_when_it_is_acknowledged() {
    let lab = Lab::up_with("2024.1", 8, &["--dataplane", "3"]);
    let targets = lab.dir().join("targets.toml");
    let guest = std::fs::read_to_string(&targets).unwrap();
    let guest = guest.lines().find_map(|line| line.strip_prefix("guest = \"")).unwrap();
    let guest = guest.trim_end_matches('"').to_owned();
    let plan = lab.plan("2024.2");

    // A file that cannot be used is refused before there is a run.
    let bad = lab.scratch.path("bad.toml");
    std::fs::write(
        &bad,
        "[[targets]]\nname = \"x\"\naddress = \"10.0.0.1\"\nvantage = \"nowhere\"\n",
    )
    .unwrap();
    let refused = lab.scratch.ffu(&["run", text(&plan), "--yes", "--watch", text(&bad)]);
    refused.exits(3).says("nowhere");
    assert!(lab.scratch.run_directory().is_none());

    let mut child = lab
        .scratch
        .command(&["run", text(&plan), "--yes", "--watch", text(&targets)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    lab.scratch.wait_for_intent("checkpoint", &mut child);
    let truth = fault(&lab, &["link-down", &guest, "--for", "1500ms"]).json();
    until("a breach that holds the run", Duration::from_secs(60), || {
        !events(&lab, "held").is_empty()
    });
    let held = events(&lab, "held").remove(0);
    let detail = held["detail"].as_str().unwrap();
    assert!(
        detail.contains(&guest) && detail.contains("ffu watch acknowledge"),
        "{detail}"
    );
    assert!(detail.contains("running then: "), "{detail}");
    until("running steps to end", Duration::from_secs(60), || {
        let (begun, done) = (events(&lab, "intent").len(), events(&lab, "outcome").len());
        begun == done
    });
    let begun = events(&lab, "intent").len();
    lab.scratch
        .ffu(&["status"])
        .exits(0)
        .says("held: the data plane lost more");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(events(&lab, "intent").len(), begun, "nothing is begun while it is held");
    lab.scratch
        .ffu(&["watch", "acknowledge"])
        .exits(0)
        .says("the run goes on");
    assert_eq!(ended(child), 0);
    assert_eq!(events(&lab, "went-on").len(), 1);

    // Which step cost what, and when the guest was away, to the probe interval.
    let report = lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    let seen = &report["data_plane"];
    assert_eq!(seen["totals"]["restarts"], 0, "{seen}");
    lab.scratch
        .ffu(&["report"])
        .exits(0)
        .says("data plane")
        .says("breach 1 of zero loss beyond noise, acknowledged");
    check_outage(&truth, seen, &guest);

    // Killed, it is started again: by the rollback, which is measured as well.
    let pid = state(&lab).unwrap()["pid"].as_u64().unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
    until("the watch to fall silent", Duration::from_secs(20), || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists()
    });
    std::thread::sleep(Duration::from_secs(6));
    lab.scratch.ffu(&["rollback", "--yes"]).exits(0).says("data plane: ");
    until("the watch to end with its run", Duration::from_secs(20), || {
        let run = lab.scratch.run_directory().unwrap();
        run.join("watch/report.html").exists()
    });
    let record = lab.scratch.run_directory().unwrap().join("watch");
    let replayed = lab
        .scratch
        .ffu(&["--json", "watch", "replay", text(&record)])
        .exits(0)
        .json();
    let seen = &replayed["figures"];
    let remarks = seen["remarks"].to_string();
    assert!(remarks.contains("the watch itself was gone"), "{remarks}");
    assert!(seen["steps"].to_string().contains("rollback.databases"));
    assert_eq!(seen["totals"]["restarts"], 0);
    check_outage(&truth, seen, &guest);
    let long = outages(seen, &guest)
        .into_iter()
        .find(|one| one["seconds"].as_f64().unwrap() > 4.0);
    assert_eq!(long, None, "no time without a watch is taken for loss");
}

fn outages<'a>(seen: &'a Value, guest: &str) -> Vec<&'a Value> {
    let targets = seen["targets"].as_array().unwrap().iter();
    let of_guest = targets.filter(|target| target["groups"]["guest"] == guest);
    of_guest
        .flat_map(|target| target["outages"].as_array().unwrap())
        .collect()
}

/// When the fault began and ended, nanoseconds of the wall clock: nobody sets the clock in a test.
fn times(truth: &Value) -> (i64, i64) {
    let boot = i64::try_from(ffu_watch::clock::now()).unwrap();
    let at = |which: &str| truth["injected"][which]["not_after"].as_i64().unwrap() + ffu_watch::clock::wall() - boot;
    (at("begin"), at("end"))
}

fn wall(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap()
}

/// Most of the link's time, begun with it: on a busy machine a guest may not answer in time before or after.
fn is_of(truth: &Value, outage: &Value) -> bool {
    let (begin, _) = times(truth);
    wall(&outage["began"]).abs_diff(begin) < 300_000_000 && outage["seconds"].as_f64().unwrap() > 1.0
}

/// Every probe of the guest was away when its link was, give or take an interval and what a switch takes to forward again.
fn check_outage(truth: &Value, seen: &Value, guest: &str) {
    let (_, end) = times(truth);
    let found: Vec<&Value> = outages(seen, guest)
        .into_iter()
        .filter(|one| is_of(truth, one))
        .collect();
    assert!(found.len() >= 3, "{found:?}");
    for outage in found {
        let to = wall(&outage["ended"]);
        assert!(to + 200_000_000 > end && to < end + 3_000_000_000, "{outage} {truth}");
    }
}
