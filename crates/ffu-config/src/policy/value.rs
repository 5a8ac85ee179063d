//! The value of a rule in a policy file: what PyYAML (YAML 1.1) makes of the text, and what oslo.policy makes of that.
//!
//! Two surprises live here. A value that is empty or false in Python (nothing at all, `~`, `no`, `0`, `[]`, and an unquoted
//! `!`, which YAML takes for a tag) is read as "everybody may". Any other value that is neither text nor a list makes
//! oslo.policy refuse the whole file with a TypeError.

use super::check::{self, Check, Mistake, Parsed};

/// A value as the YAML or JSON reader of Python gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A list; the old form of a check: outer items are joined by `or`, the ones inside by `and`.
    List(Vec<Value>),
    /// A mapping, of which Python's loops see the keys.
    Keys(Vec<Value>),
    /// Something else that is false in Python: null, false, zero.
    Falsy(String),
    /// Something else that is true in Python: a number, true, a date.
    Truthy(String),
}

/// A value of which oslo.policy cannot make a check: it refuses the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is no check: oslo.policy refuses the whole file (TypeError)")]
pub struct NotACheck {
    /// The value, cut to a printable length.
    pub what: String,
}

impl Value {
    /// What oslo.policy makes of it (`_parser.parse_rule`).
    ///
    /// # Errors
    /// If the value is neither text nor a list and not false, which makes the services refuse the file.
    pub fn read(&self) -> Result<Parsed, NotACheck> {
        let items = match self {
            Value::Text(text) => return Ok(check::parse(text)),
            Value::Truthy(what) => return Err(NotACheck::new(what)),
            Value::Falsy(_) => &Vec::new(),
            Value::List(items) | Value::Keys(items) => items,
        };
        let mut parsed = check::parse("");
        if items.is_empty() {
            return Ok(parsed);
        }
        let mut any = Vec::new();
        for item in items {
            let inner = match item {
                Value::Text(text) if text.is_empty() => continue,
                Value::Falsy(_) => continue,
                Value::Text(_) => std::slice::from_ref(item),
                Value::List(inner) | Value::Keys(inner) if inner.is_empty() => continue,
                Value::List(inner) | Value::Keys(inner) => inner,
                Value::Truthy(what) => return Err(NotACheck::new(what)),
            };
            let mut all: Vec<Check> = inner.iter().map(|word| list_word(word, &mut parsed)).collect();
            match all.len() {
                1 => any.append(&mut all),
                _ => any.push(Check::And(all)),
            }
        }
        parsed.check = match any.len() {
            0 => Check::False,
            1 => any.remove(0),
            _ => Check::Or(any),
        };
        // Places in a list have no one text to point into.
        parsed.references.iter_mut().for_each(|(_, range)| *range = 0..0);
        Ok(parsed)
    }

    /// Whether it is text, the only form the documentation knows.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn list_word(word: &Value, parsed: &mut Parsed) -> Check {
    match word {
        Value::Text(word) => check::single(word, 0, parsed),
        _ => {
            parsed.mistakes.push(Mistake {
                what: "an item that is no text denies everybody".to_owned(),
                at: 0,
            });
            Check::False
        }
    }
}

impl NotACheck {
    fn new(what: &str) -> Self {
        NotACheck {
            what: what.chars().take(60).collect(),
        }
    }
}

