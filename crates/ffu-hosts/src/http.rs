//! The smallest HTTP client that answers the one question a service probe has: which status does this URL give?
//!
//! Plain HTTP only: control-plane services are asked behind their TLS terminator, on the address they listen on.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Longest status line that is read, in bytes.
const LONGEST_STATUS_LINE: usize = 4096;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL that this client can ask.
    #[error("{url:?} cannot be probed: it must look like http://HOST:PORT/PATH (plain HTTP, no user name)")]
    BadUrl {
        /// What was given, cut.
        url: String,
    },
    /// Nobody answers.
    #[error("no answer from {host}:{port}: {source}")]
    NoAnswer {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Somebody answers, and not in HTTP.
    #[error("what listens at {host}:{port} does not speak HTTP")]
    NotHttp {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
}

/// A plain HTTP URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 80 if the URL names none.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`HttpError::BadUrl`].
    pub fn parse(url: &str) -> Result<HttpUrl, HttpError> {
        let bad = || HttpError::BadUrl {
            url: url.chars().filter(|c| !c.is_control()).take(80).collect(),
        };
        let rest = url.strip_prefix("http://").ok_or_else(bad)?;
        if rest.chars().any(|c| c.is_control() || c.is_whitespace()) || rest.len() > 2048 {
            return Err(bad());
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return Err(HttpError::BadUrl {
                url: "(a URL with a user name)".to_owned(),
            });
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, 80),
            Some((host, port)) => (
                host,
                port.strip_prefix(':').and_then(|p| p.parse().ok()).ok_or_else(bad)?,
            ),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
                None => (authority, 80),
            },
        };
        if host.is_empty() || host.contains('[') || port == 0 {
            return Err(bad());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(HttpUrl {
            host: host.to_owned(),
            port,
            path: format!("{slash}{path}"),
        })
    }

    /// Whether anybody listens at its address.
    pub fn is_open(&self, timeout: Duration) -> bool {
        self.connect(Instant::now() + timeout).is_ok()
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The status code that a GET of this URL gives; redirects are not followed.
///
/// # Errors
/// [`HttpError`]; `timeout` bounds the whole exchange.
pub fn get_status(url: &str, timeout: Duration) -> Result<u16, HttpError> {
    let url = HttpUrl::parse(url)?;
    let line = exchange(&url, Instant::now() + timeout).map_err(|source| HttpError::NoAnswer {
        host: url.host.clone(),
        port: url.port,
        source,
    })?;
    status_of(&line).ok_or(HttpError::NotHttp {
        host: url.host,
        port: url.port,
    })
}

fn exchange(url: &HttpUrl, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = url.connect(deadline)?;
    let host = if url.host.contains(':') {
        format!("[{}]", url.host)
    } else {
        url.host.clone()
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}:{}\r\nUser-Agent: ffu\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path, url.port
    );
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    let mut buffer = [0_u8; 512];
    while !line.contains(&b'\n') && line.len() < LONGEST_STATUS_LINE {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer)? {
            0 => break,
            read => line.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(line)
}

/// Time that is left; an error when there is none, since a zero timeout would mean no timeout.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")),
        left => Ok(left),
    }
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.lines().next()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok().filter(|code| (100..600).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server on a free port that gives one answer to one caller.
    fn serve(answer: &'static [u8]) -> (String, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}/v3?x=1", listener.local_addr().unwrap().port());
        let handle = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 1024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            request[..read].to_vec()
        });
        (url, handle)
    }

    #[test]
    fn the_status_of_an_answer_is_returned() {
        let (url, server) = serve(b"HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(get_status(&url, Duration::from_secs(5)).unwrap(), 300);
        let request = String::from_utf8(server.join().unwrap()).unwrap();
        assert!(
            request.starts_with("GET /v3?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{request}"
        );
    }

    #[test]
    fn what_is_not_http_is_named() {
        let (url, server) = serve(b"5.5.5-10.11.6-MariaDB\0\n");
        let error = get_status(&url, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, HttpError::NotHttp { .. }), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn silence_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let begun = Instant::now();
        let error = get_status(&url, Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, HttpError::NoAnswer { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(listener);
        let error = get_status(&url, Duration::from_millis(500)).unwrap_err();
        assert!(error.to_string().starts_with("no answer from 127.0.0.1:"), "{error}");
    }

    #[test]
    fn urls_are_read_strictly() {
        let parsed = HttpUrl::parse("http://[::1]:8778").unwrap();
        assert_eq!(
            (parsed.host.as_str(), parsed.port, parsed.path.as_str()),
            ("::1", 8778, "/")
        );
        assert_eq!(HttpUrl::parse("http://h?x").unwrap().path, "/?x");
        for bad in [
            "",
            "https://h/",
            "http://",
            "http://:80/",
            "http://h:0/",
            "http://h:99999/",
            "http://h/\r\nX: y",
            "http://h/ x",
            "http://[::1",
            "file:///etc/passwd",
        ] {
            assert!(HttpUrl::parse(bad).is_err(), "{bad:?}");
        }
        let error = HttpUrl::parse("http://u:hunter22@h/").unwrap_err().to_string();
        assert!(!error.contains("hunter22"), "{error}");
    }
}
