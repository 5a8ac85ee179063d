//! Our reading of policy files, and our idea of what rules need, against the real oslo.policy of every era.
//!
//! It needs the hop environments (`ffu env build`); those that are not there are left out, but three eras must be. More
//! cases: `FFU_POLICY_CASES=5000`; other ones each time: `FFU_POLICY_RANDOM=1`.

mod policy;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use ffu_catalog::Catalog;
use ffu_catalog::options::PolicyRule;
use ffu_config::policy::{Enforcer, Engine, Format, History, Input, PolicyFile, Request, Settings, check, migrate};
use ffu_model::Series;
use policy::Oracle;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

const SERIES: [&str; 19] = [
    "pike", "queens", "rocky", "stein", "train", "ussuri", "victoria", "wallaby", "xena", "yoga", "zed", "2023.1",
    "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2",
];

fn cases(usual: u32) -> u32 {
    std::env::var("FFU_POLICY_CASES").map_or(usual, |number| number.parse().unwrap())
}

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    match std::env::var_os("FFU_POLICY_RANDOM") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

/// Values that YAML and oslo.policy read in surprising ways, among plain ones.
fn value() -> impl Strategy<Value = String> {
    let check = prop::collection::vec(
        prop::sample::select(vec![
            "role:admin",
            "rule:a",
            "and",
            "or",
            "not",
            "(",
            ")",
            "(role:x",
            "b:%(c)s)",
            "@",
            "!",
            "'M':%(x)s",
            "\\\"q\\\"",
            "word",
            "AND",
            "project_id:%(project_id)s",
            "((",
            "))",
            "a:b:c",
            ":",
            "rule:",
            "é:ü",
        ]),
        0..8,
    )
    .prop_map(|words| words.join(" "));
    let plain = prop::sample::select(vec![
        "role:admin",
        "!",
        "@",
        "",
        "~",
        "no",
        "yes",
        "0",
        "1",
        "5.5",
        "1e3",
        "0x1F",
        "1:30",
        "2001-01-01",
        "null",
        "[]",
        "{}",
        "[role:x, role:y]",
        "[[role:x, role:y], role:z]",
        "[[], \"\"]",
        "[5]",
        "[[5]]",
        "{a: b}",
        "'single ''quoted'''",
        "&x role:x",
        "*x",
        "!!str 5",
        "role:x # c",
        "role:x#c",
        "- a",
        "|\n  role:x\n  or role:y",
        ">-\n  role:x\n  or role:y",
        "role:x\n  or role:y",
        "\n  role:x",
        "a: b",
        "%(x)s",
        "`",
        "role:\tx",
        "\trole:x",
        "\"a\\tb\"",
        "\"\\u00e9:x\"",
        "True",
        "off",
        ".inf",
        "=",
        "<<",
        "role:x\n\n",
        "[role:x,\n   role:y]",
        "\"role:x\n    or role:y\"",
        "é:ü",
        "09",
        "0o7",
        "-",
        "?",
        "!x y",
        "! role:x",
    ])
    .prop_map(str::to_owned);
    prop_oneof![3 => check.prop_map(|check| format!("\"{check}\"")), 2 => plain]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "\"a\"",
        "'b'",
        "a:b",
        "\"a:b:c\"",
        "identity:list",
        "yes",
        "5",
        "~",
        "<<",
        "&y c",
        "? d",
        "é",
        "a b",
        "[a]",
        "!!str e",
    ])
    .prop_map(str::to_owned)
}

fn yaml() -> impl Strategy<Value = String> {
    let line = (name(), value(), 0..12).prop_map(|(name, value, form)| match form {
        0 => format!("# {name}\n{name}: {value}\n"),
        1 => format!("{name}:   {value}   \n"),
        2 => format!("\n{name}: {value}\n\n"),
        3 => format!("  {name}: {value}\n"),
        4 => format!("{name} : {value}\n"),
        _ => format!("{name}: {value}\n"),
    });
    (prop::collection::vec(line, 0..5), 0..12).prop_map(|(lines, form)| match form {
        0 => format!("---\n{}", lines.concat()),
        1 => format!("\u{feff}{}", lines.concat()),
        2 => lines.concat().replace('\n', "\r\n"),
        3 => format!("{}...\n", lines.concat()),
        _ => lines.concat(),
    })
}

