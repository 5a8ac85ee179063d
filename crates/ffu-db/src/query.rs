//! Queries of gates and drains run with the service's own account; a plan may have been edited by anyone. Only one plain
//! SELECT passes; the read-only transaction in which it runs is the second lock on the door.

/// Why a query is refused, if it is.
pub fn refusal(query: &str) -> Option<&'static str> {
    const WORDS: [&str; 17] = [
        "into",
        "outfile",
        "dumpfile",
        "load_file",
        "sleep",
        "benchmark",
        "get_lock",
        "release_lock",
        "lock",
        "procedure",
        "handler",
        "call",
        "set",
        "update",
        "delete",
        "insert",
        "drop",
    ];
    if query.len() > 4096 {
        return Some("it is longer than 4096 bytes");
    }
    if query
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
    {
        return Some("it has control characters");
    }
    if query.contains('\\') {
        return Some("it has a backslash");
    }
    let mut bare = String::new();
    let mut open: Option<char> = None;
    for c in query.chars() {
        match open {
            Some(mark) if c == mark => open = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => {
                open = Some(c);
                bare.push(' ');
            }
            None => bare.push(c),
        }
    }
    if open.is_some() {
        return Some("a quotation mark is not closed");
    }
    if bare.contains(';') {
        return Some("it has a semicolon; it must be one statement");
    }
    if ["--", "/*", "#", "@", ":="].iter().any(|mark| bare.contains(mark)) {
        return Some("it has a comment or a variable");
    }
    let mut words = bare
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    if !words
        .clone()
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("select"))
    {
        return Some("it must begin with SELECT");
    }
    if words.any(|word| WORDS.iter().any(|bad| word.eq_ignore_ascii_case(bad))) {
        return Some("it has a word that does more than read (INTO, LOCK, SLEEP, SET, CALL and the like)");
    }
    None
}

/// Why a condition after WHERE is refused, if it is. Its brackets must be its own.
pub fn condition_refusal(filter: &str) -> Option<&'static str> {
    let mut depth = 0_i32;
    let mut open: Option<char> = None;
    for c in filter.chars() {
        match (open, c) {
            (Some(mark), c) if c == mark => open = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => open = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if depth != 0 {
        return Some("its brackets are not balanced");
    }
    refusal(&format!("SELECT 1 FROM t WHERE ({filter})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_selects_pass() {
        for good in [
            "SELECT COUNT(*) FROM t WHERE a = 'x;y -- z'",
            "select (select count(*) from a)\n + 1",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
        for bad in [
            "",
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "SELECT 1 -- x",
            "SELECT * FROM t INTO OUTFILE 'x'",
            "SELECT LOAD_FILE('x')",
            "SELECT SLEEP(9)",
            "SELECT @@version",
            "SELECT 'open",
            "SELECT 1\0",
            "SELECT 'a\\'; DROP TABLE t",
        ] {
            assert!(refusal(bad).is_some(), "{bad}");
        }
        assert_eq!(condition_refusal("deleted = 0 AND (a IS NULL OR b = ')')"), None);
        for bad in ["1) OR (1", "1=1; DROP TABLE t", "(a"] {
            assert!(condition_refusal(bad).is_some(), "{bad}");
        }
    }
}
