//! A policy file, read as `oslo_policy.policy.parse_file_contents` reads it, with the place of every rule.
//!
//! JSON is tried first and YAML then, as oslo.policy up to 2025.2 does (from 2026.1 it is YAML alone, of which JSON without
//! tabs is a part). granit-parser, the parser beneath serde-saphyr, is used for its events, because a migration that keeps
//! comments needs the byte range of each rule; deserialising would throw them away. It reads YAML 1.2 and PyYAML 1.1: the
//! differences that matter (plain scalars that are no text, tabs, line separators, several documents) are made up for here.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde::de::IgnoredAny;

use super::check::Check;
use super::error::PolicyError;
use super::value::{self, Value};
use super::yaml::Reader;

/// The most bytes a policy file may have; the largest real sample has less than a hundredth of it.
pub const MOST_BYTES: usize = 16 << 20;

/// How to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Strict JSON.
    Json,
    /// YAML, of which most JSON is a part.
    Yaml,
    /// JSON where it is valid JSON, else YAML: oslo.policy's own way up to 2025.2.
    Auto,
}

/// How the rules are laid out in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One rule begins on each line, so that lines can be replaced.
    Lines,
    /// Braces, or something rarer: the file is written anew.
    Other,
}

/// One rule in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the rule.
    pub name: String,
    /// Whether the name is text; `yes:` is true in YAML, and no service asks for a rule of that name.
    pub name_is_text: bool,
    /// What is written for it.
    pub value: Value,
    /// The line of the name, from 1.
    pub line: usize,
    /// The column of the name, from 1, in characters.
    pub column: usize,
    /// The bytes from the name to the end of the value.
    pub span: Range<usize>,
    /// Whether it is the last one of its name, the one that counts.
    pub counts: bool,
}

/// A policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// The text without a byte order mark.
    pub text: String,
    /// Whether it was read as JSON.
    pub json: bool,
    /// How it is laid out.
    pub layout: Layout,
    /// The rules in the order of the file. Of several with one name the last one counts.
    pub entries: Vec<Entry>,
}

impl PolicyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Where oslo.policy cannot read it, and for a file that is larger than [`MOST_BYTES`] or unfolds to too much.
    pub fn parse(bytes: &[u8], format: Format) -> Result<Self, PolicyError> {
        if bytes.len() > MOST_BYTES {
            return Err(PolicyError::TooLarge {
                bytes: bytes.len(),
                most: MOST_BYTES,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let (line, column) = place(&good, good.len());
            PolicyError::NotUtf8 { line, column }
        })?;
        let (whole, text) = (text, text.strip_prefix('\u{feff}').unwrap_or(text));
        if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_allowed(*c)) {
            let (line, column) = place(text, at);
            let code = u32::from(c);
            return Err(PolicyError::Character { line, column, code });
        }
        let json = match format {
            Format::Yaml => false,
            // With a byte order mark it is no JSON to Python, but still YAML.
            Format::Json | Format::Auto => serde_json::from_str::<IgnoredAny>(whole).map_or_else(
                |error| match format {
                    Format::Json => Err(PolicyError::Syntax {
                        line: error.line(),
                        column: error.column(),
                        what: error.to_string(),
                    }),
                    _ => Ok(false),
                },
                |_| Ok(true),
            )?,
        };
        let (mut entries, block) = match json {
            // A tab between tokens is nothing in JSON and an error in YAML; a blank keeps every place where it is.
            true => Reader::new(text, true).read(&without_tabs(text))?,
            false => Reader::new(text, false).read(text)?,
        };
        let first = text
            .lines()
            .position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        if let Some(n) = first.filter(|n| !json && text.lines().nth(*n).is_some_and(|line| line.starts_with("..."))) {
            return Err(PolicyError::Syntax {
                line: n + 1,
                column: 1,
                what: "a document ends here that never began".to_owned(),
            });
        }
        let mut seen = HashSet::new();
        for entry in entries.iter_mut().rev() {
            entry.counts = seen.insert((entry.name_is_text, entry.name.clone()));
        }
        let alone = |entry: &Entry| {
            let before = &text[line_start(text, entry.span.start)..entry.span.start];
            before.chars().all(|c| c == ' ') && !text[entry.span.clone()].starts_with('?')
        };
        let layout = match block && entries.iter().all(alone) {
            true => Layout::Lines,
            false => Layout::Other,
        };
        Ok(PolicyFile {
            text: text.to_owned(),
            json,
            layout,
            entries,
        })
    }

    /// The rules as `oslo_policy.policy.Rules.load` gives them: name and check, the last of each name.
    ///
    /// # Errors
    /// With the entry whose value makes oslo.policy refuse the file.
    pub fn load(&self) -> Result<HashMap<String, Check>, (&Entry, value::NotACheck)> {
        let mut rules = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.counts) {
            let parsed = entry.value.read().map_err(|error| (entry, error))?;
            rules.insert(entry.name.clone(), parsed.check);
        }
        Ok(rules)
    }
}

/// PyYAML's printable characters (`Reader.NON_PRINTABLE`), without the line separators that only PyYAML takes for one.
fn is_allowed(c: char) -> bool {
    !matches!(c, '\u{2028}' | '\u{2029}')
        && matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The line and column, from 1, of a byte of a text.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    (line, before[line_start(text, at)..].chars().count() + 1)
}

/// The byte at which the line of a byte begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |n| n + 1)
}

/// JSON with the tabs between its tokens turned into blanks.
fn without_tabs(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let blank = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '\t' if !inside => return ' ',
            _ => {}
        }
        c
    };
    json.chars().map(blank).collect()
}

#[cfg(test)]
mod tests;
