//! `ffu watch` by itself, the real program with real probes on the loopback interface: killed, stopped, starved, asked for too much.
//! What needs root (a small disk, network namespaces) says so where it skips.

#![allow(clippy::print_stderr)]

mod clock;
#[path = "../common/mod.rs"]
mod common;
mod limits;
#[path = "../common/watch.rs"]
mod watch;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, Scratch, text};
use nix::sys::signal::{Signal, kill};
use watch::{MS, Watch, found_as_made, now, remarks, sleep, until};

/// Targets on the loopback interface, each an address of its own.
fn targets(scratch: &Scratch, count: usize, interval_ms: u32) -> PathBuf {
    let mut toml = format!("interval_ms = {interval_ms}\ntimeout_ms = 500\n[budgets]\nbaseline_s = 1\n");
    for number in 0..count {
        let (high, middle, low) = (number / 62_500 + 1, number / 250 % 250, number % 250 + 1);
        toml.push_str(&format!(
            "[[targets]]\nname = \"t{number}\"\naddress = \"127.{high}.{middle}.{low}\"\n"
        ));
    }
    let path = scratch.path("targets.toml");
    std::fs::write(&path, toml).unwrap();
    path
}

#[test]
fn a_watch_that_was_killed_goes_on_and_its_gap_is_blind_and_not_lost() {
    let scratch = Scratch::new();
    let targets = targets(&scratch, 20, 50);
    let first = Watch::start(&scratch, Some(&targets), &[]);
    sleep(3000);
    let agent = first.agent();
    let killed = now();
    first.signal(Signal::SIGKILL);
    drop(first);
    until("the end of its agent", || kill(agent, None).is_err());
    sleep(1500);
    let again = now();
    let second = Watch::start(&scratch, None, &[]);
    sleep(3000);
    let (code, seen) = second.end();
    assert_eq!(code, 0, "{seen}");
    let totals = &seen["totals"];
    assert_eq!(
        (&totals["lost"], &totals["outages"]),
        (&0.into(), &0.into()),
        "{totals}"
    );
    // Both halves are there, and nothing else: 20 Hz and 20 targets for six seconds.
    let probes = totals["probes"].as_u64().unwrap();
    assert!((1600..3200).contains(&probes), "{totals}");
    assert!(
        remarks(&seen).contains("the watch itself was gone"),
        "{}",
        remarks(&seen)
    );
    let began = seen["began"].as_u64().unwrap();
    assert!(began < killed && seen["now"].as_u64().unwrap() > again);
    for bucket in seen["timeline"].as_array().unwrap() {
        let from = bucket["from"].as_u64().unwrap();
        if from > killed + 100 * MS && from + 1000 * MS < again {
            assert_eq!(bucket["probes"], 0, "{bucket}");
        }
    }
    // The record read again says the same.
    let record = scratch.path("record");
    let replayed = scratch
        .ffu(&["--json", "watch", "replay", text(&record)])
        .exits(0)
        .json();
    let figures = &replayed["figures"];
    assert_eq!(figures["totals"], seen["totals"], "{figures}");
    // And a second watch on a record that is written to is refused.
    let third = Watch::start(&scratch, None, &[]);
    scratch
        .ffu(&["watch", "--plain", "--record", text(&record)])
        .exits(3)
        .says("another watch writes to it")
        .says("next:");
    drop(third);
}

