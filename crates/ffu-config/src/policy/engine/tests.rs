//! The eras side by side on one rule, and what counts as the same check.

use ffu_catalog::options::{PolicyRule, PredecessorRule, SeriesSet};

use super::*;

fn rule(name: &str, check: &str, old: Option<(&str, &str)>) -> PolicyRule {
    PolicyRule {
        name: name.into(),
        series: SeriesSet(1),
        check: check.into(),
        scopes: vec![],
        predecessor: old.map(|(name, check)| PredecessorRule {
            name: name.into(),
            check: check.into(),
            since: None,
        }),
        removal: None,
    }
}

fn settings(new: bool) -> Settings {
    Settings {
        enforce_scope: false,
        enforce_new_defaults: new,
        default_rule: "default".into(),
        policy_file: "policy.yaml".into(),
        policy_file_is_set: false,
    }
}

fn asked(series: &str, rules: &[PolicyRule], file: &[(&str, &str)], new: bool, name: &str) -> String {
    let stage = Stage {
        series: series.parse().unwrap(),
        rules: rules.iter().map(|rule| (rule.name.as_str(), rule)).collect(),
        in_code: true,
    };
    let file = file
        .iter()
        .map(|(name, text)| ((*name).to_owned(), check::parse(text).check))
        .collect();
    Enforcer::new(&stage, &settings(new), &file)
        .rule(name)
        .map_or("none".into(), |check| check.to_string())
}

#[test]
fn an_old_name_in_the_file_by_era() {
    let rules = [rule("new", "role:b", Some(("old", "role:a")))];
    let file = [("old", "role:x")];
    for (series, wanted) in [
        ("pike", "role:b"),
        ("queens", "(role:b or role:a)"),
        ("rocky", "(role:b or role:a)"),
        ("stein", "role:x"),
        ("train", "role:x"),
        ("victoria", "role:x"),
        ("2024.1", "role:x"),
        ("2026.1", "role:x"),
    ] {
        assert_eq!(asked(series, &rules, &file, false, "new"), wanted, "{series}");
    }
    // Equal to the old default: honoured until checks could be compared.
    let pinned = [("old", "role:a")];
    assert_eq!(asked("2025.2", &rules, &pinned, true, "new"), "role:a");
    assert_eq!(asked("2026.1", &rules, &pinned, true, "new"), "role:b");
    assert_eq!(asked("2026.1", &rules, &pinned, false, "new"), "(role:b or role:a)");
    // The line of a generated sample.
    assert_eq!(asked("2024.1", &rules, &[("old", "rule:new")], true, "new"), "role:b");
    assert_eq!(
        asked("2024.1", &rules, &[("old", "role:x"), ("new", "role:y")], true, "new"),
        "role:y"
    );
}

#[test]
fn changed_defaults_are_joined_by_era() {
    let rules = [rule("r", "role:b", Some(("r", "role:a")))];
    assert_eq!(asked("train", &rules, &[], true, "r"), "(role:b or role:a)");
    assert_eq!(asked("ussuri", &rules, &[], true, "r"), "role:b");
    assert_eq!(asked("ussuri", &rules, &[], false, "r"), "(role:b or role:a)");
    // As text, an empty check beside `or` cannot be read and denies everybody.
    let rules = [rule("r", "", Some(("r", "role:a")))];
    assert_eq!(asked("train", &rules, &[], false, "r"), "!");
    assert_eq!(asked("wallaby", &rules, &[], false, "r"), "(@ or role:a)");
    assert_eq!(asked("wallaby", &rules, &[], false, "other"), "none");
}

fn meaning(rules: &[PolicyRule], file: &[(&str, &str)], text: &str) -> Meaning {
    let stage = Stage {
        series: "2024.1".parse().unwrap(),
        rules: rules.iter().map(|rule| (rule.name.as_str(), rule)).collect(),
        in_code: true,
    };
    let file = file
        .iter()
        .map(|(name, text)| ((*name).to_owned(), check::parse(text).check))
        .collect();
    Enforcer::new(&stage, &settings(true), &file).meaning_of(&check::parse(text).check)
}

#[test]
fn the_same_requests_are_the_same_check() {
    let rules = [rule("a", "role:x or role:y", None), rule("default", "role:z", None)];
    for (left, right) in [
        ("rule:a", "role:y or role:X"),
        ("rule:nowhere", "role:z"),
        ("not not role:x", "role:x"),
        ("role:x or @", ""),
        ("role:x and !", "!"),
        ("not (role:x and role:y)", "not role:x or not role:y"),
        ("role:x or role:x and role:y", "role:x"),
        (
            "(role:x or role:y) and role:z",
            "role:x and role:z or role:y and role:z",
        ),
    ] {
        assert!(
            meaning(&rules, &[], left).same(&meaning(&rules, &[], right)),
            "{left} / {right}"
        );
    }
    for (left, right) in [
        ("role:x", "role:y"),
        ("role:x", "role:x and role:y"),
        ("user:X", "user:x"),
        ("@", "!"),
    ] {
        assert!(
            !meaning(&rules, &[], left).same(&meaning(&rules, &[], right)),
            "{left} / {right}"
        );
    }
    assert_eq!(meaning(&[], &[], "rule:nowhere"), Meaning::Known(Check::False));
}

#[test]
fn circles_and_towers_end() {
    let circle = [("a", "rule:b"), ("b", "rule:a or role:x")];
    assert!(matches!(meaning(&[], &circle, "rule:a"), Meaning::Known(_)));
    let names: Vec<(String, String)> = (0..5_000)
        .map(|n| (format!("r{n}"), format!("rule:r{}", n + 1)))
        .collect();
    let tower: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(meaning(&[], &tower, "rule:r0"), Meaning::TooComplex);
    let names: Vec<(String, String)> = (0..60)
        .map(|n| {
            (
                format!("r{n}"),
                format!("(rule:r{m} and a:{n}) or (rule:r{m} and b:{n})", m = n + 1),
            )
        })
        .collect();
    let bush: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(meaning(&[], &bush, "rule:r0"), Meaning::TooComplex);
    assert!(!Meaning::TooComplex.same(&Meaning::TooComplex));
}

#[test]
fn placement_reads_the_file_that_it_names_when_it_starts() {
    let catalog = ffu_catalog::Catalog::embedded().unwrap();
    let options = catalog.options("placement").unwrap().unwrap();
    for (series, file) in [
        ("stein", "policy.yaml"),
        ("train", "policy.yaml"),
        ("wallaby", "policy.yaml"),
        ("2024.1", "policy.yaml"),
        ("2026.1", "policy.yaml"),
    ] {
        assert_eq!(
            Settings::of_defaults(options, &series.parse().unwrap()).policy_file,
            file,
            "{series}"
        );
    }
}
