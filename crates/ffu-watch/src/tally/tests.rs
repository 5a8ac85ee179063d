use ffu_model::watch::{Budget, Budgets, OnBreach, Origin, StepMark, Target};
use jiff::Timestamp;

use super::*;

pub(crate) const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1000 * MS;
pub(crate) const BEGAN: Nanos = 1_000 * SECOND;

pub(crate) fn targets(count: usize) -> Targets {
    let target = |number: usize| Target {
        name: format!("t{number}"),
        address: [10, 0, (number / 250) as u8, (number % 250) as u8].into(),
        probe: Default::default(),
        vantage: Targets::HERE.to_owned(),
        interval_ms: None,
        workload: None,
        groups: [("network".to_owned(), format!("n{}", number % 4))].into(),
    };
    Targets {
        interval_ms: 100,
        timeout_ms: 1000,
        budgets: Budgets {
            baseline_s: 10,
            ..Budgets::default()
        },
        targets: (0..count).map(target).collect(),
        ..Targets::default()
    }
}

/// Fates of all targets, every 100 ms of some seconds, each at the instant at which it is known.
pub(crate) fn fates(count: u32, seconds: u64, is_lost: impl Fn(u32, u64) -> bool) -> Vec<(Nanos, Entry)> {
    let mut all = Vec::new();
    for slot in 0..seconds * 10 {
        for target in 0..count {
            let sent = BEGAN + slot * 100 * MS + u64::from(target) * 1000;
            let lost = is_lost(target, slot);
            let outcome = if lost {
                Outcome::Lost
            } else {
                Outcome::Answered {
                    rtt: 300_000,
                    blurred: false,
                }
            };
            let known = sent + if lost { SECOND } else { 300_000 };
            let seq = slot as u32;
            all.push((
                known,
                Entry::Fate(Fate {
                    target,
                    seq,
                    sent,
                    outcome,
                }),
            ));
        }
    }
    all.sort_by_key(|(known, _)| *known);
    all
}

pub(crate) fn step(name: &str, phase: &str, begin: u64, end: Option<u64>) -> Entry {
    Entry::Notice(Notice::Step(StepMark {
        step: name.to_owned(),
        phase: phase.to_owned(),
        begin: BEGAN + begin * MS,
        end: end.map(|end| BEGAN + end * MS),
    }))
}

fn watched(targets: Targets, entries: Vec<(Nanos, Entry)>, seconds: u64) -> Tally {
    let mut tally = Tally::new(targets, BEGAN, None);
    entries.iter().for_each(|(_, entry)| tally.take(entry));
    tally.advance(BEGAN + seconds * SECOND);
    tally
}

fn shot(tally: &Tally) -> ffu_model::watch::Snapshot {
    tally.snapshot(Timestamp::UNIX_EPOCH, tally.clock())
}

#[test]
fn what_is_lost_before_a_stall_of_the_prober_is_told_after_it_and_counted() {
    let mut targets = targets(1);
    targets.interval_ms = 20;
    let fate = |slot: u64, outcome| {
        let (target, seq, sent) = (0, slot as u32, BEGAN + slot * 20 * MS);
        Entry::Fate(Fate {
            target,
            seq,
            sent,
            outcome,
        })
    };
    let answered = |slot| {
        fate(
            slot,
            Outcome::Answered {
                rtt: 300_000,
                blurred: false,
            },
        )
    };
    // Lost from 19.5 s on; the prober stands still from 20 s to 22 s, tells at once what it did not send, and then what was lost.
    let mut tally = Tally::new(targets, BEGAN, None);
    (0..975).for_each(|slot| tally.take(&answered(slot)));
    tally.take(&Entry::Notice(Notice::Stalled {
        vantage: Targets::HERE.to_owned(),
        from: BEGAN + 20_000 * MS,
        to: BEGAN + 22_000 * MS,
    }));
    (1000..1100).for_each(|slot| tally.take(&fate(slot, Outcome::Unsent)));
    (1100..1110).for_each(|slot| tally.take(&answered(slot)));
    tally.advance(BEGAN + 22_400 * MS);
    (975..1000).for_each(|slot| tally.take(&fate(slot, Outcome::Lost)));
    (1110..1400).for_each(|slot| tally.take(&answered(slot)));
    tally.advance(BEGAN + 30 * SECOND);
    let seen = shot(&tally);
    assert_eq!((seen.totals.lost, seen.totals.outages), (25, 1), "{:?}", seen.remarks);
    let outage = &seen.targets[0].outages[0];
    assert_eq!(
        (outage.begin, outage.end),
        (BEGAN + 19_500 * MS, Some(BEGAN + 22_000 * MS))
    );
    assert!(
        outage.partly_blind && seen.remarks.iter().all(|remark| !remark.contains("left out")),
        "{seen:?}"
    );
}

