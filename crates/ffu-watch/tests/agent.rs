//! The agent against real networks: every kind of probe, up and down. Needs root for network namespaces.

mod common;

use std::process::Command;

use common::servers::{Servers, dns, echo};
use common::{MS, Net, Running, now, sleep, task};
use ffu_model::watch::{Notice, Outcome, Probe};
use nix::sys::signal::Signal;

const GUEST: &str = "10.77.0.2";

#[test]
fn every_kind_is_seen_up_down_and_up_again() {
    let Some(net) = Net::new() else { return };
    let mut servers = Servers::new(&net.guest);
    servers.udp(7, echo);
    servers.udp(53, dns);
    servers.tcp(7, |line| Some(format!("{line}\n")));
    servers.tcp(80, |line| {
        line.is_empty()
            .then(|| "HTTP/1.1 404 Not Found\r\n\r\n".into())
            .or(Some(String::new()))
    });
    let task = task(
        50,
        300,
        &[
            (GUEST, Probe::Icmp),
            ("fd77::2", Probe::Icmp),
            (GUEST, Probe::UdpEcho { port: 7 }),
            (
                GUEST,
                Probe::Dns {
                    port: 53,
                    query: "example.org".into(),
                },
            ),
            (GUEST, Probe::Arp { interface: "va".into() }),
            (GUEST, Probe::TcpConnect { port: 7 }),
            (
                GUEST,
                Probe::Http {
                    port: 80,
                    path: "/".into(),
                },
            ),
            (GUEST, Probe::TcpStream { port: 7 }),
        ],
    );
    let agent = Running::start(Some(&net.here), &task);
    sleep(1200);
    let down = now();
    net.cable("down");
    let is_down = now();
    sleep(900);
    let up = now();
    net.cable("up");
    let is_up = now();
    sleep(4000);
    let end = now();
    let seen = agent.seen();
    for target in 0..8 {
        let (before, lost, _) = seen.counts(target, 0, down - 320 * MS);
        assert!(
            before >= 5 && lost == 0,
            "target {target} before: {before} answered, {lost} lost"
        );
        let (answered, lost, unsent) = seen.counts(target, is_down, up - 320 * MS);
        // A stream keeps its lines until the way is open again; they come in time or not.
        assert!(
            answered == 0 && lost + unsent >= 8 && lost >= 5,
            "target {target} down: {answered} answered, {lost} lost"
        );
        // ARP and TCP have retry times of their own, so what follows the cable directly is theirs.
        let (after, lost, _) = seen.counts(target, is_up + 2500 * MS, end - 320 * MS);
        assert!(
            after >= 10 && lost == 0,
            "target {target} after: {after} answered, {lost} lost"
        );
    }
}

#[test]
fn a_pulled_cable_costs_what_was_sent_meanwhile_and_nothing_else() {
    let Some(net) = Net::new() else { return };
    let agent = Running::start(Some(&net.here), &task(20, 500, &[(GUEST, Probe::Icmp)]));
    sleep(600);
    let down = now();
    net.cable("down");
    let is_down = now();
    sleep(300);
    let up = now();
    net.cable("up");
    // The kernel switches the queue of a link on a little later, by its link watch.
    let is_up = now() + 60 * MS;
    sleep(1500);
    let end = now();
    let seen = agent.seen();
    for fate in seen.fates(0).iter().filter(|fate| fate.outcome == Outcome::Lost) {
        assert!(
            (down - MS..is_up + MS).contains(&fate.sent),
            "lost although the cable was in: {fate:?} {down} {is_up}"
        );
    }
    let (answered, lost, unsent) = seen.counts(0, is_down, up);
    assert!(
        answered == 0 && lost + unsent >= 13 && lost > 0,
        "{answered} answered, {lost} lost, {unsent} unsent"
    );
    let (answered, lost, _) = seen.counts(0, is_up, end - 510 * MS);
    assert!(answered > 20 && lost == 0, "{answered} answered, {lost} lost");
}

