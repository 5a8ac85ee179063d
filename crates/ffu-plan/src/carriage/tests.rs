use ffu_model::cloud::{Cloud, ConfigFile, FileKind};
use ffu_model::plan::{ConfigurationPolicy, Plan, Policy};
use ffu_model::step::{Action, StagedFile};
use ffu_model::{Finding, Severity};

use crate::tests::{catalog, cloud_at, series};
use crate::{explain, lint, plan};

fn with(at: &str, project: &str, files: &[(&str, FileKind)]) -> Cloud {
    let mut cloud = cloud_at(&catalog(), at);
    let found = cloud.projects.iter_mut().find(|p| p.project == project).unwrap();
    found.config_files.extend(files.iter().map(|(name, kind)| ConfigFile {
        path: format!("/cloud/etc/{project}/{name}").into(),
        sha256: "0".repeat(64),
        kind: *kind,
    }));
    cloud
}

fn planned(cloud: &Cloud, to: &str, configuration: ConfigurationPolicy) -> Plan {
    let policy = Policy {
        configuration,
        ..Policy::default()
    };
    let catalog = catalog();
    let plan = plan(cloud, &catalog, &series(to), &policy).unwrap();
    assert_eq!(lint(&plan, &catalog), []);
    plan
}

fn staged<'a>(plan: &'a Plan, source: &str) -> Vec<&'a StagedFile> {
    let step = plan.step("prepare.config").unwrap();
    let Action::StageConfig { files } = &step.action else {
        panic!()
    };
    let of = |file: &&StagedFile| file.source.as_ref().is_some_and(|path| path.as_str() == source);
    files.iter().filter(of).collect()
}

fn saved(plan: &Plan, path: &str) -> bool {
    let Action::Checkpoint { files, .. } = &plan.step("checkpoint").unwrap().action else {
        panic!()
    };
    files.iter().any(|file| file.as_str() == path)
}

#[track_caller]
fn said(plan: &Plan, parts: &[&str]) {
    let found = plan
        .report
        .decisions
        .iter()
        .any(|decision| parts.iter().all(|part| decision.contains(part)));
    assert!(found, "{parts:?} in {:#?}", plan.report.decisions);
}

const POLICIES: [(&str, FileKind); 3] = [
    ("policy.json", FileKind::Policy),
    ("policy.d/10-a.yaml", FileKind::PolicyDirectory),
    ("policy.d/20-b.yaml", FileKind::PolicyDirectory),
];

#[test]
fn a_policy_file_gets_the_name_that_the_target_looks_for_and_going_back_takes_it_away() {
    let plan = planned(
        &with("train", "nova", &POLICIES),
        "2024.1",
        ConfigurationPolicy::Migrate,
    );
    let [file] = staged(&plan, "/cloud/etc/nova/policy.json")[..] else {
        panic!()
    };
    assert_eq!(file.destination, "/cloud/etc/nova/policy.yaml");
    assert!(saved(&plan, "/cloud/etc/nova/policy.yaml") && saved(&plan, "/cloud/etc/nova/policy.json"));
    said(
        &plan,
        &[
            "policy.json becomes",
            "policy.yaml",
            "a rollback takes the new one away",
        ],
    );

    let [second] = staged(&plan, "/cloud/etc/nova/policy.d/10-a.yaml")[..] else {
        panic!()
    };
    let migration = second.migration.as_ref().unwrap();
    assert_eq!(migration.read_with, ["/cloud/etc/nova/policy.json"]);
    assert_eq!(migration.read_after, ["/cloud/etc/nova/policy.d/20-b.yaml"]);
    assert_eq!(migration.settings, ["/cloud/etc/nova/nova.conf"]);
    let text = explain(&plan, "deploy.config").unwrap();
    assert!(
        text.contains("carried from train to 2024.1 rule by rule, made from /cloud/etc/nova/policy.json"),
        "{text}"
    );
}

#[test]
fn a_policy_file_that_the_configuration_names_keeps_its_name() {
    let cloud = with("train", "nova", &[("policy.json", FileKind::PolicyNamed)]);
    let plan = planned(&cloud, "2024.1", ConfigurationPolicy::AcceptLoss);
    let [file] = staged(&plan, "/cloud/etc/nova/policy.json")[..] else {
        panic!()
    };
    assert_eq!(file.source.as_ref(), Some(&file.destination));
    assert!(file.migration.as_ref().unwrap().accept_loss);
}

