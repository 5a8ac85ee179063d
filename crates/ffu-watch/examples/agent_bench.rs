//! What the agent costs: `agent_bench TARGETS INTERVAL_MS SECONDS` probes that many addresses of 127.0.0.0/8 by ICMP with
//! `examples/agent` and prints CPU seconds a second, memory, bytes a probe, and how far probes were from when they were due.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use ffu_model::watch::{Outcome, Probe};
use ffu_watch::agent::{AgentTarget, AgentTask};
use ffu_watch::frame::{Content, Decoded, decode};
use ffu_watch::{Entry, clock};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u32> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let [targets, interval_ms, seconds] = arguments[..] else {
        return Err("agent_bench TARGETS INTERVAL_MS SECONDS".into());
    };
    let address = |index: u32| IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + index));
    let target = |index| AgentTarget {
        index,
        address: address(index),
        probe: Probe::Icmp,
        interval_ms: None,
        first_seq: 0,
    };
    let targets_of = (0..targets).map(target).collect();
    let task = AgentTask {
        version: 1,
        vantage: "here".into(),
        interval_ms,
        timeout_ms: 1000,
        silence_s: None,
        targets: targets_of,
    };
    let agent = std::env::current_exe()?.with_file_name("agent");
    let mut child = Command::new(agent)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no stdin")?;
    serde_json::to_writer(&mut input, &task)?;
    input.write_all(b"\n")?;
    let mut output = child.stdout.take().ok_or("no stdout")?;
    let (mut bytes, mut entries, mut total) = (Vec::new(), Vec::new(), 0);
    let (begin, mut buffer) = (clock::now(), vec![0; 1 << 20]);
    let (mut cpu, mut memory) = (String::new(), String::new());
    let mut input = Some(input);
    loop {
        let length = output.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        total += length;
        bytes.extend_from_slice(&buffer[..length]);
        while let Decoded::Frame(frame, length) = decode(&bytes) {
            bytes.drain(..length);
            if let Content::Entries(more) = frame.content {
                entries.extend(more);
            }
        }
        if input.is_some() && clock::now() - begin > u64::from(seconds) * 1_000_000_000 {
            cpu = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
            memory = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
            input = None;
        }
    }
    child.wait()?;
    let fields: Vec<&str> = cpu.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let (user, system) = (ticks(11) / 100.0, ticks(12) / 100.0);
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("");
    let (mut rtts, mut lost, mut unsent, mut blurred, mut notices) = (Vec::new(), 0, 0, 0, 0);
    let mut last = std::collections::HashMap::new();
    let mut jitter = Vec::new();
    for entry in &entries {
        let Entry::Fate(fate) = entry else {
            notices += 1;
            continue;
        };
        match fate.outcome {
            Outcome::Answered { rtt, blurred: no } => {
                rtts.push(rtt);
                blurred += u32::from(no);
            }
            Outcome::Lost => lost += 1,
            Outcome::Unsent => unsent += 1,
        }
        if let Some((seq, sent)) = last.insert(fate.target, (fate.seq, fate.sent))
            && fate.seq == seq + 1
        {
            jitter.push(fate.sent.abs_diff(sent).abs_diff(u64::from(interval_ms) * 1_000_000));
        }
    }
    rtts.sort_unstable();
    jitter.sort_unstable();
    let at = |values: &[u64], share: f64| {
        values.get((values.len() as f64 * share) as usize).copied().unwrap_or(0) as f64 / 1000.0
    };
    println!(
        "{targets} targets every {interval_ms} ms for {seconds} s: {} fates, {notices} notices",
        entries.len() - notices
    );
    println!(
        "answered {} (blurred {blurred}), lost {lost}, unsent {unsent}",
        rtts.len()
    );
    let second = f64::from(seconds);
    println!(
        "CPU s/s: {:.3} (user {:.3}, system {:.3}); {peak}",
        (user + system) / second,
        user / second,
        system / second
    );
    println!("{:.2} bytes a probe", total as f64 / entries.len() as f64);
    println!(
        "round trip us: p50 {:.0} p99 {:.0} max {:.0}",
        at(&rtts, 0.5),
        at(&rtts, 0.99),
        at(&rtts, 0.999_999)
    );
    println!(
        "interval off by us: p50 {:.0} p99 {:.0} max {:.0}",
        at(&jitter, 0.5),
        at(&jitter, 0.99),
        at(&jitter, 0.999_999)
    );
    Ok(())
}
