//! oslo.policy's check language (`oslo_policy._parser`), read exactly as oslo.policy reads it.
//!
//! oslo.policy never refuses a check string: what it cannot read becomes `!`, a check that denies everybody, and one line in
//! a log. So a parser of our own is needed to say so beforehand. It follows the original's reductions step by step, because
//! the original's quirks (quotes, parentheses inside words, which `and` binds to what) decide who may do what. The language
//! has been the same from Pike to 2026.2.

use std::fmt;
use std::ops::Range;

/// The deepest nesting that is read; oslo.policy itself ends in Python's recursion limit at a few hundred.
const DEEPEST: usize = 200;

/// A check as a tree. Its text is that of Python's `str(check)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// `@`: everybody may.
    True,
    /// `!`: nobody may.
    False,
    /// `not …`.
    Not(Box<Check>),
    /// `… and …`.
    And(Vec<Check>),
    /// `… or …`.
    Or(Vec<Check>),
    /// `kind:match`, e.g. `role:admin`, `rule:owner`, `project_id:%(project_id)s`.
    Test {
        /// What stands before the first colon.
        kind: String,
        /// What stands after it.
        against: String,
    },
}

impl Check {
    /// A reference to a rule.
    pub fn rule(name: &str) -> Self {
        Check::Test {
            kind: "rule".to_owned(),
            against: name.to_owned(),
        }
    }

    /// The name of the rule, if the check is nothing but a reference to one.
    pub fn as_rule(&self) -> Option<&str> {
        match self {
            Check::Test { kind, against } if kind == "rule" => Some(against),
            _ => None,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, parts) = match self {
            Check::True => return f.write_str("@"),
            Check::False => return f.write_str("!"),
            Check::Not(check) => return write!(f, "not {check}"),
            Check::Test { kind, against } => return write!(f, "{kind}:{against}"),
            Check::And(parts) => (" and ", parts),
            Check::Or(parts) => (" or ", parts),
        };
        f.write_str("(")?;
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                f.write_str(word)?;
            }
            part.fmt(f)?;
        }
        f.write_str(")")
    }
}

/// Why a check string does not mean what its writer thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub what: String,
    /// The byte in the check string at which it is.
    pub at: usize,
}

/// A check string that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What oslo.policy makes of it; [`Check::False`] where it cannot be read at all.
    pub check: Check,
    /// What oslo.policy would only log.
    pub mistakes: Vec<Mistake>,
    /// The names after `rule:`, where they stand.
    pub references: Vec<(String, Range<usize>)>,
}

/// A token on the parser's stack, with its tree and the tree's depth where it has one.
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Text,
    Check(Check, usize),
    AndExpr(Vec<Check>, usize),
    OrExpr(Vec<Check>, usize),
}

/// Python's `str.isspace`, which `\s` follows.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Reads a check string (`_parse_text_rule`).
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed {
        check: Check::True,
        mistakes: Vec::new(),
        references: Vec::new(),
    };
    if text.is_empty() {
        return parsed;
    }
    let mut stack = Vec::new();
    let mut too_deep = false;
    let mut shift = |token: Token| {
        stack.push(token);
        too_deep |= !reduce(&mut stack);
    };
    for word in words(text) {
        let whole = &text[word.clone()];
        let opened = whole.trim_start_matches('(');
        for _ in opened.len()..whole.len() {
            shift(Token::Open);
        }
        if opened.is_empty() {
            continue;
        }
        let start = word.start + whole.len() - opened.len();
        let clean = opened.trim_end_matches(')');
        match clean.to_lowercase().as_str() {
            "and" => shift(Token::And),
            "or" => shift(Token::Or),
            "not" => shift(Token::Not),
            "" => {}
            _ if is_quoted(opened) => {
                parsed
                    .mistakes
                    .push(mistake("quotes around a word are no check", start));
                shift(Token::Text);
            }
            _ => shift(Token::Check(single(clean, start, &mut parsed), 1)),
        }
        for _ in clean.len()..opened.len() {
            shift(Token::Close);
        }
    }
    parsed.check = match (stack.pop(), stack.is_empty()) {
        (Some(Token::Check(check, _)), true) => check,
        (Some(Token::AndExpr(parts, _)), true) => Check::And(parts),
        (Some(Token::OrExpr(parts, _)), true) => Check::Or(parts),
        _ => {
            let what = match too_deep {
                true => "it is nested too deeply",
                false => "it cannot be read as a whole (a parenthesis or an operator is missing or too many)",
            };
            parsed.mistakes.insert(0, mistake(what, 0));
            Check::False
        }
    };
    parsed
}

fn mistake(what: &str, at: usize) -> Mistake {
    Mistake {
        what: what.to_owned(),
        at,
    }
}

fn is_quoted(word: &str) -> bool {
    word.len() >= 2
        && ['"', '\'']
            .iter()
            .any(|quote| word.starts_with(*quote) && word.ends_with(*quote))
}

/// The words of a text and where they stand.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.split(is_space).filter(|word| !word.is_empty()).map(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        start..start + word.len()
    })
}

/// Reads one check without operators (`_parse_check`).
pub(super) fn single(word: &str, start: usize, parsed: &mut Parsed) -> Check {
    match word {
        "!" => return Check::False,
        "@" => return Check::True,
        _ => {}
    }
    let Some((kind, against)) = word.split_once(':') else {
        let shown: String = word.chars().take(60).collect();
        parsed.mistakes.push(Mistake {
            what: format!("{shown:?} has no colon, so it denies everybody"),
            at: start,
        });
        return Check::False;
    };
    if kind == "rule" {
        let from = start + kind.len() + 1;
        parsed.references.push((against.to_owned(), from..from + against.len()));
    }
    Check::Test {
        kind: kind.to_owned(),
        against: against.to_owned(),
    }
}

