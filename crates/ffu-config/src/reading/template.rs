//! References in values: `string.Template` with oslo.config's pattern (`oslo_config/cfg.py`, `ConfigOpts.Template`).

use std::borrow::Cow;
use std::ops::Range;

use crate::era::Era;

/// A reference in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The bytes of the value that it takes, with `$` and braces.
    pub span: Range<usize>,
    /// What it names: `option` or `group.option`.
    pub name: String,
    /// Whether it is written with braces.
    pub braces: bool,
}

/// A piece of a value.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Reference { name: &'a str, whole: &'a str },
}

/// `\$` means the same as `$$`. Both have two bytes, so that places stay where they are.
pub(super) fn with_dollars(text: &str) -> Cow<'_, str> {
    if text.contains("\\$") {
        Cow::Owned(text.replace("\\$", "$$"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The references in a value as it stands in a file, in order.
pub fn references(value: &str, era: Era) -> Vec<Reference> {
    let value = with_dollars(value);
    let mut found = Vec::new();
    let mut at = 0;
    for piece in pieces(&value, era) {
        let length = match piece {
            Piece::Text("$") if value.get(at..).is_some_and(|rest| rest.starts_with("$$")) => 2,
            Piece::Text(text) => text.len(),
            Piece::Reference { name, whole } => {
                found.push(Reference {
                    span: at..at + whole.len(),
                    name: name.to_owned(),
                    braces: whole.starts_with("${"),
                });
                whole.len()
            }
        };
        at += length;
    }
    found
}

/// Cuts a value into text and references. `$$` is the text `$`.
pub(super) fn pieces(text: &str, era: Era) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let dollar = rest.find('$').unwrap_or(rest.len());
        if dollar > 0 {
            let (text, behind) = rest.split_at(dollar);
            rest = behind;
            return Some(Piece::Text(text));
        }
        let whole = rest;
        let (dollar, behind) = rest.split_at(1);
        if let Some(behind) = behind.strip_prefix('$') {
            rest = behind;
            return Some(Piece::Text(dollar));
        }
        if let Some(length) = identifier(behind, era) {
            let (name, after) = behind.split_at(length);
            rest = after;
            let whole = &whole[..1 + length];
            return Some(Piece::Reference { name, whole });
        }
        if let Some(inner) = behind.strip_prefix('{')
            && let Some(length) = identifier(inner, era)
            && let (name, after) = inner.split_at(length)
            && let Some(after) = after.strip_prefix('}')
        {
            rest = after;
            let whole = &whole[..length + 3];
            return Some(Piece::Reference { name, whole });
        }
        rest = behind;
        Some(Piece::Text(dollar))
    })
}

/// The length of the identifier a text begins with: `[_a-z][\._a-z0-9]*` without regard to case.
fn identifier(text: &str, era: Era) -> Option<usize> {
    let letter = |c: char| match c {
        // Without regard to case Python 3 takes these for i, s and k.
        'İ' | 'ı' | 'ſ' | '\u{212a}' => !era.python2,
        c => c.is_ascii_alphabetic() || c == '_',
    };
    let end = text
        .find(|c: char| !(letter(c) || c == '.' || c.is_ascii_digit()))
        .unwrap_or(text.len());
    text.chars().next().filter(|c| letter(*c)).map(|_| end)
}
