//! The catalog that is built into the binary, and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::{Catalog, PathError};
use ffu_model::Series;
use ffu_model::step::{Meaning, Purpose};

fn catalog() -> Catalog {
    Catalog::embedded().unwrap_or_else(|errors| panic!("{errors}"))
}

fn series(text: &str) -> Series {
    text.parse().unwrap()
}

fn heads(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    entries
        .iter()
        .map(|(name, versions)| (name.to_string(), versions.iter().map(|v| v.to_string()).collect()))
        .collect()
}

#[test]
fn loads_without_a_mistake() {
    let catalog = catalog();
    assert_eq!(catalog.series.len(), 19);
    let names: Vec<&str> = catalog.projects.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        names,
        ["keystone", "glance", "placement", "nova", "neutron", "cinder", "heat"]
    );
    assert_eq!(catalog.digest().len(), 64);
    assert_eq!(catalog.digest(), Catalog::embedded().unwrap().digest());
}

#[test]
fn series_are_found_by_name_and_number() {
    let catalog = catalog();
    for text in ["2023.1", "Antelope", "antelope", " ANTELOPE "] {
        assert_eq!(catalog.resolve(text).unwrap(), series("2023.1"), "{text}");
    }
    let error = catalog.resolve("mitaka").unwrap_err().to_string();
    assert!(
        error.contains("\"mitaka\"") && error.contains("pike, queens"),
        "{error}"
    );
}

#[test]
fn from_pike_to_the_newest_it_is_eighteen_hops() {
    let hops = catalog().path(&series("pike"), &series("2026.2"), false).unwrap();
    assert_eq!(hops.len(), 18);
    assert!(hops.windows(2).all(|pair| pair[0].to == pair[1].from));
}

#[test]
fn slurp_takes_tested_skips_only() {
    let catalog = catalog();
    let stops = |from: &str, to: &str| -> Vec<String> {
        let hops = catalog.path(&series(from), &series(to), true).unwrap();
        hops.iter().map(|hop| hop.to.to_string()).collect()
    };
    assert_eq!(
        stops("zed", "2026.2"),
        ["2023.1", "2024.1", "2025.1", "2026.1", "2026.2"]
    );
    assert_eq!(stops("2023.2", "2025.1"), ["2024.1", "2025.1"]);
    assert_eq!(stops("2023.1", "2023.2"), ["2023.2"]);
}

#[test]
fn impossible_paths_name_the_choices() {
    let catalog = catalog();
    let path = |from: &str, to: &str| catalog.path(&series(from), &series(to), false).unwrap_err();
    assert!(matches!(path("icehouse", "train"), PathError::Unknown { .. }));
    assert!(matches!(path("2026.2", "2026.2"), PathError::Newest { .. }));
    let same = path("2026.1", "2026.1");
    assert!(
        matches!(same, PathError::Same { .. }) && same.to_string().contains("one of 2026.2"),
        "{same}"
    );
    let back = path("2026.1", "train");
    assert!(
        matches!(back, PathError::Backwards { .. }) && back.to_string().contains("2026.2"),
        "{back}"
    );
    let newest = path("2026.2", "train").to_string();
    assert!(newest.contains("older than 2026.2"), "{newest}");
}

#[test]
fn spans_include_both_ends() {
    let catalog = catalog();
    let (stein, train) = (Some(series("stein")), Some(series("train")));
    assert!(catalog.holds(&stein, &train, &series("stein")) && catalog.holds(&stein, &train, &series("train")));
    assert!(!catalog.holds(&stein, &train, &series("rocky")) && !catalog.holds(&stein, &train, &series("ussuri")));
    assert!(catalog.holds(&None, &None, &series("2026.2")) && !catalog.holds(&None, &None, &series("2099.1")));
}

