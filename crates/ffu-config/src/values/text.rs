//! Text and booleans.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use super::{Value, ValueError};
use crate::era::Era;

/// The constraints of `oslo_config.types.String`.
pub(super) struct TextRules<'a> {
    pub choices: Option<&'a [Option<String>]>,
    pub quotes: bool,
    pub regex: Option<&'a str>,
    pub ignore_case: bool,
    /// 0 for none.
    pub max_length: u64,
}

impl TextRules<'_> {
    pub(super) fn parse(&self, text: &str, era: Era) -> Result<Value, ValueError> {
        let mut text = text;
        if self.quotes
            && let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\''))
        {
            text = match text.get(1..).and_then(|inner| inner.strip_suffix(quote)) {
                Some(inner) => inner,
                None if text.len() == 1 && era.lone_quote_is_empty => "",
                None => return Err(ValueError::new(format!("the quote is not closed: {text}"))),
            };
        }
        let length = if era.python2 { text.len() } else { text.chars().count() };
        if self.max_length > 0 && length as u64 > self.max_length {
            return Err(ValueError::new(format!("{text:?} is longer than {}", self.max_length)));
        }
        if let Some(pattern) = self.regex
            && let Some(regex) = compiled_for(text, pattern, self.ignore_case, era)
            && !regex.is_match(text.as_bytes())
        {
            return Err(ValueError::new(format!(
                "{text:?} does not match the expression {pattern}"
            )));
        }
        let Some(choices) = self.choices else {
            return Ok(Value::Text(text.to_owned()));
        };
        let mut choices = choices.iter().flatten();
        let found = if self.ignore_case {
            let wanted = era.lower(text);
            choices.any(|choice| era.lower(choice) == wanted)
        } else {
            choices.any(|choice| choice == text)
        };
        if found {
            return Ok(Value::Text(text.to_owned()));
        }
        let allowed: Vec<&str> = self
            .choices
            .unwrap_or_default()
            .iter()
            .flatten()
            .map(String::as_str)
            .collect();
        Err(ValueError::new(format!(
            "{text:?} is not one of {}",
            allowed.join(", ")
        )))
    }

    /// Whether no longer text that begins so could be a value, so that a list need not try.
    pub(super) fn is_hopeless(&self, text: &str) -> bool {
        // Lower case may have more characters than upper case; Python 2 counts bytes, of which there are never fewer.
        let longest = self.choices.map(|choices| {
            choices
                .iter()
                .flatten()
                .map(|choice| choice.chars().count() * 3)
                .max()
                .unwrap_or(0)
        });
        let longest_text = usize::try_from(self.max_length).ok().filter(|length| *length > 0);
        let quotes = if self.quotes { 2 } else { 0 };
        let is_longer = |limit: usize| text.chars().nth(limit + quotes).is_some();
        longest_text.is_some_and(is_longer) || longest.is_some_and(is_longer)
    }
}

pub(super) fn boolean(text: &str) -> Result<Value, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(Value::Bool(true)),
        "false" | "0" | "off" | "no" => Ok(Value::Bool(false)),
        _ => Err(ValueError::new(format!(
            "{text:?} is neither true, 1, on, yes nor false, 0, off, no"
        ))),
    }
}

/// The expression for a text. To plain letters, what `\w` means beyond them makes no difference, and leaving it out makes
/// the expression a hundred times smaller.
fn compiled_for(text: &str, pattern: &str, ignore_case: bool, era: Era) -> Option<Regex> {
    compiled(
        pattern,
        ignore_case,
        era.python2 || (text.is_ascii() && pattern.is_ascii()),
    )
}

/// A Python expression as a Rust one; `None` where it means something that Rust's cannot say. In Python 2 text is bytes.
pub(super) fn compiled(pattern: &str, ignore_case: bool, bytes: bool) -> Option<Regex> {
    type Known = Mutex<HashMap<(String, bool, bool), Option<Regex>>>;
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let mut known = match KNOWN.get_or_init(Known::default).lock() {
        Ok(known) => known,
        Err(poisoned) => poisoned.into_inner(),
    };
    let key = (pattern.to_owned(), ignore_case, bytes);
    let regex = known.entry(key).or_insert_with(|| {
        let mut builder = RegexBuilder::new(&translated(pattern)?);
        builder.case_insensitive(ignore_case).unicode(!bytes).build().ok()
    });
    regex.clone()
}

/// The differences in writing: `$` also stands in front of a last line feed, `\Z` is Rust's `\z`, and in a class `[`, `&`
/// and `~` are plain characters.
fn translated(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut characters = pattern.chars().peekable();
    let mut class_length: Option<usize> = None;
    while let Some(c) = characters.next() {
        match (c, class_length) {
            ('\\', _) => match characters.next()? {
                'Z' if class_length.is_none() => out.push_str("\\z"),
                // Rust's `\z`, `\<` and others are errors or letters in Python.
                'z' | '<' | '>' | 'p' | 'P' => return None,
                escaped => {
                    out.push('\\');
                    out.push(escaped);
                }
            },
            ('$', None) => out.push_str("(?:\\n?\\z)"),
            ('[', None) => {
                out.push('[');
                if characters.peek() == Some(&'^') {
                    characters.next();
                    out.push('^');
                }
                // A bracket that comes first is a plain character.
                if characters.peek() == Some(&']') {
                    characters.next();
                    out.push_str("\\]");
                }
                class_length = Some(0);
                continue;
            }
            (']', Some(_)) => {
                out.push(']');
                class_length = None;
            }
            ('[' | '&' | '~', Some(_)) => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        class_length = class_length.map(|length| length + 1);
    }
    Some(out)
}
