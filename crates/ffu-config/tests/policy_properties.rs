//! Properties of policy migrations over generated histories of rules and generated files.
//!
//! A history is made as upstream makes it: rules are renamed, split, given other defaults, taken away and added, and the
//! declaration of a predecessor is dropped some series later.

use std::collections::BTreeMap;

use ffu_catalog::options::{PolicyRule, PredecessorRule, SeriesSet};
use ffu_config::policy::{Enforcer, Format, History, Input, Outcome, Request, Settings, Stage, check, migrate};
use ffu_model::Series;
use proptest::prelude::*;

const SERIES: [&str; 6] = ["rocky", "train", "victoria", "yoga", "2024.1", "2026.1"];
const CHECKS: [&str; 9] = [
    "role:admin",
    "role:member and project_id:%(project_id)s",
    "rule:r0",
    "rule:r1 or role:x",
    "not rule:r2",
    "",
    "!",
    "role:reader",
    "rule:helper",
];

#[derive(Clone, Debug)]
enum Change {
    Rename(usize),
    Split(usize),
    Default(usize, usize),
    Remove(usize),
    Add(usize),
    Forget(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..8_usize).prop_map(Change::Rename),
        2 => (0..8_usize).prop_map(Change::Split),
        2 => (0..8_usize, 0..CHECKS.len() - 1).prop_map(|(n, c)| Change::Default(n, c)),
        1 => (0..8_usize).prop_map(Change::Remove),
        1 => (0..CHECKS.len() - 1).prop_map(Change::Add),
        2 => (0..8_usize).prop_map(Change::Forget),
    ]
}

fn rule(name: String, check: &str, predecessor: Option<PredecessorRule>) -> PolicyRule {
    PolicyRule {
        name,
        series: SeriesSet(0),
        check: check.to_owned(),
        scopes: vec![],
        predecessor,
        removal: None,
    }
}

fn old(rule: &PolicyRule) -> Option<PredecessorRule> {
    Some(PredecessorRule {
        name: rule.name.clone(),
        check: rule.check.clone(),
        since: None,
    })
}

fn history(changes: &[Vec<Change>]) -> Vec<Vec<PolicyRule>> {
    let mut rules: Vec<PolicyRule> = (0..4)
        .map(|n| rule(format!("r{n}"), CHECKS[[0, 1, 7, 2][n]], None))
        .collect();
    let mut all = vec![rules.clone()];
    let mut fresh = 100;
    for stage in changes {
        // A predecessor is a name of an earlier series, so one series changes each rule once.
        let mut touched: Vec<String> = Vec::new();
        for change in stage {
            let (Change::Rename(n) | Change::Split(n) | Change::Default(n, _) | Change::Remove(n) | Change::Forget(n)) =
                change
            else {
                let Change::Add(check) = change else { continue };
                fresh += 1;
                rules.push(rule(format!("r{fresh}"), CHECKS[*check], None));
                touched.push(format!("r{fresh}"));
                continue;
            };
            if rules.is_empty() {
                continue;
            }
            let n = n % rules.len();
            if touched.contains(&rules[n].name) {
                continue;
            }
            let was = rules[n].clone();
            touched.push(was.name.clone());
            match change {
                Change::Rename(_) | Change::Split(_) => {
                    rules.remove(n);
                    let copies = if matches!(change, Change::Split(_)) { 2 } else { 1 };
                    for _ in 0..copies {
                        fresh += 1;
                        touched.push(format!("r{fresh}"));
                        rules.push(rule(format!("r{fresh}"), &was.check, old(&was)));
                    }
                }
                Change::Default(_, check) => {
                    rules[n].check = CHECKS[*check].to_owned();
                    rules[n].predecessor = old(&was);
                }
                Change::Remove(_) => {
                    rules.remove(n);
                }
                _ => rules[n].predecessor = None,
            }
        }
        // Upstream's own defaults refer to rules that are there.
        let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
        for rule in &mut rules {
            let gone = |(name, _): &(String, _)| !names.contains(name);
            if check::parse(&rule.check).references.iter().any(gone) {
                rule.check = "role:successor".to_owned();
            }
        }
        all.push(rules.clone());
    }
    all
}

