//! Strategies: files that are nearly right, files that are noise, options of every type, values that are nearly right.

use std::collections::BTreeMap;

use ffu_catalog::options::{OldName, Opt, OptType, SeriesSet};
use ffu_config::era::Era;
use proptest::prelude::*;
use proptest::sample::select;

use super::Case;

const GROUPS: [&str; 3] = ["DEFAULT", "foo", "bar"];
const NAMES: [&str; 6] = ["a", "b", "cc", "d_1", "old", "foo"];

fn text() -> OptType {
    string(None, false, None, false, None)
}

fn string(choices: Option<&[&str]>, quotes: bool, regex: Option<&str>, ignore_case: bool, max: Option<u64>) -> OptType {
    OptType::String {
        choices: choices.map(|choices| choices.iter().map(|choice| Some((*choice).to_owned())).collect()),
        quotes,
        regex: regex.map(str::to_owned),
        ignore_case,
        max_length: max,
    }
}

fn list(item: OptType, bounds: bool) -> OptType {
    OptType::List {
        item: Box::new(item),
        bounds,
    }
}

fn dict(value: OptType, bounds: bool) -> OptType {
    OptType::Dict {
        value: Box::new(value),
        key: None,
        bounds,
        separator: None,
    }
}

fn integer(min: Option<i64>, max: Option<i64>, choices: Option<Vec<i64>>) -> OptType {
    OptType::Integer { min, max, choices }
}

fn port(min: Option<i64>, max: Option<i64>) -> OptType {
    OptType::Port {
        min,
        max,
        choices: None,
    }
}

fn range(min: Option<i64>, max: Option<i64>, inclusive: bool) -> OptType {
    OptType::Range { min, max, inclusive }
}

/// Every type that an era has, with and without its constraints.
pub fn types(era: Era) -> Vec<OptType> {
    let uri = |schemes: Option<&[&str]>, max_length| OptType::Uri {
        schemes: schemes.map(|schemes| schemes.iter().map(|scheme| (*scheme).to_owned()).collect()),
        max_length,
    };
    let plain = integer(None, None, None);
    let float = |min, max| OptType::Float { min, max };
    let mut types = vec![
        text(),
        text(),
        string(Some(&["x", "Abc", "a,b", ""]), false, None, false, None),
        string(Some(&["x", "Abc", "a,b"]), false, None, true, None),
        string(None, true, None, false, None),
        string(None, false, Some("^[a-z]+$"), false, None),
        string(None, false, Some(r"(on|\d\d)[]&-]?"), true, None),
        string(None, false, None, false, Some(4)),
        OptType::Boolean,
        plain.clone(),
        integer(Some(-3), Some(100), None),
        integer(None, None, Some(vec![1, 20, -7])),
        float(None, None),
        float(Some(0.5), Some(1e6)),
        port(None, None),
        port(Some(10), Some(2000)),
        list(text(), false),
        list(text(), true),
        list(plain.clone(), false),
        list(string(None, true, None, false, None), false),
        list(string(Some(&["a,b", "c", "a,b,c"]), false, None, false, None), false),
        list(string(None, false, Some("^.+,.+$"), false, None), false),
        list(list(plain.clone(), true), false),
        list(dict(text(), true), false),
        list(uri(None, None), false),
        dict(text(), false),
        dict(text(), true),
        dict(plain.clone(), false),
        dict(list(text(), true), false),
        dict(string(None, true, None, false, None), false),
        dict(OptType::Boolean, false),
        range(None, None, true),
        range(Some(2), Some(50), false),
        OptType::IpAddress { version: None },
        OptType::IpAddress { version: Some(4) },
        OptType::IpAddress { version: Some(6) },
        uri(None, None),
        uri(Some(&["http", "HTTPS"]), Some(30)),
        OptType::Hostname,
        OptType::HostAddress { version: None },
        OptType::HostAddress { version: Some(4) },
    ];
    if !era.lone_quote_is_empty {
        types.push(OptType::HostDomain { version: None });
        types.push(OptType::HostDomain { version: Some(6) });
    }
    types
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec![
            "1", "0", "-7", "20", "+5", "007", "1_000", "1__0", "_1", "99999999999999999999", "0x10", "1.5", "-.5e3", "1e400",
            "nan", "-inf", "1_0.5", "٣", "३٤", "65536", "true", "On", "yes", "oFF", "TRUE", "x", "abc", "ABC", "a,b", "a, b",
            "a,b,c", "c", "\"a,b\"", "'a", "\"", "''", "'x'y'", "[", "]", "[1,2]", "[a, b ]", "{a:b}", "k:v", "k:v,l:w", "k:v,x",
            "k: v , k:w", ":v", "k:1", "k:[1,2]", "k:'a,b'", "3-9", "9-3", "-3--1", "5", "0-0", "01-2", "10.0.0.1", "10.0.0.01",
            "256.1.1.1", "1.2.3", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8",
            "1::2::3", "12345::", "host", "host.example.", "-bad", "bad-", "a_b", "_x.y", "1.2.3.4.5", "a..b", "ſ.ı", "x.1", "a-1",
        ]).prop_map(str::to_owned),
        3 => select(vec![
            "http://host/path", "https://u:p@host:80/x?y#z", "http://[::1]:80/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/",
            "http://[v1.a]/", "http:///x", "http:/x", "//host", "http://h:123456", "http://h:80x", "http://h/[x]", "http://h/%zz",
            "http://h?[x]", "http://h#a#b", "http://300.1.1.1/", "http://1.2.3.4", "1http://h", "h+t.p-1://h", "http://a b/", "http://h\\x",
            "http://é/", "http://h/é", "http://@h", "http://u@v@h", "http://:80", "http://h:", "HTTP://h", "rabbit://u:p%40@h:1,h2:2/v",
            "http://[1:2:3:4:5:6:7:8]80", "http://[::g]", "http://[]", "file:///x", "http://[v.a]/", "http://~a!$&'()*+,;=",
        ]).prop_map(str::to_owned),
        4 => reference(),
        2 => "[ -~]{0,6}",
        1 => "[à-ÿ€α-ωあ-んİſ\u{212a}😀]{0,4}",
        1 => select(vec!["", " ", "\t", "\u{a0}", "\u{b}", "\u{1c}", "\u{85}", "\u{2028}", "\0", "\\", "#", ";", "é"])
            .prop_map(str::to_owned),
    ]
}

