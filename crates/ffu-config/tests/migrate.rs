//! What a migration does to files, case by case, over small catalogs made by hand.

#[path = "migrate/made.rs"]
#[allow(dead_code)]
mod made;

use ffu_catalog::options::OptType;
use ffu_catalog::rules::RuleFile;
use ffu_config::fate::{Fate, Lineage, LineageError};
use ffu_config::finding::Severity;
use ffu_config::migrate::{MigrateError, Request, Verdict, migrate};
use made::{Run, announced, backends, input, multi, opt, series, service, text, texts, told, typed};

const THREE: &str = "pike queens rocky";

fn integer(min: i64, max: i64) -> OptType {
    OptType::Integer {
        min: Some(min),
        max: Some(max),
        choices: None,
    }
}

#[test]
fn a_name_is_resolved_where_it_comes_from_and_followed_through_every_series() {
    // The target has dropped the first alias: asked alone, it would not know `DEFAULT.a`.
    let made = service(
        THREE,
        vec![
            opt("DEFAULT.b", 1, &["DEFAULT.a"]),
            opt("x.c", 2, &["DEFAULT.b"]),
            opt("x.d", 4, &["x.c"]),
        ],
    );
    let lineage = Lineage::new(&made, &made.series, &[]).unwrap();
    let Fate::Moved { to, chain } = lineage.fate("DEFAULT", "a") else {
        panic!()
    };
    assert_eq!((to.to_string().as_str(), chain.len()), ("x.d", 2));
    let outcome = Run::of(&made).all(&["[DEFAULT]\n# mine\na = 1\n"]);
    assert_eq!(texts(&outcome), ["[DEFAULT]\n\n[x]\n\n# mine\nd = 1\n"]);
    assert_eq!(told(&outcome), ["moved: DEFAULT.a option-moved"]);
    assert_eq!(outcome.proof.proven_equal, 1);
}

#[test]
fn a_hop_without_the_group_does_not_drop_it() {
    let made = service(THREE, vec![opt("lib.a", 1, &[]), opt("lib.b", 4, &["lib.a"])]);
    let outcome = Run::of(&made).all(&["[lib]\na = 1\n"]);
    assert_eq!(texts(&outcome), ["[lib]\nb = 1\n"]);
}

#[test]
fn removed_options_become_comments_and_unknown_ones_stay_marked() {
    let made = service(
        THREE,
        vec![
            announced(opt("DEFAULT.a", 1, &[])),
            opt("DEFAULT.b", 3, &[]),
            opt("DEFAULT.c", 7, &[]),
        ],
    );
    let outcome = Run::of(&made).all(&["[DEFAULT]\na = 1\n  2\nb = 1\nc = 1\nd = 1\n[e]\nf = 1\n"]);
    let expected = "[DEFAULT]\n# ffu: made queens has it no more, as announced in pike\n#a = 1\n#  2\n\
                    # ffu: unknown to made since rocky\nb = 1\nc = 1\n# ffu: unknown to made, in pike already\nd = 1\n[e]\nf = 1\n";
    assert_eq!(texts(&outcome), [expected]);
    assert_eq!(
        told(&outcome),
        [
            "lost unless you act: DEFAULT.a option-removed",
            "lost unless you act: DEFAULT.b option-unknown",
            "note: DEFAULT.d option-unknown-at-source",
            "note: e unverifiable-group",
        ]
    );
    let again = Run::of(&made).all(&[expected]);
    assert!(!again.files[0].changed, "{:?}", texts(&again));
}

#[test]
fn an_old_name_in_a_later_file_still_beats_the_new_one_in_an_earlier_file() {
    let made = service(THREE, vec![opt("g.new", 3, &["DEFAULT.old"]), opt("g.new", 4, &[])]);
    let outcome = Run::of(&made).all(&["[g]\nnew = first\n", "[DEFAULT]\nold = second\n"]);
    assert_eq!(
        texts(&outcome),
        ["[g]\nnew = first\n", "[DEFAULT]\n\n[g]\nnew = second\n"]
    );
    assert_eq!((outcome.proof.options_set, outcome.proof.proven_equal), (1, 1));
    // In one file the new name counts, wherever it stands.
    let outcome = Run::of(&made).all(&["[g]\nnew = counts\n[DEFAULT]\nold = not\n"]);
    let file = texts(&outcome).remove(0);
    assert!(
        file.contains("\n# ffu: without effect: line 2 sets [g] new too, and that counts\n#old = not\n"),
        "{file}"
    );
    assert_eq!(outcome.proof.proven_equal, 1);
}

