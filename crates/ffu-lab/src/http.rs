//! The few requests that prove a cloud: a token for a password, and what placement knows.
//!
//! Plain HTTP to 127.0.0.1, one request a connection; the services of a lab listen nowhere else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use ffu_model::secret::Secret;
use serde::Deserialize;
use serde_json::json;

use crate::error::LabError;
use crate::layout::Lab;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// A resource provider of placement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ResourceProvider {
    /// Its uuid.
    pub uuid: String,
    /// Its name: the compute node's.
    pub name: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A token from the running keystone, for a user's password within a project (both in the default domain).
///
/// # Errors
/// [`LabError::Answer`]: nobody answers, or the password is refused.
pub fn token(lab: &Lab, user: &str, password: &Secret, project: &str) -> Result<Secret, LabError> {
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user, "domain": {"id": "default"}, "password": password.expose(),
        }}},
        "scope": {"project": {"name": project, "domain": {"id": "default"}}},
    }});
    let port = lab.file().ports.keystone;
    let url = format!("{}/v3/auth/tokens", lab.keystone_url());
    let answer = request(&url, port, "POST", "/v3/auth/tokens", &[], body.to_string().as_bytes())?;
    if answer.status != 201 {
        return Err(problem(
            &url,
            format!("refused {user} a token: status {}", answer.status),
        ));
    }
    let found = answer.header("X-Subject-Token").map(Secret::new);
    found.ok_or_else(|| problem(&url, "gave no token".to_owned()))
}

/// The resource providers that the running placement lists, sorted.
///
/// # Errors
/// [`LabError::Answer`].
pub fn providers(lab: &Lab, token: &Secret) -> Result<Vec<ResourceProvider>, LabError> {
    #[derive(Deserialize)]
    struct Listing {
        resource_providers: Vec<ResourceProvider>,
    }
    let port = lab.file().ports.placement;
    let url = format!("{}/resource_providers", lab.placement_url());
    let headers = [("X-Auth-Token", token.expose())];
    let answer = request(&url, port, "GET", "/resource_providers", &headers, b"")?;
    if answer.status != 200 {
        return Err(problem(&url, format!("answered with status {}", answer.status)));
    }
    let listing: Listing = serde_json::from_slice(&answer.body)
        .map_err(|error| problem(&url, format!("gave no list of resource providers: {error}")))?;
    let mut found = listing.resource_providers;
    found.sort();
    Ok(found)
}

fn problem(url: &str, problem: String) -> LabError {
    LabError::Answer {
        url: url.to_owned(),
        problem,
    }
}

fn request(
    url: &str,
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, LabError> {
    let exchange = || -> std::io::Result<Vec<u8>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the end of the answer is the end of the connection.
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n");
        for (key, value) in headers {
            head.push_str(&format!("{key}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.take(LARGEST).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let bytes = exchange().map_err(|error| problem(url, format!("does not answer: {error}")))?;
    parse(&bytes).ok_or_else(|| problem(url, "does not speak HTTP".to_owned()))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..at)?).into_owned();
    let mut first = head.lines().next()?.split_whitespace();
    let status = first
        .next()
        .filter(|version| version.starts_with("HTTP/"))
        .and(first.next())?
        .parse()
        .ok()?;
    Some(Answer {
        status,
        body: bytes.get(at + 4..)?.to_vec(),
        head,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer = parse(b"HTTP/1.0 201 Created\r\nx-subject-TOKEN: abc \r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (201, &b"{}"[..]));
        assert_eq!(answer.header("X-Subject-Token"), Some("abc"));
        assert_eq!(answer.header("absent"), None);
        for bad in [
            &b""[..],
            b"\r\n\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 99999999 x\r\n\r\n",
        ] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_without_a_service_is_said_so() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = request("http://127.0.0.1/x", port, "GET", "/x", &[], b"")
            .err()
            .unwrap();
        assert!(error.to_string().contains("does not answer"), "{error}");
    }
}
