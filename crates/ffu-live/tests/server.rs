//! The server over real loopback sockets: who gets in, what comes out, what stays bounded.

#[path = "../examples/made/mod.rs"]
mod made;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ffu_live::LiveError;
use ffu_live::server::{Access, ServerHandle, serve};
use ffu_model::secret::Secret;
use ffu_model::watch::Snapshot;
use tokio::sync::watch;

const TOKEN: &str = "correct-horse-battery-staple";

fn start(access: Access) -> (ServerHandle, watch::Sender<Arc<Snapshot>>) {
    let (feed, receiver) = watch::channel(Arc::new(made::snapshot(440, 300)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (serve(listener, access, receiver).unwrap(), feed)
}

fn locked() -> (ServerHandle, watch::Sender<Arc<Snapshot>>) {
    start(Access::Token(Secret::new(TOKEN)))
}

/// One answer: status, headers in small letters, body.
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.lines().find(|line| line.starts_with(&format!("{name}: ")));
        found.and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = connect(address);
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        headers: headers.replace('\r', ""),
        body: body.to_owned(),
    }
}

fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[])
}

#[test]
fn every_path_answers_with_its_kind_and_strict_headers() {
    let (server, _feed) = start(Access::Loopback);
    let kinds = [
        ("/", "text/html"),
        ("/watch.css", "text/css"),
        ("/watch.js", "text/javascript"),
        ("/api/snapshot", "application/json"),
        ("/api/targets?q=vm-a", "application/json"),
        ("/api/target/5", "application/json"),
        ("/metrics", "text/plain; version=0.0.4"),
        ("/report.html", "text/html"),
    ];
    for (path, kind) in kinds {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.header("content-type").unwrap().starts_with(kind),
            "{path}: {}",
            answer.headers
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("script-src 'unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(ask(server.address(), "HEAD", path, &[]).body, "");
    }
    let snapshot: Snapshot = serde_json::from_str(&get(server.address(), "/api/snapshot").body).unwrap();
    assert_eq!((snapshot.targets.len(), snapshot.totals.targets), (200, 300));
    let target: serde_json::Value = serde_json::from_str(&get(server.address(), "/api/target/20").body).unwrap();
    assert_eq!(
        (target["name"].as_str(), target["totals"]["lost"].as_u64()),
        (Some("vm-c-0020"), Some(42))
    );
}

#[test]
fn what_is_not_there_and_what_is_not_meant_is_refused() {
    let (server, _feed) = start(Access::Loopback);
    let long = format!("/api/targets?q={}", "x".repeat(300));
    for (path, status) in [
        ("/nothing", 404),
        ("/api/target/300", 404),
        ("/api/target/-1", 400),
        ("/api/target/99999999999", 400),
        (long.as_str(), 400),
        ("/../etc/passwd", 404),
    ] {
        assert_eq!(get(server.address(), path).status, status, "{path}");
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(server.address(), method, "/", &[]).status, 405);
    }
}

#[test]
fn a_name_that_was_made_to_point_here_gets_nothing() {
    let (server, _feed) = start(Access::Loopback);
    for path in ["/", "/events", "/api/snapshot", "/metrics"] {
        let answer = ask(server.address(), "GET", path, &[("Host", "evil.example")]);
        assert_eq!(answer.status, 403);
        assert!(!answer.body.contains("vm-"));
    }
    assert_eq!(
        ask(server.address(), "GET", "/", &[("Host", "localhost:1234")]).status,
        200
    );
}