#[test]
fn values_of_several_keep_their_order() {
    let made = service(THREE, vec![multi(opt("g.n", 3, &["g.o"])), multi(opt("g.n", 4, &[]))]);
    let outcome = Run::of(&made).all(&["[g]\nn = 3\no = 1\nn = 4\no = 2\n", "[g]\no = 5\n"]);
    assert_eq!(outcome.proof.proven_equal, 1, "{:?}", outcome.findings);
    let values: Vec<String> = texts(&outcome)
        .concat()
        .lines()
        .filter(|line| line.contains('='))
        .map(str::to_owned)
        .collect();
    assert_eq!(values, ["n = 1", "n = 2", "n = 3", "n = 4", "n = 5"]);
}

#[test]
fn references_follow_what_they_name() {
    let made = service(
        THREE,
        vec![
            opt("DEFAULT.dir", 1, &[]),
            opt("paths.state", 6, &["DEFAULT.dir"]),
            opt("g.log", 1, &[]),
            opt("h.log", 6, &["g.log"]),
            opt("g.base", 7, &[]),
            announced(opt("DEFAULT.gone", 1, &[])),
        ],
    );
    let text = "[DEFAULT]\ndir = /srv\ngone = 7$$\n[g]\nbase = b\nlog = $dir/${base}/$gone/$$x\n";
    let outcome = Run::of(&made).all(&[text]);
    let file = texts(&outcome).remove(0);
    assert!(file.contains("[h]\nlog = ${paths.state}/${g.base}/7$$/$$x\n"), "{file}");
    let log = outcome
        .expectations
        .iter()
        .find(|one| one.before.name == "log")
        .unwrap();
    assert_eq!(log.verdict, Verdict::Equal, "{log:?}");
}

#[test]
fn the_environment_gets_the_new_names_only() {
    let made = service(
        "stein train ussuri",
        vec![opt("DEFAULT.a", 1, &["DEFAULT.z"]), opt("g.b", 6, &["DEFAULT.a"])],
    );
    let mut run = Run::of(&made);
    for name in ["OS_DEFAULT__A", "OS_DEFAULT__Z", "PATH"] {
        run.environment.insert(name.to_owned(), "1".to_owned());
    }
    let outcome = run.all(&["[DEFAULT]\na = 2\n"]);
    assert_eq!(
        outcome.environment.iter().collect::<Vec<_>>(),
        [(&"OS_G__B".to_owned(), &"OS_DEFAULT__A".to_owned())]
    );
    assert!(
        told(&outcome).contains(&"note: OS_DEFAULT__Z environment-ignored".to_owned()),
        "{:?}",
        told(&outcome)
    );
    assert_eq!(outcome.proof.proven_equal, 1);
}

#[test]
fn groups_that_a_value_names_are_migrated_like_their_kind() {
    let mut made = service(
        THREE,
        vec![
            opt("DEFAULT.enabled_backends", 7, &[]),
            opt("backend.old", 1, &[]),
            opt("backend.new", 6, &["backend.old"]),
        ],
    );
    made.options[0].kind = OptType::List {
        item: Box::new(text()),
        bounds: false,
    };
    made.dynamic_groups.push(backends("backend"));
    let outcome = Run::of(&made)
        .all(&["[DEFAULT]\nenabled_backends = Fast,slow\n[Fast]\nold = 1\n[slow]\nold = 2\n[other]\nold = 3\n"]);
    let expected = "[DEFAULT]\nenabled_backends = Fast,slow\n[Fast]\nnew = 1\n[slow]\nnew = 2\n[other]\nold = 3\n";
    assert_eq!(texts(&outcome), [expected]);
    assert_eq!((outcome.proof.options_set, outcome.proof.proven_equal), (3, 3));
    assert!(told(&outcome).contains(&"note: other unverifiable-group".to_owned()));
}

#[test]
fn changed_defaults_are_told_or_pinned_and_refused_values_are_lost() {
    let made = service(
        THREE,
        vec![
            typed(opt("g.a", 3, &[]), integer(0, 99), 5.into()),
            typed(opt("g.a", 4, &[]), integer(0, 9), 6.into()),
            typed(opt("g.b", 3, &[]), integer(0, 99), 5.into()),
            typed(opt("g.b", 4, &[]), integer(0, 9), 5.into()),
        ],
    );
    let text = "[g]\nb = 50\n";
    let outcome = Run::of(&made).all(&[text]);
    assert_eq!(texts(&outcome), [text]);
    assert_eq!(
        told(&outcome),
        [
            "lost unless you act: g.b value-refused",
            "changed default: g.a default-changed"
        ]
    );
    let mut run = Run::of(&made);
    run.pin_defaults = true;
    let pinned = texts(&run.all(&[text])).remove(0);
    assert_eq!(
        pinned,
        "[g]\nb = 50\n\n# ffu: the default of pike; that of rocky is another one\na = 5\n"
    );
    assert!(!run.all(&[&pinned]).files[0].changed);
}

