//! Invariants end to end: measured ahead of the freeze, read again where somebody wrote meanwhile, and what is lost on the way
//! stops the run at the target.

mod common;

use common::{Lab, Scratch, text};
use serde_json::Value;

/// Runs until a fault kills it.
fn killed(scratch: &Scratch, arguments: &[&str], fault: &str) {
    let output = scratch.command(arguments).env("FFU_FAULT", fault).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        None,
        "not killed at {fault}: {said}\n{}",
        scratch.journal()
    );
}

#[test]
fn what_is_lost_on_the_way_stops_the_run() {
    let lab = Lab::up("2024.1", 4);
    let sql = |statement: &str| lab.mariadb("mariadb", &["-N", "-e", statement]).trim().to_owned();
    let name = || sql("SELECT display_name FROM nova.instances WHERE deleted = 0 ORDER BY id LIMIT 1");
    let rename = |to: &str| {
        sql(&format!(
            "UPDATE nova.instances SET display_name = '{to}' WHERE deleted = 0 ORDER BY id LIMIT 1"
        ))
    };
    let plan = lab.plan("2024.2");
    killed(
        &lab.scratch,
        &["run", text(&plan), "--yes"],
        "before-intent@freeze.apis",
    );
    let ahead = lab.scratch.outcome("prepare.invariants");
    assert_eq!(ahead["result"], "succeeded", "{ahead}");
    // The cloud is still in use.
    rename("renamed in time");
    killed(&lab.scratch, &["resume"], "before-intent@deploy.config");
    let frozen = lab.scratch.outcome("freeze.invariants");
    let detail = frozen["detail"].as_str().unwrap();
    assert!(detail.contains("no write since they were measured"), "{detail}");
    // Had it taken over what was measured ahead, the target would be compared with what nobody has any more.
    let measured = |file: &str| -> Value {
        let path = lab.scratch.run_directory().unwrap().join(file);
        let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        all["nova.instances"]["columns"]["display_name"].clone()
    };
    let ahead = measured("invariants-ahead.json");
    assert_ne!(measured("invariants.json"), ahead);
    assert_ne!(ahead, Value::Null, "its table is measured ahead");

    rename("renamed behind its back");
    let flavors: u64 = sql("SELECT COUNT(*) FROM nova_api.flavors").parse().unwrap();
    sql("SET foreign_key_checks = 0; DELETE FROM nova_api.flavors ORDER BY id LIMIT 1");
    let ran = lab.scratch.ffu(&["resume"]).exits(5);
    let said = format!("{}{}", ran.out, ran.err);
    for part in [
        "what must be the same is not",
        "nova.instances: column display_name has other values",
        &format!("nova.flavors: {flavors} rows before, {} after", flavors - 1),
        "ffu rollback",
    ] {
        assert!(said.contains(part), "{part:?} not in\n{said}");
    }

    lab.scratch.ffu(&["rollback", "--yes"]).exits(0);
    assert_eq!(name(), "renamed in time");
    assert_eq!(sql("SELECT COUNT(*) FROM nova_api.flavors"), flavors.to_string());
    lab.token();
}