/// Names of rules that there may be, a helper of the operator's, and a name that nobody knows.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..4).prop_map(|n| format!("r{n}")),
        1 => (101..104).prop_map(|n| format!("r{n}")),
        1 => Just("helper".to_owned()),
        1 => Just("nobody:knows".to_owned()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        4 => (0..CHECKS.len()).prop_map(|n| CHECKS[n].to_owned()),
        1 => name().prop_map(|name| format!("rule:{name}")),
        1 => Just("role:own and (".to_owned()),
    ];
    (one, 0..3).prop_map(|(check, form)| match form {
        0 if !check.is_empty() => format!("({check}) or user_id:%(user_id)s"),
        _ => check,
    })
}

fn file() -> impl Strategy<Value = String> {
    let line = (name(), text(), 0..4).prop_map(|(name, text, form)| match form {
        0 => format!("# about {name}\n\"{name}\": \"{text}\"\n"),
        1 => format!("\"{name}\":\n  \"{text}\" # why\n"),
        _ => format!("\"{name}\": \"{text}\"\n"),
    });
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
}

fn settings(new_defaults: bool) -> Settings {
    Settings {
        enforce_scope: false,
        enforce_new_defaults: new_defaults,
        default_rule: "default".into(),
        policy_file: "policy.yaml".into(),
        policy_file_is_set: true,
    }
}

struct World {
    rules: Vec<Vec<PolicyRule>>,
}

impl World {
    fn history(&self) -> History<'_> {
        History {
            stages: self
                .rules
                .iter()
                .enumerate()
                .map(|(n, rules)| Stage {
                    series: SERIES[n].parse().unwrap(),
                    rules: rules.iter().map(|rule| (rule.name.as_str(), rule)).collect(),
                    in_code: true,
                })
                .collect(),
        }
    }

    fn carry(&self, from: usize, to: usize, text: &[u8], pin: bool) -> Outcome {
        let (from, to): (Series, Series) = (SERIES[from].parse().unwrap(), SERIES[to].parse().unwrap());
        let files = [Input {
            name: "policy.yaml",
            bytes: text,
            format: Format::Auto,
        }];
        let request = Request {
            history: &self.history(),
            from: &from,
            to: &to,
            files: &files,
            before: &settings(false),
            after: &settings(false),
            pin_defaults: pin,
        };
        migrate(&request).unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(text)))
    }
}

