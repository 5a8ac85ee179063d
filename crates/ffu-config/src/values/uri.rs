//! URIs, as the `rfc3986` library of each era judges them.
//!
//! Sources: `oslo_config/types.py` (class `URI`) and `rfc3986` 1.1.0 (Rocky), 1.2.0 (Stein), 1.3.2 (Train), 1.4.0 (Ussuri) to 2.0.0:
//! `misc.py`, `abnf_regexp.py`, `validators.py`.

use std::sync::LazyLock;

use regex::Regex;

use super::{Value, ValueError};
use crate::era::{Era, Rfc3986};

const CHARACTERS: &str = r"A-Za-z0-9._~\-!$\&'()*+,;=";
const HEX: &str = "[0-9A-Fa-f]{1,4}";

/// The address in brackets, with or without a zone.
fn ipv6(four: &str, variations: usize) -> String {
    let last = format!("(?:{HEX}:{HEX}|{four})");
    let all = [
        format!("(?:{HEX}:){{6}}{last}"),
        format!("::(?:{HEX}:){{5}}{last}"),
        format!("(?:{HEX})?::(?:{HEX}:){{4}}{last}"),
        format!("(?:(?:{HEX}:)?{HEX})?::(?:{HEX}:){{3}}{last}"),
        format!("(?:(?:{HEX}:){{0,2}}{HEX})?::(?:{HEX}:){{2}}{last}"),
        format!("(?:(?:{HEX}:){{0,3}}{HEX})?::{HEX}:{last}"),
        format!("(?:(?:{HEX}:){{0,4}}{HEX})?::{last}"),
        format!("(?:(?:{HEX}:){{0,5}}{HEX})?::{HEX}"),
        format!("(?:(?:{HEX}:){{0,6}}{HEX})?::"),
    ];
    format!("(?:{})", all.get(..variations).unwrap_or(&all).join("|"))
}

/// `[userinfo@]host[:port]`; the second group is the host.
fn authority(name: &str, literal: &str, four: &str) -> Option<Regex> {
    let user = format!("(?:[{CHARACTERS}:]|%[A-Fa-f0-9]{{2}})+");
    Regex::new(&format!(
        r"^(?:({user})@)?({name}|{four}|{literal}):?(?:[0-9]{{1,5}})?\n?$"
    ))
    .ok()
}

/// From Train on.
static AUTHORITY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let four = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}";
    let name = format!("(?:%[0-9A-Fa-f]{{2}}|[{CHARACTERS}])*");
    let zone = r"(?:(?:%25|%)(?:[A-Za-z0-9._~\-]|%[A-Fa-f0-9]{2})+)?";
    let literal = format!(r"\[(?:{}{zone}|v[0-9A-Fa-f]+\.[{CHARACTERS}:]+)\]", ipv6(four, 9));
    authority(&name, &literal, four)
});

/// Stein: the points of an address were not escaped, and a zone began with `%25`.
static AUTHORITY_1_2: LazyLock<Option<Regex>> =
    LazyLock::new(|| old_authority(&format!("(?:%[0-9A-Fa-f]{{2}}|[{CHARACTERS}])*"), 9));

/// Rocky: besides, a name was percent-encoded in all of its characters or none, and no address ended with `::`.
static AUTHORITY_1_1: LazyLock<Option<Regex>> =
    LazyLock::new(|| old_authority(&format!("(?:(?:%[0-9A-Fa-f]{{2}})*|[{CHARACTERS}]*)"), 8));

fn old_authority(name: &str, variations: usize) -> Option<Regex> {
    let four = r"(?:[0-9]{1,3}.){3}[0-9]{1,3}";
    let zone = r"(?:%25(?:[A-Za-z0-9._~\-]|%[A-Fa-f0-9]{2})+)?";
    let six = ipv6(four, variations);
    let literal = format!(r"\[(?:{six}{zone}|v[0-9A-Fa-f]+.[{CHARACTERS}:]+)\]");
    authority(name, &literal, four)
}

/// What was taken for an address up to Stein.
static ADDRESS_1_2: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(?:[0-9]{1,3}.){3}[0-9]{1,3}$").ok());

/// A zone that does not begin with `%25`.
static BARE_ZONE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\[[^%]*%(?:[^2]|2[^5]|25\])").ok());

struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    rest: &'a str,
}

