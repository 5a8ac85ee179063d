//! The truth about the watch: outages of real guests, made at known times for known lengths, must be found with begin, end and
//! targets right to one probe interval, none missed and none invented, on a quiet machine and under load. Needs root for network
//! namespaces. With `FFU_TRUTH=FILE` the tables are appended to a file: `make truth` makes `docs/watch-truth.md` of them.

#[path = "../common/mod.rs"]
mod common;
mod net;
mod plan;
mod verdict;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::Utf8Path;
use common::{MS, now};
use ffu_model::stop::StopFlag;
use ffu_model::watch::{Budgets, Fate, Snapshot, Target, Targets, Vantage};
use ffu_watch::Entry;
use ffu_watch::record::Reader;
use ffu_watch::session::Session;
use ffu_watch::vantage::Launch;
use net::Segment;
use plan::{Planned, Truth, carry_out, plan};
use verdict::{Verdict, Watched};

const GUESTS: usize = 20;
/// 10 and 50 Hz.
const INTERVALS: [u32; 2] = [100, 20];
/// Milliseconds until every agent probes.
const LEAD: u64 = 2000;
const LENGTHS: [u64; 8] = [20, 50, 100, 200, 500, 50, 1000, 20];

/// Every guest is watched at both rates: targets 2n and 2n+1 are guest n.
fn targets(space: &str) -> Targets {
    let target = |guest: usize, interval: u32| Target {
        name: format!("guest {guest} every {interval} ms"),
        address: net::address(guest).parse().expect("an address"),
        probe: Default::default(),
        vantage: "host".into(),
        interval_ms: Some(interval),
        workload: None,
        groups: BTreeMap::new(),
    };
    let both = |guest| INTERVALS.map(|interval| target(guest, interval));
    Targets {
        vantages: BTreeMap::from([("host".into(), Vantage::Netns { name: space.into() })]),
        budgets: Budgets {
            baseline_s: 1,
            ..Budgets::default()
        },
        targets: (0..GUESTS).flat_map(both).collect(),
        ..Targets::default()
    }
}

/// Watches while the planned outages are made.
fn watch(segment: &Segment, planned: &[Planned], directory: &Utf8Path) -> (Snapshot, Vec<Truth>) {
    let last = planned.iter().map(|one| one.to).max().expect("outages");
    let time = Duration::from_millis(LEAD + last + 2000);
    std::thread::scope(|scope| {
        let start = now() + LEAD * MS;
        let truth = scope.spawn(move || carry_out(segment, planned, start));
        let session = Session {
            instances: None,
            targets: targets(&segment.here),
            directory,
            name: None,
            run: None,
            launch: Launch::new(common::agent()),
            time: Some(time),
            every: Duration::from_millis(500),
            stop: StopFlag::new(),
            show: &mut |_| {},
        };
        let last = session.watch().expect("it watches");
        (last, truth.join().expect("the outages"))
    })
}

fn fates(directory: &Utf8Path) -> Vec<Vec<Fate>> {
    let mut reader = Reader::open(directory).expect("a record");
    let mut all = vec![Vec::new(); 2 * GUESTS];
    while let Some(batch) = reader.next_batch().expect("frames") {
        for entry in batch {
            if let Entry::Fate(fate) = entry {
                all[fate.target as usize].push(fate);
            }
        }
    }
    all
}

