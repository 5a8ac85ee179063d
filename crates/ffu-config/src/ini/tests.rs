//! What the parser takes and refuses, found by running the real one of every series; and what edits write.

use super::*;

fn entries(document: &Document) -> Vec<(String, String, String)> {
    document
        .entries()
        .map(|entry| {
            (
                entry.section.to_owned(),
                entry.key.into_owned(),
                document.value_of(entry.id).into_owned(),
            )
        })
        .collect()
}

fn read(text: &str) -> Vec<(String, String, String)> {
    entries(&Document::parse(text.as_bytes()).unwrap())
}

#[track_caller]
fn values(text: &str, expected: &[&str]) {
    let values: Vec<String> = read(&format!("[s]\n{text}"))
        .into_iter()
        .map(|(_, _, value)| value)
        .collect();
    assert_eq!(values, expected);
}

#[track_caller]
fn refused(text: &[u8], kind: ParseErrorKind, line: usize, column: usize) -> ParseError {
    let error = Document::parse(text).unwrap_err();
    assert_eq!((error.kind, error.line, error.column), (kind, line, column));
    error
}

#[test]
fn values_are_cut_out_as_oslo_config_does() {
    values("a = 1\n", &["1"]);
    values("a=x:y\nb: c=d", &["x:y", "c=d"]);
    values(
        "a = 'x'\nb = \"\nc = \"a\" , \"b\"\nd = ''",
        &["x", "", "a\" , \"b", ""],
    );
    values("a = x # no comment\n", &["x # no comment"]);
    values("a = 1\n  2\n\t# 3\n [b]\nc = 4", &["1\n2\n# 3\n[b]", "4"]);
    values("a =\n  'x'\n", &["\n'x'"]);
    values("a = \"x\n  y\"\n", &["\"x\ny\""]);
    values("a = 1\r\n  2\r\nb = 3\r", &["1\n2", "3"]);
    values("a = x\u{a0}\n\u{b}b = y\n", &["x", "y"]);
}

#[test]
fn an_era_of_python_2_ends_lines_at_line_feeds_and_knows_ascii_only() {
    let text = "[\u{c9}]\na = x\ry\u{a0}\n";
    let old = Document::parse_as(text.as_bytes(), Era::ROCKY).unwrap();
    assert_eq!(old.entries().next().unwrap().value(), "x\ry\u{a0}");
    assert_eq!(old.entries().next().unwrap().group(), "\u{c9}");
    let error = Document::parse(text.as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.line), (ParseErrorKind::Assignment, 3));
    assert_eq!(normalise_group("\u{c9}"), "\u{e9}");
}

#[test]
fn sections_are_verbatim_and_groups_lower_case_except_default() {
    let read = read("[ DEFAULT ]\na=1\n[Foo]\nb=2\n[x]y]\nc=3\n[default]\nd=4\n");
    let sections: Vec<&str> = read.iter().map(|(section, ..)| section.as_str()).collect();
    assert_eq!(sections, [" DEFAULT ", "Foo", "x]y", "default"]);
    assert_eq!(normalise_group("DEFAULT"), "DEFAULT");
    assert_eq!(normalise_group("Default"), "default");
}

#[test]
fn what_oslo_config_refuses_is_refused_with_the_place() {
    refused(b"[a]\n\n  x\n", ParseErrorKind::Continuation, 3, 3);
    refused(b"[a]\nb = 1\n# c\n d\n", ParseErrorKind::Continuation, 4, 2);
    refused(b"[a]\nb = 1\n\n d\n", ParseErrorKind::Continuation, 4, 2);
    refused(b"[a]\nword\n", ParseErrorKind::Assignment, 2, 5);
    refused(b"[a]\n= 1\n", ParseErrorKind::EmptyKey, 2, 1);
    refused(b"[a] # b\n", ParseErrorKind::SectionBracket, 1, 8);
    refused(b"\n[]\n", ParseErrorKind::SectionName, 2, 2);
    refused("[é]\né é\n".as_bytes(), ParseErrorKind::Assignment, 2, 4);
}

