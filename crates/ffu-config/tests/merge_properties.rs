//! Properties of three-way merges over generated files.

use ffu_config::merge::{Kind, Merged, Request, merge};
use proptest::prelude::*;

/// A file as sections with keys; values 0 to 2 of each key.
type File = Vec<(usize, Vec<(usize, usize)>)>;

fn file() -> impl Strategy<Value = File> {
    let section = (0..4_usize, prop::collection::btree_map(0..4_usize, 0..3_usize, 1..4));
    prop::collection::btree_map(0..4_usize, section, 0..4).prop_map(|sections| {
        sections
            .into_iter()
            .map(|(name, (_, keys))| (name, keys.into_iter().collect()))
            .collect()
    })
}

fn text(file: &File) -> String {
    let key = |(key, value): &(usize, usize)| format!("# about {key}\nkey{key} = value {value}\n");
    let section =
        |(name, keys): &(usize, Vec<_>)| format!("[filter:s{name}]\n{}\n", keys.iter().map(key).collect::<String>());
    file.iter().map(section).collect()
}

fn ask(kind: Kind, base: &str, mine: &str, theirs: &str) -> Merged {
    let request = Request {
        kind,
        name: "api-paste.ini",
        base: Some(base.as_bytes()),
        mine: mine.as_bytes(),
        theirs: Some(theirs.as_bytes()),
        to: &"2024.1".parse().unwrap(),
    };
    merge(&request).unwrap()
}

/// Section and line of each key.
fn keys(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.starts_with('[') {
            true => section = line.to_owned(),
            false => found.push((section.clone(), line.to_owned())),
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_changed_nothing_gets_the_others(base in file(), other in file()) {
        let (base, other) = (text(&base), text(&other));
        for kind in [Kind::Paste, Kind::Rootwrap] {
            let untouched = ask(kind, &base, &base, &other);
            let got = String::from_utf8(untouched.bytes).unwrap();
            prop_assert_eq!(keys(&got), keys(&other), "{}", got);
            prop_assert!(untouched.conflicts.is_empty());
            let own = ask(kind, &base, &other, &base);
            prop_assert!(!own.changed && own.bytes == other.as_bytes() && own.findings.is_empty());
        }
    }

    #[test]
    fn nothing_of_the_operators_is_lost(base in file(), mine in file(), theirs in file()) {
        let (base, mine, theirs) = (text(&base), text(&mine), text(&theirs));
        let done = ask(Kind::Rootwrap, &base, &mine, &theirs);
        let got = String::from_utf8(done.bytes.clone()).unwrap();
        let (upstream, after) = (keys(&base), keys(&got));
        for key in keys(&mine).into_iter().filter(|key| !upstream.contains(key)) {
            prop_assert!(after.contains(&key), "{key:?} is lost\n{got}");
        }
        // What only upstream changed is there.
        for key in keys(&theirs).into_iter().filter(|key| !upstream.contains(key)) {
            let told = done.findings.iter().any(|finding| finding.severity.needs_a_decision());
            prop_assert!(after.contains(&key) || told, "{key:?} is not there\n{got}");
        }
        let again = ask(Kind::Rootwrap, &base, &got, &theirs);
        prop_assert_eq!(String::from_utf8(again.bytes).unwrap(), got);
    }

    #[test]
    fn any_bytes_get_an_answer(mine in prop::collection::vec(any::<u8>(), 0..200), marks in "[a-c\\[\\]:=# \t\n]{0,80}") {
        for bytes in [mine.as_slice(), marks.as_bytes()] {
            let to = "train".parse().unwrap();
            let request = Request {
                kind: Kind::Paste,
                name: "x",
                base: None,
                mine: bytes,
                theirs: Some(b"[app:a]\nb = c\n"),
                to: &to,
            };
            if let Ok(done) = merge(&request) {
                prop_assert!(std::str::from_utf8(&done.bytes).is_ok());
            }
        }
    }
}
