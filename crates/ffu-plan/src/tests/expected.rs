//! How long the window is expected to be.

use super::*;

/// Train's own heads in a cloud that is there.
fn with_heads(catalog: &Catalog, at: &str) -> Cloud {
    let mut cloud = cloud_at(catalog, at);
    for project in &mut cloud.projects {
        for database in &mut project.databases {
            let role = if database.role == "cell0" {
                "cell"
            } else {
                &database.role
            };
            for (name, versions) in catalog.heads(&project.project, role, &series(at)).unwrap_or_default() {
                database.heads.insert(name, versions);
            }
        }
    }
    cloud
}

fn of(cloud: &Cloud, to: &str) -> Plan {
    plan(cloud, &catalog(), &series(to), &Policy::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn estimate(plan: &Plan, id: &str) -> u64 {
    plan.steps
        .iter()
        .find(|step| step.id == id)
        .unwrap_or_else(|| panic!("{id}"))
        .estimate_ms
}

fn decision(plan: &Plan) -> &str {
    let said = plan
        .report
        .decisions
        .iter()
        .find(|said| said.starts_with("the window is expected"));
    said.unwrap_or_else(|| panic!("{:?}", plan.report.decisions))
}

#[test]
fn a_command_whose_databases_will_be_at_the_head_costs_nothing() {
    let catalog = catalog();
    let at_heads = of(&with_heads(&catalog, "2024.1"), "2025.2");
    // Glance's schema is that of 2024.1 up to 2025.2 and on; neutron's moves.
    assert_eq!(estimate(&at_heads, "hops.2025.2.glance.db-expand"), 20);
    assert!(estimate(&at_heads, "hops.2024.2.neutron.db-sync") > 20);
    // What is not known to be there is expected to be migrated.
    let unknown = of(&cloud_at(&catalog, "2024.1"), "2025.2");
    assert!(estimate(&unknown, "hops.2024.2.glance.db-expand") > 20);
    // After it has been migrated once, it is known.
    assert_eq!(estimate(&unknown, "hops.2025.1.glance.db-expand"), 20);
    assert!(at_heads.report.window_ms < unknown.report.window_ms);
}

#[test]
fn all_series_of_a_long_path_are_warm_before_the_freeze() {
    let catalog = catalog();
    let long = of(&with_heads(&catalog, "train"), "2026.1");
    for id in ["hops.ussuri.neutron.db-sync", "hops.2025.2.neutron.db-sync"] {
        assert!(estimate(&long, id) <= 500, "{id}");
    }
    let said = decision(&long);
    assert!(
        said.contains("all 13 series are warmed before the freeze") && said.contains("some 9100 MiB"),
        "{said}"
    );
}

#[test]
fn the_estimates_are_the_window_that_is_said() {
    let catalog = catalog();
    let plan = of(&with_heads(&catalog, "2024.1"), "2025.2");
    let seconds = plan.report.window_ms.div_ceil(1_000);
    assert!(
        decision(&plan).starts_with(&format!("the window is expected to take {seconds} s:")),
        "{}",
        decision(&plan)
    );
}
