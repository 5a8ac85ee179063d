//! Whole fast-forwards of real clouds: real packages, a real MariaDB, real services.

mod common;

use common::{Lab, text};
use serde_json::Value;

/// Runs a plan to its end, and checks what the report says.
#[track_caller]
fn fast_forward(lab: &Lab, to: &str) -> Value {
    let plan = lab.plan(to);
    lab.scratch.ffu(&["run", text(&plan), "--yes"]).exits(0);
    let report = lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    assert_eq!(report["state"], "awaiting-acceptance", "{report}");
    assert_eq!(report["failed"], Value::Null, "{report}");
    let invariants = report["invariants"].as_array().unwrap();
    assert!(invariants.len() > 20, "{report}");
    for row in invariants {
        assert_eq!(row["equal"], true, "{row}");
    }
    let instances = invariants.iter().find(|row| row["id"] == "nova.instances").unwrap();
    assert!(
        instances["before"].as_u64().unwrap() > 0,
        "an empty cloud proves nothing"
    );
    report
}

#[test]
fn rocky_to_train_extracts_placement_and_keeps_everything() {
    let lab = Lab::up("rocky", 6);
    let cloud = lab.discover("cloud.toml");
    assert!(cloud.contains("rocky"));
    lab.no_secret_in(&lab.scratch.path("cloud.toml"));
    let report = fast_forward(&lab, "train");
    assert_eq!(report["hops"].as_array().unwrap().len(), 2);
    lab.token();
    lab.no_secret_in_the_run();
    assert!(
        lab.dir().join("etc/placement/placement.conf").is_file(),
        "placement has a configuration of its own now"
    );
    let now = lab.discover("after.toml");
    assert!(
        now.contains("project = \"placement\"") && !now.contains("series = \"rocky\""),
        "{now}"
    );

    lab.scratch.ffu(&["accept", "--yes"]).exits(0);
    let run = lab.scratch.run_directory().unwrap();
    let left = std::fs::read_dir(run.join("checkpoint"))
        .map(|d| d.count())
        .unwrap_or(0);
    assert_eq!(left, 0, "the checkpoint is deleted once it is accepted");
    lab.scratch
        .ffu(&["rollback", "--yes"])
        .exits(4)
        .says("point of no return");
}

#[test]
fn caracal_to_epoxy_and_back_again() {
    let lab = Lab::up("2024.1", 6);
    let before = lab.discover("before.toml");
    let first = lab.plan("2025.1");
    let bytes = std::fs::read(&first).unwrap();
    assert_eq!(
        bytes,
        std::fs::read(lab.plan("2025.1")).unwrap(),
        "the same cloud gives the same plan"
    );

    let report = fast_forward(&lab, "2025.1");
    assert!(report["window_ms"].as_u64().unwrap() > 0);
    lab.token();
    lab.no_secret_in_the_run();
    // Agents are the data plane: the very same processes, all through.
    let status = lab
        .scratch
        .ffu(&["--json", "lab", "status", "--dir", text(&lab.dir())])
        .exits(0)
        .json();
    assert!(status.to_string().contains("mock-"), "{status}");

    // A second run would undo the first.
    lab.scratch
        .ffu(&["run", text(&first), "--yes"])
        .exits(4)
        .says("ffu rollback");

    lab.scratch.ffu(&["rollback", "--yes"]).exits(0).says("fingerprint");
    lab.token();
    assert_eq!(
        before,
        lab.discover("after.toml"),
        "heads, configuration and services are as they were"
    );
    lab.scratch.ffu(&["rollback", "--yes"]).exits(4).says("nothing left");
    lab.scratch.ffu(&["status", "--all"]).exits(0).says("rolled back");

    // A changed cloud makes the plan stale.
    let conf = lab.dir().join("etc/nova/nova.conf");
    let mut changed = std::fs::read_to_string(&conf).unwrap();
    changed.push_str("\n# touched\n");
    std::fs::write(&conf, changed).unwrap();
    lab.scratch
        .ffu(&["run", text(&first), "--yes"])
        .exits(4)
        .says("nova.conf");
}