#[test]
fn commands_follow_the_series() {
    let catalog = catalog();
    let ids = |project: &str, at: &str| -> Vec<String> {
        let project = catalog.project(project).unwrap();
        catalog
            .commands(project, &series(at))
            .iter()
            .map(|c| c.id.clone())
            .collect()
    };
    assert_eq!(ids("keystone", "rocky"), ["db-sync"]);
    assert_eq!(ids("keystone", "stein"), ["db-sync", "upgrade-check"]);
    assert_eq!(ids("glance", "pike"), ["db-sync"]);
    assert_eq!(
        ids("glance", "2026.2"),
        ["db-expand", "db-migrate", "db-contract", "upgrade-check"]
    );
    assert_eq!(ids("placement", "rocky"), Vec::<String>::new());
    assert_eq!(
        ids("placement", "train")[..2],
        ["online-data-migrations-first", "db-sync"]
    );
    assert_eq!(
        ids("nova", "pike"),
        [
            "api-db-sync",
            "db-sync",
            "online-data-migrations",
            "upgrade-check",
            "upgrade-check-alone"
        ]
    );
    let at = |at: &str| catalog.projects_at(&series(at)).count();
    assert_eq!((at("rocky"), at("stein")), (6, 7));
}

#[test]
fn every_project_reaches_its_heads_once_a_series() {
    let catalog = catalog();
    for entry in &catalog.series {
        for project in catalog.projects_at(&entry.id) {
            let commands = catalog.commands(project, &entry.id);
            let reached: Vec<&str> = commands
                .iter()
                .filter(|c| c.purpose == Purpose::Schema && c.reaches_heads)
                .flat_map(|c| c.databases.iter().map(String::as_str))
                .collect();
            let roles = project
                .database
                .iter()
                .filter(|d| catalog.holds(&d.since, &d.until, &entry.id));
            let wanted: Vec<&str> = roles.map(|d| d.role.as_str()).collect();
            assert_eq!(reached, wanted, "{} at {}", project.name, entry.id);
            for role in wanted {
                assert!(
                    catalog.heads(&project.name, role, &entry.id).is_some(),
                    "{} {role} {}",
                    project.name,
                    entry.id
                );
            }
        }
        assert!(catalog.environment(&entry.id).is_some(), "{}", entry.id);
    }
}

#[test]
fn exit_codes_follow_the_series() {
    let catalog = catalog();
    let meaning = |project: &str, id: &str, at: &str, code: i32| {
        let at = series(at);
        let commands = catalog.commands(catalog.project(project).unwrap(), &at);
        let command = commands.into_iter().find(|c| c.id == id).unwrap();
        catalog
            .exits(command, &at)
            .iter()
            .find(|exit| exit.code == code)
            .map(|exit| exit.meaning)
    };
    assert_eq!(
        meaning("neutron", "upgrade-check", "2024.1", 255),
        Some(Meaning::Failure)
    );
    assert_eq!(
        meaning("neutron", "upgrade-check", "2024.2", 255),
        Some(Meaning::KnownCrash)
    );
    assert_eq!(meaning("keystone", "upgrade-check", "stein", 2), Some(Meaning::Failure));
    assert_eq!(meaning("keystone", "upgrade-check", "train", 2), Some(Meaning::Warning));
    assert_eq!(meaning("nova", "online-data-migrations", "queens", 2), None);
    assert_eq!(
        meaning("nova", "online-data-migrations", "rocky", 1),
        Some(Meaning::Again)
    );
}

#[test]
fn a_database_at_its_heads_is_recognised_in_every_series() {
    let catalog = catalog();
    for entry in &catalog.series {
        for project in catalog.projects_at(&entry.id) {
            for role in project.database.iter().map(|d| d.role.as_str()) {
                let Some(heads) = catalog.heads(&project.name, role, &entry.id) else {
                    continue;
                };
                let candidates = catalog.candidates(&project.name, role, &heads);
                assert!(
                    candidates.contains(&entry.id),
                    "{} {role} at {}",
                    project.name,
                    entry.id
                );
                let places: Vec<_> = candidates.iter().map(|s| catalog.position(s)).collect();
                assert!(places.is_sorted());
            }
        }
    }
}

