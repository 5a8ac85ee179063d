//! The boot id that a guest tells over HTTP, where nobody can log into it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use crate::instances::is_uuid;

/// How long connecting may take, and how long the whole question. Short: nothing gives it up earlier.
const PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_ANSWER: usize = 16 << 10;

/// What is wrong with a path or the name of a namespace.
pub(crate) fn wrong(path: &str, namespace: Option<&str>) -> Option<String> {
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    let is_name = |name: &&str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    let short = |text: &str| text.chars().take(40).collect::<String>();
    if !is_path {
        return Some(format!("{:?} is no path of HTTP", short(path)));
    }
    let name = namespace.filter(|name| !is_name(name))?;
    Some(format!("{:?} is not the name of a network namespace", short(name)))
}

/// Asks, in a network namespace if one is named; `None` if there is no answer that says one.
pub(super) fn boot_id(server: (IpAddr, u16), path: &str, namespace: Option<&str>) -> Option<String> {
    if wrong(path, namespace).is_some() {
        return None;
    }
    let Some(name) = namespace else {
        return ask(server.into(), path);
    };
    // A thread of its own: no other one shall be there.
    let there = std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().spawn_scoped(scope, || {
            setns(File::open(format!("/run/netns/{name}")).ok()?, CloneFlags::CLONE_NEWNET).ok()?;
            ask(server.into(), path)
        });
        asked.ok()?.join().ok()
    });
    there?
}

fn ask(server: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    let until = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let left = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.read(&mut buffer).ok()? {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
        if answer.len() > LONGEST_ANSWER {
            return None;
        }
    }
    said(&answer)
}

/// The `boot_id` of an answer with status 200 and JSON.
fn said(answer: &[u8]) -> Option<String> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.split_ascii_whitespace();
    let is_good = words.next()?.starts_with("HTTP/1.") && words.next()? == "200";
    let body: serde_json::Value = serde_json::from_str(body).ok().filter(|_| is_good)?;
    let value = body.get("boot_id")?.as_str()?;
    is_uuid(value).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    /// What is made of this answer of a real server, and what the server was asked.
    fn answered(answer: String) -> (Option<String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            let _ = stream.write_all(answer.as_bytes()); // It may have heard enough.
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let found = boot_id((address.ip(), address.port()), "/identity", None);
        (found, server.join().expect("it ends"))
    }

    #[test]
    fn a_boot_id_is_read_and_nothing_else_is_one() {
        let good = format!("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{{\"name\":\"x\",\"boot_id\":\"{ID}\"}}\n");
        let (found, asked) = answered(good.clone());
        assert_eq!(found.as_deref(), Some(ID));
        assert!(
            asked.starts_with("GET /identity HTTP/1.0\r\nHost: 127.0.0.1:"),
            "{asked}"
        );
        for bad in [
            String::new(),
            good.replace("200", "404"),
            good.replace(ID, "no"),
            good.replace("boot_id", "id"),
            good.replace("\r\n\r\n", "\r\n"),
            format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LONGEST_ANSWER)),
        ] {
            assert_eq!(answered(bad).0, None);
        }
    }

    #[test]
    fn silence_and_places_that_are_none_say_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = listener.local_addr().expect("its address");
        let server = (server.ip(), server.port());
        // It is connected to, and never answers.
        let begun = Instant::now();
        assert_eq!(boot_id(server, "/", None), None);
        assert!(begun.elapsed() < Duration::from_secs(30), "it is given up");
        for (path, namespace) in [
            ("/", Some("ffut-no-such")),
            ("/", Some("../x")),
            ("/ a\r\nB:", None),
            ("", None),
        ] {
            assert_eq!(boot_id(server, path, namespace), None);
        }
    }
}