#[test]
fn a_policy_file_that_nobody_reads_is_told_and_gives_way_to_the_one_in_force() {
    let both = [("policy.json", FileKind::Policy), ("policy.yaml", FileKind::Policy)];
    let plan = planned(&with("train", "nova", &both), "2024.1", ConfigurationPolicy::Migrate);
    assert_eq!(staged(&plan, "/cloud/etc/nova/policy.yaml"), [] as [&StagedFile; 0]);
    assert_eq!(staged(&plan, "/cloud/etc/nova/policy.json").len(), 1);
    said(&plan, &["unread by train, is replaced, and a rollback brings it back"]);

    // From Wallaby on the YAML file is in force, and JSON counts only where there is none.
    let plan = planned(&with("yoga", "nova", &both), "2024.1", ConfigurationPolicy::Migrate);
    let [json] = staged(&plan, "/cloud/etc/nova/policy.json")[..] else {
        panic!()
    };
    assert!(
        json.migration.is_none() && json.kept.contains("yoga does not read it"),
        "{json:?}"
    );
    let plan = planned(
        &with("yoga", "nova", &both[..1]),
        "2024.1",
        ConfigurationPolicy::Migrate,
    );
    assert_eq!(
        staged(&plan, "/cloud/etc/nova/policy.json")[0].destination,
        "/cloud/etc/nova/policy.yaml"
    );
    let plan = planned(
        &with("train", "nova", &both[1..]),
        "2024.1",
        ConfigurationPolicy::Migrate,
    );
    said(&plan, &["train does not read it", "2024.1 does"]);
}

#[test]
fn pipelines_and_filters_are_merged_and_the_environment_for_it_is_named() {
    let files = [
        ("api-paste.ini", FileKind::Paste),
        ("rootwrap.d/volume.filters", FileKind::Rootwrap),
    ];
    let mut cloud = with("train", "cinder", &files);
    cloud.findings.push(Finding {
        id: "config-not-carried".into(),
        severity: Severity::Info,
        project: Some("cinder".into()),
        message: "/cloud/etc/cinder/own.conf: no service reads it".into(),
        remedy: "carry it".into(),
        source: String::new(),
    });
    let plan = planned(&cloud, "2024.1", ConfigurationPolicy::Migrate);
    let text = explain(&plan, "prepare.config").unwrap();
    assert!(text.contains("by a merge with upstream's of both"), "{text}");
    said(&plan, &["2 of pipelines and rootwrap filters"]);
    said(&plan, &["ffu env build train"]);
    said(&plan, &["own.conf"]);
}

#[test]
fn what_is_not_carried_is_named_with_the_reason() {
    let plan = planned(&with("train", "nova", &POLICIES), "2024.1", ConfigurationPolicy::Keep);
    said(&plan, &["nova/policy.json", "stay as they are", "--configuration keep"]);
    said(&plan, &["nova/nova.conf"]);
    let [file] = staged(&plan, "/cloud/etc/nova/policy.json")[..] else {
        panic!()
    };
    assert!(file.migration.is_none());
    assert_eq!(file.destination, "/cloud/etc/nova/policy.json");
    let text = explain(&plan, "prepare.config").unwrap();
    assert!(
        text.contains("as it is: the plan was made with --configuration keep"),
        "{text}"
    );
    // Heat's options of Pike are in no dump.
    let plan = planned(&cloud_at(&catalog(), "pike"), "queens", ConfigurationPolicy::Migrate);
    said(&plan, &["heat.conf stays as it is", "no options of heat at pike"]);
}

#[test]
fn filters_of_agents_stay_while_the_agents_do() {
    let cloud = with("train", "nova", &[("rootwrap.d/compute.filters", FileKind::Rootwrap)]);
    let plan = planned(&cloud, "2024.1", ConfigurationPolicy::Migrate);
    let [file] = staged(&plan, "/cloud/etc/nova/rootwrap.d/compute.filters")[..] else {
        panic!()
    };
    assert!(file.migration.is_none());
    said(
        &plan,
        &[
            "compute.filters stays as it is: agents of nova read it",
            "ffu config migrate",
        ],
    );
}

#[test]
fn upgrade_checks_that_refuse_json_are_shown_the_staged_policy() {
    let plan = planned(
        &with("train", "heat", &POLICIES[..1]),
        "xena",
        ConfigurationPolicy::Migrate,
    );
    let commands = |series: &str| {
        let Action::Command(command) = &plan.step(&format!("hops.{series}.heat.upgrade-check")).unwrap().action else {
            panic!()
        };
        command
            .config_files
            .iter()
            .any(|file| file.as_str() == format!("{{staged}}/for-commands/heat-{series}.conf"))
    };
    assert!(!commands("victoria") && commands("wallaby") && commands("xena"));
    let Action::StageConfig { files } = &plan.step("prepare.config").unwrap().action else {
        panic!()
    };
    let file = files
        .iter()
        .find(|file| file.destination == "/for-commands/heat-xena.conf")
        .unwrap();
    assert_eq!(file.set[0].option, "policy_file");
    assert_eq!(file.set[0].value, "{staged}/cloud/etc/heat/policy.yaml");
    // A YAML file needs nothing of the kind.
    let plan = planned(
        &with("yoga", "heat", &[("policy.yaml", FileKind::Policy)]),
        "2023.1",
        ConfigurationPolicy::Migrate,
    );
    assert!(!serde_json::to_string(&plan).unwrap().contains("for-commands/heat"));
}