fn loaded(text: &[u8]) -> BTreeMap<String, check::Check> {
    let file = ffu_config::policy::PolicyFile::parse(text, Format::Yaml).unwrap();
    file.load().unwrap().into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every rule of the target needs the same as before, or a finding names it; judged here from the outside, by what is
    /// in the two files.
    #[test]
    fn nothing_is_lost_without_a_word(
        changes in prop::collection::vec(prop::collection::vec(change(), 0..4), 5),
        text in file(),
        to in 0..6_usize,
    ) {
        let world = World { rules: history(&changes) };
        let history = world.history();
        let done = world.carry(0, to, text.as_bytes(), false);
        let (old, new) = (loaded(text.as_bytes()), loaded(&done.files[0].text));
        let plain = settings(false);
        let before = Enforcer::new(&history.stages[0], &plain, &old);
        let after = Enforcer::new(&history.stages[to], &plain, &new);
        for name in history.stages[to].rules.keys() {
            let named = done.findings.iter().any(|finding| finding.subject == *name);
            match history.origin(name, 0, to) {
                Some(origin) => prop_assert!(before.meaning(origin).same(&after.meaning(name)) || named, "{name} of {origin}"),
                None => prop_assert!(named || !new.contains_key(*name), "{name} is new"),
            }
        }
        // No name of the file vanishes: it is still there, or a finding is about it.
        for name in old.keys() {
            let there = new.contains_key(name) || done.findings.iter().any(|finding| finding.subject == *name);
            prop_assert!(there, "{name} vanished");
        }
        // No comment vanishes.
        let out = String::from_utf8_lossy(&done.files[0].text);
        for comment in text.lines().filter(|line| line.starts_with('#')) {
            prop_assert!(out.contains(comment), "{comment} vanished from\n{out}");
        }
        prop_assert_eq!(done.proof.rules, done.proof.equal + done.proof.named + done.proof.new);
    }

    /// The second time nothing is left to do, and without a way to go nothing is done.
    #[test]
    fn twice_is_once(
        changes in prop::collection::vec(prop::collection::vec(change(), 0..4), 5),
        text in file(),
        to in 0..6_usize,
    ) {
        let world = World { rules: history(&changes) };
        let first = world.carry(0, to, text.as_bytes(), false);
        let there = world.carry(to, to, &first.files[0].text, false);
        prop_assert_eq!(String::from_utf8_lossy(&first.files[0].text), String::from_utf8_lossy(&there.files[0].text));
    }

    /// By way of another series it comes out the same, or a finding of one of the ways says that a rule changed.
    #[test]
    fn a_stop_on_the_way_changes_nothing(
        changes in prop::collection::vec(prop::collection::vec(change(), 0..3), 5),
        text in file(),
        stop in 1..5_usize,
    ) {
        let world = World { rules: history(&changes) };
        let direct = world.carry(0, 5, text.as_bytes(), false);
        let half = world.carry(0, stop, text.as_bytes(), false);
        let whole = world.carry(stop, 5, &half.files[0].text, false);
        let history = world.history();
        let plain = settings(false);
        let (one, two) = (loaded(&direct.files[0].text), loaded(&whole.files[0].text));
        let (one, two) = (Enforcer::new(&history.stages[5], &plain, &one), Enforcer::new(&history.stages[5], &plain, &two));
        for name in history.stages[5].rules.keys() {
            let findings = direct.findings.iter().chain(&half.findings).chain(&whole.findings);
            let told = findings.clone().any(|finding| {
                finding.subject == *name || finding.message.contains(*name) || finding.severity.needs_a_decision()
            });
            let same = one.meaning(name).same(&two.meaning(name));
            let texts = [&direct, &half, &whole].map(|done| String::from_utf8_lossy(&done.files[0].text).into_owned());
            prop_assert!(same || told, "{name}\n{}", texts.join("----\n"));
        }
    }

    /// With the defaults pinned, every rule that had a forerunner needs what it needed, whatever changed.
    #[test]
    fn pinned_is_as_before(
        changes in prop::collection::vec(prop::collection::vec(change(), 0..4), 5),
        text in file(),
    ) {
        let world = World { rules: history(&changes) };
        let done = world.carry(0, 5, text.as_bytes(), true);
        let history = world.history();
        let plain = settings(false);
        let (old, new) = (loaded(text.as_bytes()), loaded(&done.files[0].text));
        let before = Enforcer::new(&history.stages[0], &plain, &old);
        let after = Enforcer::new(&history.stages[5], &plain, &new);
        for name in history.stages[5].rules.keys().filter(|name| history.origin(name, 0, 5).is_some()) {
            let origin = history.origin(name, 0, 5).unwrap_or_default();
            let told = done.findings.iter().any(|finding| finding.subject == *name && finding.id == "policy-effect-changed");
            prop_assert!(before.meaning(origin).same(&after.meaning(name)) || told, "{name}");
        }
    }

    /// Whatever the bytes are, there is an answer.
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200), json in any::<bool>()) {
        let format = if json { Format::Json } else { Format::Auto };
        if let Ok(file) = ffu_config::policy::PolicyFile::parse(&bytes, format) {
            let _ = file.load();
        }
    }

    /// Text of the characters that mean something in YAML and in checks.
    #[test]
    fn any_marks_get_an_answer(text in "[a-c:!@&*#\\-\\[\\]{}\"'|> \n\t,%()]{0,60}") {
        if let Ok(file) = ffu_config::policy::PolicyFile::parse(text.as_bytes(), Format::Auto) {
            let _ = file.load();
            for entry in &file.entries {
                prop_assert!(file.text.get(entry.span.clone()).is_some());
            }
        }
        let parsed = check::parse(&text);
        if parsed.mistakes.is_empty() {
            prop_assert_eq!(check::parse(&parsed.check.to_string()).check, parsed.check);
        }
    }
}
