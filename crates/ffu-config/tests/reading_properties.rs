//! What must hold for any input: no panic, every byte comes back, edits are read back as they were meant, cost is linear.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ffu_config::era::Era;
use ffu_config::ini::{Document, EntryId};
use ffu_config::reading::{FileSet, Reading, Schema, references};
use ffu_config::values::parse;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn eras() -> impl Strategy<Value = Era> {
    select(vec![Era::NEWEST, Era::STEIN, Era::ROCKY])
}

/// Text that is often a file and sometimes not.
fn text() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "[",
        "]",
        "=",
        ":",
        " ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "#",
        ";",
        "'",
        "\"",
        "a",
        "b",
        "$a",
        "\\",
        "\u{b}",
        "\u{1c}",
        "\u{85}",
        "\u{a0}",
        "\u{feff}",
        "\0",
        "é",
        "\n[a]\n",
        "\n[B]\n",
        "[DEFAULT]\n",
        "\na = 1\n",
        "\nb = 2\n  3\n",
        "\n# x\n",
        "\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A file that is read.
fn file() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        2 => select(vec!["[a]", "[B]", "[b]", "[DEFAULT]"]).prop_map(str::to_owned),
        6 => (select(vec!["k", "l", "m"]), select(vec!["=", " = ", ":"]), "[ -~é]{0,5}").prop_map(|(k, s, v)| format!("{k}{s}{v}")),
        2 => (select(vec!["k = 1", "l ="]), "[!-~é]{1,4}").prop_map(|(first, more)| format!("{first}\n  {more}")),
        1 => "[ -~]{0,4}".prop_map(|comment| format!("#{comment}")),
        1 => Just(String::new()),
    ];
    let ending = select(vec!["\n", "\n", "\r\n", "\r", "  \n"]);
    (prop::collection::vec((line, ending), 0..12), any::<bool>()).prop_map(|(lines, cut)| {
        let mut text = "[a]\n".to_owned();
        for (line, ending) in lines {
            text.push_str(&line);
            text.push_str(ending);
        }
        if cut {
            text.pop();
        }
        text
    })
}

#[derive(Clone, Debug)]
enum Edit {
    Rename(Index, String),
    Set(Index, String),
    Move(Index, String),
    CommentOut(Index, String),
    Annotate(Index, String),
    Insert(String, String, String),
}

fn edit() -> impl Strategy<Value = Edit> {
    let key = || prop_oneof![4 => select(vec!["k", "new", "x_1"]).prop_map(str::to_owned), 1 => "\\PC{0,3}"];
    let value = || prop_oneof![3 => "[ -~é\u{a0}]{0,6}", 1 => "[a-b \n\"']{0,6}", 1 => any::<String>()];
    let section = || prop_oneof![6 => select(vec!["a", "b", "B", "DEFAULT", "default", "new"]).prop_map(str::to_owned), 1 => "\\PC{0,3}"];
    prop_oneof![
        (any::<Index>(), key()).prop_map(|(entry, key)| Edit::Rename(entry, key)),
        (any::<Index>(), value()).prop_map(|(entry, value)| Edit::Set(entry, value)),
        (any::<Index>(), section()).prop_map(|(entry, section)| Edit::Move(entry, section)),
        (any::<Index>(), value()).prop_map(|(entry, note)| Edit::CommentOut(entry, note)),
        (any::<Index>(), value()).prop_map(|(entry, note)| Edit::Annotate(entry, note)),
        (section(), key(), value()).prop_map(|(section, key, value)| Edit::Insert(section, key, value)),
    ]
}

