use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn lane(count: u32) -> Lane {
    Lane::new(
        100 * MS,
        1000 * MS,
        0,
        (0..count).map(|index| Member::new(index + 10, 5)).collect(),
    )
}

fn fates(out: &[Entry]) -> Vec<Fate> {
    out.iter()
        .filter_map(|entry| {
            if let Entry::Fate(fate) = entry {
                Some(*fate)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn probes_are_spread_evenly_over_the_interval() {
    let (mut lane, mut out) = (lane(4), Vec::new());
    let mut dues = Vec::new();
    while let Some(tick) = lane.take(130 * MS, &mut out) {
        dues.push((tick.due / MS, tick.place, tick.seq));
    }
    // Those of 0 ms to 75 ms are 55 ms late and more, or not too late.
    assert_eq!(dues, [(100, 0, 6), (125, 1, 6)]);
    assert_eq!(
        fates(&out)
            .iter()
            .map(|fate| (fate.target, fate.seq))
            .collect::<Vec<_>>(),
        [(10, 5), (11, 5), (12, 5), (13, 5)]
    );
    assert_eq!(lane.due(), 150 * MS);
}

#[test]
fn duplicates_reordering_and_late_answers_are_told_apart() {
    let (mut lane, mut out) = (lane(1), Vec::new());
    for at in [0, 100, 200] {
        let tick = lane.take(at * MS, &mut out).expect("due");
        lane.sent(tick.counter, at * MS);
    }
    let none = Trouble::default();
    let second = lane.counter(0, 6).expect("sent");
    lane.answer(second, 150 * MS, none, true, &mut out);
    lane.answer(second, 151 * MS, none, true, &mut out);
    lane.answer(lane.counter(0, 5).expect("sent"), 160 * MS, none, true, &mut out);
    assert_eq!(lane.counter(0, 8), None);
    assert_eq!(lane.newest(0), Some(2));
    lane.expire(1300 * MS, none, &mut out);
    assert_eq!(lane.counter(0, 7), None, "it is over");
    let answered = |seq, sent, rtt| {
        Entry::Fate(Fate {
            target: 10,
            seq,
            sent,
            outcome: Outcome::Answered { rtt, blurred: false },
        })
    };
    assert_eq!(
        out,
        [
            answered(6, 100 * MS, 50 * MS),
            Entry::Notice(Notice::Duplicate {
                target: 10,
                at: 151 * MS
            }),
            answered(5, 0, 160 * MS),
            Entry::Notice(Notice::Reordered {
                target: 10,
                at: 160 * MS
            }),
            Entry::Fate(Fate {
                target: 10,
                seq: 7,
                sent: 200 * MS,
                outcome: Outcome::Lost
            }),
        ]
    );
}

#[test]
fn a_probe_was_sent_before_its_answer_came() {
    let (mut lane, mut out) = (lane(1), Vec::new());
    let tick = lane.take(0, &mut out).expect("due");
    // What was taken down is 12 ms behind the truth, and its answer was there meanwhile.
    lane.sent(tick.counter, 12 * MS);
    lane.answer(tick.counter, MS / 2, Trouble::default(), true, &mut out);
    let outcome = Outcome::Answered {
        rtt: 1000,
        blurred: true,
    };
    assert_eq!(
        fates(&out),
        [Fate {
            target: 10,
            seq: 5,
            sent: MS / 2,
            outcome
        }]
    );
}

#[test]
fn an_own_stall_is_no_loss() {
    let (mut lane, mut out) = (lane(1), Vec::new());
    let mut pulse = Pulse::new(0);
    let tick = lane.take(0, &mut out).expect("due");
    lane.sent(tick.counter, 0);
    assert_eq!(pulse.pass(MS, lane.misses(MS)), None);
    // It wakes 1.5 s later; the answer was waiting.
    let now = 1501 * MS;
    assert_eq!(pulse.pass(now, lane.misses(now)), Some((MS, now)));
    lane.answer(0, now, pulse.trouble, true, &mut out);
    lane.expire(now, pulse.trouble, &mut out);
    while let Some(tick) = lane.take(now, &mut out) {
        lane.sent(tick.counter, now);
    }
    let fates = fates(&out);
    assert_eq!(
        fates[0].outcome,
        Outcome::Answered {
            rtt: now,
            blurred: true
        }
    );
    assert_eq!(fates.len(), 15);
    assert!(
        fates[1..].iter().all(|fate| fate.outcome == Outcome::Unsent),
        "{fates:?}"
    );
}

#[test]
fn one_stall_after_the_other_does_not_keep_what_is_lost() {
    let mut pulse = Pulse::new(0);
    let holds: Vec<(u64, u64)> = (1..40)
        .map(|turn| {
            let now = turn * 60 * MS;
            pulse.pass(now, false).expect("a stall");
            (now, pulse.trouble.hold)
        })
        .collect();
    assert_eq!(holds[0], (60 * MS, 120 * MS));
    let told: Vec<u64> = holds
        .iter()
        .filter(|(now, hold)| now >= hold)
        .map(|(now, _)| *now)
        .collect();
    assert_eq!(told, [1020 * MS, 2100 * MS], "about once a second");
}

#[test]
fn what_the_kernel_dropped_is_not_lost() {
    let (mut lane, mut out) = (lane(1), Vec::new());
    let mut pulse = Pulse::new(0);
    for at in [0, 100] {
        let tick = lane.take(at * MS, &mut out).expect("due");
        lane.sent(tick.counter, at * MS);
        if at == 0 {
            pulse.dropped(50 * MS);
        }
    }
    lane.expire(1101 * MS, pulse.trouble, &mut out);
    assert_eq!(
        fates(&out).iter().map(|fate| fate.outcome).collect::<Vec<_>>(),
        [Outcome::Unsent, Outcome::Lost]
    );
}

proptest! {
    /// Whatever happens, every probe of every target gets exactly one fate, its number without gaps.
    #[test]
    fn each_probe_has_one_fate(count in 1u32..6, actions in prop::collection::vec((0u8..6, 1u64..400, any::<prop::sample::Index>()), 1..200)) {
        let (mut lane, mut out, mut now) = (lane(count), Vec::new(), 0);
        let mut pulse = Pulse::new(0);
        let mut sent: Vec<Tick> = Vec::new();
        for (action, wait, which) in actions {
            now += wait * MS / 4;
            pulse.pass(now, lane.misses(now));
            if action == 5 { pulse.dropped(now) }
            lane.expire(now, pulse.trouble, &mut out);
            while let Some(tick) = lane.take(now, &mut out) {
                lane.sent(tick.counter, now);
                sent.push(tick);
            }
            if !sent.is_empty() {
                let tick = sent[which.index(sent.len())];
                let Some(counter) = lane.counter(tick.place, tick.seq) else { continue };
                prop_assert_eq!(counter, tick.counter);
                match action {
                    0..=2 => lane.answer(counter, now, pulse.trouble, true, &mut out),
                    3 => lane.lost(counter, &mut out),
                    _ => lane.unsent(counter, &mut out),
                }
            }
        }
        lane.close(&mut out);
        let mut seqs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for fate in fates(&out) {
            seqs.entry(fate.target).or_default().push(fate.seq);
        }
        for seqs in seqs.values_mut() {
            seqs.sort_unstable();
            prop_assert_eq!(&*seqs, &(5..5 + seqs.len() as u32).collect::<Vec<_>>());
        }
    }
}
