//! The order in which values are found, and what references do; each case was asked of the real library too.

use ffu_catalog::options::Opt;
use serde_json::{Value as Json, json};

use super::*;
use crate::era::Era;
use crate::ini::Document;

fn opt(spec: Json) -> Opt {
    let mut full = json!({"group": "DEFAULT", "in": 1, "type": {"is": "string"}});
    for (key, value) in spec.as_object().unwrap() {
        full[key] = value.clone();
    }
    serde_json::from_value(full).unwrap()
}

fn opts(specs: Json) -> Vec<Opt> {
    specs.as_array().unwrap().iter().cloned().map(opt).collect()
}

fn files(texts: &[&str]) -> FileSet {
    let mut files = FileSet::new();
    for (number, text) in texts.iter().enumerate() {
        files.push(format!("{number}.conf"), Document::parse(text.as_bytes()).unwrap());
    }
    files
}

/// The effective value of an option, or the error in words.
fn value(opts: &[Opt], texts: &[&str], group: &str, name: &str) -> Result<Json, String> {
    let schema = Schema::new(opts, Era::NEWEST);
    let files = files(texts);
    let environment = BTreeMap::new();
    let reading = Reading::new(&schema, &files, &environment);
    let effective = reading.effective(group, name).unwrap();
    effective
        .value
        .map(|value| json!(value))
        .map_err(|error| error.to_string())
}

#[track_caller]
fn is(opts: &[Opt], texts: &[&str], name: &str, expected: Json) {
    assert_eq!(value(opts, texts, "DEFAULT", name), Ok(expected));
}

#[track_caller]
fn fails(opts: &[Opt], texts: &[&str], name: &str, words: &str) {
    let error = value(opts, texts, "DEFAULT", name).unwrap_err();
    assert!(error.contains(words), "{error}");
}

#[test]
fn an_old_name_in_a_later_file_beats_the_new_one_in_an_earlier() {
    let opts = opts(json!([{"name": "new", "aliases": [{"group": "old", "name": "x"}]}]));
    is(&opts, &["[DEFAULT]\nnew = 1\n", "[OLD]\nx = 2\n"], "new", json!("2"));
    is(
        &opts,
        &["[DEFAULT]\nnew = 1\nnew = 3\n[old]\nx = 2\n"],
        "new",
        json!("3"),
    );
    is(&opts, &["[default]\nnew = 1\n"], "new", Json::Null);
    is(&opts, &["[DEFAULT]\nNew = 1\n"], "new", Json::Null);
}

