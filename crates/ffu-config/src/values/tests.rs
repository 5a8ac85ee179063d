//! Texts that the types of oslo.config take, change and refuse; each line was asked of the real library too.

use ffu_catalog::options::OptType;
use serde_json::{Value as Json, json};

use super::*;

fn kind(spec: Json) -> OptType {
    serde_json::from_value(spec).unwrap()
}

/// `null` where the text is refused.
#[track_caller]
fn made(spec: Json, text: &str, expected: Json) {
    made_in(Era::NEWEST, spec, text, expected);
}

#[track_caller]
fn made_in(era: Era, spec: Json, text: &str, expected: Json) {
    let value = parse(&kind(spec), text, era);
    let made = match &value {
        Ok(Value::None) => json!("None"),
        Ok(value) => json!(value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Json::Null
        }
    };
    assert_eq!(made, expected, "{value:?}");
}

#[test]
fn text_is_checked_against_choices_expressions_and_length() {
    let choices = json!({"is": "string", "choices": ["Abc", "x"]});
    made(choices.clone(), "Abc", json!("Abc"));
    made(choices, "abc", Json::Null);
    made(
        json!({"is": "string", "choices": ["Abc"], "ignore_case": true}),
        "aBC",
        json!("aBC"),
    );
    made(json!({"is": "string", "max_length": 2}), "éé", json!("éé"));
    made_in(Era::ROCKY, json!({"is": "string", "max_length": 2}), "éé", Json::Null);
    made(json!({"is": "string", "regex": "^[a-z]+$"}), "ab1", Json::Null);
    made(json!({"is": "string", "regex": "^[a-z]+$"}), "ab\n", json!("ab\n"));
    made(json!({"is": "string", "regex": "[]&-]"}), "a&", json!("a&"));
    made(json!({"is": "string", "regex": r"^\d\w$"}), "३é", json!("३é"));
    made_in(
        Era::ROCKY,
        json!({"is": "string", "regex": r"^\d\w$"}),
        "३é",
        Json::Null,
    );
    made(json!({"is": "string", "quotes": true}), "'x'", json!("x"));
    made(json!({"is": "string", "quotes": true}), "\"", Json::Null);
    made_in(Era::STEIN, json!({"is": "string", "quotes": true}), "\"", json!(""));
}

#[test]
fn an_expression_of_python_alone_is_not_checked() {
    let look = kind(json!({"is": "string", "regex": "^(?!x)a"}));
    assert!(!is_checked(&look) && parse(&look, "b", Era::NEWEST).is_ok());
    assert!(is_checked(&kind(json!({"is": "string", "regex": "^a$"}))));
    assert!(!is_checked(&kind(
        json!({"is": "list", "item": {"is": "other", "class": "x.Y"}})
    )));
}

#[test]
fn booleans_have_eight_spellings() {
    for text in ["true", "1", "On", "YES"] {
        made(json!({"is": "boolean"}), text, json!(true));
    }
    for text in ["false", "0", "off", "no"] {
        made(json!({"is": "boolean"}), text, json!(false));
    }
    made(json!({"is": "boolean"}), " true", Json::Null);
}

#[test]
fn numbers_are_read_as_python_reads_them() {
    let integer = json!({"is": "integer"});
    made(integer.clone(), " +007 ", json!(7));
    made(integer.clone(), "", json!("None"));
    made(integer.clone(), "1_000", json!(1000));
    made_in(Era::ROCKY, integer.clone(), "1_000", Json::Null);
    made(integer.clone(), "1__0", Json::Null);
    made(integer.clone(), "٣४", json!(34));
    made(integer.clone(), "1.0", Json::Null);
    made(integer.clone(), &"9".repeat(50), json!("9".repeat(50)));
    made(integer.clone(), &"9".repeat(5000), Json::Null);
    made(json!({"is": "integer", "min": 1, "max": 3}), "4", Json::Null);
    made(json!({"is": "integer", "max": 3}), &"9".repeat(50), Json::Null);
    made(json!({"is": "integer", "choices": [1, 9], "max": 3}), "9", json!(9));
    made(json!({"is": "port"}), "65536", Json::Null);
    let float = json!({"is": "float"});
    made(float.clone(), ".5e1", json!(5.0));
    made(float.clone(), "1_0.5", json!(10.5));
    made(float.clone(), "-Infinity", json!("-inf"));
    made(float.clone(), "1e400", json!("inf"));
    made(float, "x", Json::Null);
    made(json!({"is": "float", "min": 0.5}), "nan", json!("nan"));
    made(json!({"is": "float", "min": 0.5}), "0.4", Json::Null);
}

