//! Lists and dictionaries.
//!
//! oslo.config cuts them at every comma and, where an item is refused, tries again with the next piece added. Done
//! literally that costs the square of the length; here a type that can never hold a comma is given up at once, and a quoted
//! or bounded item is looked at only where a piece ends with what closes it.

use ffu_catalog::options::OptType;

use super::text::TextRules;
use super::{Value, ValueError, parse};
use crate::era::Era;

/// After so many pieces an item that only an expression could accept is given up.
const MAX_PIECES: usize = 10_000;

/// What a longer text could still be.
enum Outlook {
    /// A value perhaps: ask.
    Ask,
    /// No value, but a longer one could be.
    Longer,
    /// No value, whatever follows.
    Never,
}

fn closes(text: &str, open: char, close: char) -> Outlook {
    if !text.starts_with(open) {
        Outlook::Never
    } else if text.ends_with(close) {
        Outlook::Ask
    } else {
        Outlook::Longer
    }
}

/// What can be said of a text without parsing it; `pieces` is the number of commas in it.
fn outlook(kind: &OptType, text: &str, pieces: usize) -> Outlook {
    match kind {
        OptType::String {
            choices,
            quotes,
            regex,
            ignore_case,
            max_length,
        } => {
            let rules = TextRules {
                choices: choices.as_deref(),
                quotes: *quotes,
                regex: regex.as_deref(),
                ignore_case: *ignore_case,
                max_length: max_length.unwrap_or(0),
            };
            if pieces > 0 && rules.is_hopeless(text) || pieces > MAX_PIECES && regex.is_some() {
                return Outlook::Never;
            }
            match text.chars().next() {
                Some(quote @ ('"' | '\'')) if *quotes && pieces > 0 => closes(text, quote, quote),
                _ => Outlook::Ask,
            }
        }
        OptType::List { bounds: true, .. } if pieces > 0 => closes(text, '[', ']'),
        OptType::Dict { bounds: true, .. } if pieces > 0 => closes(text, '{', '}'),
        OptType::Uri { .. } | OptType::Other { .. } | OptType::List { .. } | OptType::Dict { .. }
            if pieces > MAX_PIECES =>
        {
            Outlook::Never
        }
        OptType::Uri { .. } | OptType::Other { .. } | OptType::List { .. } | OptType::Dict { .. } => Outlook::Ask,
        // Numbers, booleans, ranges, addresses and host names have no commas.
        _ if pieces > 0 => Outlook::Never,
        _ => Outlook::Ask,
    }
}

/// Cuts the text at each comma behind `from` until the type takes what stands between; the value, and what is left behind
/// the comma.
fn shortest<'a>(kind: &OptType, text: &'a str, from: usize, era: Era) -> Result<(Value, Option<&'a str>), ValueError> {
    let mut last_error = None;
    let behind = text.get(from..).unwrap_or_default();
    let commas = behind.match_indices(',').map(|(at, _)| at).chain([behind.len()]);
    for (pieces, end) in commas.enumerate() {
        let piece = era.strip(behind.get(..end).unwrap_or_default());
        match outlook(kind, piece, pieces) {
            Outlook::Ask => match parse(kind, piece, era) {
                Ok(value) => return Ok((value, behind.get(end + 1..))),
                Err(error) => last_error = Some(error),
            },
            Outlook::Longer => {}
            Outlook::Never => break,
        }
    }
    Err(last_error.unwrap_or_else(|| ValueError::new("an item is not closed")))
}

/// Takes the bounds off.
fn inside(text: &str, bounds: bool, open: char, close: char) -> Result<&str, ValueError> {
    if !bounds {
        return Ok(text);
    }
    let rest = text
        .strip_prefix(open)
        .ok_or_else(|| ValueError::new(format!("it must begin with {open:?}")))?;
    match rest.strip_suffix(close) {
        Some(inside) => Ok(inside),
        None => Err(ValueError::new(format!("it must end with {close:?}"))),
    }
}

pub(super) fn list(item: &OptType, bounds: bool, text: &str, era: Era) -> Result<Value, ValueError> {
    let text = inside(era.strip(text).trim_end_matches(','), bounds, '[', ']')?;
    let mut items = Vec::new();
    let mut rest = Some(text).filter(|text| !text.is_empty());
    while let Some(text) = rest {
        let (value, behind) = shortest(item, text, 0, era)?;
        items.push(value);
        rest = behind;
    }
    Ok(Value::List(items))
}

pub(super) fn dict(
    value: &OptType,
    key: Option<&OptType>,
    bounds: bool,
    separator: &str,
    text: &str,
    era: Era,
) -> Result<Value, ValueError> {
    let text = inside(era.strip(text), bounds, '{', '}')?;
    let mut pairs: Vec<(String, Value)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut rest = Some(text).filter(|text| !text.is_empty());
    while let Some(text) = rest {
        let Some((name, _)) = text.split_once(separator) else {
            return Err(ValueError::new(format!(
                "write NAME{separator}VALUE pairs with commas in between"
            )));
        };
        let (value, behind) = shortest(value, text, name.len() + separator.len(), era)?;
        let name = era.strip(name).to_owned();
        if name.is_empty() {
            return Err(ValueError::new("a pair has no name"));
        }
        if let Some(kind) = key {
            parse(kind, &name, era)?;
        }
        if !seen.insert(name.clone()) {
            return Err(ValueError::new(format!("{name} is there twice")));
        }
        pairs.push((name, value));
        rest = behind;
    }
    Ok(Value::Dict(pairs))
}