fn json() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "\"role:x\"",
        "\"\"",
        "\"!\"",
        "[]",
        "[[\"role:x\"]]",
        "[[\"role:x\", \"role:y\"], [\"role:z\"]]",
        "null",
        "true",
        "false",
        "1",
        "0",
        "0.0",
        "-0",
        "1e2",
        "{}",
        "{\"a\": \"b\"}",
        "\"a:\\u00e9\"",
        "\"a\\/b:c\"",
        "\"a:\\\"b\\\"\"",
        "\"role:x\\n or role:y\"",
        "[1]",
        "\"yes\"",
        "\"5\"",
        "'x'",
        "role:x",
    ]);
    let entry = (
        prop::sample::select(vec!["a", "b", "a:b", "x y", "é", "yes"]),
        value,
        0..4,
    );
    let entry = entry.prop_map(|(name, value, form)| match form {
        0 => format!("\n\t\"{name}\":\t{value}"),
        1 => format!("\"{name}\":{value}"),
        _ => format!("\n    \"{name}\": {value}"),
    });
    (prop::collection::vec(entry, 0..5), 0..8).prop_map(|(entries, form)| match form {
        0 => format!("{{{},}}", entries.join(",")),
        1 => format!("{{{}}} x", entries.join(",")),
        2 => format!("\u{feff}{{{}\n}}\n", entries.join(",")),
        _ => format!("{{{}\n}}\n", entries.join(",")),
    })
}

#[derive(Default)]
struct Counts {
    read: usize,
    refused: usize,
    only_we_refuse: usize,
    only_they_refuse: usize,
}