#[test]
fn lists_try_again_with_the_next_piece() {
    let list = |item: Json| json!({"is": "list", "item": item});
    made(list(json!({"is": "string"})), "a, b ,,", json!(["a", "b"]));
    made(list(json!({"is": "string"})), ",a", json!(["", "a"]));
    made(
        list(json!({"is": "string", "quotes": true})),
        "'a,b', c",
        json!(["a,b", "c"]),
    );
    made(list(json!({"is": "string", "quotes": true})), "'a,b", Json::Null);
    made(
        list(json!({"is": "string", "choices": ["a,b", "c"]})),
        "a,b,c",
        json!(["a,b", "c"]),
    );
    made(list(json!({"is": "integer"})), "1,,2", json!([1, null, 2]));
    made(list(json!({"is": "integer"})), "1,x", Json::Null);
    let bounded = json!({"is": "list", "item": {"is": "string"}, "bounds": true});
    made(bounded.clone(), "[a]", json!(["a"]));
    made(bounded.clone(), "a", Json::Null);
    made(list(bounded), "[a,b],[c]", json!([["a", "b"], ["c"]]));
}

#[test]
fn dictionaries_split_at_the_first_colon() {
    let dict = json!({"is": "dict", "value": {"is": "string"}});
    made(dict.clone(), "k: v:w , l:x", json!({"k": "v:w", "l": "x"}));
    made(dict.clone(), "k:v,w", Json::Null);
    made(dict.clone(), "a,k:v", json!({"a,k": "v"}));
    made(dict.clone(), "k:v,k:w", Json::Null);
    made(dict.clone(), ":v", Json::Null);
    made(dict.clone(), "", json!({}));
    made(
        json!({"is": "dict", "value": {"is": "integer"}}),
        "a,b:1",
        json!({"a,b": 1}),
    );
    made(
        json!({"is": "dict", "value": {"is": "string"}, "bounds": true}),
        "{k:v}",
        json!({"k": "v"}),
    );
    let pairs = |text| parse(&kind(dict.clone()), text, Era::NEWEST).unwrap();
    assert_eq!(pairs("a:1,b:2"), pairs("b:2,a:1"));
    assert_ne!(pairs("a:1,b:2"), pairs("b:1,a:2"));
}

#[test]
fn ranges_run_either_way() {
    let range = json!({"is": "range", "inclusive": true});
    made(range.clone(), "3-5", json!("range(3, 6, 1)"));
    made(range.clone(), "-3--5", json!("range(-3, -6, -1)"));
    made(range.clone(), "5", json!("range(5, 4, -1)"));
    made(range, "05", Json::Null);
    made(json!({"is": "range", "min": 2}), "1-4", Json::Null);
    let of = |text| parse(&kind(json!({"is": "range"})), text, Era::NEWEST).unwrap();
    assert_eq!(of("5"), of("7"), "both are empty");
}

#[test]
fn addresses_and_host_names() {
    made(json!({"is": "ip_address"}), "::ffff:1.2.3.4", json!("::ffff:1.2.3.4"));
    made(json!({"is": "ip_address", "version": 4}), "::1", Json::Null);
    made(json!({"is": "ip_address"}), "010.0.0.1", Json::Null);
    made(json!({"is": "hostname"}), "a.example.", json!("a.example"));
    made(json!({"is": "hostname"}), "1.2.3.4", Json::Null);
    made(json!({"is": "hostname"}), "a_b", Json::Null);
    made(json!({"is": "hostname"}), "-a", Json::Null);
    made(json!({"is": "host_domain"}), "a_b", json!("a_b"));
    made(json!({"is": "host_address"}), "10.0.0.1", json!("10.0.0.1"));
    made(json!({"is": "host_address"}), "10.0.0.256", Json::Null);
}

