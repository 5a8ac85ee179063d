//! What the tally costs: CPU of a second of fates, of a snapshot, and memory. `cargo run --release -p ffu-watch --example tally_cost`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use ffu_model::watch::{Fate, Outcome, Target, Targets};
use ffu_watch::Entry;
use ffu_watch::tally::Tally;

const SECOND: u64 = 1_000_000_000;

fn targets(count: usize) -> Targets {
    let target = |n: usize| Target {
        name: format!("fip-{n}"),
        address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into(),
        probe: Default::default(),
        vantage: Targets::HERE.to_owned(),
        interval_ms: None,
        workload: None,
        groups: [
            ("network", n % 50),
            ("az", n % 3),
            ("host", n % 200),
            ("vnic_type", n % 2),
            ("tenant", n % 1000),
            ("kind", 0),
        ]
        .map(|(key, value)| (key.to_owned(), format!("{key}-{value}")))
        .into(),
    };
    Targets {
        interval_ms: 100,
        timeout_ms: 1000,
        targets: (0..count).map(target).collect(),
        ..Targets::default()
    }
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0);
    pages * 4 / 1024
}

/// Seconds of CPU for a second of probes, when the share `lost` of them is lost at random, or all are.
fn measure(count: usize, seconds: u64, what: &str, is_lost: impl Fn(u64, u64) -> bool) {
    let before = resident();
    let given = targets(count);
    let mut tally = Tally::new(given, 0, None);
    let mut spent = 0.0;
    for slot in 0..seconds * 10 {
        let mut batch = Vec::with_capacity(count);
        for n in 0..count as u64 {
            // An answered probe is known at once, a lost one a second later.
            let at = |slot: u64| slot * SECOND / 10 + n * 1000;
            if let Some(old) = slot.checked_sub(10).filter(|old| is_lost(n, *old)) {
                batch.push(Entry::Fate(Fate {
                    target: n as u32,
                    seq: old as u32,
                    sent: at(old),
                    outcome: Outcome::Lost,
                }));
            }
            if !is_lost(n, slot) {
                let outcome = Outcome::Answered {
                    rtt: 200_000 + n * 17 % 100_000,
                    blurred: false,
                };
                batch.push(Entry::Fate(Fate {
                    target: n as u32,
                    seq: slot as u32,
                    sent: at(slot),
                    outcome,
                }));
            }
        }
        let from = Instant::now();
        batch.iter().for_each(|entry| tally.take(entry));
        tally.advance((slot + 1) * SECOND / 10);
        spent += from.elapsed().as_secs_f64();
    }
    let memory = resident().saturating_sub(before);
    let from = Instant::now();
    let snapshot = tally.snapshot(jiff::Timestamp::UNIX_EPOCH, seconds * SECOND);
    let shot = from.elapsed();
    println!(
        "{count} targets, {what}: {:.3} s a second ({} probes, {} lost, {} breaches), snapshot {:.1} ms, about {memory} MiB",
        spent / seconds as f64,
        snapshot.totals.probes,
        snapshot.totals.lost,
        snapshot.breaches.len(),
        shot.as_secs_f64() * 1000.0,
    );
    for breach in &snapshot.breaches {
        println!("    {}", breach.says);
    }
}

fn main() {
    // SplitMix64 of target and slot.
    let random = |n: u64, slot: u64| {
        let z = (n << 32 | slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1000 == 7
    };
    measure(10_000, 60, "no loss", |_, _| false);
    measure(10_000, 60, "0.1 % lost", random);
    measure(10_000, 60, "all out for 10 s", |_, slot| (400..500).contains(&slot));
    measure(10_000, 60, "every other probe of each lost", |_, slot| slot % 2 == 1);
    measure(100_000, 10, "0.1 % lost", random);
}