#[test]
fn an_entry_without_a_section_is_noticed_where_it_ends() {
    let error = refused(b"# x\na = 1\n  2\n[b]\n", ParseErrorKind::NoSection, 2, 1);
    assert_eq!((error.oslo_line, error.text.as_str()), (4, "a = 1"));
    assert_eq!(refused(b"a = 1", ParseErrorKind::NoSection, 1, 1).oslo_line, 1);
    assert_eq!(refused(b"a = 1\n[b", ParseErrorKind::NoSection, 1, 1).oslo_line, 2);
}

#[test]
fn what_is_no_text_is_refused_and_nul_is_found() {
    refused(b"[a]\nb = \xff\n", ParseErrorKind::NotUtf8, 2, 5);
    refused(b"\xff\xfe[\0a\0]\0", ParseErrorKind::NotUtf8, 1, 1);
    refused("\u{feff}[a]\n".as_bytes(), ParseErrorKind::ByteOrderMark, 1, 1);
    let document = Document::parse(b"[a]\nb = \0x\n").unwrap();
    assert_eq!(document.first_nul(), Some((2, 5)));
    assert_eq!(document.entries().next().unwrap().value(), "\0x");
}

#[test]
fn each_kind_of_error_has_its_words_and_none_shows_the_line() {
    for text in ["[a]\n\n s3cret", "[a]\ns3cret", "[s3cret", "s3cret = 1", "[a]\n=s3cret"] {
        let error = Document::parse(text.as_bytes()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret") && shown.contains("line"), "{shown}");
        assert!(error.kind.oslo().is_some());
        assert!(error.text.contains("s3cret"));
    }
}

#[test]
fn comments_belong_to_the_entry_below_them() {
    let text = "[a]\n# far\n\n# one\n;two\nb = 1\nc = 2\n#d\n\ne = 3\n";
    let document = Document::parse(text.as_bytes()).unwrap();
    let comments: Vec<Vec<&str>> = document.entries().map(|entry| entry.comments()).collect();
    assert_eq!(comments, [vec!["# one", ";two"], vec![], vec![]]);
    assert_eq!(
        document.entries().map(|entry| entry.line).collect::<Vec<_>>(),
        [Some(6), Some(7), Some(10)]
    );
}

/// A document, one edit of its entries, and what is written.
#[track_caller]
fn edited(text: &str, edit: impl Fn(&mut Document, &[EntryId]) -> Result<(), EditError>, expected: &str) {
    let mut document = Document::parse(text.as_bytes()).unwrap();
    let ids: Vec<EntryId> = document.entries().map(|entry| entry.id).collect();
    edit(&mut document, &ids).unwrap();
    let written = String::from_utf8(document.to_bytes()).unwrap();
    assert_eq!(written, expected);
    assert_eq!(read(&written), entries(&document));
}

#[test]
fn a_rename_keeps_everything_around_the_key() {
    edited(
        "[a]\nb  :  'x'  \n  y\nc=1",
        |d, ids| d.rename(ids[0], "new"),
        "[a]\nnew  :  'x'  \n  y\nc=1",
    );
    edited("[a]\nb=1\nc=2", |d, ids| d.rename(ids[1], "new"), "[a]\nb=1\nnew=2");
}

#[test]
fn a_value_is_quoted_where_it_must_be_and_continued_where_it_has_lines() {
    edited(
        "[a]\r\nb =\t1\r\n 2\r\n",
        |d, ids| d.set_value(ids[0], "x\ny"),
        "[a]\r\nb =\tx\r\n    y\r\n",
    );
    edited("[a]\nb = 1\n", |d, ids| d.set_value(ids[0], " x"), "[a]\nb = \" x\"\n");
    edited(
        "[a]\nb = 1\n",
        |d, ids| d.set_value(ids[0], "'x'"),
        "[a]\nb = \"'x'\"\n",
    );
    edited("[a]\nb = 1\n", |d, ids| d.set_value(ids[0], "\""), "[a]\nb = \"\"\"\n");
    edited("[a]\nb =\n", |d, ids| d.set_value(ids[0], "x"), "[a]\nb = x\n");
    edited("[a]\nb=", |d, ids| d.set_value(ids[0], "x"), "[a]\nb=x");
}

#[test]
fn a_move_takes_the_comments_along_to_the_last_section_of_the_group() {
    let text = "[a]\n# why\nb = 1\n  2\nc = 3\n\n[X]\nd = 4\n# about x\n\n[x]\n\n[z]\ne=5";
    edited(
        text,
        |d, ids| d.move_to(ids[0], "x"),
        "[a]\nc = 3\n\n[X]\nd = 4\n# about x\n\n[x]\n\n# why\nb = 1\n  2\n\n[z]\ne=5",
    );
    edited(
        "[a]\nb=1\n[x]\nc=2",
        |d, ids| d.move_to(ids[0], "X"),
        "[a]\n[x]\nc=2\nb=1\n",
    );
    edited("[a]\nb=1", |d, ids| d.move_to(ids[0], "new"), "[a]\n\n[new]\nb=1\n");
    edited(
        "[a]\nb=1\n[x]\n",
        |d, ids| {
            d.move_to(ids[0], "x")
                .and_then(|()| d.move_to(ids[0], "y"))
                .and_then(|()| d.rename(ids[0], "c"))
        },
        "[a]\n[x]\n\n[y]\nc=1\n",
    );
}

#[test]
fn what_is_commented_out_stays_in_every_line() {
    edited(
        "[a]\n# why\nb = 1\n  2\nc = 3",
        |d, ids| d.comment_out(ids[0], &["gone since zed", "# use c"]),
        "[a]\n# why\n# gone since zed\n# use c\n#b = 1\n#  2\nc = 3",
    );
    let old = b"[a]\nb = 1\rc = 2\n";
    let mut document = Document::parse_as(old, Era::ROCKY).unwrap();
    let id = document.entries().next().unwrap().id;
    document.comment_out(id, &[]).unwrap();
    assert!(document.entry(id).is_none());
    assert_eq!(document.to_bytes(), b"[a]\n#b = 1\r#c = 2\n");
}

#[test]
fn notes_and_new_entries_are_written_where_they_belong() {
    edited(
        "[a]\nb=1\nc=2\n",
        |d, ids| d.annotate(ids[1], &["x\ny", ""]),
        "[a]\nb=1\n# x\n# y\n#\nc=2\n",
    );
    edited(
        "[a]\nb=1\n\n[c]\n",
        |d, _| {
            d.insert("a", "k", "v", &["why"])
                .and_then(|_| d.insert("n", "k", " v", &[]))
                .map(drop)
        },
        "[a]\nb=1\n\n# why\nk = v\n\n[c]\n\n[n]\nk = \" v\"\n",
    );
    edited("", |d, _| d.insert("a", "k", "v", &[]).map(drop), "[a]\nk = v\n");
}

#[test]
fn an_edit_that_could_not_be_read_back_is_refused_and_changes_nothing() {
    let mut document = Document::parse(b"[a]\nb = 1\n").unwrap();
    let id = document.entries().next().unwrap().id;
    for key in ["", "a=b", "a:b", "[a", "#a", " a", "a ", "a\nb"] {
        let error = document.rename(id, key).unwrap_err();
        assert!(
            matches!(error, EditError::Key { .. }) && error.to_string().contains("option's name"),
            "{key:?}"
        );
    }
    for value in ["a\n\nb", "a\n b", "a\nb ", "a\rb", "a\n"] {
        let error = document.set_value(id, value).unwrap_err();
        assert!(
            error.to_string().contains("the value for b cannot be written"),
            "{value:?}"
        );
    }
    let error = document.move_to(id, "a\nb").unwrap_err();
    assert!(error.to_string().contains("cannot be a section"));
    let error = document.annotate(EntryId(7), &["x"]).unwrap_err();
    assert_eq!(error, EditError::NoSuchEntry { id: 7 });
    assert!(error.to_string().contains("no entry 7"));
    assert!(!document.is_changed());
    assert_eq!(document.to_bytes(), b"[a]\nb = 1\n");
}