#[test]
fn what_the_old_series_did_not_read_must_not_come_to_life_unseen() {
    let made = service(
        THREE,
        vec![
            opt("DEFAULT.a", 1, &[]),
            opt("DEFAULT.b", 4, &["DEFAULT.a"]),
            opt("DEFAULT.c", 4, &[]),
        ],
    );
    let outcome = Run::of(&made).all(&["[DEFAULT]\na = 1\nb = 2\nc = 3\n"]);
    let expected =
        "[DEFAULT]\nb = 1\n# ffu: made pike did not read this, and what it read has this name now\n#b = 2\nc = 3\n";
    assert_eq!(texts(&outcome), [expected]);
    assert_eq!(
        outcome
            .findings
            .iter()
            .filter(|one| one.severity == Severity::Decide)
            .count(),
        2
    );
    assert_eq!(outcome.proof.proven_equal, 1);
}

#[test]
fn rules_say_what_catalogs_cannot() {
    let rules = toml_rules(
        r#"
        [[rule]]
        id = "halves"
        since = "queens"
        change = { is = "split", from = "DEFAULT.both", to = ["g.one", "g.two"] }
        why = "it was split"
        source = "a test"
        [[rule]]
        id = "colours"
        since = "rocky"
        change = { is = "values", options = ["g.colour"], map = { red = "crimson", grey = "" } }
        why = "colours have other names"
        source = "a test"
        "#,
    );
    let list = OptType::List {
        item: Box::new(text()),
        bounds: false,
    };
    let made = service(
        THREE,
        vec![
            opt("DEFAULT.both", 1, &[]),
            opt("g.one", 6, &[]),
            opt("g.two", 6, &[]),
            typed(opt("g.colour", 7, &[]), list, serde_json::Value::Null),
        ],
    );
    let mut run = Run::of(&made);
    run.rules = &rules;
    let outcome = run.all(&["[DEFAULT]\nboth = 1\n[g]\ncolour = blue, red,grey\n"]);
    let file = texts(&outcome).remove(0);
    let expected = "[DEFAULT]\n[g]\ncolour = blue, crimson\none = 1\n\n# ffu: as [DEFAULT] both was\ntwo = 1\n";
    assert_eq!(file, expected);
    assert_eq!(outcome.proof.proven_equal, 2, "{:?}", outcome.findings);
    assert!(!run.all(&[&file]).files[0].changed);
}

fn toml_rules(text: &str) -> Vec<ffu_catalog::rules::Rule> {
    toml::from_str::<RuleFile>(text).unwrap().rule
}

#[test]
fn within_one_series_nothing_is_changed() {
    let made = service(THREE, vec![opt("g.b", 7, &["g.a"])]);
    let text = "[g]\na = 1\nunknown=2\n";
    let outcome = Run::of(&made).path(&series("queens"), &input(&[text]));
    assert_eq!((texts(&outcome).remove(0).as_str(), outcome.findings.len()), (text, 0));
    assert_eq!(outcome.proof.proven_equal, 1);
}

#[test]
fn what_cannot_be_migrated_is_an_error_with_its_place() {
    let made = service(THREE, vec![opt("g.a", 7, &[])]);
    let run = |path: &str, text: &str| {
        let error = migrate(&Request {
            options: &made,
            rules: &[],
            path: &if path.is_empty() { Vec::new() } else { series(path) },
            files: &input(&[text]),
            environment: &std::collections::BTreeMap::new(),
            pin_defaults: false,
        });
        error.unwrap_err()
    };
    let error = run(THREE, "[g]\na = 1\n\n  b\n");
    assert!(
        matches!(error, MigrateError::Parse { .. }) && error.to_string().starts_with("0.conf: "),
        "{error}"
    );
    let error = run(THREE, "[g]\na = s3cret\0\n");
    assert_eq!(
        error.to_string(),
        "0.conf:2:11: a NUL character; take it out, nothing was changed"
    );
    let error = run("queens stein", "");
    assert!(
        matches!(error, MigrateError::Lineage(LineageError::NotDumped { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("no option catalog of made for stein"),
        "{error}"
    );
    assert!(matches!(run("", ""), MigrateError::Lineage(LineageError::NoPath)));
}