#[test]
fn a_killed_agent_and_a_stopped_watch_are_no_loss() {
    let scratch = Scratch::new();
    let targets = targets(&scratch, 20, 50);
    let watch = Watch::start(&scratch, Some(&targets), &[]);
    sleep(2500);
    let agent = watch.agent();
    kill(agent, Signal::SIGKILL).unwrap();
    sleep(2500);
    assert_ne!(watch.agent(), agent);
    watch.signal(Signal::SIGSTOP);
    let stopped = now();
    sleep(3000);
    watch.signal(Signal::SIGCONT);
    let went_on = now();
    sleep(2500);
    let (code, seen) = watch.end();
    assert_eq!((code, &seen["totals"]["lost"]), (0, &0.into()), "{seen}");
    assert!(
        remarks(&seen).contains("vantage point here was blind"),
        "{}",
        remarks(&seen)
    );
    assert!(remarks(&seen).contains("signal: 9"), "{}", remarks(&seen));
    // The agent went on while the watch stood still, and all that it saw came home.
    let inside: u64 = seen["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|bucket| (stopped..went_on).contains(&bucket["from"].as_u64().unwrap()))
        .map(|bucket| bucket["probes"].as_u64().unwrap())
        .sum();
    assert!(
        inside > 20 * 20,
        "{inside} probes of the time in which the watch stood still"
    );
}

#[test]
fn time_exit_codes_and_bad_files() {
    let scratch = Scratch::new();
    let good = targets(&scratch, 3, 50);
    let begun = Instant::now();
    scratch
        .ffu(&["watch", "--plain", "--targets", text(&good), "--for", "2s"])
        .exits(0)
        .says("recorded in");
    assert!((2..30).contains(&begun.elapsed().as_secs()));
    scratch.ffu(&["watch"]).exits(2).says("--targets");
    let new = scratch.path("new");
    scratch
        .ffu(&["watch", "--record", text(&new)])
        .exits(3)
        .says("no record to go on with")
        .says("--targets");
    scratch
        .ffu(&["watch", "--targets", text(&good), "--for", "soon"])
        .exits(2)
        .says("10m");
    let bad = scratch.path("bad.toml");
    for (toml, word) in [
        ("", "no target"),
        ("[[targets]]\nname = \"a\"\naddress = \"nowhere\"\n", "bad.toml:3"),
        (
            "interval_ms = 5\n[[targets]]\nname = \"a\"\naddress = \"127.0.0.1\"\n",
            "outside 20 to 60000",
        ),
        (
            "[[targets]]\nname = \"a\"\naddress = \"127.0.0.1\"\nvantage = \"far\"\n",
            "[vantages.far]",
        ),
        (
            "[[targets]]\nname = \"a\"\naddress = \"127.0.0.1\"\ncolour = 1\n",
            "colour",
        ),
    ] {
        std::fs::write(&bad, toml).unwrap();
        scratch
            .ffu(&["watch", "--plain", "--targets", text(&bad)])
            .exits(3)
            .says(word)
            .says("next:");
    }
    scratch
        .ffu(&["watch", "--targets", text(&scratch.path("gone.toml"))])
        .exits(3)
        .says("gone.toml");
    let empty = scratch.path("empty");
    std::fs::create_dir(&empty).unwrap();
    scratch
        .ffu(&["watch", "show", "--plain", "--record", text(&empty)])
        .exits(3)
        .says("no record of a watch");
}

#[test]
fn a_running_watch_is_shown_served_acknowledged_and_stopped() {
    let scratch = Scratch::new();
    let path = targets(&scratch, 3, 50);
    // A listener that goes away is an outage, and a breach.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let more = format!(
        "[[targets]]\nname = \"door\"\naddress = \"127.0.0.1\"\nprobe = {{ type = \"tcp-connect\", port = {port} }}\n"
    );
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(more.as_bytes()).unwrap();
    let mut watch = Watch::start(&scratch, Some(&path), &["--listen", "127.0.0.1:0"]);
    let record = watch.record.clone();
    let door = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(8);
        listener.set_nonblocking(true).unwrap();
        while Instant::now() < until {
            drop(listener.accept());
            sleep(2);
        }
    });
    let mut url = String::new();
    until("an address", || {
        let out = std::fs::read_to_string(scratch.path("out")).unwrap();
        url = out
            .lines()
            .find_map(|line| line.strip_prefix("live page: http://"))
            .unwrap_or_default()
            .to_owned();
        !url.is_empty()
    });
    let address = url.trim_end_matches('/').to_owned();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(ask("/").starts_with("HTTP/1.1 200") && ask("/").contains("<html"));
    until("metrics", || ask("/metrics").contains("ffu_"));
    scratch
        .ffu(&["watch", "show", "--plain", "--record", text(&record)])
        .exits(0)
        .says("targets");
    scratch
        .ffu(&["watch", "acknowledge", "--record", text(&record)])
        .exits(0)
        .says("nothing to acknowledge");
    door.join().unwrap();
    until("a breach", || {
        !watch.state().unwrap()["breaches"].as_array().unwrap().is_empty()
    });
    assert_eq!(watch.state().unwrap()["verdict"], "hold");
    scratch
        .ffu(&["watch", "show", "--plain", "--record", text(&record)])
        .exits(4);
    scratch
        .ffu(&["watch", "acknowledge", "--record", text(&record)])
        .exits(0)
        .says("acknowledged");
    until("go", || watch.state().unwrap()["verdict"] == "go");
    scratch
        .ffu(&["watch", "stop", "--record", text(&record)])
        .exits(0)
        .says("has ended");
    assert_eq!(
        watch.child.wait().unwrap().code(),
        Some(0),
        "what was acknowledged is no failure"
    );
    scratch
        .ffu(&["watch", "stop", "--record", text(&record)])
        .exits(0)
        .says("no watch runs");
    scratch
        .ffu(&["watch", "acknowledge", "--record", text(&record)])
        .exits(4)
        .says("next:");
}