fn entries(document: &Document) -> Vec<(String, String, String)> {
    document
        .entries()
        .map(|entry| {
            (
                entry.group().into_owned(),
                entry.key.clone().into_owned(),
                entry.value().into_owned(),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_or_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60), era in eras()) {
        if let Ok(document) = Document::parse_as(&bytes, era) {
            prop_assert_eq!(document.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_text_is_refused_with_a_place_in_it_or_comes_back(text in text(), era in eras()) {
        match Document::parse_as(text.as_bytes(), era) {
            Ok(document) => {
                prop_assert_eq!(document.to_bytes(), text.as_bytes());
                for entry in document.entries() {
                    prop_assert!(text.contains(&*entry.raw()));
                    prop_assert!(entry.comments().iter().all(|comment| comment.starts_with(['#', ';'])));
                }
                let mut files = FileSet::new();
                files.push("x", document);
                let schema = Schema::new([], era);
                let environment = BTreeMap::new();
                let reading = Reading::new(&schema, &files, &environment);
                prop_assert_eq!(reading.unknown().len(), files.files()[0].document.entries().count());
            }
            Err(error) => {
                prop_assert!(error.line <= text.split(['\n', '\r']).count() && error.column <= text.chars().count() + 1);
            }
        }
    }

    #[test]
    fn edits_are_read_back_as_they_were_meant(text in file(), edits in prop::collection::vec(edit(), 1..8)) {
        // A lone quote, say, makes a line that cannot be read; those files are the other tests'.
        let Ok(mut document) = Document::parse(text.as_bytes()) else { return Ok(()) };
        let mut model: Vec<(EntryId, String, String, String)> = document
            .entries()
            .map(|entry| (entry.id, entry.group().into_owned(), entry.key.clone().into_owned(), entry.value().into_owned()))
            .collect();
        for edit in edits {
            let pick = |index: &Index| (!model.is_empty()).then(|| index.index(model.len()));
            match &edit {
                Edit::Rename(index, key) => {
                    if let Some(at) = pick(index) && document.rename(model[at].0, key).is_ok() {
                        model[at].2 = key.clone();
                    }
                }
                Edit::Set(index, value) => {
                    if let Some(at) = pick(index) && document.set_value(model[at].0, value).is_ok() {
                        model[at].3 = value.clone();
                    }
                }
                Edit::Move(index, section) => {
                    if let Some(at) = pick(index) && document.move_to(model[at].0, section).is_ok() {
                        model[at].1 = Era::NEWEST.group(section).into_owned();
                    }
                }
                Edit::CommentOut(index, note) => {
                    if let Some(at) = pick(index) && document.comment_out(model[at].0, &[note]).is_ok() {
                        model.remove(at);
                    }
                }
                Edit::Annotate(index, note) => {
                    if let Some(at) = pick(index) {
                        document.annotate(model[at].0, &[note]).unwrap();
                    }
                }
                Edit::Insert(section, key, value) => {
                    if let Ok(id) = document.insert(section, key, value, &["new"]) {
                        model.push((id, Era::NEWEST.group(section).into_owned(), key.clone(), value.clone()));
                    }
                }
            }
        }
        let written = document.to_bytes();
        let again = match Document::parse(&written) {
            Ok(again) => again,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{}", written.escape_ascii()))),
        };
        prop_assert_eq!(entries(&again), entries(&document), "{}", written.escape_ascii());
        let mut meant: Vec<_> = model.into_iter().map(|(_, group, key, value)| (group, key, value)).collect();
        let mut read = entries(&again);
        meant.sort();
        read.sort();
        prop_assert_eq!(read, meant, "{}", written.escape_ascii());
    }

    #[test]
    fn no_text_of_a_value_panics(value in any::<String>(), noise in text(), era in eras()) {
        for text in [value, noise] {
            let text = text.as_str();
            for reference in references(text, era) {
                prop_assert!(text[reference.span].contains(&reference.name));
            }
            for kind in [
                r#"{"is":"list","item":{"is":"dict","value":{"is":"list","item":{"is":"integer"},"bounds":true}}}"#,
                r#"{"is":"dict","value":{"is":"string","quotes":true,"max_length":2,"regex":"^a"},"bounds":true}"#,
                r#"{"is":"float","min":0.5}"#, r#"{"is":"range","inclusive":true}"#, r#"{"is":"uri","schemes":["a"]}"#,
                r#"{"is":"host_domain"}"#, r#"{"is":"ip_address"}"#, r#"{"is":"port"}"#, r#"{"is":"boolean"}"#,
                r#"{"is":"string","choices":["a",null],"ignore_case":true}"#,
            ] {
                let kind = serde_json::from_str(kind).unwrap();
                let _ = parse(&kind, text, era);
            }
        }
    }
}

fn time(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

#[test]
fn a_million_sections_and_long_lists_cost_what_their_bytes_cost() {
    let sections = |count: usize| {
        let text: String = (0..count).map(|n| format!("[s{n}]\nk = {n}\n")).collect();
        time(|| {
            let mut document = Document::parse(text.as_bytes()).unwrap();
            let last = document.entries().last().unwrap().id;
            document.move_to(last, "s7").unwrap();
            assert_eq!(document.sections().count(), count);
            assert_eq!(document.to_bytes().len(), text.len());
        })
    };
    let (small, large) = (sections(100_000), sections(1_000_000));
    assert!(large < small * 40, "{small:?}, {large:?}");

    let lists = |kind: &str, item: &str, count: usize| {
        let kind = serde_json::from_str(kind).unwrap();
        let text = item.repeat(count);
        time(|| drop(parse(&kind, &text, Era::NEWEST)))
    };
    for (kind, item) in [
        (r#"{"is":"list","item":{"is":"integer"}}"#, "x,"),
        (r#"{"is":"list","item":{"is":"string","quotes":true}}"#, "'x,"),
        (r#"{"is":"dict","value":{"is":"string"}}"#, "x,"),
        (r#"{"is":"list","item":{"is":"string","choices":["a,b"]}}"#, "a,"),
    ] {
        let (small, large) = (lists(kind, item, 20_000), lists(kind, item, 400_000));
        assert!(
            large < small.max(Duration::from_millis(1)) * 200,
            "{kind}: {small:?}, {large:?}"
        );
    }
}
