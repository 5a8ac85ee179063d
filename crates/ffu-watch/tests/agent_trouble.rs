//! The agent against servers that misbehave, full buffers and limits. Needs root for network namespaces.

mod common;

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::servers::Servers;
use common::{MS, Net, Running, now, sleep, task};
use ffu_model::watch::{Notice, Outcome, Probe};
use nix::sys::signal::Signal;

const GUEST: &str = "10.77.0.2";

#[test]
fn duplicates_reordering_and_strangers_are_noticed() {
    let Some(net) = Net::new() else { return };
    let mut servers = Servers::new(&net.guest);
    let mut held: VecDeque<Vec<u8>> = VecDeque::new();
    let mut count = 0;
    servers.udp(7, move |socket, bytes, from| {
        count += 1;
        let mut stranger = bytes.to_vec();
        stranger[5] ^= 1; // The nonce of somebody else.
        let _ = socket.send_to(&stranger, from);
        match count % 10 {
            3 => held.push_back(bytes.to_vec()),
            4 => {
                let _ = socket.send_to(bytes, from);
                let _ = socket.send_to(&held.pop_front().expect("held"), from);
            }
            7 => {
                let _ = socket.send_to(bytes, from);
                let _ = socket.send_to(bytes, from);
            }
            9 => {} // This one is lost.
            _ => {
                let _ = socket.send_to(bytes, from);
            }
        }
    });
    let agent = Running::start(Some(&net.here), &task(20, 300, &[(GUEST, Probe::UdpEcho { port: 7 })]));
    sleep(2000);
    let seen = agent.seen();
    let fates: Vec<_> = seen
        .fates(0)
        .into_iter()
        .filter(|fate| fate.outcome != Outcome::Unsent)
        .collect();
    let whole = fates.len() / 10 - 2; // The last ones may not be decided yet.
    let lost = fates.iter().filter(|fate| fate.outcome == Outcome::Lost).count();
    let duplicates = seen
        .notices()
        .filter(|notice| matches!(notice, Notice::Duplicate { target: 0, .. }))
        .count();
    let reordered = seen
        .notices()
        .filter(|notice| matches!(notice, Notice::Reordered { target: 0, .. }))
        .count();
    assert!(whole >= 4, "{whole}");
    for (what, count) in [("lost", lost), ("duplicates", duplicates), ("reordered", reordered)] {
        assert!((whole..=whole + 3).contains(&count), "{count} {what} in {whole} rounds");
    }
}

#[test]
fn what_the_kernel_threw_away_is_not_the_targets_loss() {
    let Some(net) = Net::new() else { return };
    let mut servers = Servers::new(&net.guest);
    let flood = Arc::new(AtomicBool::new(false));
    let flooding = Arc::clone(&flood);
    let (later, delayed) = std::sync::mpsc::channel::<(u64, Vec<u8>)>();
    let mut delayed = Some(delayed);
    servers.udp(7, move |socket, bytes, from| {
        // Answers come 300 ms late; meanwhile the prober's buffer is filled with rubbish (once).
        if let Some(delayed) = delayed.take() {
            let socket = socket.try_clone().expect("clones");
            std::thread::spawn(move || {
                for (due, bytes) in delayed {
                    sleep(due.saturating_sub(now()) / MS);
                    let _ = socket.send_to(&bytes, from);
                }
            });
        }
        let _ = later.send((now() + 300 * MS, bytes.to_vec()));
        if flooding.swap(false, Ordering::Relaxed) {
            let socket = socket.try_clone().expect("clones");
            std::thread::spawn(move || (0..120_000).for_each(|_| drop(socket.send_to(&[0; 1400], from))));
        }
    });
    let agent = Running::start(Some(&net.here), &task(20, 1500, &[(GUEST, Probe::UdpEcho { port: 7 })]));
    sleep(800);
    flood.store(true, Ordering::Relaxed);
    sleep(25);
    agent.signal(Signal::SIGSTOP);
    sleep(2000);
    agent.signal(Signal::SIGCONT);
    sleep(2500);
    let seen = agent.seen();
    let (answered, lost, unsent) = seen.counts(0, 0, u64::MAX);
    assert!(
        lost == 0 && answered > 60 && unsent > 0,
        "{answered} answered, {lost} lost, {unsent} unsent"
    );
    assert!(seen.notices().any(|notice| matches!(notice, Notice::Stalled { .. })));
}