/// Reduces the stack as far as possible (`ParseState.reduce`); false if the tree became too deep.
fn reduce(stack: &mut Vec<Token>) -> bool {
    loop {
        let reduced = match stack.as_slice() {
            [
                ..,
                Token::Open,
                Token::Check(..) | Token::AndExpr(..) | Token::OrExpr(..),
                Token::Close,
            ] => {
                stack.pop();
                let inner = stack.pop();
                stack.pop();
                match inner {
                    Some(Token::AndExpr(parts, depth)) => Token::Check(Check::And(parts), depth),
                    Some(Token::OrExpr(parts, depth)) => Token::Check(Check::Or(parts), depth),
                    Some(other) => other,
                    None => return true,
                }
            }
            [
                ..,
                Token::Check(..) | Token::AndExpr(..) | Token::OrExpr(..),
                Token::And | Token::Or,
                Token::Check(..),
            ] => {
                let right = stack.pop();
                let operator = stack.pop();
                let left = stack.pop();
                let (Some(left), Some(operator), Some(Token::Check(right, depth))) = (left, operator, right) else {
                    return true;
                };
                join(left, matches!(operator, Token::And), right, depth)
            }
            [.., Token::Not, Token::Check(..)] => {
                let inner = stack.pop();
                stack.pop();
                let Some(Token::Check(check, depth)) = inner else {
                    return true;
                };
                Token::Check(Check::Not(Box::new(check)), depth + 1)
            }
            _ => return true,
        };
        let deep = match &reduced {
            Token::Check(_, depth) | Token::AndExpr(_, depth) | Token::OrExpr(_, depth) => *depth > DEEPEST,
            _ => false,
        };
        if deep {
            // Something that never reduces, so that the whole cannot be read and the tree grows no deeper.
            stack.push(Token::Text);
            return false;
        }
        stack.push(reduced);
    }
}

/// Joins what stands left and right of `and` or `or`.
fn join(left: Token, and: bool, right: Check, depth: usize) -> Token {
    match (left, and) {
        (Token::Check(left, d), true) => Token::AndExpr(vec![left, right], d.max(depth) + 1),
        (Token::Check(left, d), false) => Token::OrExpr(vec![left, right], d.max(depth) + 1),
        (Token::AndExpr(mut parts, d), true) => {
            parts.push(right);
            Token::AndExpr(parts, d.max(depth + 1))
        }
        (Token::AndExpr(parts, d), false) => Token::OrExpr(vec![Check::And(parts), right], d.max(depth) + 1),
        (Token::OrExpr(mut parts, d), false) => {
            parts.push(right);
            Token::OrExpr(parts, d.max(depth + 1))
        }
        // `A or B and C`: the `and` takes B away from the `or`.
        (Token::OrExpr(mut parts, d), true) => {
            let taken = match parts.pop() {
                Some(Check::And(mut inner)) => {
                    inner.push(right);
                    Check::And(inner)
                }
                Some(other) => Check::And(vec![other, right]),
                None => right,
            };
            parts.push(taken);
            Token::OrExpr(parts, d.max(depth + 1) + 1)
        }
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        parse(text).check.to_string()
    }

    #[test]
    fn reads_as_the_original_does() {
        for (text, wanted) in [
            ("", "@"),
            ("@", "@"),
            ("!", "!"),
            ("role:admin", "role:admin"),
            ("rule:a or rule:b and rule:c", "(rule:a or (rule:b and rule:c))"),
            ("a:1 and b:2 or c:3 and d:4", "((a:1 and b:2) or (c:3 and d:4))"),
            ("a:1 or (b:2 and c:3) and d:4", "(a:1 or (b:2 and c:3 and d:4))"),
            ("(a:1 and b:2) and c:3", "((a:1 and b:2) and c:3)"),
            ("not a:1 and NOT b:2", "(not a:1 and not b:2)"),
            ("((a:1))", "a:1"),
            ("project_id:%(project_id)s", "project_id:%(project_id)s"),
            ("(project_id:%(target.id)s or a:b)", "(project_id:%(target.id)s or a:b)"),
            ("role:a:b", "role:a:b"),
            ("'Member':%(role.name)s", "'Member':%(role.name)s"),
        ] {
            assert_eq!(read(text), wanted, "{text}");
            assert!(parse(text).mistakes.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_denies_and_is_named() {
        for text in [
            "a:1 b:2",
            "(a:1",
            "a:1)",
            "and",
            "not",
            "a:1 or",
            "\"a:1\"",
            " ",
            "role",
            "a:1 or role",
        ] {
            let parsed = parse(text);
            assert!(!parsed.mistakes.is_empty(), "{text:?}");
        }
        assert_eq!(read("a:1 b:2"), "!");
        assert_eq!(read("a:1 or role"), "(a:1 or !)");
    }

    #[test]
    fn references_are_where_they_are() {
        let text = "role:é or (not rule:owner) or rule:x:y";
        let found = parse(text).references;
        assert_eq!(
            found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["owner", "x:y"]
        );
        for (name, range) in found {
            assert_eq!(text[range], name);
        }
    }

    #[test]
    fn depth_and_length_are_no_danger() {
        let deep = format!("{}a:1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(read(&deep), "a:1");
        assert_eq!(read(&format!("{}a:1", "not ".repeat(100_000))), "!");
        assert_eq!(read(&"(a:1 and ".repeat(50_000)), "!");
        let long = vec!["a:1"; 50_000].join(" or ");
        assert_eq!(read(&long).len(), long.len() + 2);
        let zigzag = format!("{}a:1{}", "(".repeat(5_000), " or b:1) and c:1".repeat(5_000));
        assert_eq!(read(&zigzag), "!");
    }
}