fn split(text: &str, era: Era) -> Parts<'_> {
    let is_scheme = |scheme: &str| {
        let mut characters = scheme.chars();
        characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    };
    let (scheme, after) = match text.split_once(':') {
        Some((scheme, after)) if is_scheme(scheme) => (Some(scheme), after),
        _ => (None, text),
    };
    let ends_authority: &[char] = if era.rfc3986 >= Rfc3986::V1_4 {
        &['/', '?', '#', '\\']
    } else {
        &['/', '?', '#']
    };
    let (authority, after) = match after.strip_prefix("//") {
        Some(after) => {
            let (authority, after) = after.split_at(after.find(ends_authority).unwrap_or(after.len()));
            (Some(authority), after)
        }
        None => (None, after),
    };
    let (path, rest) = after.split_at(after.find(['?', '#']).unwrap_or(after.len()));
    Parts {
        scheme,
        authority,
        path,
        rest,
    }
}

/// The host of the usual authority, `name.example` or `name.example:8774`, which every later era takes: no need of the large
/// expression. `None` says nothing.
fn plain_host(authority: &str) -> Option<&str> {
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_name = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    // Four numbers are an address, and then must be a valid one.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_fit = !is_number || host.parse::<std::net::Ipv4Addr>().is_ok();
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && is_fit && is_port).then_some(host)
}

/// The host of an authority; `None` where it is not a valid one.
fn host(authority: &str, era: Era) -> Option<&str> {
    if let Some(host) = plain_host(authority).filter(|_| era.rfc3986 > Rfc3986::V1_2) {
        return Some(host);
    }
    let regex = match era.rfc3986 {
        Rfc3986::V1_1 => AUTHORITY_1_1.as_ref(),
        Rfc3986::V1_2 => AUTHORITY_1_2.as_ref(),
        Rfc3986::V1_3 | Rfc3986::V1_4 => AUTHORITY.as_ref(),
    };
    let old = era.rfc3986 <= Rfc3986::V1_2;
    let host = regex?.captures(authority)?.get(2)?.as_str();
    let is_part = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_four = if old {
        ADDRESS_1_2.as_ref()?.is_match(host)
    } else {
        host.split('.').count() == 4 && host.split('.').all(is_part)
    };
    if is_four && !host.split('.').all(|part| part.parse::<u8>().is_ok()) {
        return None;
    }
    if !old && host.starts_with('[') && BARE_ZONE.as_ref()?.is_match(host) {
        return None;
    }
    Some(host)
}

/// Whether a part of a URI holds only what may stand in it once everything else was percent-encoded.
fn is_encoded(part: &str, era: Era) -> bool {
    let escapes = |part: &str| {
        let mut pieces = part.split('%');
        pieces.next();
        pieces.all(|piece| piece.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
    };
    !part.contains(['[', ']', '#']) && (era.rfc3986 > Rfc3986::V1_1 || escapes(part))
}

pub(super) fn uri(
    text: &str,
    schemes: Option<&[String]>,
    max_length: Option<u64>,
    era: Era,
) -> Result<Value, ValueError> {
    let refused = |what: &str| Err(ValueError::new(format!("{what} of the URI is not valid")));
    let parts = split(text, era);
    let Some(scheme) = parts.scheme else {
        return refused("the scheme");
    };
    match parts.authority {
        None => return Err(ValueError::new("the URI has no host")),
        Some("") => return Err(ValueError::new("the URI has no host")),
        Some(authority) => {
            if host(authority, era).is_none() {
                return refused("the host");
            }
        }
    }
    if !is_encoded(parts.path, era) {
        return refused("the path");
    }
    if era.rfc3986 == Rfc3986::V1_1 {
        let (query, fragment) = parts.rest.split_once('#').unwrap_or((parts.rest, ""));
        let fragment = fragment.split('\n').next().unwrap_or_default();
        if !is_encoded(query, era) || !is_encoded(fragment, era) {
            return refused("the query or fragment");
        }
    }
    let allowed = |known: &String| {
        if era.rfc3986 > Rfc3986::V1_1 {
            known.to_lowercase() == scheme
        } else {
            known == scheme
        }
    };
    if let Some(schemes) = schemes.filter(|schemes| !schemes.is_empty())
        && !schemes.iter().any(allowed)
    {
        return Err(ValueError::new(format!(
            "the URI's scheme is not one of {}",
            schemes.join(", ")
        )));
    }
    let length = if era.python2 { text.len() } else { text.chars().count() };
    if let Some(limit) = max_length.filter(|limit| length as u64 > *limit) {
        return Err(ValueError::new(format!("the URI is longer than {limit}")));
    }
    Ok(Value::Text(text.to_owned()))
}