#[test]
fn a_stream_that_breaks_is_told_and_made_anew() {
    let Some(net) = Net::new() else { return };
    let mut servers = Servers::new(&net.guest);
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    servers.tcp(7, move |line| {
        (!breaks.swap(false, Ordering::Relaxed)).then(|| format!("{line}\n"))
    });
    servers.tcp(80, |line| {
        line.is_empty()
            .then(|| "HTTP/1.0 503 Busy\r\n\r\n".into())
            .or(Some(String::new()))
    });
    let targets = [
        (GUEST, Probe::TcpStream { port: 7 }),
        (
            GUEST,
            Probe::Http {
                port: 80,
                path: "/x?y".into(),
            },
        ),
    ];
    let agent = Running::start(Some(&net.here), &task(20, 300, &targets));
    sleep(500);
    broken.store(true, Ordering::Relaxed);
    sleep(800);
    let seen = agent.seen();
    let broke: Vec<_> = seen
        .notices()
        .filter(|notice| matches!(notice, Notice::StreamBroke { .. }))
        .collect();
    assert!(
        matches!(broke.as_slice(), [Notice::StreamBroke { target: 0, why, .. }] if why == "end of file"),
        "{broke:?}"
    );
    let (answered, lost, _) = seen.counts(0, 0, u64::MAX);
    assert!(
        answered > 30 && (1..5).contains(&lost),
        "{answered} answered, {lost} lost"
    );
    let (answered, lost, _) = seen.counts(1, 0, u64::MAX);
    assert!(
        answered == 0 && lost > 20,
        "a 503 is no answer: {answered} answered, {lost} lost"
    );
}

#[test]
fn agents_say_clearly_what_they_need() {
    let connects: Vec<_> = (0..100).map(|_| ("127.0.0.1", Probe::TcpConnect { port: 9 })).collect();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 200; exec {}", common::agent())]);
    let (seen, status, errors) = Running::with(command, &task(100, 1000, &connects)).stop();
    assert!(!status.success() && seen.0.is_empty());
    assert!(
        errors.contains("100 TCP and HTTP targets need up to 1264 open files, the limit is 200"),
        "{errors}"
    );
    assert!(errors.contains("next: `ulimit -n 1264`"), "{errors}");

    let arp = task(
        100,
        1000,
        &[(
            "127.0.0.1",
            Probe::Arp {
                interface: "ffut-none".into(),
            },
        )],
    );
    let (_, status, errors) = Running::start(None, &arp).stop();
    assert!(
        !status.success() && errors.contains("no interface ffut-none"),
        "{errors}"
    );

    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--inh-caps=-all",
        ])
        .arg(common::agent());
    let Some(net) = Net::new() else { return };
    let mut inside = Command::new("ip");
    inside
        .args(["netns", "exec", &net.here])
        .arg(command.get_program())
        .args(command.get_args());
    let (_, status, errors) = Running::with(inside, &task(100, 1000, &[("127.0.0.1", Probe::Icmp)])).stop();
    assert!(!status.success(), "{errors}");
    assert!(
        errors.contains("ping_group_range") && errors.contains("setcap cap_net_raw+ep"),
        "{errors}"
    );
}

#[test]
fn an_agent_that_hears_nothing_any_more_is_ended_though_its_input_is_open() {
    let mut alone = task(100, 500, &[("127.0.0.1", Probe::Icmp)]);
    alone.silence_s = std::num::NonZeroU32::new(2);
    let mut agent = Running::start(None, &alone);
    for _ in 0..20 {
        assert!(agent.say(r#"{"clock": 1}"#), "it is spoken to, and goes on");
        sleep(200);
        assert_eq!(agent.ended(), None);
    }
    let silent = Instant::now();
    while agent.ended().is_none() {
        assert!(silent.elapsed() < Duration::from_secs(30), "it probes on for nobody");
        sleep(20);
    }
    let (seen, status, _) = agent.stop();
    assert_eq!(status.signal(), Some(Signal::SIGALRM as i32), "{status}");
    assert!(!seen.fates(0).is_empty());
}
