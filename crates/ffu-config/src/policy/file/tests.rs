//! What oslo.policy makes of odd files; each expectation was taken from PyYAML and oslo.policy themselves
//! (`crates/ffu/tests/policy_differs.rs` asks them again).

use super::*;

fn rules(text: &str) -> Result<Vec<(String, String)>, String> {
    let file = PolicyFile::parse(text.as_bytes(), Format::Auto).map_err(|error| error.to_string())?;
    let loaded = file.load().map_err(|(_, error)| error.to_string())?;
    let mut rules: Vec<_> = loaded
        .into_iter()
        .map(|(name, check)| (name, check.to_string()))
        .collect();
    rules.sort();
    Ok(rules)
}

fn one(text: &str) -> String {
    match rules(text)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .as_slice()
    {
        [(name, check)] => format!("{name}={check}"),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn values_as_the_services_read_them() {
    for (text, wanted) in [
        ("a: role:x", "a=role:x"),
        ("\u{feff}a: role:x", "a=role:x"),
        ("a: \"!\"", "a=!"),
        ("a: !", "a=@"),
        ("a:", "a=@"),
        ("a: no", "a=@"),
        ("a: []", "a=@"),
        ("a: ''", "a=@"),
        ("a: |\n  role:x\n  or role:y\n", "a=(role:x or role:y)"),
        ("a: role:x\n  or role:y\n", "a=(role:x or role:y)"),
        ("a: [[role:x, role:y], role:z]", "a=((role:x and role:y) or role:z)"),
        (
            "a:\n- role:x\n- - role:y\n  - role:z\n",
            "a=(role:x or (role:y and role:z))",
        ),
        ("a: role:x # why", "a=role:x"),
        ("{\"a\": \"role:x\"}", "a=role:x"),
        ("{\n\t\"a\":\t\"role:x\"\n}", "a=role:x"),
        ("{\"a\": [[\"role:x\"], [\"role:y\"]]}", "a=(role:x or role:y)"),
        ("a: b:1\na: c:2", "a=c:2"),
        ("{\"a\": \"b:1\", \"a\": \"c:2\"}", "a=c:2"),
        ("a:b: c:1", "a:b=c:1"),
        ("\"a:b\": \"c:1\"", "a:b=c:1"),
        ("a: !!str role:x", "a=role:x"),
        ("a: b:1\r\n", "a=b:1"),
    ] {
        assert_eq!(one(text), wanted, "{text:?}");
    }
    assert_eq!(rules("a: &x role:x\nb: *x").unwrap()[1].1, "role:x");
    for text in ["", "# only", "---\n", "null", "[]", "false", "{}", "''"] {
        assert_eq!(rules(text).unwrap(), [], "{text:?}");
    }
}

#[test]
fn bad_files_are_errors_with_a_place() {
    for (text, wanted) in [
        ("a: @", "line 1, column 4"),
        ("a: %(x)s", "line 1, column 4"),
        ("a: b: c", "line 1, column 5"),
        ("a: b\tc", "line 1, column 5"),
        ("\ta: b", "line 1, column 1"),
        ("a:\tb", "line 1, column 3"),
        ("a: b:1\n---\nb: c:1", "line 2, column 1"),
        ("a: *x", "line 1, column 4"),
        ("a: 'x", "line 1"),
        ("{\"a\": \"b:1\",", "line 1"),
        ("[a]: b", "line 1, column"),
        ("- a", "line 1: a policy file maps"),
        ("just text", "line 1: a policy file maps"),
        ("a: b\u{0}", "line 1, column 5: the character U+0000"),
        ("x: y:1\na: \u{7}", "line 2, column 4: the character U+0007"),
        ("a: !!python/object:os.system x", "line 1, column"),
        ("a: 5", "5 is no check"),
        ("a: 2001-01-01", "2001-01-01 is no check"),
        ("{\"a\": 1}", "1 is no check"),
    ] {
        let error = rules(text).expect_err(text);
        assert!(error.starts_with(wanted), "{text:?}: {error}");
    }
    let error = PolicyFile::parse(b"a: \xff", Format::Auto).unwrap_err();
    assert_eq!(error, PolicyError::NotUtf8 { line: 1, column: 4 });
    let error = PolicyFile::parse(b"a: b", Format::Json).unwrap_err();
    assert!(
        matches!(error, PolicyError::Syntax { line: 1, column: 1, .. }),
        "{error}"
    );
}

#[test]
fn hostile_sizes_end_soon() {
    let big = vec![b'a'; 100 << 20];
    let error = PolicyFile::parse(&big, Format::Auto).unwrap_err();
    assert!(error.to_string().contains("104857600 bytes"));
    for deep in [
        "[".repeat(200_000),
        format!("a: {}", "[".repeat(200_000)),
        "{\"a\":".repeat(100_000),
        "- ".repeat(50_000),
    ] {
        PolicyFile::parse(deep.as_bytes(), Format::Auto).unwrap_err();
    }
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        let before = format!("*a{}", n - 1);
        bomb += &format!("a{n}: &a{n} [{before}, {before}, {before}]\n");
    }
    let error = PolicyFile::parse(bomb.as_bytes(), Format::Auto).unwrap_err();
    assert!(matches!(error, PolicyError::Aliases { .. }), "{error}");
    let many: String = (0..20_000).map(|n| format!("rule{n}: role:r{n}\n")).collect();
    assert_eq!(
        PolicyFile::parse(many.as_bytes(), Format::Auto).unwrap().entries.len(),
        20_000
    );
}

#[test]
fn places_and_layout() {
    let text = "# head\n\n\"a\": \"role:x\" # why\nb:\n  role:y\n";
    let file = PolicyFile::parse(text.as_bytes(), Format::Auto).unwrap();
    assert_eq!((file.layout, file.json), (Layout::Lines, false));
    let shown: Vec<_> = file
        .entries
        .iter()
        .map(|e| (e.line, e.column, &text[e.span.clone()]))
        .collect();
    assert_eq!(shown, [(3, 1, "\"a\": \"role:x\""), (4, 1, "b:\n  role:y")]);
    let file = PolicyFile::parse(b"{\"\xc3\xa9\": \"x:1\",\n  \"b\": \"y:2\"}", Format::Auto).unwrap();
    assert_eq!((file.layout, file.json), (Layout::Other, true));
    assert_eq!((file.entries[1].line, file.entries[1].column), (2, 3));
    assert_eq!(&file.text[file.entries[0].span.clone()], "\"é\": \"x:1\"");
}