#[test]
fn leftovers_of_the_old_tool_are_judged_by_the_series() {
    let catalog = catalog();
    let found = |role: &str, entries: &[(&str, &[&str])]| -> Vec<String> {
        let candidates = catalog.candidates("nova", role, &heads(entries));
        candidates.iter().map(Series::to_string).collect()
    };
    assert_eq!(found("cell", &[("migrate:nova", &["402"])]), ["train"]);
    assert_eq!(found("cell0", &[("migrate:nova", &["402"])]), ["train"]);
    assert_eq!(found("cell:az2", &[("migrate:nova", &["402"])]), ["train"]);
    let xena = [
        ("migrate:nova", &["422"][..]),
        ("alembic_version", &["8f2f1571d55b"][..]),
    ];
    assert!(found("cell", &xena).contains(&"xena".to_owned()));
    // A head of alembic in a series that had none.
    let mixed = [
        ("migrate:nova", &["402"][..]),
        ("alembic_version", &["ffffffffffff"][..]),
    ];
    assert_eq!(found("cell", &mixed), Vec::<String>::new());
    // A plugin's version table says nothing about nova.
    assert_eq!(
        found(
            "cell",
            &[("migrate:nova", &["402"]), ("alembic_version_plugin", &["1"])]
        ),
        ["train"]
    );
    assert_eq!(found("cell", &[]), Vec::<String>::new());
    assert_eq!(found("cell", &[("migrate:nova", &[])]), Vec::<String>::new());
}

#[test]
fn both_ways_to_pike_are_pike() {
    let catalog = catalog();
    for revision in ["pike01", "pike_contract01"] {
        let candidates = catalog.candidates("glance", "main", &heads(&[("alembic_version", &[revision])]));
        assert!(candidates.contains(&series("pike")), "{revision}");
    }
}

#[test]
fn revisions_know_their_series() {
    let catalog = catalog();
    assert_eq!(
        catalog.revision_series("placement", "main", "422ece571366"),
        Some(series("xena"))
    );
    assert_eq!(catalog.revision_series("placement", "main", "nonsense"), None);
}

#[test]
fn rows_of_placement_move_with_its_tables() {
    let catalog = catalog();
    let placement = catalog.project("placement").unwrap();
    let invariant = placement
        .invariant
        .iter()
        .find(|i| i.id == "placement.allocations")
        .unwrap();
    let place = |at: &str, extracted: bool| {
        let has = |project: &str, _: &str| project != "placement" || extracted;
        catalog
            .place(invariant, &series(at), has)
            .map(|p| format!("{}/{}", p.project, p.database))
    };
    assert_eq!(place("pike", false).as_deref(), Some("nova/api"));
    assert_eq!(place("stein", false).as_deref(), Some("nova/api"));
    assert_eq!(place("stein", true).as_deref(), Some("placement/main"));
    assert_eq!(place("train", true).as_deref(), Some("placement/main"));
}

#[test]
fn the_services_of_a_check_run_in_every_series_of_it() {
    let catalog = catalog();
    for project in &catalog.projects {
        for entry in &catalog.series {
            for name in catalog
                .commands(project, &entry.id)
                .iter()
                .flat_map(|c| &c.needs_services)
            {
                let (_, service) = catalog.service(name).unwrap();
                assert!(catalog.run(service, &entry.id).is_some(), "{name} at {}", entry.id);
            }
        }
    }
}

#[test]
fn what_is_missing_and_patched_is_told_with_its_reason() {
    let catalog = catalog();
    let missing: BTreeSet<(&str, &str)> = catalog
        .missing
        .iter()
        .map(|m| (m.project.as_str(), m.series.as_str()))
        .collect();
    assert_eq!(
        missing,
        BTreeSet::from([("glance", "queens"), ("heat", "pike"), ("heat", "queens")])
    );
    assert!(
        catalog
            .missing
            .iter()
            .all(|m| !m.why_linear.is_empty() && !m.instead.is_empty())
    );
    assert!(
        catalog
            .patches_for(&series("queens"))
            .any(|patch| !patch.reason.is_empty() && !patch.bug.is_empty())
    );
    assert_eq!(catalog.patches_for(&series("2026.2")).count(), 0);
}

#[test]
fn environments_carry_their_lock() {
    let catalog = catalog();
    for entry in &catalog.series {
        let lock = catalog
            .lock(&entry.id)
            .unwrap_or_else(|| panic!("no lock of {}", entry.id));
        assert!(lock.contains("nova=="), "{}", entry.id);
        assert!(catalog.build_constraints(&entry.id).is_some(), "{}", entry.id);
    }
    assert_eq!(catalog.lock(&series("mitaka")), None);
}
