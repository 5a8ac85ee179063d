//! Queries of gates, drains and invariants run on the cloud's databases with its own account, and neither an overlay of the
//! catalog nor an edited plan is trusted: only one plain SELECT passes. One rule for the catalog, the linter and the database.

/// Why a query is refused, if it is.
pub fn refusal(query: &str) -> Option<&'static str> {
    const WORDS: [&str; 18] = [
        "into",
        "outfile",
        "dumpfile",
        "load_file",
        "sleep",
        "benchmark",
        "get_lock",
        "release_lock",
        "for",
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
    if query.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Some("it has control characters");
    }
    // Whether a backslash hides a quotation mark depends on the server's sql_mode.
    if query.contains('\\') {
        return Some("it has a backslash");
    }
    let Ok(bare) = without_literals(query) else {
        return Some("a quotation mark is not closed");
    };
    if bare.contains(';') {
        return Some("it has a semicolon; it must be one statement");
    }
    if bare.contains("--") || bare.contains("/*") || bare.contains('#') {
        return Some("it has a comment");
    }
    if bare.contains('@') || bare.contains(":=") {
        return Some("it uses a variable");
    }
    let words: Vec<String> = bare
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.first().map(String::as_str) != Some("select") {
        return Some("it must begin with SELECT");
    }
    if words.iter().any(|word| WORDS.contains(&word.as_str())) {
        return Some("it has a word that does more than read (INTO, FOR, LOCK, SLEEP, SET, CALL and the like)");
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

/// The query with what stands between quotation marks taken out; `Err` if one is not closed.
fn without_literals(query: &str) -> Result<String, ()> {
    let mut bare = String::with_capacity(query.len());
    let mut open: Option<char> = None;
    for c in query.chars() {
        match open {
            Some(mark) if c == mark => open = None,
            Some(_) => {}
            None if c == '\'' || c == '"' || c == '`' => {
                open = Some(c);
                bare.push(' ');
            }
            None => bare.push(c),
        }
    }
    if open.is_none() { Ok(bare) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_selects_pass() {
        for good in [
            "SELECT COUNT(*) FROM t WHERE a = 'x;y -- z' AND `update` IS NULL",
            "select count(*)\n from a left join b on a.id = b.id where b.id is null",
            "SELECT (SELECT COUNT(*) FROM a) + (SELECT COUNT(*) FROM b WHERE updated_at IS NULL)",
            "SELECT COUNT(*) FROM t WHERE a = 'it''s'",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "DROP TABLE t",
            "SELECT 1; DROP TABLE t",
            "SELECT 1 -- x",
            "SELECT 1 /* x */",
            "SELECT 1 # x",
            "SELECT * FROM t INTO OUTFILE 'x'",
            "SELECT LOAD_FILE('x')",
            "SELECT SLEEP(9)",
            "SELECT @a := 1",
            "SELECT @@version",
            "SELECT * FROM t FOR UPDATE",
            "SELECT 'open",
            "WITH x AS (SELECT 1) SELECT 1",
            "SELECT 1\0",
            "SELECT 'a\\'; DROP TABLE t",
            "(SELECT 1); x",
            &format!("SELECT '{}'", "x".repeat(5000)),
        ] {
            assert!(refusal(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn conditions_are_judged_like_queries_and_keep_their_brackets() {
        assert_eq!(condition_refusal("deleted = 0"), None);
        assert_eq!(condition_refusal("deleted = 0 AND (a IS NULL OR b = ')')"), None);
        for bad in ["1) OR (1", "1=1; DROP TABLE t", "(a"] {
            assert!(condition_refusal(bad).is_some(), "{bad}");
        }
    }
}