#[test]
fn of_a_multi_valued_option_all_count_old_names_first() {
    let opts = opts(json!([{"name": "m", "multi": true, "aliases": [{"group": "DEFAULT", "name": "old"}]}]));
    let texts = ["[DEFAULT]\nm = 1\nold = 2\n", "[DEFAULT]\nm = 3\nm = 4\nold = 5\n"];
    is(&opts, &texts, "m", json!(["2", "1", "5", "3", "4"]));
    let schema = Schema::new(&opts, Era::NEWEST);
    let files = files(&texts);
    let environment = BTreeMap::new();
    let effective = Reading::new(&schema, &files, &environment)
        .effective("DEFAULT", "m")
        .unwrap();
    let places: Vec<(usize, usize)> = effective
        .sources
        .iter()
        .map(|source| match source {
            Source::File { file, line, .. } => (*file, line.unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(0, 3), (0, 2), (1, 4), (1, 2), (1, 3)]);
}

#[test]
fn the_environment_comes_before_files_from_stein_on_and_ignores_old_names() {
    let opts = opts(json!([
        {"group": "db", "name": "url", "aliases": [{"group": "db", "name": "old"}]},
        {"name": "m", "multi": true},
    ]));
    let files = files(&["[db]\nurl = file\n"]);
    let environment = [("OS_DB__URL", "env"), ("OS_DB__OLD", "no"), ("OS_DEFAULT__M", "ab")];
    let environment = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let url = |era| {
        let schema = Schema::new(&opts, era);
        Reading::new(&schema, &files, &environment)
            .effective("db", "url")
            .unwrap()
    };
    assert_eq!(url(Era::ROCKY).value, Ok(Value::Text("file".to_owned())));
    assert_eq!(url(Era::STEIN).value, Ok(Value::Text("env".to_owned())));
    let variable = "OS_DB__URL".to_owned();
    assert_eq!(url(Era::STEIN).sources, [Source::Environment { variable }]);
    let schema = Schema::new(&opts, Era::NEWEST);
    let m = Reading::new(&schema, &files, &environment)
        .effective("DEFAULT", "m")
        .unwrap();
    assert_eq!(json!(m.value.unwrap()), json!(["a", "b"]), "each character is a value");
}

#[test]
fn references_ask_their_own_group_then_default() {
    let opts = opts(json!([
        {"name": "a"}, {"name": "b"}, {"group": "g", "name": "a"}, {"group": "g", "name": "r"},
        {"name": "n", "type": {"is": "integer"}}, {"name": "l", "type": {"is": "list", "item": {"is": "string"}}},
    ]));
    let text = "[DEFAULT]\na = A\nb = B\nn = 5\nl = x,y\n[g]\na = GA\nr = ";
    let g = |reference: &str| value(&opts, &[&format!("{text}{reference}\n")], "g", "r");
    assert_eq!(g("$a-$b-${g.a}-$n-$l"), Ok(json!("GA-B-GA-5-['x', 'y']")));
    assert_eq!(g("$$a \\$a $ $1 ${a"), Ok(json!("$a $a $ $1 ${a")));
    assert!(
        g("$b.log")
            .unwrap_err()
            .contains("`b.log` refers to a group without options")
    );
    assert!(g("$gone").unwrap_err().contains("`gone` refers to no option"));
    assert!(g("$g.gone").unwrap_err().contains("`g.gone` refers to no option"));
    assert!(g("$DEFAULT.a").unwrap_err().contains("group without options"));
    assert!(g("$g").unwrap_err().contains("is a group"));
}

#[test]
fn an_absent_value_is_an_empty_text_in_a_reference() {
    let opts = opts(json!([{"name": "a", "default": "<$b>"}, {"name": "b"}]));
    is(&opts, &[], "a", json!("<>"));
}

#[test]
fn references_by_old_names_are_looked_for_where_oslo_config_looks() {
    let opts = opts(json!([
        {"group": "new", "name": "x", "aliases": [{"group": "old", "name": "y"}, {"group": "new", "name": "z"}]},
        {"group": "old", "name": "other"}, {"name": "r"}, {"name": "d", "aliases": [{"group": "old", "name": "e"}]},
    ]));
    let r = |text: &str| {
        value(
            &opts,
            &[&format!("[new]\nx = 1\n[DEFAULT]\nr = {text}\n")],
            "DEFAULT",
            "r",
        )
    };
    assert_eq!(
        r("<${old.y}>"),
        Ok(json!("<>")),
        "found, but the new group is not asked"
    );
    assert_eq!(
        r("<$z>"),
        Ok(json!("<>")),
        "an old name without a group is known under DEFAULT"
    );
    assert!(r("${new.z}").unwrap_err().contains("refers to no option"));
    assert_eq!(r("${old.e}"), Ok(json!("${old.e}")), "stays as it is");
}

#[test]
fn circles_and_depth_end_in_an_error_with_the_place() {
    let two = opts(json!([{"name": "a"}, {"name": "b"}, {"name": "c", "default": "$a"}]));
    let text = "[DEFAULT]\na = x$b\nb = $a\n";
    fails(&two, &[text], "a", "DEFAULT.a -> DEFAULT.b -> DEFAULT.a");
    fails(
        &two,
        &[text],
        "c",
        "[DEFAULT] b: its references go round in a circle: DEFAULT.a -> DEFAULT.b -> DEFAULT.a",
    );
    fails(&two, &["[DEFAULT]\na = $a\n"], "a", "DEFAULT.a -> DEFAULT.a");

    let chain = |length: usize| {
        let specs: Vec<Json> = (0..=length)
            .map(|n| {
                let default = if n == length {
                    "end".to_owned()
                } else {
                    format!("$a{}", n + 1)
                };
                json!({"name": format!("a{n}"), "default": default})
            })
            .collect();
        opts(json!(specs))
    };
    is(&chain(MAX_DEPTH), &[], "a0", json!("end"));
    fails(&chain(MAX_DEPTH + 1), &[], "a0", "more than 90 references");
    // What was resolved before makes no difference.
    let long = chain(MAX_DEPTH + 1);
    let schema = Schema::new(&long, Era::NEWEST);
    let (files, environment) = (FileSet::new(), BTreeMap::new());
    let reading = Reading::new(&schema, &files, &environment);
    assert!(reading.effective("DEFAULT", "a1").unwrap().value.is_ok());
    assert!(reading.effective("DEFAULT", "a0").unwrap().value.is_err());
}

#[test]
fn many_references_to_the_same_cost_nothing() {
    let specs: Vec<Json> = (0..80)
        .map(|n| {
            let default = if n == 79 {
                "$gone".to_owned()
            } else {
                format!("$a{0}$a{0}$a{0}", n + 1)
            };
            json!({"group": "g", "name": format!("a{n}"), "default": default})
        })
        .collect();
    assert!(
        value(&opts(json!(specs)), &[], "g", "a0")
            .unwrap_err()
            .contains("`gone`")
    );
}

#[test]
fn a_value_that_its_type_refuses_is_named_without_secrets() {
    let opts = opts(json!([
        {"name": "n", "type": {"is": "integer"}}, {"name": "s", "type": {"is": "integer"}, "secret": true}, {"name": "r"},
    ]));
    let text = "[DEFAULT]\nn = word\ns = hidden\nr = $s\n";
    fails(&opts, &[text], "n", "[DEFAULT] n: \"word\" is not a whole number");
    fails(&opts, &[text], "s", "secret");
    let error = value(&opts, &[text], "DEFAULT", "r").unwrap_err();
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn groups_that_values_name_hold_the_options_of_their_model() {
    let all = opts(json!([
        {"group": "backend_defaults", "name": "driver", "aliases": [{"group": "backend_defaults", "name": "old"}]},
        {"name": "a"},
    ]));
    let mut schema = Schema::new(&all, Era::NEWEST);
    schema.add_group("lvm", all.iter().filter(|opt| opt.group == "backend_defaults"));
    let files = files(&["[lvm]\nold = x\nother = 1\n[ceph]\ndriver = 2\n[DEFAULT]\na = 1\nA = 2\n"]);
    let environment = BTreeMap::new();
    let reading = Reading::new(&schema, &files, &environment);
    let lvm = reading.effective("lvm", "driver").unwrap();
    assert_eq!(lvm.value, Ok(Value::Text("x".to_owned())));
    assert!(reading.effective("ceph", "driver").is_none());
    let unknown: Vec<(String, String)> = reading.unknown().into_iter().map(|u| (u.group, u.key)).collect();
    let expected = [("lvm", "other"), ("ceph", "driver"), ("DEFAULT", "A")];
    assert_eq!(unknown, expected.map(|(group, key)| (group.to_owned(), key.to_owned())));
    let all: Vec<(&str, &str)> = reading
        .all()
        .map(|(group, opt, _)| (group, opt.name.as_str()))
        .collect();
    assert_eq!(
        all,
        [("backend_defaults", "driver"), ("DEFAULT", "a"), ("lvm", "driver")]
    );
    assert_eq!(reading.entries_of("LVM", "old").len(), 1);
    assert_eq!(reading.substitute("<$driver>", "lvm"), Ok("<x>".to_owned()));
}

#[test]
fn references_are_found_where_they_stand() {
    let found = |text: &str| -> Vec<(String, String)> {
        let found = references(text, Era::NEWEST);
        found.into_iter().map(|r| (text[r.span].to_owned(), r.name)).collect()
    };
    let pair = |whole: &str, name: &str| (whole.to_owned(), name.to_owned());
    assert_eq!(
        found("é$a $$b ${g.c}d \\$e $\\$f $ $g.h"),
        [
            pair("$a", "a"),
            pair("${g.c}", "g.c"),
            pair("$f", "f"),
            pair("$g.h", "g.h")
        ]
    );
}

#[test]
fn a_config_dir_is_read_in_the_order_of_characters() {
    let names = ["9-b.conf", "10-a.conf", ".x.conf", "a.conf~", "B.conf", "a.conf"].map(str::to_owned);
    assert_eq!(config_dir_order(&names), ["10-a.conf", "9-b.conf", "B.conf", "a.conf"]);
}
