//! Writes the files: lines that need no change stay byte for byte, and what was written is read back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::plan::{Fate, Plan};
use super::{Context, MigrateError, Migrated, Source};
use crate::policy::check::Check;
use crate::policy::file::{Entry, Format, Layout, PolicyFile, line_start};
use crate::policy::value::Value;

/// How every remark begins.
const MARK: &str = "# ffu: ";

/// The name that suits a file after the migration.
pub(super) fn suggested(name: &str, json: bool) -> String {
    match name.strip_suffix(".json") {
        Some(stem) if json => format!("{stem}.yaml"),
        _ => name.to_owned(),
    }
}

/// Writes all files.
pub(super) fn all(context: &Context<'_>, plan: &Plan) -> Result<Vec<Migrated>, MigrateError> {
    let mut files = Vec::new();
    let mut rules = BTreeMap::new();
    for (n, source) in context.sources.iter().enumerate() {
        let added: &[(String, String)] = if n == 0 { &plan.added } else { &[] };
        let text = one(source, plan, added, source.file.layout);
        let text = match loads(&text) {
            Some(_) => text,
            // A layout that lines cannot be taken out of or added to, such as one with an end marker.
            None => one(source, plan, added, Layout::Other),
        };
        let Some(loaded) = loads(&text) else {
            return Err(unlike(source, "(none can be read)"));
        };
        rules.extend(loaded);
        files.push(Migrated {
            name: source.input.name.to_owned(),
            suggested_name: suggested(source.input.name, source.file.json),
            changed: text.as_bytes() != source.input.bytes,
            text: text.into_bytes(),
        });
    }
    let Some(first) = context.sources.first() else {
        return Ok(files);
    };
    let meant: BTreeMap<&String, String> = plan
        .rules
        .iter()
        .map(|(name, check)| (name, check.to_string()))
        .collect();
    let got: BTreeMap<&String, String> = rules.iter().map(|(name, check)| (name, check.to_string())).collect();
    let different = meant
        .iter()
        .chain(&got)
        .find(|(name, _)| meant.get(*name) != got.get(*name));
    match different {
        Some((name, _)) => Err(unlike(first, name)),
        None => Ok(files),
    }
}

fn unlike(source: &Source<'_>, rule: &str) -> MigrateError {
    MigrateError::Verify {
        file: source.input.name.to_owned(),
        rule: rule.to_owned(),
    }
}

/// The rules of a text, by the target's reading: YAML. Values that no service can read are passed over, as in the input.
fn loads(text: &str) -> Option<Vec<(String, Check)>> {
    let file = PolicyFile::parse(text.as_bytes(), Format::Yaml).ok()?;
    let counting = file.entries.iter().filter(|entry| entry.counts && entry.name_is_text);
    Some(
        counting
            .filter_map(|entry| Some((entry.name.clone(), entry.value.read().ok()?.check)))
            .collect(),
    )
}

fn one(source: &Source<'_>, plan: &Plan, added: &[(String, String)], layout: Layout) -> String {
    let file = &source.file;
    let text = file.text.as_str();
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    let mut indent = "";
    for entry in &file.entries {
        let start = line_start(text, entry.span.start);
        let end = line_end(text, entry.span.end);
        if layout == Layout::Lines {
            indent = &text[start..entry.span.start];
            out += &text[at..start];
            let body = &text[start..end];
            let lead = &text[at..start];
            out += &lines(entry, body, lead, &text[entry.span.end..end], indent, plan, newline);
            at = end;
        } else {
            for comment in comments(&text[at.min(entry.span.start)..entry.span.start]) {
                out += comment;
                out += newline;
            }
            let body = format!("{}: {}", quoted(&entry.name), as_yaml(&entry.value));
            let lead = out.clone();
            out += &lines(entry, &body, &lead, "", "", plan, newline);
            out += newline;
            at = entry.span.end;
        }
    }
    if layout == Layout::Lines || file.entries.is_empty() {
        let rest = &text[at..];
        out += if file.json && file.entries.is_empty() {
            "{}\n"
        } else {
            rest
        };
    } else {
        for comment in comments(&text[at..]) {
            out += comment;
            out += newline;
        }
    }
    if !added.is_empty() && file.entries.is_empty() && file.json {
        out.clear();
    }
    for (name, remark) in added {
        if !out.is_empty() && !out.ends_with('\n') {
            out += newline;
        }
        let text = plan.texts.get(name).map_or("", String::as_str);
        let _ = write!(
            out,
            "{indent}{MARK}{remark}{newline}{indent}{}: {}{newline}",
            quoted(name),
            quoted(text)
        );
    }
    out
}

/// What is written for one rule, without the line break after it.
fn lines(entry: &Entry, body: &str, lead: &str, behind: &str, indent: &str, plan: &Plan, newline: &str) -> String {
    let marked = |remark: &String| {
        let line = format!("{indent}{MARK}{remark}");
        match lead.lines().next_back() == Some(line.as_str()) {
            true => String::new(),
            false => line + newline,
        }
    };
    let Some(fate) = plan.fates.get(&entry.name).filter(|_| entry.name_is_text) else {
        return body.to_owned();
    };
    let rendered = |name: &String| {
        let own = entry.value.as_text();
        let planned = plan.texts.get(name).map(String::as_str).filter(|_| entry.counts);
        let text = planned.or(own).map_or_else(|| as_yaml(&entry.value), quoted);
        format!("{indent}{}: {text}", quoted(name))
    };
    let unchanged = |name: &String| {
        let planned = plan.texts.get(name);
        let same = match &entry.value {
            Value::Text(text) => planned == Some(text),
            value => value.read().ok().map(|parsed| parsed.check.to_string()).as_ref() == planned,
        };
        same || !entry.counts
    };
    let comment = behind.trim();
    let behind = match comment.starts_with('#') {
        true => format!(" {comment}"),
        false => String::new(),
    };
    match fate {
        Fate::Stays(remark) => {
            let head = remark.as_ref().map(marked).unwrap_or_default();
            match unchanged(&entry.name) {
                true => head + body,
                false => head + &rendered(&entry.name) + &behind,
            }
        }
        Fate::Becomes(names) => {
            let mut out = Vec::new();
            for name in names {
                let head = plan.remarks.get(name).map(marked).unwrap_or_default();
                match *name == entry.name && unchanged(name) {
                    true => out.push(head + body.strip_suffix(behind.trim_start()).unwrap_or(body).trim_end()),
                    false => out.push(head + &rendered(name)),
                }
            }
            out.join(newline) + &behind
        }
        Fate::Comment(remark) => {
            let plain = |line: &str| format!("{indent}# {}", line.strip_prefix(indent).unwrap_or(line).trim_end());
            let body: Vec<String> = body.lines().map(plain).collect();
            marked(remark) + &body.join(newline)
        }
    }
}

/// The end of the line of a byte, without its line break.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |n| at + n)
}

/// The comments in a stretch between rules.
fn comments(gap: &str) -> impl Iterator<Item = &str> {
    gap.lines()
        .filter_map(|line| line.find('#').map(|at| line[at..].trim_end()))
}

/// A value in YAML's flow form, read the same by PyYAML.
fn as_yaml(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Falsy(text) | Value::Truthy(text) => text.clone(),
        Value::List(items) | Value::Keys(items) => {
            let items: Vec<String> = items.iter().map(as_yaml).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// A text in double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