#[test]
fn targets_that_are_probed_seldom_are_not_set_aside_before_their_first_probe() {
    let mut targets = targets(2);
    targets.budgets.baseline_s = 1;
    targets.interval_ms = 10_000;
    let mut tally = Tally::new(targets, BEGAN, None);
    let fate = |seq, sent, outcome| {
        Entry::Fate(Fate {
            target: 0,
            seq,
            sent,
            outcome,
        })
    };
    tally.advance(BEGAN + 9 * SECOND);
    let outcome = Outcome::Answered {
        rtt: 300_000,
        blurred: false,
    };
    tally.take(&fate(0, BEGAN + 9 * SECOND, outcome));
    tally.take(&fate(1, BEGAN + 19 * SECOND, outcome));
    tally.advance(BEGAN + 30 * SECOND);
    let seen = shot(&tally);
    assert_eq!((seen.totals.targets, seen.totals.probes), (1, 2), "{:?}", seen.remarks);
    assert!(
        seen.remarks[0].contains("1 targets never answered"),
        "{:?}",
        seen.remarks
    );
}

#[test]
fn an_outage_is_charged_to_its_step_and_breaches_the_default_budget() {
    let mut entries = fates(20, 40, |target, slot| target < 4 && (200..207).contains(&slot));
    entries.insert(0, (0, step("quiet", "freeze", 15_000, Some(19_000))));
    entries.insert(1, (0, step("loud", "hops", 19_500, Some(20_350))));
    entries.insert(2, (0, step("other", "hops", 20_300, None)));
    let mut tally = watched(targets(20), entries, 50);
    let seen = shot(&tally);
    assert_eq!((seen.totals.lost, seen.totals.outages, seen.totals.out), (28, 4, 0));
    assert_eq!((seen.totals.longest_gap, seen.totals.worst_total), (700 * MS, 700 * MS));
    let costs: Vec<_> = seen
        .steps
        .iter()
        .map(|c| (c.mark.step.as_str(), c.lost, c.targets, c.longest_gap / MS))
        .collect();
    assert_eq!(costs, [("quiet", 0, 0, 0), ("loud", 16, 4, 700), ("other", 16, 4, 700)]);
    assert!(seen.steps[0].confidence.is_none());
    assert_eq!(seen.steps[1].confidence.unwrap().origin, Origin::Burst);
    let baseline = seen.baseline.clone().unwrap();
    assert_eq!(
        (baseline.probes, baseline.lost, baseline.to),
        (2000, 0, BEGAN + 10 * SECOND)
    );
    assert_eq!(seen.breaches.len(), 1, "{:?}", seen.breaches);
    let breach = &seen.breaches[0];
    assert_eq!(
        (breach.since, breach.targets.clone()),
        (BEGAN + 20 * SECOND, vec![0, 1, 2, 3])
    );
    assert_eq!(breach.steps, ["loud"]);
    assert_eq!(breach.confidence.origin, Origin::Burst);
    assert_eq!((tally.verdict(), tally.state(1, 2).breaches.len()), (Verdict::Hold, 1));
    let now = seen.now;
    assert!(tally.acknowledge(1, now) && !tally.acknowledge(2, now));
    assert_eq!((tally.verdict(), tally.state(1, 2).breaches.len()), (Verdict::Go, 0));
    // Worst first, groups and timeline.
    assert_eq!(
        seen.targets.iter().take(5).map(|t| t.target).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(seen.targets[0].outages[0].end, Some(BEGAN + 20_700 * MS));
    assert_eq!(
        seen.groups.iter().map(|g| g.totals.lost).collect::<Vec<_>>(),
        [7, 7, 7, 7]
    );
    assert_eq!(seen.timeline.iter().map(|b| b.out).max(), Some(4));
    assert_eq!(seen.timeline[20].lost, 28);
    assert_eq!(seen.groups[0].timeline[20].out, 1);
    assert!(
        (285_000..=300_000).contains(&seen.totals.latency.p50),
        "{:?}",
        seen.totals.latency
    );
}

#[test]
fn a_running_outage_is_found_while_it_lasts() {
    let mut given = targets(10);
    given.budgets.budget = vec![Budget {
        name: "half a second".to_owned(),
        longest_gap_ms: Some(500),
        on_breach: Some(ffu_model::watch::OnBreach::Stop),
        ..Budget::default()
    }];
    let mut tally = Tally::new(given, BEGAN, None);
    let mut found = None;
    for (known, entry) in fates(10, 60, |target, slot| target == 3 && slot >= 300) {
        tally.take(&entry);
        if tally.verdict() != Verdict::Go && found.is_none() {
            found = Some(known);
        }
    }
    // 500 ms are over with the sixth lost probe; its fate is known a second later, and half a second is for travelling.
    let found = found.unwrap() - BEGAN;
    assert!((31_500 * MS..=32_200 * MS).contains(&found), "{found}");
    assert_eq!(tally.verdict(), Verdict::Stop);
    let seen = shot(&tally);
    assert_eq!((seen.totals.out, seen.breaches.len()), (1, 1));
    assert_eq!(seen.breaches[0].found, BEGAN + 31_500 * MS + 3000);
    assert!(
        seen.breaches[0].says.starts_with("longest gap "),
        "{}",
        seen.breaches[0].says
    );
    assert!(seen.targets[0].out && seen.targets[0].outages[0].end.is_none());
}

#[test]
fn a_vantage_point_at_which_nothing_answers_holds_the_run_until_it_is_acknowledged() {
    let mut targets = targets(5);
    for far in &mut targets.targets[2..] {
        far.vantage = "rack".to_owned();
    }
    // Longer than the baseline takes it to know who never answers.
    targets.budgets.baseline_s = 1;
    // The one that pauses tells it.
    let budget = |name: &str, on_breach| Budget {
        name: name.to_owned(),
        on_breach: Some(on_breach),
        longest_gap_ms: Some(60_000),
        ..Budget::default()
    };
    targets.budgets.budget = vec![budget("notes", OnBreach::Continue), budget("holds", OnBreach::Pause)];
    // Of this host's targets one answers; of those at the rack none.
    let mut tally = watched(targets, fates(5, 30, |target, _| target > 0), 30);
    let seen = shot(&tally);
    assert_eq!(seen.breaches.len(), 1, "{:?}", seen.breaches);
    let breach = &seen.breaches[0];
    assert_eq!(breach.targets, [2, 3, 4]);
    assert_eq!(
        breach.says,
        "nothing answers at the vantage points of 3 targets, they are not measured: put that right and start anew, or acknowledge it"
    );
    assert_eq!((breach.since, breach.budget.as_str()), (BEGAN + SECOND, "holds"));
    assert_eq!(tally.verdict(), Verdict::Hold);
    assert!(tally.acknowledge(breach.number, BEGAN + 30 * SECOND));
    assert_eq!(tally.verdict(), Verdict::Go);
}

#[test]
fn a_target_that_never_answered_is_set_aside_and_counts_nowhere() {
    let entries = fates(8, 30, |target, slot| target == 2 || (target == 5 && slot < 20));
    let tally = watched(targets(8), entries, 40);
    let seen = shot(&tally);
    assert_eq!((seen.totals.targets, seen.totals.lost, seen.totals.outages), (7, 0, 0));
    let last = seen.targets.last().unwrap();
    assert!(last.set_aside && last.target == 2 && last.totals.lost == 300 && !last.out);
    assert_eq!(seen.remarks, ["1 targets never answered and are set aside: t2"]);
    assert!(seen.breaches.is_empty());
    // Told by the prober.
    let mut tally = Tally::new(targets(8), BEGAN, None);
    tally.take(&Entry::Notice(Notice::SetAside { target: 1 }));
    assert_eq!(shot(&tally).totals.targets, 7);
}

#[test]
fn an_early_freeze_makes_a_short_baseline_that_is_said() {
    let mut entries = fates(5, 20, |_, _| false);
    entries.insert(0, (0, step("stop", "freeze", 6_000, None)));
    let seen = shot(&watched(targets(5), entries, 30));
    assert_eq!(seen.baseline.unwrap().to, BEGAN + 6 * SECOND);
    assert_eq!(
        seen.remarks,
        ["the baseline is short: 6000 ms instead of 10.0 s, because the freeze began"]
    );
}

#[test]
fn restarts_streams_duplicates_and_reordering_are_counted() {
    let mut tally = watched(targets(4), fates(4, 20, |_, _| false), 20);
    let identity = |value: &str, at: u64| {
        Entry::Notice(Notice::Identity {
            target: 1,
            kind: "boot-id".to_owned(),
            value: value.to_owned(),
            at: BEGAN + at * SECOND,
            explained: None,
        })
    };
    let at = BEGAN + 23 * SECOND;
    for entry in [
        identity("a", 21),
        identity("a", 22),
        identity("gone", 23),
        // The same restart.
        identity("b", 24),
        // Another one, so quick that nobody saw it gone.
        identity("c", 26),
        Entry::Notice(Notice::Duplicate { target: 0, at }),
        Entry::Notice(Notice::Reordered { target: 0, at }),
        Entry::Notice(Notice::StreamBroke {
            target: 2,
            at,
            why: "reset".to_owned(),
        }),
        Entry::Notice(Notice::StreamBroke {
            target: 99,
            at,
            why: "reset".to_owned(),
        }),
        Entry::Fate(Fate {
            target: 99,
            seq: 0,
            sent: at,
            outcome: Outcome::Lost,
        }),
    ] {
        tally.take(&entry);
    }
    tally.advance(BEGAN + 40 * SECOND);
    let seen = shot(&tally);
    let totals = &seen.totals;
    assert_eq!(
        (
            totals.restarts,
            totals.broken_streams,
            totals.duplicates,
            totals.reordered
        ),
        (2, 1, 1, 1)
    );
    assert_eq!(seen.breaches.len(), 1, "one budget, one breach");
    assert_eq!(
        seen.breaches[0].says,
        "2 restarts of workloads, none is allowed; 1 broken streams, none broke in the baseline"
    );
    assert_eq!(
        seen.remarks,
        [
            "workload of t1: boot-id a → gone (seen after 23.0 s)",
            "workload of t1: boot-id b → c (seen after 26.0 s)",
            "2 entries name targets that the file does not have"
        ]
    );
}

#[test]
fn a_blind_vantage_point_neither_blocks_nor_loses() {
    let mut tally = Tally::new(targets(1), BEGAN, None);
    let gone = |seq: u32| (120..160).contains(&seq);
    for (_, entry) in fates(1, 30, |_, slot| slot == 118 || slot == 119) {
        if matches!(&entry, Entry::Fate(fate) if gone(fate.seq)) {
            continue;
        }
        tally.take(&entry);
    }
    let (from, to) = (BEGAN + 12 * SECOND, Some(BEGAN + 16 * SECOND));
    tally.take(&Entry::Notice(Notice::Blind {
        vantage: "here".to_owned(),
        from,
        to,
        why: "killed".to_owned(),
    }));
    tally.advance(BEGAN + 40 * SECOND);
    let seen = shot(&tally);
    assert_eq!((seen.totals.probes, seen.totals.lost), (260, 2));
    let outage = &seen.targets[0].outages[0];
    assert!(outage.partly_blind && outage.end == Some(BEGAN + 16 * SECOND));
    assert_eq!(seen.totals.longest_gap, 200 * MS, "blind time is not down");
    assert_eq!(
        seen.remarks,
        ["vantage point here was blind after 12.0 s for 4000 ms: killed"]
    );
}
