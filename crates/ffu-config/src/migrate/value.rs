//! Values: which are the same, what curated rules make of them, and how a default is written into a file.

use ffu_catalog::options::OptType;
use ffu_catalog::rules::{Change, Rule, glob};

use crate::era::Era;
use crate::values::Value;

/// Whether a service sees the same, though the types may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    Same,
    /// The same text, read as another type.
    OtherType,
    Different,
}

/// Compares an effective value before and after.
pub(crate) fn compare(before: &Value, after: &Value) -> Likeness {
    if before == after {
        return Likeness::Same;
    }
    let alike = match (before, after) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => (*a as f64) == *b,
        (Value::Text(text), Value::List(items)) | (Value::List(items), Value::Text(text)) => {
            let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
            parts.len() == items.len() && parts.iter().zip(items).all(|(part, item)| written(item) == *part)
        }
        (Value::Text(text), Value::Bool(is)) | (Value::Bool(is), Value::Text(text)) => {
            crate::values::parse(&OptType::Boolean, text, Era::NEWEST).is_ok_and(|value| value == Value::Bool(*is))
        }
        (Value::Text(text), Value::None) | (Value::None, Value::Text(text)) => text.is_empty(),
        (Value::Text(text), other) | (other, Value::Text(text)) => written(other) == text.trim(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| written(a) == written(b))
        }
        _ => false,
    };
    if alike {
        Likeness::OtherType
    } else {
        Likeness::Different
    }
}

fn written(value: &Value) -> String {
    crate::values::python_str(value, Era::NEWEST)
}

/// What the value maps make of an effective value; the same where none applies.
pub(crate) fn mapped(value: &Value, rules: &[&Rule]) -> Value {
    match value {
        Value::Text(text) => Value::Text(mapped_text(text, rules).unwrap_or_else(|| text.clone())),
        Value::List(items) => {
            let kept = items.iter().filter_map(|item| match item {
                Value::Text(text) => match lookup(text, rules) {
                    Some("") => None,
                    Some(new) => Some(Value::Text(new.to_owned())),
                    None => Some(item.clone()),
                },
                other => Some(other.clone()),
            });
            Value::List(kept.collect())
        }
        other => other.clone(),
    }
}

/// What the value maps make of a value as it stands in a file, whole or item by item; `None` where none applies.
pub(crate) fn mapped_text(text: &str, rules: &[&Rule]) -> Option<String> {
    if let Some(new) = lookup(text.trim(), rules) {
        return Some(new.to_owned());
    }
    if !text.contains(',') {
        return None;
    }
    let items: Vec<&str> = text.split(',').collect();
    if !items.iter().any(|item| lookup(item.trim(), rules).is_some()) {
        return None;
    }
    let kept: Vec<String> = items
        .iter()
        .filter_map(|item| match lookup(item.trim(), rules) {
            Some("") => None,
            Some(new) => Some(item.replace(item.trim(), new)),
            None => Some((*item).to_owned()),
        })
        .collect();
    Some(kept.join(",").trim().to_owned())
}

fn lookup<'r>(item: &str, rules: &[&'r Rule]) -> Option<&'r str> {
    rules.iter().find_map(|rule| match &rule.change {
        Change::Values { map, .. } => map.get(item).map(String::as_str),
        _ => None,
    })
}

/// The items of a value that make a [`Change::Decide`] rule speak; `Some(vec![])`: any value does.
pub(crate) fn spoken_of(text: &str, rule: &Rule) -> Option<Vec<String>> {
    let Change::Decide { values, .. } = &rule.change else {
        return None;
    };
    if values.is_empty() {
        return Some(Vec::new());
    }
    let items = text
        .split([',', '\n'])
        .map(str::trim)
        .chain(std::iter::once(text.trim()));
    let mut met: Vec<String> = Vec::new();
    for item in items {
        // An item may carry an argument, as in `lvm:cinder.volume.drivers.lvm.LVMVolumeDriver`.
        let hit = values
            .iter()
            .any(|pattern| glob(pattern, item) || item.split(':').any(|part| glob(pattern, part)));
        if hit && !met.iter().any(|other| other == item) {
            met.push(item.to_owned());
        }
    }
    (!met.is_empty()).then_some(met)
}

/// A value as an operator would write it; `None` where this type cannot be written so that it is read back.
pub(crate) fn config_text(kind: &OptType, value: &Value) -> Option<String> {
    let text = match value {
        Value::None => return None,
        Value::Bool(is) => (if *is { "true" } else { "false" }).to_owned(),
        Value::List(items) => {
            let texts: Option<Vec<String>> = items.iter().map(item_text).collect();
            let joined = texts?.join(",");
            if matches!(kind, OptType::List { bounds: true, .. }) {
                format!("[{joined}]")
            } else {
                joined
            }
        }
        Value::Dict(pairs) => {
            let texts: Option<Vec<String>> = pairs
                .iter()
                .map(|(key, value)| Some(format!("{key}:{}", item_text(value)?)))
                .collect();
            let joined = texts?.join(",");
            if matches!(kind, OptType::Dict { bounds: true, .. }) {
                format!("{{{joined}}}")
            } else {
                joined
            }
        }
        other => written(other).replace('$', "$$"),
    };
    let back = crate::values::parse(kind, &text.replace("$$", "$"), Era::NEWEST).ok()?;
    (back == *value).then_some(text)
}

fn item_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::List(_) | Value::Dict(_) | Value::None => return None,
        other => written(other).replace('$', "$$"),
    };
    (!text.contains([',', '"', '\'', '\n'])).then_some(text)
}