/// What PyYAML's resolver makes of a plain scalar without a tag.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    let falsy = || Ok(Value::Falsy(text.to_owned()));
    let truthy = || Ok(Value::Truthy(text.to_owned()));
    match text {
        "" | "~" | "null" | "Null" | "NULL" => falsy(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => falsy(),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => truthy(),
        "=" | "<<" => Err(format!("{text} has a meaning of its own in YAML: put it in quotes")),
        _ if is_int(text) || is_float(text) => {
            let digits = text.trim_start_matches(['+', '-']);
            let digits = digits
                .strip_prefix("0x")
                .or(digits.strip_prefix("0b"))
                .unwrap_or(digits);
            let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
            let special = digits.trim_start_matches('.').starts_with(['i', 'I', 'n', 'N']);
            let hex = text.contains("0x");
            let zero = !special
                && (if hex { digits } else { mantissa })
                    .chars()
                    .all(|c| !c.is_ascii_hexdigit() || c == '0');
            if zero { falsy() } else { truthy() }
        }
        _ if is_timestamp(text) => truthy(),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn some(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn digit_or_bar(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

/// `:` and one or two digits of base 60, as often as one likes.
fn sixties(parts: std::str::Split<'_, char>) -> bool {
    let mut parts = parts.peekable();
    parts.peek().is_some()
        && parts.all(|part| {
            let digits = part.as_bytes();
            matches!(digits, [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
        })
}

fn is_int(text: &str) -> bool {
    let number = unsigned(text);
    if let Some(bits) = number.strip_prefix("0b") {
        return some(bits, |c| "01_".contains(c));
    }
    if let Some(hex) = number.strip_prefix("0x") {
        return some(hex, |c| c.is_ascii_hexdigit() || c == '_');
    }
    if let Some(octal) = number.strip_prefix('0') {
        return octal.is_empty() || some(octal, |c| "01234567_".contains(c));
    }
    let mut parts = number.split(':');
    let first = parts.next().unwrap_or_default();
    let decimal = first.starts_with(|c: char| c.is_ascii_digit()) && some(first, digit_or_bar);
    decimal && (!number.contains(':') || sixties(parts))
}

fn is_float(text: &str) -> bool {
    let number = unsigned(text);
    if matches!(number, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = number.split_once('.') else {
        return false;
    };
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let signed = |e: &str| e.starts_with(['+', '-']) && some(unsigned(e), |c| c.is_ascii_digit());
    let good_exponent = exponent.is_none_or(signed);
    let starts_with_digit = whole.starts_with(|c: char| c.is_ascii_digit());
    if whole.is_empty() {
        let begins = fraction.starts_with(|c: char| c.is_ascii_digit());
        return begins && text == number && some(fraction, digit_or_bar) && good_exponent;
    }
    if whole.contains(':') {
        let mut parts = whole.split(':');
        let first = parts.next().unwrap_or_default();
        let good = starts_with_digit && some(first, digit_or_bar) && sixties(parts);
        return good && exponent.is_none() && fraction.chars().all(digit_or_bar);
    }
    starts_with_digit && some(whole, digit_or_bar) && fraction.chars().all(digit_or_bar) && good_exponent
}

/// `2001-01-01`, or a date and a time.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(|c: char| !(c.is_ascii_digit() || c == '-')) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let lengths_fit =
        |low: usize| year.len() == 4 && (low..=2).contains(&month.len()) && (low..=2).contains(&day.len());
    if time.is_empty() {
        return lengths_fit(2);
    }
    let clock = time.trim_start_matches(['T', 't', ' ']);
    lengths_fit(1) && clock.len() < time.len() && clock.starts_with(|c: char| c.is_ascii_digit()) && clock.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        let falsy = [
            "", "~", "no", "Off", "0", "00", "0x0", "+0", "0.0", "0b0", "0_0", "0.0e+5",
        ];
        for text in falsy {
            assert_eq!(plain(text), Ok(Value::Falsy(text.into())), "{text}");
        }
        for text in [
            "yes",
            "1",
            "0x1F",
            "1_000",
            "1:30",
            "1.5e+3",
            ".inf",
            ".nan",
            "2001-01-01",
            "2001-1-1 10:00:00",
            "1:30.5",
        ] {
            assert_eq!(plain(text), Ok(Value::Truthy(text.into())), "{text}");
        }
        for text in [
            "y",
            "role:admin",
            "1e3",
            "0o7",
            "09",
            "nULL",
            "1:99",
            "a:1",
            "2001-1-1",
            "-",
            "+",
            ".",
            "0x",
            "_1",
            "1-2-3",
        ] {
            assert_eq!(plain(text), Ok(Value::Text(text.into())), "{text}");
        }
        assert!(plain("=").is_err() && plain("<<").is_err());
    }

    #[test]
    fn lists_are_ors_of_ands() {
        let text = |t: &str| Value::Text(t.into());
        let read = |value: Value| value.read().map(|p| p.check.to_string());
        let pair = Value::List(vec![text("a:1"), text("b:2")]);
        assert_eq!(
            read(Value::List(vec![pair, text("c:3"), text("")])).unwrap(),
            "((a:1 and b:2) or c:3)"
        );
        assert_eq!(read(Value::List(vec![text("rule:x")])).unwrap(), "rule:x");
        assert_eq!(read(Value::List(vec![])).unwrap(), "@");
        assert_eq!(read(Value::List(vec![Value::List(vec![])])).unwrap(), "!");
        assert_eq!(read(Value::List(vec![text("a:1 and b:2")])).unwrap(), "a:1 and b:2");
        assert_eq!(read(Value::Falsy("~".into())).unwrap(), "@");
        assert_eq!(read(Value::Keys(vec![text("a:1")])).unwrap(), "a:1");
        let error = read(Value::Truthy("5".into())).unwrap_err();
        assert!(error.to_string().starts_with("5 is no check"));
    }
}
