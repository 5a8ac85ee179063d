//! A cloud whose database is a node of a real Galera cluster: forwards, and back.

mod common;

use common::{Lab, text};
use ffu_db::testing::{galera_node, two_free_ports};

#[test]
fn a_cloud_on_a_galera_node_goes_forward_and_back() {
    let options: Vec<String> = galera_node(two_free_ports(), None)
        .iter()
        .map(|option| format!("--server-option={option}"))
        .collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let lab = Lab::up_with("2024.1", 4, &options);
    let sql = |statement: &str| lab.mariadb("mariadb", &["-N", "-e", statement]).trim().to_owned();
    assert_eq!(sql("SHOW STATUS LIKE 'wsrep_ready'"), "wsrep_ready\tON");
    let before = lab.discover("before.toml");
    let plan = lab.plan("2024.2");
    lab.scratch.ffu(&["run", text(&plan), "--yes"]).exits(0);
    let report = lab.scratch.ffu(&["--json", "report"]).exits(0).json();
    for row in report["invariants"].as_array().unwrap() {
        assert_eq!(row["equal"], true, "{row}");
    }
    lab.token();
    // All of it went through the cluster's own log of changes.
    let replicated: u64 =
        sql("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_replicated'")
            .parse()
            .unwrap();
    assert!(replicated > 1000, "{replicated}");
    lab.scratch
        .ffu(&["rollback", "--yes"])
        .exits(0)
        .says("physically those that were proven");
    lab.token();
    assert_eq!(before, lab.discover("after.toml"));
    assert_eq!(
        sql("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'ffu\\_%'"),
        "0"
    );
}
