//! States in which a cloud should not be: after failed skips, half-way, foreign.

use ffu_model::Severity;

use crate::{Deployment, decided, ids, only};

fn skipped(from: &str, to: &str, refused: &[&str]) -> Deployment {
    let deployment = Deployment::at(from);
    for key in deployment.databases.keys() {
        if !refused.iter().any(|project| key.starts_with(&format!("{project}/"))) {
            deployment.stamp(key, to);
        }
    }
    deployment
}

#[test]
fn a_failed_skip_is_diagnosed_project_by_project() {
    // The skip table of the facts: who refuses, who passes silently.
    for (from, to, refused) in [
        ("train", "2026.1", &["keystone", "nova", "cinder"][..]),
        ("wallaby", "2026.2", &["keystone", "nova", "cinder"]),
        ("train", "2023.1", &["keystone", "cinder"]),
    ] {
        let cloud = skipped(from, to, refused).discover();
        let finding = only(&cloud, "mixed-series");
        assert_eq!(finding.severity, Severity::Warning);
        for project in refused {
            assert!(
                finding.message.contains(&format!("{project} at {from}")),
                "{from} → {to}: {finding}"
            );
            assert!(
                finding.remedy.contains(project) && finding.remedy.contains("`ffu plan`"),
                "{finding}"
            );
        }
        assert!(finding.message.contains("neutron at 202"), "{from} → {to}: {finding}");
        for project in &cloud.projects {
            let at = project.series.as_ref().unwrap().as_str();
            let behind = refused.contains(&project.project.as_str());
            assert!(
                if behind {
                    at == from
                } else {
                    at != from || to == "2023.1"
                },
                "{from} → {to}: {:?}",
                decided(&cloud)
            );
        }
    }
}

#[test]
fn a_skip_that_nobody_refuses_shows_in_the_services_only() {
    let deployment = skipped("2023.1", "2026.2", &[]);
    deployment.unit("nova-api", "nova", "control-plane", "2023.1");
    let cloud = deployment.discover();
    assert!(
        decided(&cloud).iter().all(|text| text.ends_with("2026.2")),
        "{:?}",
        decided(&cloud)
    );
    assert!(only(&cloud, "series-disagrees").message.contains("2023.1"));
}

#[test]
fn a_database_that_was_stamped_over_its_legacy_remainder_is_not_believed() {
    let mut deployment = Deployment::empty();
    deployment.add("heat", "pike");
    deployment.stamp("heat/main", "2023.2");
    let cloud = deployment.discover();
    let finding = only(&cloud, "legacy-remainder-skipped");
    assert!(
        finding.message.contains("stopped at 80 of 86") && finding.remedy.contains("restore"),
        "{finding}"
    );
    assert_eq!(finding.severity, Severity::Blocker);
    // The way it should go: 86 first.
    deployment.migrate("heat/main", "heat", "86");
    assert!(!ids(&deployment.discover()).contains(&"legacy-remainder-skipped"));
}

#[test]
fn half_way_between_two_series_says_which_and_why() {
    let mut deployment = Deployment::empty();
    for project in ["keystone", "neutron", "nova", "cinder"] {
        deployment.add(project, "stein");
    }
    for repository in ["keystone_expand", "keystone_data_migrate"] {
        deployment.migrate("keystone/main", repository, "71");
    }
    deployment.migrate("cinder/main", "cinder", "130");
    deployment.stamp("nova/api", "train");
    // One of train's own revisions, which has a successor there.
    let head = deployment
        .catalog
        .heads("neutron", "main", &crate::series("ussuri"))
        .unwrap();
    let old = deployment
        .catalog
        .heads("neutron", "main", &crate::series("stein"))
        .unwrap();
    let mixed: Vec<String> = [&old["alembic_version"][0], &head["alembic_version"][1]]
        .into_iter()
        .cloned()
        .collect();
    deployment.alembic("neutron/main", &mixed);
    let cloud = deployment.discover();
    let about = |project: &str| {
        let found = cloud
            .findings
            .iter()
            .find(|f| f.id == "half-migrated" && f.project.as_deref() == Some(project));
        found
            .unwrap_or_else(|| panic!("{project}: {:?}", cloud.findings))
            .clone()
    };
    let keystone = about("keystone");
    assert!(
        keystone.message.contains("between stein and train")
            && keystone.message.contains("keystone_contract 61 belongs to stein"),
        "{keystone}"
    );
    assert!(keystone.remedy.contains("`ffu env build train`"), "{keystone}");
    let cinder = about("cinder");
    assert!(
        cinder.message.contains("cinder 130 lies between stein and train"),
        "{cinder}"
    );
    let nova = about("nova");
    assert!(
        nova.message.contains("nova/api at train") && nova.message.contains("nova/cell at stein"),
        "{nova}"
    );
    assert!(
        cloud
            .projects
            .iter()
            .filter(|p| p.project != "neutron")
            .all(|p| p.series.is_none()),
        "{:?}",
        decided(&cloud)
    );
}

#[test]
fn an_alembic_revision_in_the_middle_of_a_series_is_placed() {
    let mut deployment = Deployment::empty();
    deployment.add("placement", "stein");
    // Train has 611cd6dffd7b and then b5c396305c25.
    deployment.alembic("placement/main", &["611cd6dffd7b".to_owned()]);
    let cloud = deployment.discover();
    let finding = only(&cloud, "half-migrated");
    assert!(
        finding.message.contains("between stein and train")
            && finding.message.contains("revision 611cd6dffd7b belongs to train"),
        "{finding}"
    );
}

#[test]
fn heads_that_nobody_knows_are_told_apart() {
    let mut deployment = Deployment::empty();
    for project in ["keystone", "nova", "cinder", "heat"] {
        deployment.add(project, "train");
    }
    deployment.add("glance", "2026.2");
    deployment.migrate("nova/cell", "nova", "300");
    deployment.migrate("nova/api", "nova_api", "999");
    deployment.databases["cinder/main"]
        .run(&["DROP TABLE migrate_version"])
        .unwrap();
    deployment.alembic("glance/main", &["ffffffffffff".to_owned()]);
    deployment.databases["heat/main"]
        .run(&[
            "DELETE FROM migrate_version",
            "INSERT INTO migrate_version VALUES ('mine', '/x', 3)",
        ])
        .unwrap();
    let cloud = deployment.discover();
    let all: Vec<String> = cloud
        .findings
        .iter()
        .filter(|f| f.id == "unknown-schema-heads")
        .map(|f| f.message.clone())
        .collect();
    for part in [
        "nova/cell is at no series this program knows: nova is at 300, older than pike",
        "nova/api is at no series this program knows: nova_api is at 999, and its last version was",
        "cinder/main is at no series this program knows: it has no schema version at all",
        "glance/main is at no series this program knows: revision ffffffffffff is not glance's of any series up to 2026.2: it is newer, or not from upstream",
        "heat/main is at no series this program knows: mine is a repository heat does not have",
    ] {
        assert!(all.iter().any(|message| message.contains(part)), "{part}: {all:?}");
    }
    assert_eq!(
        decided(&cloud),
        ["keystone train", "glance ?", "nova ?", "cinder ?", "heat ?"]
    );
}
