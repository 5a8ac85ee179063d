//! One case for each kind of fate, on small histories.

use ffu_catalog::options::{PolicyRule, PredecessorRule, SeriesSet};

use super::*;
use crate::finding::Severity;
use crate::policy::engine::Engine;
use crate::policy::history::Stage;

/// A rule of a series: name, check, predecessor's name and check.
type Rule<'a> = (&'a str, &'a str, Option<(&'a str, &'a str)>);

fn rules(series: &[(&str, &[Rule<'_>])]) -> Vec<(Series, Vec<PolicyRule>)> {
    let rule = |(name, check, old): &Rule<'_>| PolicyRule {
        name: (*name).into(),
        series: SeriesSet(0),
        check: (*check).into(),
        scopes: vec![],
        predecessor: old.map(|(name, check)| PredecessorRule {
            name: name.into(),
            check: check.into(),
            since: None,
        }),
        removal: None,
    };
    series
        .iter()
        .map(|(name, rules)| (name.parse().unwrap(), rules.iter().map(rule).collect()))
        .collect()
}

fn settings(file: &str) -> Settings {
    Settings {
        enforce_scope: false,
        enforce_new_defaults: false,
        default_rule: "default".into(),
        policy_file: file.into(),
        policy_file_is_set: false,
    }
}

struct Done(Outcome);

impl Done {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.0.files[0].text).unwrap()
    }

    fn ids(&self) -> Vec<&str> {
        self.0.findings.iter().map(|finding| finding.id.as_str()).collect()
    }

    fn severity(&self, id: &str) -> Severity {
        self.0
            .findings
            .iter()
            .find(|finding| finding.id == id)
            .unwrap_or_else(|| panic!("{:#?}", self.0.findings))
            .severity
    }
}

