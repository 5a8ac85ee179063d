//! Vantage points with real agents: killed, hung, far away. Needs root for network and time namespaces.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use common::{MS, Net, Seen, now, sleep};
use ffu_model::watch::{Notice, Outcome, Target, Targets, Vantage};
use ffu_watch::Entry;
use ffu_watch::vantage::{Launch, Supervisor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn targets(address: &str, vantage: Vantage) -> Targets {
    let mut target: Target =
        serde_json::from_value(serde_json::json!({"name": "a", "address": address})).expect("a target");
    target.vantage = "far".into();
    let vantages = BTreeMap::from([("far".to_owned(), vantage)]);
    Targets {
        interval_ms: 20,
        timeout_ms: 300,
        vantages,
        targets: vec![target],
        ..Targets::default()
    }
}

/// Takes entries for that long.
fn take(receiver: &Receiver<Vec<Entry>>, ms: u64, into: &mut Vec<Entry>) {
    let until = Instant::now() + Duration::from_millis(ms);
    while let Ok(batch) = receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        into.extend(batch);
    }
}

fn blinds(entries: &[Entry]) -> Vec<(u64, Option<u64>, String)> {
    let blind = |entry: &Entry| match entry {
        Entry::Notice(Notice::Blind { vantage, from, to, why }) if vantage == "far" => Some((*from, *to, why.clone())),
        _ => None,
    };
    entries.iter().filter_map(blind).collect()
}

/// The processes whose parent is this test and that are the agent in this namespace.
fn agent_in(space: &str) -> i32 {
    let listed = Command::new("ip").args(["netns", "pids", space]).output().expect("ip");
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .next()
        .expect("an agent")
        .trim()
        .parse()
        .expect("an id")
}

fn script(name: &str, text: &str) -> Utf8PathBuf {
    let path = common::path(name);
    std::fs::write(&path, text).expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("may");
    Utf8PathBuf::from_path_buf(path).expect("UTF-8")
}

#[test]
fn a_killed_agent_is_told_and_another_goes_on() {
    let Some(net) = Net::new() else { return };
    let targets = targets("10.77.0.2", Vantage::Netns { name: net.here.clone() });
    let (sender, receiver) = sync_channel(64);
    let supervisor = Supervisor::start(&targets, &Launch::new(common::agent()), sender).expect("starts");
    let mut entries = Vec::new();
    take(&receiver, 1000, &mut entries);
    let agent = agent_in(&net.here);
    let killed = now();
    kill(Pid::from_raw(agent), Signal::SIGKILL).expect("kills");
    take(&receiver, 2000, &mut entries);
    let stopped = Instant::now();
    supervisor.stop();
    assert!(
        stopped.elapsed() < Duration::from_secs(2),
        "an agent ends when its input closes"
    );
    take(&receiver, 0, &mut entries);

    let blinds = blinds(&entries);
    let [(from, None, why), (again, Some(to), _)] = blinds.as_slice() else {
        panic!("{blinds:?}")
    };
    assert!(
        from == again && *from < killed + 20 * MS && killed < from + 300 * MS && *to > killed,
        "{blinds:?} {killed}"
    );
    assert!(why.contains("signal: 9"), "{why}");
    let seen = Seen(entries);
    let (answered, lost, _) = seen.counts(0, 0, killed);
    assert!(answered > 25 && lost == 0, "{answered} answered, {lost} lost");
    let (answered, lost, _) = seen.counts(0, killed, u64::MAX);
    assert!(
        answered > 25 && lost == 0,
        "it goes on, numbers without gaps: {answered} answered, {lost} lost"
    );
    assert!(seen.notices().any(|notice| matches!(notice, Notice::Clock { .. })));
}

#[test]
fn a_hung_agent_is_replaced() {
    let Some(net) = Net::new() else { return };
    let targets = targets("10.77.0.2", Vantage::Netns { name: net.here.clone() });
    let (sender, receiver) = sync_channel(64);
    let supervisor = Supervisor::start(&targets, &Launch::new(common::agent()), sender).expect("starts");
    let mut entries = Vec::new();
    take(&receiver, 600, &mut entries);
    let hung = agent_in(&net.here);
    let stopped = now();
    kill(Pid::from_raw(hung), Signal::SIGSTOP).expect("stops");
    take(&receiver, 5500, &mut entries);
    assert_ne!(agent_in(&net.here), hung);
    supervisor.stop();
    let blinds = blinds(&entries);
    let [(from, None, why), (_, Some(to), _)] = blinds.as_slice() else {
        panic!("{blinds:?}")
    };
    assert!(why.contains("nothing was heard of it for 3 s"), "{why}");
    assert!(*from <= stopped + 20 * MS && *to > stopped + 3000 * MS);
    assert_eq!(
        Seen(entries)
            .fates(0)
            .iter()
            .filter(|fate| fate.outcome == Outcome::Lost)
            .count(),
        0
    );
}

