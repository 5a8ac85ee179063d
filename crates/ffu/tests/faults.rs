//! Faults: `ffu` killed at every line of its journal and every message to a warm environment, and what can happen to a run from
//! outside. Afterwards `resume` and `rollback` both have to end right. `make faults` runs all and writes docs/faults.md.

#[path = "faults/cloud.rs"]
mod cloud;
mod common;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/outside.rs"]
mod outside;
#[path = "faults/table.rs"]
mod table;
#[path = "faults/working.rs"]
mod working;

use cloud::{Cloud, EXTRACTION, MODERN};
use table::Table;

/// One of each: killed in the copy, in the schema change, at the files, and in the middle of the way back.
#[test]
fn killed_here_and_there_it_resumes_and_goes_back() {
    let (cloud, mut table) = (Cloud::up(MODERN), Table::new());
    let points = [
        "after-intent@checkpoint",
        "torn-outcome@hops.2024.2.neutron.db-sync",
        "after-effect@deploy.config",
    ];
    kills::resumed(&cloud, &mut table, points.map(str::to_owned).to_vec());
    kills::taken_back(&cloud, &mut table, vec!["after-effect@rollback.databases".to_owned()]);
    table.end();
}

#[test]
#[ignore = "takes long: make faults"]
fn every_fault() {
    let wanted = std::env::var("FFU_FAULTS").unwrap_or_default();
    let wants = |part: &str| wanted.is_empty() || wanted.split_whitespace().any(|word| word == part);
    let mut table = Table::new();
    // One lab at a time.
    if wants("extraction") {
        kills::extraction(&Cloud::up(EXTRACTION), &mut table);
        if wanted == "extraction" {
            return table.end();
        }
    }
    let cloud = Cloud::up(MODERN);
    if wants("resume") {
        kills::every_point_resumed(&cloud, &mut table);
    }
    for (name, fault) in outside::ALL {
        if wants(name) || wants("outside") {
            fault(&cloud, &mut table);
            if let Err(why) = cloud.mend() {
                // Nothing that would be seen now could be believed.
                panic!("after {name} the lab is not at its source: {why}");
            }
        }
    }
    if wants("rollback") {
        kills::every_point_rolled_back(&cloud, &mut table);
    }
    if wants("warm") {
        kills::every_message(&cloud, &mut table);
    }
    if wants("accept") {
        kills::accepted(&cloud, &mut table);
    }
    table.end();
}
