//! Vantage points and workloads over ssh: the real program on both sides, OpenSSH's client and server between them.

#![allow(clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;
mod far;
#[path = "../common/watch.rs"]
mod watch;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use common::text;
use far::{Far, GUEST, RACK};
use nix::sys::signal::{Signal, kill};
use watch::{MS, Watch, found_as_made, now, remarks, sleep, until};

const FFU: &str = env!("CARGO_BIN_EXE_ffu");

/// The guest, seen from the rack.
fn from_the_rack(far: &Far) -> String {
    let target = format!("[[targets]]\nname = \"guest\"\naddress = \"{GUEST}\"\nvantage = \"rack\"\n");
    far.vantage("rack", "rack", Path::new(FFU)) + &target
}

/// Waits for so many answers more.
#[track_caller]
fn answers(watch: &Watch, more: u64) {
    let answered = || {
        let totals = &watch.seen()["totals"];
        totals["probes"].as_u64().unwrap() - totals["lost"].as_u64().unwrap() - totals["unsent"].as_u64().unwrap()
    };
    let before = answered();
    until("answers", || answered() >= before + more);
}

#[test]
fn an_outage_that_only_the_far_host_sees_has_its_begin_and_end() {
    let Some(far) = Far::new() else { return };
    assert!(
        far.has_way(RACK) && !far.has_way(GUEST),
        "the guest is reached from the rack alone"
    );
    let watch = far.watch(&from_the_rack(&far));
    answers(&watch, 60);
    let mut truth = Vec::new();
    for length in [300, 1500] {
        let begin = now();
        far.guest(true);
        let begun = now();
        sleep(length);
        let end = now();
        far.guest(false);
        truth.push((begin..begun, end..now()));
        sleep(1500);
    }
    let (code, seen) = watch.end();
    assert_eq!(code, 4, "a budget was exceeded: {}", remarks(&seen));
    // One interval; half of one if the prober is late; the clocks' distance is known to half of the fastest answer's way.
    let slack = 50 * MS + 25 * MS + 5 * MS;
    found_as_made(&seen["targets"][0]["outages"], truth, slack);
    // The record read again says the same.
    let replayed = far
        .scratch
        .ffu(&["--json", "watch", "replay", text(&far.path("record"))])
        .exits(4)
        .json();
    assert_eq!(replayed["figures"]["totals"], seen["totals"]);
    assert!(far.agents().is_empty(), "{:?}", far.agents());
}

#[test]
fn what_breaks_on_the_way_is_not_seen_and_never_up_or_down() {
    let Some(far) = Far::new() else { return };
    let watch = far.watch(&from_the_rack(&far));
    answers(&watch, 40);

    let (agent, _) = far.agent_after(None);
    kill(agent, Signal::SIGKILL).unwrap();
    let (agent, session) = far.agent_after(Some(agent));
    answers(&watch, 20);

    kill(session, Signal::SIGKILL).unwrap();
    let (agent, _) = far.agent_after(Some(agent));
    answers(&watch, 20);

    far.server(true);
    let away = now();
    until("a word that nothing is seen", || {
        remarks(&watch.seen()).contains("and still is: nothing was heard")
    });
    sleep(3000);
    let back = now();
    far.server(false);
    far.agent_after(Some(agent));
    answers(&watch, 20);

    let (code, seen) = watch.end();
    let said = remarks(&seen);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        (&seen["totals"]["lost"], &seen["totals"]["outages"]),
        (&0.into(), &0.into()),
        "{said}"
    );
    for words in [
        "the agent at rack was killed",
        "the connection to rack ended",
        "nothing was heard of it for 3 s",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("and still is"), "each has its end: {said}");
    // What was on its way when the network was cut may still come, and is true; of the rest nothing is known.
    let mut known = 0;
    for bucket in seen["timeline"].as_array().unwrap() {
        let from = bucket["from"].as_u64().unwrap();
        if from > away + 100 * MS && from + 1000 * MS < back {
            known += bucket["probes"].as_u64().unwrap();
        }
    }
    let due = (back - away) / (100 * MS);
    assert!(known * 10 < due, "{known} of {due} are known");
    until("nobody left over there", || far.agents().is_empty());
}

