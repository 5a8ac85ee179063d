//! Defaults: values that were never text.

use ffu_catalog::options::OptType;
use serde_json::Value as Json;

use super::{Value, ValueError, number, parse, python_str};
use crate::era::Era;

/// Makes a value of a default as oslo.config does when nothing else is set. Text in it must have its references resolved.
pub fn from_default(kind: &OptType, multi: bool, default: &Json, era: Era) -> Result<Value, ValueError> {
    match default {
        Json::Null => Ok(Value::None),
        Json::Array(items) if multi => {
            let items: Result<_, _> = items.iter().map(|item| one(kind, item, era)).collect();
            Ok(Value::List(items?))
        }
        // Python iterates over the characters of a text where it expects a list.
        Json::String(text) if multi => each_character(kind, text, era),
        default => one(kind, default, era),
    }
}

/// What a multi-valued option makes of one text: each character is taken for a value.
pub(crate) fn each_character(kind: &OptType, text: &str, era: Era) -> Result<Value, ValueError> {
    let mut buffer = [0; 4];
    let items: Result<_, _> = text
        .chars()
        .map(|c| parse(kind, c.encode_utf8(&mut buffer), era))
        .collect();
    Ok(Value::List(items?))
}

fn one(kind: &OptType, default: &Json, era: Era) -> Result<Value, ValueError> {
    match (kind, default) {
        (OptType::Other { .. }, default) => Ok(plain(default)),
        (_, Json::Null) => Ok(Value::None),
        (kind, Json::String(text)) => parse(kind, text, era),
        (OptType::List { item, .. }, Json::Array(items)) => {
            let items: Result<_, _> = items.iter().map(|value| one(item, value, era)).collect();
            Ok(Value::List(items?))
        }
        (OptType::String { .. }, default) => parse(kind, &python_str(&plain(default), era), era),
        (OptType::Integer { min, max, choices }, Json::Number(_)) => {
            number::check(whole(default), *min, *max, choices.as_deref())
        }
        (OptType::Port { min, max, choices }, Json::Number(_)) => {
            number::check(whole(default), min.or(Some(0)), max.or(Some(65535)), choices.as_deref())
        }
        (OptType::Float { min, max }, Json::Number(value)) => {
            number::check_float(value.as_f64().unwrap_or(f64::NAN), *min, *max)
        }
        (_, default) => Ok(plain(default)),
    }
}

/// `int()` of a number.
fn whole(default: &Json) -> Value {
    match plain(default) {
        Value::Float(value) => Value::Int(value as i128),
        value => value,
    }
}

fn plain(value: &Json) -> Value {
    match value {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(value) => match (value.as_i64(), value.as_u64()) {
            (Some(value), _) => Value::Int(i128::from(value)),
            (None, Some(value)) => Value::Int(i128::from(value)),
            (None, None) => Value::Float(value.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(plain).collect()),
        Json::Object(pairs) => Value::Dict(pairs.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
    }
}