#[test]
fn a_stopped_agent_loses_nothing() {
    let Some(net) = Net::new() else { return };
    let mut servers = Servers::new(&net.guest);
    servers.tcp(7, |line| Some(format!("{line}\n")));
    let targets = [
        (GUEST, Probe::Icmp),
        (GUEST, Probe::TcpStream { port: 7 }),
        (GUEST, Probe::TcpConnect { port: 7 }),
    ];
    let agent = Running::start(Some(&net.here), &task(20, 400, &targets));
    sleep(600);
    let stopped = now();
    agent.signal(Signal::SIGSTOP);
    sleep(1500);
    agent.signal(Signal::SIGCONT);
    let continued = now();
    sleep(1000);
    let seen = agent.seen();
    for target in 0..3 {
        let (answered, lost, unsent) = seen.counts(target, 0, u64::MAX);
        assert!(
            lost == 0 && answered > 40 && unsent > 60,
            "target {target}: {answered} answered, {lost} lost, {unsent} unsent"
        );
    }
    let stalls: Vec<_> = seen
        .notices()
        .filter(|notice| {
            matches!(notice, Notice::Stalled { from, to, .. }
        if *from <= stopped + 30 * MS && *to + 20 * MS >= continued && to - from > 1400 * MS)
        })
        .collect();
    assert_eq!(stalls.len(), 2, "one of each engine: {stalls:?}");
}

#[test]
fn ping_sockets_are_used_where_they_are_allowed_and_errors_are_early_losses() {
    let refused = [
        (GUEST, Probe::Icmp),
        ("10.79.0.1", Probe::Icmp),
        ("10.78.0.1", Probe::Icmp),
        (GUEST, Probe::UdpEcho { port: 9 }),
        (GUEST, Probe::TcpConnect { port: 9 }),
        ("fd77::2", Probe::Icmp),
    ];
    for group_range in ["1 0", "0 2147483647"] {
        let Some(net) = Net::new() else { return };
        // The guest refuses one network as a router does, the vantage point another.
        common::sh(&format!(
            "ip netns exec {guest} sysctl -qw net.ipv4.ip_forward=1; ip -n {guest} route add unreachable 10.79.0.0/24
             ip -n {here} route add 10.79.0.0/24 via 10.77.0.2; ip -n {here} route add unreachable 10.78.0.0/24",
            guest = net.guest,
            here = net.here
        ));
        net.at_vantage(&format!("sysctl -qw net.ipv4.ping_group_range='{group_range}'"));
        // Nothing times out in this test: what is lost was refused.
        let agent = Running::start(Some(&net.here), &task(50, 20_000, &refused));
        sleep(1000);
        let table = |name: &str| {
            let path = format!("/proc/net/{name}");
            let sockets = Command::new("ip")
                .args(["netns", "exec", &net.here, "cat", &path])
                .output()
                .expect("reads");
            String::from_utf8_lossy(&sockets.stdout).lines().count() - 1
        };
        let ping_sockets = (table("icmp"), table("icmp6"));
        let expected = if group_range == "1 0" { (0, 0) } else { (1, 1) };
        assert_eq!(ping_sockets, expected, "ping sockets with {group_range}");
        let seen = agent.seen();
        for target in [0, 5] {
            let (answered, lost, _) = seen.counts(target, 0, u64::MAX);
            assert!(
                answered >= 8 && lost == 0,
                "{group_range}, target {target}: {answered} answered, {lost} lost"
            );
        }
        for target in 1..5 {
            let (answered, lost, _) = seen.counts(target, 0, u64::MAX);
            // Linux limits what a router sends for one network to one error a second; a closed port is told each time.
            let least = if target == 1 { 1 } else { 8 };
            assert!(
                answered == 0 && lost >= least,
                "{group_range}, target {target}: {answered} answered, {lost} lost"
            );
        }
    }
}
