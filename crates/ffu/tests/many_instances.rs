//! Instances as old clouds have them: more than one batch of them, deleted, some of builds that never found a host.

mod common;

use common::{Lab, text};

fn sql(lab: &Lab, statement: &str) -> String {
    lab.mariadb("mariadb", &["-N", "nova", "-e", statement])
        .trim()
        .to_owned()
}

/// Nova gives every instance the number of its compute node, batch after batch, and leaves out those that are on none.
#[test]
fn instances_on_no_host_do_not_stop_the_run() {
    let lab = Lab::up("2024.1", 4);
    sql(
        &lab,
        "UPDATE instances SET compute_id = NULL;
         INSERT INTO instances (uuid, created_at, deleted_at, deleted, vm_state, host, node)
         SELECT UUID(), UTC_TIMESTAMP(), UTC_TIMESTAMP(), 1, 'deleted', known.host, known.node
         FROM seq_1_to_1500, (SELECT host, node FROM instances WHERE node IS NOT NULL AND deleted = 0 LIMIT 1) AS known;
         INSERT INTO instances (uuid, created_at, deleted_at, deleted, vm_state)
         SELECT UUID(), UTC_TIMESTAMP(), UTC_TIMESTAMP(), 1, 'error' FROM seq_1_to_1200",
    );
    let placed = "SELECT COUNT(*) FROM instances WHERE node IS NOT NULL AND compute_id IS NULL";
    let there: u64 = sql(&lab, placed).parse().unwrap();
    assert!(there > 1_500, "{there}");

    // They are worth a warning when they are many.
    let catalog = ffu_catalog::Catalog::embedded().unwrap();
    let gate = catalog
        .gates
        .iter()
        .find(|gate| gate.id == "nova-deleted-instances")
        .unwrap();
    assert_eq!(sql(&lab, &gate.query), "0");

    let plan = lab.plan("2024.2");
    lab.scratch.ffu(&["run", text(&plan), "--yes"]).exits(0);
    assert_eq!(sql(&lab, placed), "0");
    let outcome = lab.scratch.outcome("hops.2024.2.nova.online-data-migrations");
    assert_eq!(
        outcome["figures"]["moved.populate_instance_compute_id"], there,
        "{outcome}"
    );
    assert_eq!(outcome["figures"]["rows-left"], 0, "{outcome}");

    sql(
        &lab,
        "INSERT INTO instances (uuid, deleted) SELECT UUID(), seq FROM seq_1_to_9000",
    );
    let deleted = sql(&lab, "SELECT COUNT(*) FROM instances WHERE deleted <> 0");
    assert!(deleted.len() == 5, "{deleted}");
    assert_eq!(sql(&lab, &gate.query), deleted);
}
