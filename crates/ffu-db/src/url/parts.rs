//! The pieces of a URL's text.

use percent_encoding::percent_decode_str;

use super::{UrlError, bad};

/// `user:password` and the rest. The `@` that ends the password is the last one that is not in the query.
pub(super) fn split_credentials(rest: &str) -> (Option<&str>, &str) {
    let mut end = rest.len();
    while let Some(at) = rest[..end].rfind('@') {
        let previous = rest[..at].rfind('@');
        let between = &rest[previous.map_or(at, |p| p + 1)..at];
        let in_query = between.find('/').is_some_and(|slash| between[slash..].contains('?'));
        if !in_query {
            return (Some(&rest[..at]), &rest[at + 1..]);
        }
        end = at;
    }
    (None, rest)
}

pub(super) fn split_host(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner
            .split_once(']')
            .ok_or_else(|| bad("host", "has an opening bracket without an end"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad("host", "is not an IPv6 address, though it is in brackets"));
        }
        match after {
            "" => (host, ""),
            _ => (
                host,
                after
                    .strip_prefix(':')
                    .ok_or_else(|| bad("host", "has text after the bracket"))?,
            ),
        }
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    if let Some(name) = placeholder(port) {
        return Err(UrlError::Template { name });
    }
    if host.len() > 255 || host.chars().any(char::is_whitespace) {
        return Err(bad("host", "is longer than 255 characters or has spaces"));
    }
    let port = match port {
        "" => None,
        text => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => {
                return Err(bad(
                    "port",
                    "is not a number from 1 to 65535 (a `/`, `:` or `@` of a password must be written %2F, %3A, %40)",
                ));
            }
        },
    };
    Ok((host.to_owned(), port))
}

pub(super) fn parse_query(query: &str) -> Result<Vec<(String, String)>, UrlError> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decoded("query", &key.replace('+', " "))?;
        let value = decoded("query", &value.replace('+', " "))?;
        pairs.push((key, value));
    }
    Ok(pairs)
}

pub(super) fn decoded(part: &'static str, text: &str) -> Result<String, UrlError> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| bad(part, "is not UTF-8 after percent-decoding"))?;
    if text.contains('\0') {
        return Err(bad(part, "has a NUL character"));
    }
    Ok(text.into_owned())
}

pub(super) fn placeholder(text: &str) -> Option<String> {
    let (_, inner) = text.split_once('{')?;
    let (name, _) = inner.split_once('}')?;
    Some(name.chars().take(40).collect())
}
