//! IP addresses and host names.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Value, ValueError};
use crate::era::Era;

/// As `netaddr.valid_ipv4` and `valid_ipv6` with `INET_PTON`.
pub(super) fn ip(text: &str, version: Option<u8>) -> Result<Value, ValueError> {
    let four = || text.parse::<Ipv4Addr>().is_ok();
    let six = || text.parse::<Ipv6Addr>().is_ok();
    let (good, words) = match version {
        Some(4) => (four(), "an IPv4"),
        Some(6) => (six(), "an IPv6"),
        _ => (four() || six(), "an IP"),
    };
    if good {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(ValueError::new(format!("{text:?} is not {words} address")))
    }
}

/// A label of a host name: `(?!-)[A-Z0-9-]{1,63}(?<!-)$`, upper and lower case the same.
fn is_label(label: &str, underscores: bool, era: Era) -> bool {
    // Python's `$` also stands in front of a last line feed.
    let label = label.strip_suffix('\n').unwrap_or(label);
    let good = |c: char| match c {
        '-' => true,
        '_' => underscores,
        // Without regard to case Python takes these for i, s and k.
        'İ' | 'ı' | 'ſ' | '\u{212a}' => !era.python2,
        c => c.is_ascii_alphanumeric(),
    };
    (1..=63).contains(&label.chars().count())
        && label.chars().all(good)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

pub(super) fn hostname(text: &str, underscores: bool, era: Era) -> Result<Value, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("a host name cannot be empty"));
    }
    let length = if era.python2 { text.len() } else { text.chars().count() };
    if length > 253 {
        return Err(ValueError::new("a host name has at most 253 characters"));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    if !last.contains(|c: char| c.is_ascii_alphabetic() || c == '-') {
        return Err(ValueError::new(format!(
            "{text:?} is no host name: its last part is a number"
        )));
    }
    if !text.split('.').all(|label| is_label(label, underscores, era)) {
        return Err(ValueError::new(format!("{text:?} is no host name")));
    }
    Ok(Value::Text(text.to_owned()))
}

/// A host name or an address; with underscores it is `HostDomain`.
pub(super) fn host(text: &str, version: Option<u8>, underscores: bool, era: Era) -> Result<Value, ValueError> {
    ip(text, version)
        .or_else(|_| hostname(text, underscores, era))
        .map_err(|_| ValueError::new(format!("{text:?} is neither an address nor a host name")))
}