#[test]
fn uris_are_judged_by_the_library_of_the_era() {
    let uri = json!({"is": "uri"});
    made(
        uri.clone(),
        "https://u:p%40@[::1]:80/x?[y]#z",
        json!("https://u:p%40@[::1]:80/x?[y]#z"),
    );
    made_in(Era::ROCKY, uri.clone(), "https://h/x?[y]", Json::Null);
    made(uri.clone(), "file:///x", Json::Null);
    made_in(Era::ROCKY, uri.clone(), "http://h/%zz", Json::Null);
    made(uri.clone(), "http://h/%zz", json!("http://h/%zz"));
    made(uri.clone(), r"http://h\x", json!(r"http://h\x"));
    made_in(Era::TRAIN, uri.clone(), r"http://h\x", Json::Null);
    made_in(Era::STEIN, uri.clone(), "http://1234567", Json::Null);
    made_in(Era::ROCKY, uri.clone(), "http://a%41", Json::Null);
    made(uri.clone(), "rabbit://a:1,b:2/", Json::Null);
    made(uri.clone(), "http://300.1.1.1", Json::Null);
    made(uri.clone(), "http://[fe80::1%eth0]", Json::Null);
    made(uri.clone(), "http://[fe80::1%25eth0]", json!("http://[fe80::1%25eth0]"));
    made(uri, "http://h/[x]", Json::Null);
    made(json!({"is": "uri", "schemes": ["https"]}), "http://h", Json::Null);
    made(json!({"is": "uri", "max_length": 8}), "http://hh", Json::Null);
}

#[test]
fn a_type_of_a_project_takes_all() {
    made(json!({"is": "other", "class": "nova.X"}), "x", json!("x"));
}

#[test]
fn values_are_written_as_python_writes_them() {
    let list = Value::List(vec![
        Value::Text("it's".to_owned()),
        Value::Text("é\n".to_owned()),
        Value::Bool(true),
        Value::None,
        Value::Float(1e16),
        Value::Float(0.1),
    ]);
    assert_eq!(
        python_str(&list, Era::NEWEST),
        r#"["it's", 'é\n', True, None, 1e+16, 0.1]"#
    );
    assert_eq!(python_str(&Value::Text("é".to_owned()), Era::ROCKY), "é");
    let list = Value::List(vec![Value::Text("é".to_owned())]);
    assert_eq!(python_str(&list, Era::ROCKY), r"['\xc3\xa9']");
    assert_eq!(python_str(&Value::Float(1.0 / 3.0), Era::ROCKY), "0.333333333333");
    assert_eq!(
        python_str(&Value::Dict(vec![("a".to_owned(), Value::Int(1))]), Era::NEWEST),
        "{'a': 1}"
    );
    assert_eq!(python_str(&Value::None, Era::NEWEST), "");
}

#[test]
fn defaults_need_no_text() {
    let from = |spec, multi, default| from_default(&kind(spec), multi, &default, Era::NEWEST).unwrap();
    assert_eq!(from(json!({"is": "integer"}), false, json!(5)), Value::Int(5));
    assert_eq!(from(json!({"is": "float"}), false, json!(5)), Value::Float(5.0));
    assert_eq!(from(json!({"is": "integer"}), false, json!("5")), Value::Int(5));
    assert_eq!(from(json!({"is": "boolean"}), false, json!(true)), Value::Bool(true));
    assert_eq!(from(json!({"is": "string"}), false, Json::Null), Value::None);
    let list = from(json!({"is": "list", "item": {"is": "string"}}), false, json!(["a,b"]));
    assert_eq!(list, Value::List(vec![Value::Text("a,b".to_owned())]));
    let characters = from(json!({"is": "string"}), true, json!("ab"));
    assert_eq!(
        characters,
        Value::List(vec![Value::Text("a".to_owned()), Value::Text("b".to_owned())])
    );
}