#[test]
fn files_are_read_as_oslo_policy_reads_them() {
    let mut asked = Vec::new();
    let counts = RefCell::new(Counts::default());
    for series in SERIES {
        let Some(oracle) = Oracle::start(series) else { continue };
        asked.push(series);
        let oracle = RefCell::new(oracle);
        let engine = Engine::of(&series.parse().unwrap());
        let format = if engine.reads_json { Format::Auto } else { Format::Yaml };
        let result = runner(cases(400)).run(&prop_oneof![3 => yaml(), 1 => json()], |text| {
            let theirs = oracle.borrow_mut().load(&text);
            let ours = PolicyFile::parse(text.as_bytes(), format).map_err(|error| error.to_string());
            let ours = ours.and_then(|file| match file.load() {
                Ok(rules) => {
                    let texts = file.entries.iter().filter(|e| e.counts && e.name_is_text);
                    let rules = texts.map(|e| (e.name.clone(), rules[&e.name].to_string()));
                    Ok(rules.collect::<BTreeMap<_, _>>())
                }
                Err((_, error)) => Err(error.to_string()),
            });
            let mut counts = counts.borrow_mut();
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => {
                    counts.read += 1;
                    prop_assert_eq!(ours, theirs, "{:?}", text);
                }
                (Err(_), Err(_)) => counts.refused += 1,
                // What we refuse on purpose although PyYAML reads it: merge keys, and YAML 1.1 forms that 1.2 gave up.
                (Err(_), Ok(_)) if odd(&text) => counts.only_we_refuse += 1,
                // PyYAML 3 (up to Stein) refuses some that PyYAML 5 reads; no running cloud has them in its file.
                (Ok(_), Err(error)) if old_yaml(error) => counts.only_they_refuse += 1,
                // Python 2 cannot show letters beyond ASCII, in checks or in errors: nothing to compare with.
                (_, Err(error)) if error.starts_with("Unicode") => {}
                _ => {
                    return Err(TestCaseError::fail(format!(
                        "{text:?}: ours {ours:?}, theirs {theirs:?}"
                    )));
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            panic!("{series}: {error}");
        }
    }
    let counts = counts.into_inner();
    let Counts {
        read,
        refused,
        only_we_refuse,
        only_they_refuse,
    } = counts;
    let names = asked.join(", ");
    writeln!(std::io::stderr(), "{names}: {read} read alike, {refused} refused alike, {only_we_refuse} by us only, {only_they_refuse} by PyYAML 3 only").unwrap();
    assert!(asked.len() >= 3, "only {asked:?}: build more with `ffu env build`");
    assert!(
        read > 300 && refused > 300 && only_we_refuse * 20 < read,
        "{read} {refused} {only_we_refuse}"
    );
}

/// `[role:x]` without quotes, `\/`, and an anchor that is there twice.
fn old_yaml(error: &str) -> bool {
    error.contains("found unexpected ':'")
        || error.contains("found duplicate anchor")
        || error.contains("unknown escape character '/'")
}

fn odd(text: &str) -> bool {
    text.contains("<<")
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

/// Overrides for some of a service's rules, old names and references among them.
fn overrides(rules: &[&PolicyRule], seed: &[(usize, usize)]) -> String {
    let mut text = String::from("# overrides\n");
    for (n, form) in seed {
        let Some(rule) = rules.get(n % rules.len().max(1)) else {
            continue;
        };
        let other = rules[(n * 7 + form) % rules.len()];
        let old = rule.predecessor.as_ref().map_or(&rule.name, |old| &old.name);
        let (name, check) = match form % 9 {
            0 => (&rule.name, "role:operator".to_owned()),
            1 => (old, "role:operator".to_owned()),
            2 => (&rule.name, format!("rule:{} or role:operator", other.name)),
            3 => (&rule.name, rule.check.clone()),
            4 => (old, format!("rule:{}", rule.name)),
            5 => (
                old,
                rule.predecessor
                    .as_ref()
                    .map_or("!".to_owned(), |old| old.check.clone()),
            ),
            6 => (&rule.name, "!".to_owned()),
            7 => (&rule.name, format!("not rule:{}", other.name)),
            _ => (&rule.name, "@".to_owned()),
        };
        text += &format!("{}: {}\n", serde_json::json!(name), serde_json::json!(check));
    }
    text
}

/// Asks both series' real oslo.policy, and compares every rule with our prediction.
fn compare(
    history: &History<'_>,
    path: (usize, usize),
    text: &str,
    oracles: (&mut Oracle, &mut Oracle),
    new: bool,
) -> (usize, usize) {
    let (first, last) = (&history.stages[path.0], &history.stages[path.1]);
    let files = [Input {
        name: "policy.yaml",
        bytes: text.as_bytes(),
        format: Format::Auto,
    }];
    let request = Request {
        history,
        from: &first.series,
        to: &last.series,
        files: &files,
        before: &settings(new),
        after: &settings(new),
        pin_defaults: false,
    };
    let done = migrate(&request).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let result = std::str::from_utf8(&done.files[0].text).unwrap();
    let load = |text: &str| -> BTreeMap<String, check::Check> {
        let file = PolicyFile::parse(text.as_bytes(), Format::Auto).unwrap();
        file.load().unwrap().into_iter().collect()
    };
    let mut compared = 0;
    for (stage, text, oracle) in [(first, text, oracles.0), (last, result, oracles.1)] {
        if !stage.in_code {
            continue;
        }
        let real = oracle
            .effective(text, stage.rules.values().copied(), new)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let (file, plain) = (load(text), settings(new));
        let ours = Enforcer::new(stage, &plain, &file);
        for name in stage.rules.keys().copied().chain(file.keys().map(String::as_str)) {
            let predicted = ours.rule(name).map(|check| check.to_string());
            assert_eq!(predicted.as_ref(), real.get(name), "{}: {name}\n{text}", stage.series);
            compared += 1;
        }
        let known = |name: &String| stage.rules.contains_key(name.as_str()) || file.contains_key(name);
        assert!(
            real.keys().all(known),
            "{}: {:?}",
            stage.series,
            real.keys().find(|name| !known(name))
        );
    }
    (compared, done.proof.rules)
}

#[test]
fn real_services_rules_are_in_force_as_predicted() {
    let catalog = Catalog::embedded().unwrap();
    let mut oracles: Vec<(Series, Oracle)> = SERIES
        .iter()
        .filter_map(|series| Some((series.parse().unwrap(), Oracle::start(series)?)))
        .collect();
    assert!(oracles.len() >= 3, "build more with `ffu env build`");
    let (mut compared, mut proven, mut files) = (0, 0, 0);
    for service in catalog.option_services() {
        let Some(Ok(options)) = catalog.options(service) else {
            panic!("{service} cannot be read")
        };
        let history = History::of(options);
        let there: Vec<usize> = (0..oracles.len())
            .filter(|n| history.position(&oracles[*n].0).is_some())
            .collect();
        for pair in there
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .chain(there.first().copied().zip(there.last().copied()))
        {
            if pair.0 == pair.1 {
                continue;
            }
            let place = |n: usize| history.position(&oracles[n].0).unwrap();
            let path = (place(pair.0), place(pair.1));
            let rules: Vec<&PolicyRule> = history.stages[path.0].rules.values().copied().collect();
            if rules.is_empty() {
                continue;
            }
            for seed in 0..cases(2) as usize {
                let picks: Vec<(usize, usize)> = (0..40).map(|n| (n * 37 + seed * 11 + pair.0, n * 5 + seed)).collect();
                let text = overrides(&rules, &picks);
                let (before, after) = oracles.split_at_mut(pair.1);
                let oracles = (&mut before[pair.0].1, &mut after[0].1);
                let (rules, all) = compare(&history, path, &text, oracles, seed % 2 == 1);
                compared += rules;
                proven += all;
                files += 1;
            }
        }
    }
    let message =
        format!("{files} files: {compared} rules asked of the real Enforcer, {proven} compared over a migration");
    writeln!(std::io::stderr(), "{message}").unwrap();
    assert!(compared > 1000, "{message}");
}
