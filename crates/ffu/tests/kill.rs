//! kill -9 of `ffu` in each phase and in a rollback, kill -9 of the database in mid-migration, a full disk, two operators.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Lab, text};

fn kill_nine(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn killed_in_every_phase_it_resumes_and_goes_back() {
    let lab = Lab::up("2024.1", 4);
    let before = lab.discover("before.toml");
    let plan = lab.plan("2024.2");
    let phases = [
        "prepare.",
        "freeze.",
        "checkpoint",
        "hops.2024.2.nova.",
        "hops.2024.2.cinder.db-sync",
        "deploy.",
    ];
    for (nth, phase) in phases.iter().enumerate() {
        let arguments: Vec<&str> = if nth == 0 {
            vec!["run", text(&plan), "--yes"]
        } else {
            vec!["resume"]
        };
        let mut child = lab.scratch.start(&arguments);
        lab.scratch.wait_for_intent(phase, &mut child);
        if *phase == "checkpoint" || phase.starts_with("hops.") {
            // In the middle, not at the very beginning.
            std::thread::sleep(Duration::from_millis(700));
        }
        // While it works, nobody else may; and anybody may look.
        if nth == 0 {
            lab.scratch
                .ffu(&["resume"])
                .exits(7)
                .says("another ffu works on this cloud");
            lab.scratch.ffu(&["status"]).exits(0).says("running");
        }
        kill_nine(child.id());
        child.wait().unwrap();
        lab.scratch.ffu(&["status"]).exits(0).says("died");
    }
    lab.scratch.ffu(&["resume"]).exits(0);
    let report = lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    for row in report["invariants"].as_array().unwrap() {
        assert_eq!(row["equal"], true, "{row}");
    }
    lab.token();

    // The rollback is killed, too, and simply started again.
    let mut child = lab.scratch.start(&["rollback", "--yes"]);
    lab.scratch.wait_for_intent("rollback.databases", &mut child);
    std::thread::sleep(Duration::from_millis(500));
    kill_nine(child.id());
    child.wait().unwrap();
    lab.scratch.ffu(&["rollback", "--yes"]).exits(0);
    lab.token();
    assert_eq!(before, lab.discover("after.toml"));
    lab.no_secret_in_the_run();
}

#[test]
fn the_database_dies_in_mid_migration_and_the_cloud_comes_back() {
    let lab = Lab::up("2024.1", 4);
    lab.lose_databases_quickly();
    let before = lab.discover("before.toml");
    let plan = lab.plan("2024.2");
    let mut child = lab.scratch.start(&["run", text(&plan), "--yes"]);
    lab.scratch.wait_for_intent("hops.2024.2.neutron.", &mut child);
    std::thread::sleep(Duration::from_millis(300));
    let pid = std::fs::read_to_string(lab.dir().join("mariadb/pid")).unwrap();
    kill_nine(pid.trim().parse().unwrap());
    let status = child.wait().unwrap();
    assert_eq!(
        status.code(),
        Some(5),
        "a run that loses its database stops:\n{}",
        lab.scratch.journal()
    );
    lab.scratch
        .ffu(&["status"])
        .exits(0)
        .says("failed")
        .says("ffu rollback");
    lab.scratch.ffu(&["resume"]).exits(5);

    lab.scratch.ffu(&["lab", "start", "--dir", text(&lab.dir())]).exits(0);
    lab.scratch.ffu(&["rollback", "--yes"]).exits(0);
    lab.token();
    assert_eq!(before, lab.discover("after.toml"));
}

#[test]
fn a_full_disk_at_the_checkpoint_loses_nothing() {
    let lab = Lab::up("2024.1", 4);
    let plan = lab.plan_with("2024.2", &["--checkpoint", "dump"]);
    let state = lab.scratch.path("small");
    std::fs::create_dir(&state).unwrap();
    // A state directory of 600 KiB: the journal fits, the dumps do not.
    let script = format!(
        "mount -t tmpfs -o size=600k none '{state}' && '{ffu}' --state-dir '{state}' run '{plan}' --yes; code=$?; \
         '{ffu}' --state-dir '{state}' status; '{ffu}' --state-dir '{state}' rollback --yes; echo rollback $?; exit $code",
        state = text(&state),
        ffu = env!("CARGO_BIN_EXE_ffu"),
        plan = text(&plan),
    );
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("space") && said.contains("rollback 0"), "{said}");
    lab.token();
}