#[test]
fn without_the_token_nothing_is_seen() {
    let (server, _feed) = locked();
    let wrong = format!("Bearer {TOKEN}x");
    let paths = [
        "/",
        "/watch.js",
        "/events",
        "/api/snapshot",
        "/api/target/5",
        "/metrics",
        "/report.html",
        "/nothing",
    ];
    for path in paths {
        for headers in [
            &[][..],
            &[("Authorization", wrong.as_str())],
            &[("Cookie", "ffu_watch=00")],
            &[("Authorization", "Basic eDp5")],
        ] {
            let answer = ask(server.address(), "GET", path, headers);
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert!(!answer.body.contains("vm-") && answer.body.contains("name=\"token\""));
        }
    }
    assert_eq!(get(server.address(), "/?token=wrong").status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let answer = ask(server.address(), "GET", "/metrics", &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_token_in_the_address_becomes_a_cookie() {
    let (server, _feed) = locked();
    let answer = get(server.address(), &format!("/report.html?token={TOKEN}"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/report.html")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!answer.headers.contains(TOKEN), "the token itself is not in the cookie");
    let pair = cookie.split(';').next().unwrap();
    let seen = ask(
        server.address(),
        "GET",
        "/report.html",
        &[("Cookie", &format!("other=1; {pair}"))],
    );
    assert_eq!(seen.status, 200);
    let elsewhere = get(server.address(), &format!("//evil.example/?token={TOKEN}"));
    assert_eq!(elsewhere.header("location"), Some("/evil.example/"));
}

#[test]
fn addresses_that_others_reach_need_a_token() {
    let (_feed, receiver) = watch::channel(Arc::new(Snapshot::default()));
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = serve(everywhere, Access::Loopback, receiver.clone()).unwrap_err();
    assert!(matches!(refused, LiveError::NeedsToken { .. }), "{refused}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = serve(listener, Access::Token(Secret::new("1234")), receiver).unwrap_err();
    assert!(!refused.to_string().contains("1234"));
}

/// The data of events, as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(address: SocketAddr) -> Self {
        let mut stream = connect(address);
        stream
            .write_all(format!("GET /events HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
            .unwrap();
        Events(BufReader::new(stream))
    }

    /// Name and data of the next event; `None` at the end.
    fn next(&mut self) -> Option<(String, serde_json::Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }
}

#[test]
fn events_follow_what_happens_at_a_pace_until_the_end() {
    let (server, feed) = start(Access::Loopback);
    let mut events = Events::open(server.address());
    assert_eq!(events.next().unwrap().1["totals"]["out"], 0);
    let began = Instant::now();
    feed.send_replace(Arc::new(made::snapshot(450, 300)));
    assert_eq!(events.next().unwrap().1["totals"]["out"], 1);
    // A hundred changes in a second are at most two events a second, and the last change is among them.
    for second in 451..551 {
        feed.send_replace(Arc::new(made::snapshot(second, 300)));
        std::thread::sleep(Duration::from_millis(10));
    }
    let last = made::snapshot(550, 300).now;
    let mut seen = 1;
    loop {
        let (name, view) = events.next().unwrap();
        assert_eq!(name, "snapshot");
        seen += 1;
        if view["now"] == last {
            break;
        }
    }
    let allowed = 2 + began.elapsed().as_millis() / 500;
    assert!(seen <= allowed, "{seen} events, {allowed} are allowed");
    drop(feed);
    assert_eq!(events.next().unwrap().0, "end");
    assert!(events.next().is_none());
    // The last figures stay for those who come late.
    assert_eq!(Events::open(server.address()).next().unwrap().1["now"], last);
    assert_eq!(get(server.address(), "/report.html").status, 200);
}

#[test]
fn viewers_are_bounded_and_their_places_come_free() {
    let (server, _feed) = start(Access::Loopback);
    let mut viewers: Vec<Events> = (0..64).map(|_| Events::open(server.address())).collect();
    for viewer in &mut viewers {
        viewer.next().unwrap();
    }
    let answer = get(server.address(), "/events");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    assert_eq!(get(server.address(), "/metrics").status, 200);
    drop(viewers);
    let deadline = Instant::now() + Duration::from_secs(30);
    while Events::open(server.address()).next().is_none() {
        assert!(Instant::now() < deadline, "no place came free");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn it_ends_though_viewers_are_there() {
    let (server, _feed) = start(Access::Loopback);
    let address = server.address();
    let mut viewer = Events::open(address);
    viewer.next().unwrap();
    // One that says nothing, and one that never reads.
    let _silent = connect(address);
    let _slow = Events::open(address);
    server.stop();
    assert!(viewer.next().is_none());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn metrics_parse_line_by_line() {
    let (server, _feed) = start(Access::Loopback);
    let body = get(server.address(), "/metrics").body;
    let mut known = HashSet::new();
    let mut series = HashSet::new();
    let mut current = String::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(known.insert(name.to_owned()), "{name} is told twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            current = name.to_owned();
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        assert!(series.insert(key.to_owned()), "{key} is there twice");
        let name = key.split('{').next().unwrap();
        assert_eq!(name, current, "a sample away from its kind");
        if let Some(labels) = key.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inside = labels
                .strip_prefix('{')
                .and_then(|labels| labels.strip_suffix('}'))
                .unwrap();
            for pair in inside.split(',') {
                let (label, text) = pair.split_once('=').unwrap();
                assert!(label.chars().all(|c| c.is_ascii_lowercase()) && text.starts_with('"') && text.ends_with('"'));
            }
        }
    }
    assert!(body.ends_with('\n') && series.len() > 60);
}
