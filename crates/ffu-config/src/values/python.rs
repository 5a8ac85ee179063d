//! How Python writes a value down, which matters where a reference puts one into text: `$enabled_backends` of a list
//! becomes `['a', 'b']`.

use super::Value;
use crate::era::Era;

/// `str(value)`; an absent value is an empty text there.
pub fn python_str(value: &Value, era: Era) -> String {
    match value {
        Value::None => String::new(),
        Value::Text(text) => text.clone(),
        Value::Float(value) if era.python2 => short_float(*value),
        value => repr(value, era),
    }
}

fn repr(value: &Value, era: Era) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) if era.python2 && i64::try_from(*number).is_err() => format!("{number}L"),
        Value::Int(number) => number.to_string(),
        Value::BigInt(digits) => digits.clone(),
        Value::Float(value) => float_repr(*value),
        Value::Text(text) => text_repr(text, era),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| repr(item, era)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(pairs) => {
            let pair = |(key, value): &(String, Value)| format!("{}: {}", text_repr(key, era), repr(value, era));
            let pairs: Vec<String> = pairs.iter().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Range { start, stop, step } => {
            let name = if era.python2 { "xrange" } else { "range" };
            match (start, step) {
                (0, 1) if era.python2 => format!("{name}({stop})"),
                (_, 1) => format!("{name}({start}, {stop})"),
                _ => format!("{name}({start}, {stop}, {step})"),
            }
        }
    }
}

/// `repr` of a float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `'%.12g'`, with `.0` where it is whole: `str` of a float in Python 2.
fn short_float(value: f64) -> String {
    if !value.is_finite() {
        return float_repr(value);
    }
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    let written = format!("{rounded:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..12).contains(&exponent) {
        return float_repr(rounded);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn text_repr(text: &str, era: Era) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            c if era.python2 || c.is_ascii() => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("\\x{byte:02x}"));
                }
            }
            c if is_hidden(c) => out.push_str(&match c as u32 {
                code @ ..=0xff => format!("\\x{code:02x}"),
                code @ ..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Characters that Python does not print: controls, blanks, private use and formats. Unassigned ones are printed here.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c as u32,
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e
            | 0x2060..=0x206f | 0xd800..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0x10_ffff)
}