#[test]
fn what_an_agent_says_in_the_end_is_passed_on() {
    let failing = script(
        "failing",
        "#!/bin/sh\necho 'the kernel does not allow it' >&2\nexit 3\n",
    );
    let talking = script("talking", "#!/bin/sh\nread line\necho Welcome to this host\nsleep 60\n");
    for (program, words) in [
        (failing, ["exit status: 3", "does not allow it"]),
        (talking, ["is no frame", "signal: 9"]),
    ] {
        let (sender, receiver) = sync_channel(64);
        let supervisor =
            Supervisor::start(&targets("127.0.0.1", Vantage::Here), &Launch::new(&program), sender).expect("starts");
        let mut entries = Vec::new();
        take(&receiver, 1500, &mut entries);
        supervisor.stop();
        let blinds = blinds(&entries);
        assert!(
            matches!(blinds.as_slice(), [(_, None, why)] if words.iter().all(|word| why.contains(word))),
            "{blinds:?}"
        );
        std::fs::remove_file(program).expect("removes");
    }
}

#[test]
fn vantage_points_that_cannot_be_are_refused_at_the_start() {
    let start = |targets: &Targets| {
        let (sender, _receiver) = sync_channel(1);
        Supervisor::start(targets, &Launch::new("ffu"), sender)
            .err()
            .expect("an error")
            .to_string()
    };
    let netns = targets(
        "127.0.0.1",
        Vantage::Netns {
            name: "ffut-none".into(),
        },
    );
    assert!(start(&netns).contains("there is no network namespace ffut-none"));
    let mut unknown = targets("127.0.0.1", Vantage::Here);
    unknown.vantages.clear();
    assert!(start(&unknown).contains("target a is probed from far, which is not in the targets file"));
    let mut fast = targets("127.0.0.1", Vantage::Here);
    fast.targets = vec![fast.targets[0].clone(); 100_000];
    assert!(
        start(&fast).contains("100000 targets need 5000000 packets a second, the limit of one vantage point is 120000")
    );
}

/// A mock of ssh that runs the command on this host, but in a time namespace whose boot-time clock is 5000 s ahead.
#[test]
fn times_of_another_host_are_on_our_clock() {
    let tried = Command::new("unshare")
        .args(["--time", "--boottime", "5000", "--fork", "true"])
        .output();
    if !tried.is_ok_and(|output| output.status.success()) {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("SKIPPED: the kernel does not allow time namespaces here (needs root)");
        }
        return;
    }
    let text = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\n[ \"$2\" = far.example ] || exit 9\n\
                exec unshare --time --boottime 5000 --fork --kill-child sh -c \"$3\"\n";
    let mock_ssh = script("mock-ssh", text);
    let vantage = Vantage::Ssh {
        host: "far.example".into(),
        config: None,
        program: common::agent().into_string(),
    };
    let launch = Launch {
        ssh: mock_ssh.clone(),
        ..Launch::new("not-used-here")
    };
    let (sender, receiver) = sync_channel(64);
    let begin = now();
    let supervisor = Supervisor::start(&targets("127.0.0.1", vantage), &launch, sender).expect("starts");
    let mut entries = Vec::new();
    take(&receiver, 1500, &mut entries);
    let end = now();
    supervisor.stop();
    let fates = Seen(entries).fates(0);
    assert!(fates.len() > 30, "{}", fates.len());
    for fate in fates {
        assert!(fate.sent > begin && fate.sent < end, "{begin} {fate:?} {end}");
    }
    std::fs::remove_file(mock_ssh).expect("removes");
}

#[test]
fn an_agent_dies_with_its_watch() {
    let Some(net) = Net::new() else { return };
    let targets = targets("10.77.0.2", Vantage::Netns { name: net.here.clone() });
    let (sender, receiver) = sync_channel(64);
    let supervisor = Supervisor::start(&targets, &Launch::new(common::agent()), sender).expect("starts");
    sleep(500);
    let agent = agent_in(&net.here);
    // Nobody takes entries any more: that is the end, too.
    drop(receiver);
    let until = Instant::now() + Duration::from_secs(5);
    while kill(Pid::from_raw(agent), None).is_ok() && Instant::now() < until {
        sleep(20);
    }
    assert!(kill(Pid::from_raw(agent), None).is_err(), "it is gone");
    supervisor.stop();
}
