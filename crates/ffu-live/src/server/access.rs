//! Who may look: on loopback whoever is on the host, elsewhere whoever has the token.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use ffu_model::secret::Secret;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::LiveError;

const COOKIE: &str = "ffu_watch";

/// Who may look at the live page.
#[derive(Clone, Debug)]
pub enum Access {
    /// Anyone on this host; only for loopback addresses.
    Loopback,
    /// Whoever sends this token: as `Authorization: Bearer`, or once as `?token=`, which a cookie replaces.
    Token(Secret),
}

impl Access {
    /// Characters that a token has at least.
    pub const LEAST_TOKEN: usize = 16;

    /// A token that nobody guesses: 48 hexadecimal digits from the kernel.
    pub fn new_token() -> Result<Secret, LiveError> {
        let mut bytes = [0; 24];
        let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|source| LiveError::NoRandom { source })?;
        Ok(Secret::new(hex(&bytes)))
    }
}

/// What is needed to judge a request. Of the token only hashes are kept: their comparison tells nothing of its length either.
#[derive(Clone)]
pub(super) enum Guard {
    Loopback,
    Token { token: [u8; 32], cookie: Arc<str> },
}

impl Guard {
    pub(super) fn new(access: &Access, address: SocketAddr) -> Result<Self, LiveError> {
        match access {
            Access::Loopback if address.ip().is_loopback() => Ok(Guard::Loopback),
            Access::Loopback => Err(LiveError::NeedsToken { address }),
            Access::Token(token) => {
                let length = token.expose().chars().count();
                if length < Access::LEAST_TOKEN {
                    return Err(LiveError::WeakToken {
                        length,
                        least: Access::LEAST_TOKEN,
                    });
                }
                let cookie = hex(&hash(&format!("cookie {}", token.expose())));
                Ok(Guard::Token {
                    token: hash(token.expose()),
                    cookie: cookie.into(),
                })
            }
        }
    }

    /// `None` if the request may pass, else the answer.
    fn refuse(&self, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let (token, cookie) = match self {
            Guard::Loopback if local_host(headers) => return None,
            Guard::Loopback => {
                // A page elsewhere whose name was made to point here (DNS rebinding) sends its own name.
                let text = "this page is for this host only: open it as http://127.0.0.1\n";
                return Some((StatusCode::FORBIDDEN, text).into_response());
            }
            Guard::Token { token, cookie } => (token, cookie),
        };
        let same = |given: &str| bool::from(hash(given).ct_eq(token));
        let asked = Query::<Asked>::try_from_uri(uri).ok().and_then(|query| query.0.token);
        if let Some(asked) = asked {
            return Some(if same(&asked) { welcome(uri, cookie) } else { unknown() });
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|given| same(given.trim())) {
            return None;
        }
        let known = |given: &str| bool::from(given.as_bytes().ct_eq(cookie.as_bytes()));
        if cookies(headers).any(known) {
            None
        } else {
            Some(unknown())
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    token: Option<String>,
}

/// The token goes into a cookie, and out of the address bar.
fn welcome(uri: &Uri, cookie: &str) -> Response {
    // One slash only: `//host` would lead to another host.
    let place = format!("/{}", uri.path().trim_start_matches('/'));
    let cookie = format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/");
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, place), (header::SET_COOKIE, cookie)],
    )
        .into_response()
}

fn unknown() -> Response {
    let page = Html(include_str!("../../assets/token.html"));
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, "Bearer realm=\"ffu watch\"")],
        page,
    )
        .into_response()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether the request names this host as a browser on it does.
fn local_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else { return false };
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) => (name, port),
            None => return false,
        },
        None => host.find(':').map_or((host, ""), |colon| host.split_at(colon)),
    };
    let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let name_ok = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    port_ok && name_ok
}

/// Lets a request pass or answers it, and puts the headers on that keep browsers strict.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.refuse(request.uri(), request.headers()) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    const STRICT: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in STRICT {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The report sets a policy of its own.
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    );
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    response
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(value).unwrap());
        local_host(&headers)
    }

    #[test]
    fn only_names_of_this_host_pass() {
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.8.9.1",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(host(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "[::2]",
            "[::1",
            "127.0.0.1:x",
            "localhost:80:80",
            "[::1]evil",
            "user@localhost",
        ] {
            assert!(!host(bad), "{bad}");
        }
        assert!(!local_host(&HeaderMap::new()));
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, two) = (Access::new_token().unwrap(), Access::new_token().unwrap());
        assert_eq!(one.expose().len(), 48);
        assert!(one != two);
        assert_eq!(format!("{:?}", Access::Token(one)), "Token(***)");
    }

    #[test]
    fn strangers_and_weak_tokens_are_refused_at_the_start() {
        let everywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert!(matches!(
            Guard::new(&Access::Loopback, everywhere),
            Err(LiveError::NeedsToken { .. })
        ));
        let weak = Access::Token(Secret::new("short"));
        assert!(matches!(
            Guard::new(&weak, everywhere),
            Err(LiveError::WeakToken { length: 5, .. })
        ));
    }
}
