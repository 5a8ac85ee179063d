//! A value that must not be printed, and the masking of values like it in text that others wrote.

use std::fmt;

/// A password, token or connection URL. `Debug` and `Display` show `***`; it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, at the moment of use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Masks known secrets, and the password part of any `scheme://user:password@host` URL, with `***`.
///
/// Secrets shorter than four characters are only masked inside URLs: masking `a` everywhere would destroy the text.
pub fn mask(text: &str, secrets: &[Secret]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets {
        if secret.0.len() >= 4 {
            masked = masked.replace(&secret.0, "***");
        }
    }
    mask_urls(&masked)
}

fn mask_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail
            .find(|c: char| c.is_whitespace() || "/\"'<>`".contains(c))
            .unwrap_or(tail.len());
        let authority = &tail[..end];
        match (authority.find(':'), authority.rfind('@')) {
            (Some(colon), Some(host)) if colon < host => {
                out.push_str(&authority[..=colon]);
                out.push_str("***");
                out.push_str(&authority[host..]);
            }
            _ => out.push_str(authority),
        }
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_password() {
        let text = "OperationalError mysql+pymysql://nova:s3cr:t@127.0.0.1:3306/nova?charset=utf8 failed";
        assert_eq!(
            mask(text, &[]),
            "OperationalError mysql+pymysql://nova:***@127.0.0.1:3306/nova?charset=utf8 failed"
        );
        assert_eq!(
            mask("http://127.0.0.1:5000/v3 and a@b", &[]),
            "http://127.0.0.1:5000/v3 and a@b"
        );
    }

    #[test]
    fn known_secrets_go_wherever_they_are() {
        assert_eq!(
            mask("password=hunter22 x", &[Secret::new("hunter22")]),
            "password=*** x"
        );
        assert_eq!(format!("{:?} {}", Secret::new("x"), Secret::new("y")), "*** ***");
    }

    proptest::proptest! {
        #[test]
        fn masking_never_panics_and_never_leaks(before in ".{0,20}", secret in "[a-z]{8,12}[0-9]", after in ".{0,20}") {
            let masked = mask(&format!("{before}{secret}{after}"), &[Secret::new(secret.clone())]);
            proptest::prop_assert!(!masked.contains(&secret));
        }
    }
}
