//! Numbers, as Python's `int()` and `float()` read them, and ranges.

use super::{Value, ValueError};
use crate::era::Era;

/// The most digits that `int()` takes (`sys.get_int_max_str_digits`, in Python 3 with its security releases of 2022).
const MAX_DIGITS: usize = 4300;

/// The zero of each row of decimal digits (Unicode 9, which the oldest Python 3 of any series knows).
const ZEROS: [u32; 58] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
    0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0,
    0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11C50, 0x16A60, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2,
    0x1D7EC, 0x1D7F6, 0x1E950,
];

/// Text with every decimal digit as an ASCII one, underscores between digits gone.
fn plain_digits(text: &str, era: Era) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = era.strip(text).chars().peekable();
    while let Some(c) = characters.next() {
        let ascii = if c.is_ascii() || era.python2 {
            c
        } else {
            let row = ZEROS.partition_point(|zero| *zero <= c as u32);
            let digit = row
                .checked_sub(1)
                .and_then(|row| ZEROS.get(row))
                .map(|zero| c as u32 - zero);
            char::from_digit(digit.filter(|digit| *digit < 10)?, 10)?
        };
        if c == '_' {
            let between = out.ends_with(|c: char| c.is_ascii_digit());
            let goes_on = characters
                .peek()
                .is_some_and(|next| *next != '_' && !".eE+-".contains(*next));
            if era.python2 || !between || !goes_on {
                return None;
            }
            continue;
        }
        out.push(ascii);
    }
    Some(out)
}

/// `int(text)`.
fn whole(text: &str, era: Era) -> Result<Value, ValueError> {
    let refused = || ValueError::new(format!("{text:?} is not a whole number"));
    let plain = plain_digits(text, era).ok_or_else(refused)?;
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    if !era.python2 && digits.len() > MAX_DIGITS {
        return Err(ValueError::new(format!("a number of more than {MAX_DIGITS} digits")));
    }
    if let Ok(number) = plain.parse::<i128>() {
        return Ok(Value::Int(number));
    }
    let digits = digits.trim_start_matches('0');
    let sign = if plain.starts_with('-') { "-" } else { "" };
    Ok(Value::BigInt(format!("{sign}{digits}")))
}

/// Whether a number is below or above a limit.
fn is_below(value: &Value, limit: i64) -> bool {
    match value {
        Value::Int(number) => *number < i128::from(limit),
        Value::BigInt(digits) => digits.starts_with('-'),
        _ => false,
    }
}

fn is_above(value: &Value, limit: i64) -> bool {
    match value {
        Value::Int(number) => *number > i128::from(limit),
        Value::BigInt(digits) => !digits.starts_with('-'),
        _ => false,
    }
}

/// `Integer`, without the conversion.
pub(super) fn check(
    value: Value,
    min: Option<i64>,
    max: Option<i64>,
    choices: Option<&[i64]>,
) -> Result<Value, ValueError> {
    if let Some(choices) = choices {
        let found = choices.iter().any(|choice| value == Value::Int(i128::from(*choice)));
        if !found {
            return Err(ValueError::new(format!("the number is not one of {choices:?}")));
        }
        return Ok(value);
    }
    if let Some(min) = min.filter(|min| is_below(&value, *min)) {
        return Err(ValueError::new(format!("the number is less than {min}")));
    }
    if let Some(max) = max.filter(|max| is_above(&value, *max)) {
        return Err(ValueError::new(format!("the number is greater than {max}")));
    }
    Ok(value)
}

pub(super) fn integer(
    text: &str,
    min: Option<i64>,
    max: Option<i64>,
    choices: Option<&[i64]>,
    era: Era,
) -> Result<Value, ValueError> {
    if era.strip(text).is_empty() {
        return Ok(Value::None);
    }
    check(whole(text, era)?, min, max, choices)
}

pub(super) fn check_float(number: f64, min: Option<f64>, max: Option<f64>) -> Result<Value, ValueError> {
    if let Some(min) = min.filter(|min| number < *min) {
        return Err(ValueError::new(format!("the number is less than {min}")));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        return Err(ValueError::new(format!("the number is greater than {max}")));
    }
    Ok(Value::Float(number))
}

pub(super) fn float(text: &str, min: Option<f64>, max: Option<f64>, era: Era) -> Result<Value, ValueError> {
    if era.strip(text).is_empty() {
        return Ok(Value::None);
    }
    let number = plain_digits(text, era).and_then(|plain| plain.parse::<f64>().ok());
    let number = number.ok_or_else(|| ValueError::new(format!("{text:?} is not a number")))?;
    check_float(number, min, max)
}

/// One end of a range: `0|-?[1-9][0-9]*`; what is behind it.
fn range_end(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('0') {
        return Some(("0", rest));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| matches!(c, '1'..='9')) {
        return None;
    }
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    text.strip_suffix(rest).map(|end| (end, rest))
}

pub(super) fn range(
    text: &str,
    min: Option<i64>,
    max: Option<i64>,
    inclusive: bool,
    era: Era,
) -> Result<Value, ValueError> {
    let refused = || ValueError::new(format!("{text:?} is not a range: write FIRST-LAST or one number"));
    // Python's `$` also stands in front of a last line feed.
    let line = text.strip_suffix('\n').unwrap_or(text);
    let (left, rest) = range_end(line).ok_or_else(refused)?;
    let right = match rest.strip_prefix('-') {
        None if rest.is_empty() => left,
        None => return Err(refused()),
        Some(rest) => match range_end(rest) {
            Some((right, "")) => right,
            _ => return Err(refused()),
        },
    };
    let number = |text: &str| match text.parse::<i128>() {
        // Python 2's `xrange` and what is left of an i128 both end somewhere.
        Ok(number) if !era.python2 || i64::try_from(number).is_ok() => Ok(number),
        _ => Err(ValueError::new(format!("{text} is too large for a range"))),
    };
    let (start, mut stop) = (number(left)?, number(right)?);
    let step = if start < stop { 1 } else { -1 };
    let (low, high) = if start < stop { (start, stop) } else { (stop, start) };
    check(Value::Int(low), min, None, None)?;
    check(Value::Int(high), None, max, None)?;
    if inclusive {
        stop = stop.checked_add(step).ok_or_else(refused)?;
    }
    Ok(Value::Range { start, stop, step })
}