fn reference() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => select(NAMES.to_vec()).prop_map(str::to_owned),
        4 => (select(vec!["DEFAULT", "foo", "bar", "Foo", "gone", "old"]), select(NAMES.to_vec()))
            .prop_map(|(group, name)| format!("{group}.{name}")),
        1 => select(vec!["bar", "A", "_", "a.", "a.b.c", "é", "ſ", "1", "a\u{212a}", ""]).prop_map(str::to_owned),
    ];
    (name, 0..12_u8).prop_map(|(name, form)| match form {
        0..=4 => format!("${name}"),
        5..=7 => format!("${{{name}}}"),
        8 => format!("$${name}"),
        9 => format!("\\${name}"),
        10 => format!("${{{name}"),
        _ => format!("$\\${name}"),
    })
}

pub fn value() -> impl Strategy<Value = String> {
    let separators = select(vec!["", "", ",", ", ", " ", ":"]);
    prop_oneof![
        6 => piece(),
        3 => (prop::collection::vec(piece(), 1..4), separators).prop_map(|(pieces, separator)| pieces.join(separator)),
        1 => (piece(), select(vec!['"', '\''])).prop_map(|(piece, quote)| format!("{quote}{piece}{quote}")),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let section = select(vec![
        "DEFAULT",
        "DEFAULT",
        "DEFAULT",
        "default",
        "foo",
        "foo",
        "FOO",
        "Foo",
        "bar",
        "bar",
        " DEFAULT ",
        "old",
        "É",
        "x]y",
        "new",
    ]);
    let key = prop_oneof![
        12 => select(NAMES.to_vec()),
        1 => select(vec!["A", "a b", "d-1", "\u{b}a", "\u{a0}b", "\u{1c}cc", "é", "x"]),
    ];
    let separator = select(vec![" = ", "=", " : ", ":", "\t=\t", "= ", "=\u{a0}"]);
    prop_oneof![
        3 => section.prop_map(|section| format!("[{section}]")),
        12 => (key, separator, value()).prop_map(|(key, separator, value)| format!("{key}{separator}{value}")),
        2 => (select(NAMES.to_vec()), value(), select(vec![" ", "\t", "   ", " \u{a0}"]), value())
            .prop_map(|(key, first, blanks, second)| format!("{key} = {first}\n{blanks}{second}")),
        1 => value().prop_map(|value| format!("# {value}")),
        1 => select(vec!["", "", "   ", "\u{c}", ";x", "#"]).prop_map(str::to_owned),
    ]
}

fn wrong_line() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => value(),
        1 => value().prop_map(|value| format!(" {value}")),
        1 => select(vec!["[", "[]", "[x", "[x] # y", "= 1", ": 1", " = 1", "\u{a0}=1", "novalue", "]", "\u{feff}", "[ ]"])
            .prop_map(str::to_owned),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let ending = prop_oneof![10 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r"), 1 => Just(" \n"), 1 => Just("\n\n")];
    let lines = prop::collection::vec(
        (prop_oneof![200 => line().boxed(), 1 => wrong_line().boxed()], ending),
        0..14,
    );
    let first = prop_oneof![60 => Just("[DEFAULT]\n"), 12 => Just("[foo]\r\n"), 2 => Just(""), 1 => Just("\u{feff}[DEFAULT]\n")];
    let written = (first, lines, any::<bool>()).prop_map(|(first, lines, cut)| {
        let mut text = first.to_owned();
        for (line, ending) in lines {
            text.push_str(&line);
            text.push_str(ending);
        }
        if cut {
            text.pop();
        }
        text.into_bytes()
    });
    let noise = select(vec![
        "[",
        "]",
        "=",
        ":",
        " ",
        "\t",
        "\n",
        "\n",
        "\n[a]\n",
        "\r",
        "#",
        ";",
        "'",
        "\"",
        "a",
        "b",
        "$",
        "\\",
        "\u{b}",
        "\u{1c}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "é",
        "[DEFAULT]\n",
    ]);
    let noise = prop::collection::vec(noise, 0..30).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![
        24 => written,
        2 => noise,
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn option(types: Vec<OptType>) -> impl Strategy<Value = Opt> {
    let old = (
        select(vec!["DEFAULT", "foo", "bar", "old"]),
        select(vec!["old", "a", "b", "oldest"]),
    );
    let old = old.prop_map(|(group, name)| OldName {
        group: group.to_owned(),
        name: name.to_owned(),
    });
    let default = prop::option::weighted(0.3, reference());
    let aliases = prop::collection::vec(old, 0..3);
    (
        select(GROUPS.to_vec()),
        select(NAMES.to_vec()),
        select(types),
        prop::bool::weighted(0.15),
        default,
        aliases,
    )
        .prop_map(|(group, name, kind, multi, default, aliases)| Opt {
            group: group.to_owned(),
            name: name.to_owned(),
            registered_name: None,
            series: SeriesSet(1),
            // A default that is no reference is checked when the option is made; one in a list always is.
            default: default
                .filter(|default| default.replace("\\$", "").replace("$$", "").contains('$'))
                .filter(|_| !multi || kind == text())
                .map(|default| {
                    if multi {
                        serde_json::json!([default])
                    } else {
                        serde_json::json!(default)
                    }
                }),
            kind,
            machine_default: false,
            multi,
            secret: false,
            required: false,
            mutable: false,
            aliases,
            removal: None,
        })
}

/// A case for an era.
pub fn case(era: Era) -> impl Strategy<Value = Case> {
    let options = prop::collection::vec(option(types(era)), 1..6).prop_map(|options| {
        let mut unique: Vec<Opt> = Vec::new();
        for option in options {
            if !unique
                .iter()
                .any(|other| (&other.group, &other.name) == (&option.group, &option.name))
            {
                unique.push(option);
            }
        }
        unique
    });
    let variable = (select(GROUPS.to_vec()), select(NAMES.to_vec()))
        .prop_map(|(group, name)| format!("OS_{}__{}", group.to_uppercase(), name.to_uppercase()));
    let value = value().prop_map(|value| value.replace('\0', ""));
    let environment = prop_oneof![
        4 => Just(BTreeMap::new()),
        1 => prop::collection::btree_map(variable, value, 1..3),
    ];
    (prop::collection::vec(file(), 1..4), options, environment).prop_map(|(files, options, environment)| Case {
        files,
        options,
        environment,
    })
}
