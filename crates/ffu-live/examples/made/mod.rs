//! A made watch of a made run, for tests and pictures: figures that hang together, from a short list of faults.

use std::collections::BTreeMap;

use ffu_model::watch::{
    Baseline, Breach, Bucket, Budget, BudgetUse, Confidence, GroupSummary, Latency, OnBreach, Origin, Outage, Snapshot,
    StepCost, StepMark, TargetSummary, Totals,
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
/// The watch began at this instant of the boot-time clock.
const BEGAN: u64 = 7_000 * S;
const INTERVAL: u64 = 100 * MS;

/// Targets `first..first+number` are out `from` (ms since the start) for `length` ms.
const FAULTS: [(u32, u32, u64, u64); 4] = [
    (3, 1, 122_300, 200),
    (8, 12, 331_400, 740),
    (20, 1, 333_000, 4_200),
    (5, 1, 445_000, 60_000),
];

const STEPS: [(&str, &str, u64, u64); 14] = [
    ("prepare", "prepare.checks", 31, 40),
    ("prepare", "prepare.environments", 40, 75),
    ("freeze", "freeze.apis", 78, 80),
    ("freeze", "freeze.drain", 80, 84),
    ("checkpoint", "checkpoint.databases", 84, 121),
    ("hops", "hops.2024.2.keystone.schema", 121, 128),
    ("hops", "hops.2024.2.nova.schema", 121, 149),
    ("hops", "hops.2024.2.neutron.schema", 122, 163),
    ("hops", "hops.2025.1.nova.schema", 163, 205),
    ("hops", "hops.2025.1.neutron.schema", 163, 190),
    ("deploy", "deploy.configuration", 206, 230),
    ("deploy", "deploy.neutron.start", 230, 282),
    ("release", "release.compute-02.openvswitch-agent", 320, 366),
    ("release", "release.compute-03.openvswitch-agent", 440, 900),
];

/// What a watch of `number` targets has seen `elapsed` seconds after it began.
pub fn snapshot(elapsed: u64, number: u32) -> Snapshot {
    let now = BEGAN + elapsed * S;
    let mut targets: Vec<TargetSummary> = (0..number).map(|place| target(place, now)).collect();
    let steps = steps(&targets, now);
    let groups = groups(&targets, now);
    targets.sort_by_key(|t| {
        (
            std::cmp::Reverse((t.out, t.totals.worst_total, t.totals.lost)),
            t.target,
        )
    });
    let all: Vec<&TargetSummary> = targets.iter().collect();
    let mut remarks = vec![
        "vm-c-0499 never answered and was set aside".to_owned(),
        "vantage point here stood still for 310 ms at 13:02:41".to_owned(),
    ];
    remarks.truncate((elapsed / 162) as usize + 1);
    Snapshot {
        at: jiff::Timestamp::from_second(1_795_870_800 + elapsed as i64).unwrap_or_default(),
        now,
        began: BEGAN,
        run: Some("20261128T130000-c5d397f3".to_owned()),
        interval_ms: (INTERVAL / MS) as u32,
        sample: Some(format!(
            "{number} of 8,210 addresses: every network, host, AZ and vnic_type at least once"
        )),
        totals: add_up(&all, now),
        groups,
        timeline: timeline(&all, now, 300),
        steps,
        baseline: (elapsed >= 30).then_some(Baseline {
            from: BEGAN,
            to: BEGAN + 30 * S,
            probes: u64::from(number) * 300,
            lost: 1,
            longest_gap: INTERVAL,
            noisy_targets: 1,
        }),
        budgets: budgets(&all, &breaches(&all, now), elapsed >= 30),
        breaches: breaches(&all, now),
        targets,
        remarks,
    }
}

fn outages(place: u32, now: u64) -> Vec<Outage> {
    let hit = FAULTS
        .iter()
        .filter(|(first, number, ..)| (*first..first + number).contains(&place));
    let mut outages = Vec::new();
    for (_, _, from, length) in hit {
        let (begin, end) = (BEGAN + from * MS, BEGAN + (from + length) * MS);
        if begin < now {
            outages.push(Outage {
                target: place,
                begin,
                end: (end <= now).then_some(end),
                up_before: Some(begin - INTERVAL),
                lost: ((end.min(now) - begin) / INTERVAL).max(1) as u32,
                partly_blind: false,
            });
        }
    }
    outages
}

fn length(outage: &Outage, now: u64) -> u64 {
    outage.end.unwrap_or(now) - outage.begin
}

fn target(place: u32, now: u64) -> TargetSummary {
    let outages = outages(place, now);
    let network = ["a", "b", "c", "dmz"][(place / 8) as usize % 4];
    let groups = [
        ("network", format!("net-{network}")),
        ("az", format!("az-{}", place / 8 % 3 + 1)),
        (
            "vnic_type",
            if place % 16 == 3 { "direct" } else { "normal" }.to_owned(),
        ),
    ];
    TargetSummary {
        target: place,
        name: format!("vm-{network}-{place:04}"),
        probed: format!("10.{}.{}.{} icmp", place / 8 % 4 + 1, place / 250, place % 250 + 4),
        groups: groups.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        out: outages.iter().any(|outage| outage.end.is_none()),
        set_aside: false,
        totals: Totals {
            targets: 1,
            out: u32::from(outages.iter().any(|outage| outage.end.is_none())),
            probes: (now - BEGAN) / INTERVAL,
            lost: outages.iter().map(|outage| u64::from(outage.lost)).sum(),
            outages: outages.len() as u32,
            longest_gap: outages.iter().map(|outage| length(outage, now)).max().unwrap_or(0),
            worst_total: outages.iter().map(|outage| length(outage, now)).sum(),
            latency: latency(place),
            ..Totals::default()
        },
        outages,
    }
}

fn latency(place: u32) -> Latency {
    let p50 = 300_000 + u64::from(place % 7) * 41_000;
    Latency {
        p50,
        p95: p50 * 2,
        p99: p50 * 4,
        max: p50 * 19,
    }
}

fn add_up(targets: &[&TargetSummary], now: u64) -> Totals {
    let mut totals = Totals {
        targets: targets.len() as u32,
        latency: latency(1),
        ..Totals::default()
    };
    for target in targets {
        totals.out += target.totals.out;
        totals.probes += target.totals.probes;
        totals.lost += target.totals.lost;
        totals.outages += target.totals.outages;
        totals.longest_gap = totals.longest_gap.max(target.totals.longest_gap);
        totals.worst_total = totals.worst_total.max(target.totals.worst_total);
    }
    totals.unsent = (now - BEGAN) / (100 * S);
    totals
}

fn timeline(targets: &[&TargetSummary], now: u64, buckets: u64) -> Vec<Bucket> {
    let width = ((now - BEGAN) / buckets).max(1);
    let outages: Vec<&Outage> = targets.iter().flat_map(|target| &target.outages).collect();
    let bucket = |from: u64| {
        let overlap = |o: &&Outage| o.end.unwrap_or(now).min(from + width).saturating_sub(o.begin.max(from));
        let hit: Vec<u64> = outages.iter().map(overlap).filter(|overlap| *overlap > 0).collect();
        let probes = targets.len() as u64 * width / INTERVAL;
        Bucket {
            from,
            probes,
            lost: hit
                .iter()
                .map(|overlap| (overlap / INTERVAL).max(1))
                .sum::<u64>()
                .min(probes),
            out: hit.len() as u32,
        }
    };
    (0..buckets).map(|place| bucket(BEGAN + place * width)).collect()
}

fn groups(targets: &[TargetSummary], now: u64) -> Vec<GroupSummary> {
    let mut by: BTreeMap<(&str, &str), Vec<&TargetSummary>> = BTreeMap::new();
    for target in targets {
        for (key, value) in &target.groups {
            by.entry((key, value)).or_default().push(target);
        }
    }
    let summary = |((key, value), members): (&(&str, &str), &Vec<&TargetSummary>)| GroupSummary {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
        totals: add_up(members, now),
        timeline: timeline(members, now, 120),
    };
    let mut groups: Vec<GroupSummary> = by.iter().map(summary).collect();
    groups.sort_by_key(|group| (group.key.clone(), std::cmp::Reverse(group.totals.lost)));
    groups
}

fn steps(targets: &[TargetSummary], now: u64) -> Vec<StepCost> {
    let begun = STEPS.iter().filter(|(_, _, begin, _)| BEGAN + begin * S <= now);
    let cost = |(phase, step, begin, end): &(&str, &str, u64, u64)| {
        let (begin, end) = (BEGAN + begin * S, BEGAN + end * S);
        let hits = targets
            .iter()
            .filter(|t| t.outages.iter().any(|o| o.begin < end && o.end.unwrap_or(now) > begin));
        let hits: Vec<&TargetSummary> = hits.collect();
        let inside = |o: &&Outage| o.begin < end && o.end.unwrap_or(now) > begin;
        let lost = hits
            .iter()
            .flat_map(|t| t.outages.iter().filter(inside))
            .map(|o| u64::from(o.lost))
            .sum();
        StepCost {
            mark: StepMark {
                step: (*step).to_owned(),
                phase: (*phase).to_owned(),
                begin,
                end: (end <= now).then_some(end),
            },
            lost,
            targets: hits.len() as u32,
            longest_gap: hits
                .iter()
                .flat_map(|t| t.outages.iter().filter(inside))
                .map(|o| length(o, now))
                .max()
                .unwrap_or(0),
            confidence: (lost > 0).then_some(if lost > 2 { sure() } else { noise() }),
        }
    };
    begun.map(cost).collect()
}

fn sure() -> Confidence {
    Confidence {
        origin: Origin::Burst,
        chance: 0.000_2,
    }
}

fn noise() -> Confidence {
    Confidence {
        origin: Origin::Noise,
        chance: 0.31,
    }
}

fn budgets(targets: &[&TargetSummary], breaches: &[Breach], judged: bool) -> Vec<BudgetUse> {
    let zero = BudgetUse {
        budget: Budget {
            name: "zero-loss".to_owned(),
            longest_gap_ms: Some(0),
            ..Budget::default()
        },
        targets: targets.len() as u32,
        longest_gap: targets
            .iter()
            .map(|target| target.totals.longest_gap)
            .max()
            .unwrap_or(0),
        worst_total: targets
            .iter()
            .map(|target| target.totals.worst_total)
            .max()
            .unwrap_or(0),
        most_out: 13.min(targets.len() as u32),
        breaches: breaches.iter().map(|breach| breach.number).collect(),
        judged,
        ..BudgetUse::default()
    };
    let patient = BudgetUse {
        budget: Budget {
            name: "patient".to_owned(),
            longest_gap_ms: Some(10_000),
            targets_out: Some(0.6),
            ..Budget::default()
        },
        breaches: Vec::new(),
        ..zero.clone()
    };
    vec![zero, patient]
}

fn breaches(targets: &[&TargetSummary], now: u64) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut add = |since: u64, first: u32, number: u32, step: &str, acknowledged: bool| {
        let since = BEGAN + since * MS;
        let hit = targets
            .iter()
            .filter(|target| (first..first + number).contains(&target.target));
        let longest = hit.map(|target| target.totals.longest_gap).max().unwrap_or(0) / MS;
        if since + S < now && targets.len() as u32 > first + number {
            breaches.push(Breach {
                number: breaches.len() as u32 + 1,
                budget: "zero-loss".to_owned(),
                says: format!("longest gap {longest} ms, 0 ms is tolerated"),
                since,
                found: since + S,
                targets: (first..first + number).collect(),
                steps: vec![step.to_owned()],
                confidence: sure(),
                on_breach: OnBreach::Pause,
                acknowledged,
            });
        }
    };
    let ovs = "release.compute-02.openvswitch-agent";
    add(331_400, 8, 13, ovs, now > BEGAN + 440 * S);
    let ovs = "release.compute-03.openvswitch-agent";
    add(445_000, 5, 1, ovs, false);
    breaches
}