/// Makes the outages, and compares.
#[allow(clippy::print_stderr)]
fn truth(title: &str, planned: &[Planned]) {
    let Some(segment) = Segment::new(GUESTS) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let directory = Utf8Path::from_path(directory.path()).expect("UTF-8").join("record");
    let (last, truth) = watch(&segment, planned, &directory);
    let fates = fates(&directory);
    assert_eq!(last.targets.len(), 2 * GUESTS);
    assert!(
        truth.len() > planned.len() / 2,
        "the machine was too slow to make the outages"
    );
    let mut verdict = Verdict::default();
    for target in &last.targets {
        assert!(
            !target.set_aside && target.totals.outages as usize == target.outages.len(),
            "{target:?}"
        );
        let (guest, which) = (target.target as usize / 2, target.target as usize % 2);
        let watched = Watched {
            guest,
            interval: u64::from(INTERVALS[which]) * MS,
            fates: fates[target.target as usize].clone(),
            outages: &target.outages,
        };
        verdict.judge(&watched, &truth);
    }
    let text = told(title, &last, &truth, &verdict);
    eprintln!("{text}");
    if let Some(path) = std::env::var_os("FFU_TRUTH") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("writes the table");
    }
    assert!(verdict.wrong.is_empty(), "{:#?}", verdict.wrong);
    let sum = |of: fn(&verdict::Row) -> u32| verdict.rows.values().map(of).sum::<u32>();
    assert_eq!(sum(|row| row.made) as usize, 2 * truth.len());
    assert!(
        sum(|row| row.owed) as usize > truth.len(),
        "the probes saw too little to say anything"
    );
}

fn told(title: &str, last: &Snapshot, truth: &[Truth], verdict: &Verdict) -> String {
    let invented = verdict
        .wrong
        .iter()
        .filter(|wrong| wrong.starts_with("invented"))
        .count();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (unsent, probes) = (last.totals.unsent, last.totals.probes);
    let longest = last.totals.latency.max as f64 / 1e6;
    let mut remarks: Vec<String> = last
        .remarks
        .iter()
        .map(|remark| format!("The watch's own remark: {remark}.\n\n"))
        .collect();
    remarks.dedup();
    format!(
        "## {title}\n\n{} outages of {GUESTS} guests, {} targets, {probes} probes, {unsent} not sent; load average at the end {load} on \
         {cores} cores; the slowest answer took {longest:.1} ms; every begin and end is known to {:.2} ms. Invented: {invented}.\n\n{}{}\n",
        truth.len(),
        last.targets.len(),
        verdict.bracket as f64 / 1e6,
        remarks.concat(),
        verdict.table()
    )
}

/// Half a minute in which all goes at once four times and guests go one by one all the time.
fn half_a_minute(seed: u64) -> Vec<Planned> {
    let sets = [(2000, 200), (10_000, 1000), (17_000, 50), (22_000, 500)];
    let mut planned = plan(seed, GUESTS - 3, 28_000, &LENGTHS, &sets);
    // Three guests for the long ones.
    for (guest, from, length) in [
        (17, 3000, 10_000),
        (17, 14_000, 3000),
        (18, 8000, 3000),
        (18, 12_000, 10_000),
        (19, 21_000, 3000),
    ] {
        planned.push(Planned {
            guest,
            from,
            to: from + length,
        });
    }
    planned
}

#[test]
fn every_outage_is_found_and_none_invented() {
    truth("Without load from the test", &half_a_minute(1));
}

#[test]
fn every_outage_is_found_under_load() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = Arc::new(AtomicBool::new(false));
    let loops: Vec<_> = (0..2 * cores)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(7));
                }
            })
        })
        .collect();
    let outcome = std::panic::catch_unwind(|| truth("Under load: two busy loops for each core", &half_a_minute(2)));
    stop.store(true, Ordering::Relaxed);
    for one in loops {
        one.join().expect("a busy loop");
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
#[ignore = "takes four minutes: make truth"]
fn long_outages_are_found() {
    let mut planned = plan(
        3,
        GUESTS - 5,
        200_000,
        &[3000, 20, 10_000, 1000, 50],
        &[(5000, 10_000), (120_000, 3000)],
    );
    for guest in GUESTS - 5..GUESTS {
        let from = 9000 + 11_500 * guest as u64 % 30_000;
        for from in [from, from + 75_000] {
            planned.push(Planned {
                guest,
                from,
                to: from + 60_000,
            });
        }
    }
    truth("Long ones", &planned);
}
