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

/// What the watch would probe, out of the databases of this cloud file.
#[track_caller]
fn watched(lab: &Lab, cloud: &str) -> String {
    let cloud = lab.scratch.path(cloud);
    let vantage = "network=tenant-net:qdhcp-tenant";
    let made = lab
        .scratch
        .ffu(&["watch", "targets", "--cloud", text(&cloud), "--vantage", vantage]);
    made.exits(0).out
}

#[test]
fn rocky_to_train_extracts_placement_and_keeps_everything() {
    let lab = Lab::up("rocky", 6);
    let cloud = lab.discover("cloud.toml");
    assert!(cloud.contains("rocky"));
    lab.no_secret_in(&lab.scratch.path("cloud.toml"));
    let targets = watched(&lab, "cloud.toml");
    assert!(
        targets.contains("kind = \"gateway\"")
            && targets.contains("kind = \"instance\"")
            && targets.contains("type = \"instance\""),
        "{targets}"
    );
    let report = fast_forward(&lab, "train");
    assert_eq!(report["hops"].as_array().unwrap().len(), 2);
    lab.token();
    lab.no_secret_in_the_run();
    assert!(
        lab.dir().join("etc/placement/placement.conf").is_file(),
        "placement has a configuration of its own now"
    );
    // Pipelines are merged with upstream's; the lab's are upstream's own, so the target's come out.
    let etc = lab.dir().join("etc");
    let pipeline = |path: &str| std::fs::read_to_string(etc.join(path)).unwrap();
    assert_eq!(pipeline("nova/api-paste.ini"), upstream("train", "nova/api-paste.ini"));
    assert!(pipeline("nova/policy.json").contains("role:admin or role:auditor"));
    let now = lab.discover("after.toml");
    assert!(
        now.contains("project = \"placement\"") && !now.contains("series = \"rocky\""),
        "{now}"
    );
    assert_eq!(
        targets,
        watched(&lab, "after.toml"),
        "neutron's addresses are what they were"
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

/// A file as the packages of a series ship it.
fn upstream(series: &str, path: &str) -> String {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || std::path::PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"),
        std::path::PathBuf::from,
    );
    std::fs::read_to_string(cache.join("ffu/envs").join(series).join("etc").join(path)).unwrap()
}

#[test]
fn policy_and_pipelines_arrive_at_the_target_and_a_rollback_brings_the_old_ones_back() {
    let lab = Lab::up("victoria", 4);
    let etc = lab.dir().join("etc");
    let read = |path: &str| std::fs::read_to_string(etc.join(path)).unwrap();
    // What an operator adds to upstream's pipeline, and a policy directory.
    let own = "\n[filter:audit]\nuse = egg:oslo.middleware#debug\n";
    let paste = read("nova/api-paste.ini") + own;
    std::fs::write(etc.join("nova/api-paste.ini"), &paste).unwrap();
    std::fs::create_dir(etc.join("nova/policy.d")).unwrap();
    std::fs::write(
        etc.join("nova/policy.d/10-site.json"),
        "{\"os_compute_api:os-hypervisors\": \"role:admin or role:auditor\"}\n",
    )
    .unwrap();
    let before = lab.discover("before.toml");
    for path in [
        "nova/policy.json",
        "nova/policy.d/10-site.json",
        "nova/api-paste.ini",
        "keystone/policy.json",
    ] {
        assert!(before.contains(path), "{path} in {before}");
    }
    let report = fast_forward(&lab, "wallaby");
    assert!(report["failed"].is_null());

    // Wallaby looks for YAML; the old file lies there still, unread.
    for (path, holds) in [
        (
            "nova/policy.yaml",
            "\"os_compute_api:os-instance-actions:show\": \"role:admin or role:auditor\"",
        ),
        (
            "nova/policy.yaml",
            "\"os_compute_api:servers:create\": \"role:admin or role:builder\"",
        ),
        (
            "keystone/policy.yaml",
            "\"identity:list_regions\": \"role:admin or role:auditor\"",
        ),
        ("nova/policy.d/10-site.json", "os_compute_api:os-hypervisors:list"),
        ("nova/api-paste.ini", "[filter:audit]"),
        ("nova/policy.json", "os_compute_api:servers:create"),
    ] {
        assert!(read(path).contains(holds), "{path}:\n{}", read(path));
    }
    assert!(
        serde_json::from_str::<Value>(&read("nova/policy.yaml")).is_err(),
        "YAML, not JSON"
    );
    let run = lab.scratch.run_directory().unwrap();
    let told = std::fs::read_to_string(run.join("staged/findings.txt")).unwrap();
    assert!(told.contains("os_compute_api:os-hypervisors"), "{told}");

    lab.scratch
        .ffu(&["rollback", "--yes"])
        .exits(0)
        .says("databases (proven)");
    for gone in ["nova/policy.yaml", "keystone/policy.yaml"] {
        assert!(!etc.join(gone).exists(), "{gone} is of the target only");
    }
    assert_eq!(read("nova/api-paste.ini"), paste);
    lab.token();
    assert_eq!(before, lab.discover("after.toml"), "every file is as it was");
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

    lab.scratch
        .ffu(&["rollback", "--yes"])
        .exits(0)
        .says("databases (proven)");
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