#[test]
fn every_way_not_to_get_there_says_what_to_type() {
    let Some(far) = Far::new() else { return };
    // A mock of an ffu that does not know the command yet, in clap's words.
    let old = far.path("old-ffu");
    std::fs::write(
        &old,
        "#!/bin/sh\necho \"error: unrecognized subcommand '$1'\" >&2\nexit 2\n",
    )
    .unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    let chatty = far.path("chatty-ffu");
    std::fs::write(&chatty, "#!/bin/sh\necho Welcome to this host\nsleep 60\n").unwrap();
    std::fs::set_permissions(&chatty, std::fs::Permissions::from_mode(0o755)).unwrap();
    far.port(2223, true);
    let by_hand = |host: &str| {
        format!(
            "next: `ssh -F {} -o BatchMode=yes {host} true`",
            text(&far.path("ssh_config"))
        )
    };
    let ways = [
        (
            "wrong-key",
            "wrong-key",
            Path::new(FFU),
            "Host key verification failed",
            by_hand("wrong-key"),
        ),
        (
            "no-key",
            "no-key",
            Path::new(FFU),
            "Permission denied",
            by_hand("no-key"),
        ),
        (
            "nowhere",
            "nowhere",
            Path::new(FFU),
            "No route to host",
            by_hand("nowhere"),
        ),
        (
            "no-name",
            "no.such.host.invalid",
            Path::new(FFU),
            "Could not resolve",
            by_hand("no.such.host.invalid"),
        ),
        ("mute", "mute", Path::new(FFU), "timed out", by_hand("mute")),
        (
            "missing",
            "rack",
            Path::new("/nowhere/ffu"),
            "there is no /nowhere/ffu at rack",
            "next: install the same version".into(),
        ),
        (
            "old",
            "rack",
            &old,
            "is too old to be a vantage point",
            "next: install the same version".into(),
        ),
        ("chatty", "rack", &chatty, "is no frame", by_hand("rack")),
    ];
    let mut toml = String::new();
    for (name, host, program, ..) in &ways {
        toml.push_str(&far.vantage(name, host, program));
    }
    for (name, ..) in &ways {
        toml.push_str(&format!(
            "[[targets]]\nname = \"{name}\"\naddress = \"{GUEST}\"\nvantage = \"{name}\"\n"
        ));
    }
    let watch = far.watch(&toml);
    let said = |name: &str, watch: &Watch| {
        let seen = watch.seen();
        let remarks = seen["remarks"].as_array().unwrap().iter();
        let mut about = remarks
            .filter_map(|remark| remark.as_str())
            .filter(|remark| remark.contains(&format!("point {name} was")));
        about.next().unwrap_or_default().to_owned()
    };
    for (name, _, _, what, next) in &ways {
        until(name, || !said(name, &watch).is_empty());
        let said = said(name, &watch);
        assert!(said.contains(what) && said.contains(next), "{name}: {said}");
    }
    let asked = Instant::now();
    let (_, seen) = watch.end();
    assert!(asked.elapsed() < Duration::from_secs(20), "it ends in spite of them");
    assert_eq!(
        (&seen["totals"]["probes"], &seen["totals"]["outages"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_workload_that_restarts_is_told_over_ssh() {
    let Some(far) = Far::new() else { return };
    let ssh = |host: &str, more: &str| {
        format!(
            "workload = {{ type = \"ssh\", host = \"{host}\", config = \"{}\"{more} }}\n",
            text(&far.path("ssh_config"))
        )
    };
    let target =
        |name: &str, workload: &str| format!("[[targets]]\nname = \"{name}\"\naddress = \"{RACK}\"\n{workload}");
    let pid_file = format!(", pid_file = \"{}\"", text(&far.path("guest.pid")));
    let mut guest = far.process("guest.pid");
    let targets = target("process", &ssh("rack", &pid_file))
        + &target("host", &ssh("rack", ""))
        + &target("locked", &ssh("no-key", ""));
    let watch = far.watch(&targets);
    let restarts = || {
        let seen = watch.seen();
        let mut restarts: Vec<_> = seen["targets"].as_array().unwrap().clone();
        restarts.sort_by_key(|target| target["name"].to_string());
        restarts
            .iter()
            .map(|target| target["totals"]["restarts"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    until("a word on what cannot be read", || {
        remarks(&watch.seen()).contains("locked")
    });
    assert!(
        remarks(&watch.seen()).contains("1 workloads could not be read"),
        "{}",
        remarks(&watch.seen())
    );
    assert_eq!(restarts(), [0, 0, 0]);

    guest.kill().unwrap();
    guest.wait().unwrap();
    let mut guest = far.process("guest.pid");
    until("the restart of a process", || restarts() == [0, 0, 1]);
    far.boot("99999999-2222-3333-4444-555555555555");
    // The process over there has a boot id as well.
    until("another boot", || restarts() == [1, 0, 2]);
    guest.kill().unwrap();
    guest.wait().unwrap();

    let (code, seen) = watch.end();
    assert_eq!(code, 4, "{seen}");
    assert!(
        seen["breaches"].to_string().contains("restarts of workloads"),
        "{}",
        seen["breaches"]
    );
    let said = remarks(&seen);
    let by_hand = format!("`ssh -F {} -o BatchMode=yes no-key cat", text(&far.path("ssh_config")));
    assert!(
        said.contains("1 workloads could not be read") && said.contains(&by_hand),
        "{said}"
    );
    assert_eq!(seen["totals"]["lost"], 0, "it answered all the time");
}