fn run_named(series: &[(&str, &[Rule<'_>])], name: &str, text: &str, pin: bool) -> Done {
    let owned = rules(series);
    let history = History {
        stages: owned
            .iter()
            .map(|(series, rules)| Stage {
                series: series.clone(),
                rules: rules.iter().map(|rule| (rule.name.as_str(), rule)).collect(),
                in_code: true,
            })
            .collect(),
    };
    let file_of = |series: &str| {
        if Engine::of(&series.parse().unwrap()).falls_back_to_json {
            "policy.yaml"
        } else {
            "policy.json"
        }
    };
    let first = series[0].0;
    let before = settings(if name.ends_with(".json") {
        file_of(first)
    } else {
        "policy.yaml"
    });
    let files = [Input {
        name,
        bytes: text.as_bytes(),
        format: Format::Auto,
    }];
    let request = Request {
        history: &history,
        from: &owned[0].0,
        to: &owned[owned.len() - 1].0,
        files: &files,
        before: &before,
        after: &settings("policy.yaml"),
        pin_defaults: pin,
    };
    let done = migrate(&request).unwrap();
    // The second time nothing is left to do.
    let again = [Input {
        name: &done.files[0].suggested_name,
        bytes: &done.files[0].text,
        format: Format::Auto,
    }];
    let second = migrate(&Request {
        files: &again,
        pin_defaults: false,
        ..request
    })
    .unwrap();
    let (one, two) = (&done.files[0].text, &second.files[0].text);
    assert_eq!(
        String::from_utf8_lossy(one),
        String::from_utf8_lossy(two),
        "not idempotent"
    );
    assert_eq!(done.proof.rules, done.proof.equal + done.proof.named + done.proof.new);
    Done(done)
}

fn run(series: &[(&str, &[Rule<'_>])], text: &str) -> Done {
    run_named(series, "policy.yaml", text, false)
}

#[test]
fn a_rename_keeps_comments_and_untouched_lines() {
    let text = "# head\n\n# about a\n\"a\": \"role:x\"   # why\nb:   role:y\n# tail\n";
    let done = run(
        &[
            ("train", &[("a", "role:o", None), ("b", "role:o", None)]),
            (
                "ussuri",
                &[("n", "role:o", Some(("a", "role:o"))), ("b", "role:o", None)],
            ),
        ],
        text,
    );
    assert_eq!(
        done.text(),
        "# head\n\n# about a\n\"n\": \"role:x\" # why\nb:   role:y\n# tail\n"
    );
    assert_eq!(done.ids(), ["policy-rule-renamed"]);
    assert_eq!((done.0.proof.equal, done.0.proof.named), (2, 0));
}

#[test]
fn names_are_followed_after_the_predecessor_is_forgotten() {
    let done = run(
        &[
            ("train", &[("a", "role:o", None)]),
            ("ussuri", &[("b", "role:o", Some(("a", "role:o")))]),
            ("victoria", &[("b", "role:o", None)]),
            ("wallaby", &[("c", "role:o", Some(("b", "role:o")))]),
            ("xena", &[("c", "role:o", None)]),
        ],
        "a: role:x\n",
    );
    assert_eq!(done.text(), "\"c\": \"role:x\"\n");
    assert_eq!(done.0.proof.equal, 1);
}

#[test]
fn a_split_writes_each_and_references_stay_true() {
    let old: &[Rule<'_>] = &[("a", "role:o", None), ("z", "role:o", None)];
    let new: &[Rule<'_>] = &[
        ("a1", "role:o", Some(("a", "role:o"))),
        ("a2", "role:p", Some(("a", "role:o"))),
        ("z", "role:o", None),
    ];
    let done = run(&[("train", old), ("wallaby", new)], "a: role:x # all\n");
    assert_eq!(done.text(), "\"a1\": \"role:x\"\n\"a2\": \"role:x\" # all\n");
    let done = run(&[("train", old), ("wallaby", new)], "a: role:x\nz: rule:a and role:y\n");
    assert_eq!(
        done.text(),
        "\"a1\": \"role:x\"\n\"a2\": \"role:x\"\n# ffu: kept because other rules refer to it; the service has no rule a since wallaby\n\
         a: role:x\nz: rule:a and role:y\n"
    );
    assert_eq!(done.0.proof.equal, 3);
    // A reference to a rule that is split and was not overridden: written out, as `a` in the file would override both.
    let done = run(&[("train", old), ("wallaby", new)], "z: not rule:a\n");
    assert_eq!(done.text(), "\"z\": \"not (role:o)\"\n");
}

#[test]
fn references_follow_renames() {
    let done = run(
        &[
            ("train", &[("a", "role:o", None), ("z", "role:o", None)]),
            (
                "wallaby",
                &[("n", "role:o", Some(("a", "role:o"))), ("z", "role:o", None)],
            ),
        ],
        "z: rule:a or (rule:a and role:y)\nmine: rule:a\ny2: rule:mine\n",
    );
    assert_eq!(
        done.text().lines().next().unwrap(),
        "\"z\": \"rule:n or (rule:n and role:y)\""
    );
    assert!(done.text().contains("\"mine\": \"rule:n\"\n"), "{}", done.text());
    assert!(done.ids().contains(&"policy-rule-unknown"));
}

#[test]
fn a_helper_that_is_gone_stays_where_it_is_needed() {
    let series: &[(&str, &[Rule<'_>])] = &[
        ("train", &[("owner", "user:%(id)s", None), ("z", "rule:owner", None)]),
        ("wallaby", &[("z", "role:member", None)]),
    ];
    let remark = "# ffu: kept because other rules refer to it; the service has no rule owner since wallaby\n";
    let done = run(series, "z: rule:owner or role:y\n");
    assert_eq!(
        done.text(),
        format!("z: rule:owner or role:y\n{remark}\"owner\": \"user:%(id)s\"\n")
    );
    assert_eq!(done.0.proof.equal, 1);
    let done = run(series, "owner: role:q\nz: rule:owner\n");
    assert_eq!(done.text(), format!("{remark}owner: role:q\nz: rule:owner\n"));
    let done = run(series, "x: role:x\nowner: role:q\n");
    assert!(
        done.text()
            .ends_with("# ffu: the service has no rule owner since wallaby\n# owner: role:q\n"),
        "{}",
        done.text()
    );
    assert_eq!(done.severity("policy-rule-gone"), Severity::LostUnlessYouAct);
}

#[test]
fn gone_rules_become_comments_and_never_vanish() {
    let series: &[(&str, &[Rule<'_>])] = &[
        ("train", &[("a", "role:o", None), ("b", "", None)]),
        ("zed", &[("b", "", None)]),
    ];
    let done = run(series, "a:\n  role:o\nb: role:y\n");
    assert_eq!(
        done.text(),
        "# ffu: the service has no rule a since zed\n# a:\n#   role:o\nb: role:y\n"
    );
    assert_eq!(done.severity("policy-rule-gone"), Severity::RemovedWithoutEffect);
    let done = run_named(
        series,
        "policy.json",
        "{\"a\": \"role:x\",\n\t\"b\": [[\"role:y\", \"role:z\"]]}",
        false,
    );
    assert_eq!(
        done.text(),
        "# ffu: the service has no rule a since zed\n# \"a\": \"role:x\"\n\"b\": [[\"role:y\", \"role:z\"]]\n"
    );
    assert_eq!(done.0.files[0].suggested_name, "policy.yaml");
    assert!(done.ids().contains(&"policy-file-renamed"), "{:?}", done.ids());
}

#[test]
fn old_eras_did_not_honour_old_names() {
    let new: &[Rule<'_>] = &[("n", "role:o", Some(("a", "role:o")))];
    let done = run(&[("rocky", new), ("train", new)], "a: role:x\n");
    assert_eq!(
        done.text(),
        "# ffu: a was without effect; it is an old name of n\n# a: role:x\n"
    );
    assert_eq!(done.severity("policy-rule-would-take-effect"), Severity::Decide);
    assert_eq!(done.0.proof.equal, 1);
    let done = run(&[("stein", new), ("train", new)], "a: role:x\n");
    assert_eq!(done.text(), "\"n\": \"role:x\"\n");
}

#[test]
fn a_line_of_a_sample_that_only_points_is_no_override() {
    let new: &[Rule<'_>] = &[("n", "role:o", Some(("a", "role:o")))];
    let done = run(&[("train", &[("a", "role:o", None)]), ("wallaby", new)], "a: rule:n\n");
    assert!(
        done.text()
            .starts_with("# ffu: a is n now, and this line only pointed there\n# a: rule:n\n"),
        "{}",
        done.text()
    );
    let done = run(&[("stein", new), ("wallaby", new)], "a: role:x\nn: role:y\n");
    assert!(
        done.text().starts_with("# ffu:") && done.text().ends_with("# a: role:x\nn: role:y\n"),
        "{}",
        done.text()
    );
}

#[test]
fn changed_defaults_are_named_and_can_be_pinned() {
    let series: &[(&str, &[Rule<'_>])] = &[
        (
            "train",
            &[("a", "rule:h", None), ("b", "role:o", None), ("h", "role:o", None)],
        ),
        (
            "zed",
            &[
                ("a", "rule:h", None),
                ("b", "role:p", None),
                ("h", "role:q", None),
                ("fresh", "", None),
            ],
        ),
    ];
    let done = run(series, "b: role:o\n");
    assert_eq!((done.0.proof.equal, done.0.proof.named, done.0.proof.new), (1, 2, 1));
    let message = &done
        .0
        .findings
        .iter()
        .find(|f| f.id == "policy-default-changed-under-override")
        .unwrap()
        .message;
    assert!(
        message.starts_with("the override pins the old default: it was \"role:o\", it is \"role:p\""),
        "{message}"
    );
    let indirect = done.0.findings.iter().find(|f| f.subject == "a").unwrap();
    assert_eq!(indirect.severity, Severity::ChangedDefault);
    assert!(
        indirect.message.contains("in full it was role:o, it is role:q"),
        "{}",
        indirect.message
    );
    let done = run_named(series, "policy.yaml", "b: role:o", true);
    assert_eq!((done.0.proof.equal, done.0.proof.named), (3, 0));
    assert!(
        done.text()
            .contains("\n# ffu: h as it was in train\n\"h\": \"role:o\"\n"),
        "{}",
        done.text()
    );
    let done = run(series, "b: role:p\n");
    assert_eq!(done.severity("policy-override-redundant"), Severity::Info);
}

#[test]
fn values_that_do_not_mean_what_they_seem_are_named() {
    let series: &[(&str, &[Rule<'_>])] = &[("zed", &[("a", "role:o", None)])];
    for (text, id) in [
        ("a: !\n", "policy-value-admits-everybody"),
        ("a: role:x role:y\n", "policy-check-malformed"),
        ("a: admin\n", "policy-check-malformed"),
        ("a: 5\n", "policy-value-no-check"),
        ("yes: role:x\n", "policy-name-is-no-text"),
        ("a: rule:nowhere\n", "policy-reference-to-nothing"),
        ("a: role:x\na: role:y\n", "policy-rule-twice"),
    ] {
        let done = run(series, text);
        assert_eq!(done.severity(id), Severity::Decide, "{text}");
        assert_eq!(done.text(), text);
        assert_eq!(done.0.findings.iter().find(|f| f.id == id).unwrap().line, Some(1));
    }
}

#[test]
fn files_that_nobody_reads_are_named() {
    let series: &[(&str, &[Rule<'_>])] = &[("2026.1", &[("a", "role:o", None)])];
    let done = run_named(series, "etc/policy.json", "a: role:x\n", false);
    assert!(done.ids().contains(&"policy-file-not-read"), "{:?}", done.ids());
    let series: &[(&str, &[Rule<'_>])] = &[("train", &[("a", "role:o", None)])];
    let done = run_named(series, "policy.json", "{}", false);
    assert_eq!((done.text(), done.ids()), ("{}\n", vec!["policy-file-renamed"]));
}

#[test]
fn errors_say_which_file_and_what_next() {
    let owned = rules(&[("train", &[]), ("ussuri", &[])]);
    let history = History {
        stages: owned
            .iter()
            .map(|(series, _)| Stage {
                series: series.clone(),
                rules: BTreeMap::new(),
                in_code: true,
            })
            .collect(),
    };
    let (train, ussuri, zed) = (
        "train".parse().unwrap(),
        "ussuri".parse().unwrap(),
        "zed".parse().unwrap(),
    );
    let plain = settings("policy.yaml");
    let ask = |from, to, bytes: &'static [u8]| {
        let files = [Input {
            name: "p.yaml",
            bytes,
            format: Format::Auto,
        }];
        let request = Request {
            history: &history,
            from,
            to,
            files: &files,
            before: &plain,
            after: &plain,
            pin_defaults: false,
        };
        migrate(&request).unwrap_err().to_string()
    };
    assert!(ask(&train, &zed, b"").contains("no policy rules of zed"));
    assert!(ask(&ussuri, &train, b"").contains("train is before ussuri"));
    assert!(ask(&train, &ussuri, b"a: [").starts_with("p.yaml: line 1, column"));
    let verify = MigrateError::Verify {
        file: "p.yaml".into(),
        rule: "a".into(),
    };
    assert!(verify.to_string().contains("(rule a)"));
}
