//! Names in SQL. Everything that comes from a plan, a catalog or a server passes through here before it is part of a
//! statement.

use crate::error::DbError;

/// A name in backticks.
///
/// # Errors
/// [`DbError::BadName`] for names MySQL could not have: empty, longer than 64 characters, or with control characters.
pub fn identifier(what: &'static str, name: &str) -> Result<String, DbError> {
    let length = name.chars().count();
    if !(1..=64).contains(&length) || name.chars().any(char::is_control) || name.ends_with(' ') {
        return Err(DbError::BadName {
            what,
            name: name.chars().take(64).collect(),
        });
    }
    Ok(format!("`{}`", name.replace('`', "``")))
}

/// Whether a text is a name that needs no quotes, such as that of a character set.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A text as a literal, for statements that cannot be prepared. Sessions run with an empty `sql_mode`, so a backslash
/// escapes.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// A schema's name for GRANT, where `_` and `%` are wildcards unless escaped.
///
/// # Errors
/// See [`identifier`].
pub fn grant_pattern(schema: &str) -> Result<String, DbError> {
    let name = identifier("schema", schema)?;
    Ok(name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_backticks() {
        assert_eq!(
            identifier("table", "a`; DROP TABLE b; --").unwrap(),
            "`a``; DROP TABLE b; --`"
        );
        for bad in ["", "a\0b", "a\nb", &"x".repeat(65), "trailing "] {
            assert!(
                matches!(identifier("table", bad), Err(DbError::BadName { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn literals_cannot_leave_their_quotes() {
        assert_eq!(literal("a'b\\"), "'a\\'b\\\\'");
    }
}
