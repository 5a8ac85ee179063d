//! Values as `oslo_config.types` makes them from text, or why it refuses.
//!
//! A value of a file counts only as what its option's type makes of it: `1`, `on` and `True` are the same boolean. The
//! functions follow the library's code of each era; `crates/ffu/tests/reading_differs.rs` asks both.

mod address;
mod container;
mod default;
mod number;
mod python;
mod text;
mod uri;

use ffu_catalog::options::OptType;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::era::Era;
pub use default::from_default;
pub use python::python_str;

/// A value of an option.
#[derive(Clone, Debug)]
pub enum Value {
    /// Python's `None`: an option without value or default, or an empty number.
    None,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A whole number that is larger than that: its decimal digits, with `-` if negative, without leading zeros.
    BigInt(String),
    /// A number.
    Float(f64),
    /// Text, and addresses, URIs and the values of types that projects made themselves.
    Text(String),
    /// A list, or the values of a multi-valued option.
    List(Vec<Value>),
    /// A dictionary in the order in which it was written; the order makes no difference when two are compared.
    Dict(Vec<(String, Value)>),
    /// Python's `range(start, stop, step)`.
    Range {
        /// The first number.
        start: i128,
        /// The number behind the last.
        stop: i128,
        /// 1 or -1.
        step: i128,
    },
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::BigInt(a), Value::BigInt(b)) | (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Dict(a), Value::Dict(b)) => {
                a.len() == b.len() && {
                    let sorted = |pairs: &[(String, Value)]| {
                        let mut order: Vec<usize> = (0..pairs.len()).collect();
                        order.sort_by(|x, y| pairs[*x].0.cmp(&pairs[*y].0));
                        order
                    };
                    let pairs = sorted(a).into_iter().zip(sorted(b));
                    pairs.into_iter().all(|(x, y)| a[x] == b[y])
                }
            }
            (
                Value::Range { start, stop, step },
                Value::Range {
                    start: other_start,
                    stop: other_stop,
                    step: other_step,
                },
            ) => {
                // Python compares ranges as sequences: all empty ones are equal.
                let empty = |start: i128, stop: i128, step: i128| if step > 0 { start >= stop } else { start <= stop };
                let both_empty = empty(*start, *stop, *step) && empty(*other_start, *other_stop, *other_step);
                let one_number = (stop.wrapping_sub(*start)).abs() == 1
                    && (other_stop.wrapping_sub(*other_start)).abs() == 1
                    && start == other_start
                    && !empty(*start, *stop, *step)
                    && !empty(*other_start, *other_stop, *other_step);
                both_empty || one_number || (start, stop, step) == (other_start, other_stop, other_step)
            }
            _ => false,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => match i64::try_from(*value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_str(&value.to_string()),
            },
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Float(value) => serializer.serialize_str(&python::float_repr(*value)),
            Value::BigInt(text) | Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => items.serialize(serializer),
            Value::Dict(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Value::Range { start, stop, step } => serializer.serialize_str(&format!("range({start}, {stop}, {step})")),
        }
    }
}

/// Why a text is not a value of a type, in words. It may quote the text: mask it where the option is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// The words.
    pub message: String,
}

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        ValueError {
            message: message.into(),
        }
    }
}

/// Makes a value of text as an option's type does, references being resolved already.
pub fn parse(kind: &OptType, text: &str, era: Era) -> Result<Value, ValueError> {
    match kind {
        OptType::String {
            choices,
            quotes,
            regex,
            ignore_case,
            max_length,
        } => {
            let rules = text::TextRules {
                choices: choices.as_deref(),
                quotes: *quotes,
                regex: regex.as_deref(),
                ignore_case: *ignore_case,
                max_length: max_length.unwrap_or(0),
            };
            rules.parse(text, era)
        }
        OptType::Boolean => text::boolean(text),
        OptType::Integer { min, max, choices } => number::integer(text, *min, *max, choices.as_deref(), era),
        OptType::Port { min, max, choices } => {
            let (min, max) = (min.unwrap_or(0), max.unwrap_or(65535));
            number::integer(text, Some(min), Some(max), choices.as_deref(), era)
        }
        OptType::Float { min, max } => number::float(text, *min, *max, era),
        OptType::List { item, bounds } => container::list(item, *bounds, text, era),
        OptType::Dict {
            value,
            key,
            bounds,
            separator,
        } => container::dict(
            value,
            key.as_deref(),
            *bounds,
            separator.as_deref().unwrap_or(":"),
            text,
            era,
        ),
        OptType::Range { min, max, inclusive } => number::range(text, *min, *max, *inclusive, era),
        OptType::IpAddress { version } => address::ip(text, *version),
        OptType::Hostname => address::hostname(text, false, era),
        OptType::HostAddress { version } => address::host(text, *version, false, era),
        OptType::HostDomain { version } => address::host(text, *version, true, era),
        OptType::Uri { schemes, max_length } => uri::uri(text, schemes.as_deref(), *max_length, era),
        OptType::Other { .. } => Ok(Value::Text(text.to_owned())),
    }
}

/// Whether [`parse`] checks all that the type checks. It does not for types that projects made themselves, nor for
/// expressions that only Python's `re` can do.
pub fn is_checked(kind: &OptType) -> bool {
    match kind {
        OptType::String {
            regex: Some(regex),
            ignore_case,
            ..
        } => text::compiled(regex, *ignore_case, Era::NEWEST.python2).is_some(),
        OptType::List { item, .. } => is_checked(item),
        OptType::Dict { value, key, .. } => is_checked(value) && key.as_deref().is_none_or(is_checked),
        OptType::Other { .. } => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
