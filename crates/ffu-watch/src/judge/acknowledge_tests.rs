//! What an acknowledgement covers, and what it does not.

use proptest::prelude::*;

use super::tests::{MS, SECOND, budget, events, given};
use super::*;

/// Outages as targets and slots of a tenth of a second; what is judged when the operator acknowledges everything at an instant that
/// the watch knows of `lag` later.
fn acknowledged(judge: &mut Judge, outages: &[(u32, std::ops::Range<u64>)], at: Nanos, lag: Nanos) -> u32 {
    judge.pass(5 * SECOND, |_| true);
    let mut found = Vec::new();
    for (target, slots) in outages {
        events(*target, &slots.clone().collect::<Vec<_>>(), &mut found);
    }
    found.sort_unstable_by_key(|event| (event.at, event.kind, event.target));
    let known = found.partition_point(|event| event.at + lag < at);
    found[..known].iter().for_each(|event| judge.take(event));
    let told = judge.breaches(|_| Vec::new());
    for breach in &told {
        assert!(judge.acknowledge(breach.number, at));
    }
    assert_eq!(judge.verdict(), Verdict::Go);
    found[known..].iter().for_each(|event| judge.take(event));
    u32::try_from(told.len()).unwrap()
}

fn gap(name: &str, ms: u64) -> Budget {
    Budget {
        longest_gap_ms: Some(ms),
        ..budget(name)
    }
}

#[test]
fn an_outage_that_lasts_and_others_of_its_fault_do_not_hold_again() {
    let mut judge = Judge::new(&given(4, 5, vec![gap("gap", 300)]), 0);
    // Target 1 is away too when the operator types, and is not beyond its budget yet.
    let outages = [(0, 100..600), (1, 148..400), (2, 149..150)];
    assert_eq!(acknowledged(&mut judge, &outages, 15 * SECOND, 0), 1);
    let breaches = judge.breaches(|_| Vec::new());
    assert_eq!((breaches.len(), judge.verdict()), (1, Verdict::Go), "{breaches:?}");
    assert_eq!(
        breaches[0].targets,
        [0, 1],
        "it is told whose outage it was, and how long in the end"
    );
    assert_eq!(breaches[0].says, "longest gap 50.0 s, allowed 300 ms");
    assert!(breaches[0].acknowledged);
}

#[test]
fn what_begins_after_it_holds_and_so_does_what_began_when_the_fault_was_over() {
    let mut judge = Judge::new(&given(4, 5, vec![gap("gap", 300)]), 0);
    // Known late: target 1 began three seconds after target 0 was back, and just before the acknowledgement.
    acknowledged(&mut judge, &[(0, 100..110), (1, 140..200)], 15 * SECOND, 1500 * MS);
    let breaches = judge.breaches(|_| Vec::new());
    assert_eq!(breaches[1].targets, [1]);
    assert_eq!(judge.verdict(), Verdict::Hold);
    let mut judge = Judge::new(&given(4, 5, vec![gap("gap", 300)]), 0);
    acknowledged(&mut judge, &[(0, 100..600), (1, 151..200)], 15 * SECOND, 0);
    assert_eq!(judge.verdict(), Verdict::Hold);
    let mut judge = Judge::new(&given(4, 5, vec![gap("gap", 300)]), 0);
    acknowledged(&mut judge, &[(0, 100..160), (0, 300..310)], 15 * SECOND, 0);
    assert_eq!(
        judge.breaches(|_| Vec::new()).len(),
        2,
        "the same target, another outage"
    );
}

#[test]
fn others_in_the_place_of_those_that_came_back_hold() {
    let share = Budget {
        targets_out: Some(0.1),
        ..budget("share")
    };
    let mut judge = Judge::new(&given(10, 5, vec![share]), 0);
    // Five of ten are out and acknowledged; three come back, two stay: still too many. Then three others go.
    let mut outages: Vec<(u32, std::ops::Range<u64>)> = (0..3).map(|target| (target, 100..200)).collect();
    outages.extend((3..5).map(|target| (target, 100..600)));
    outages.extend((5..8).map(|target| (target, 300..400)));
    assert_eq!(acknowledged(&mut judge, &outages, 15 * SECOND, 0), 1);
    let breaches = judge.breaches(|_| Vec::new());
    assert_eq!(judge.verdict(), Verdict::Hold);
    assert_eq!(breaches.last().unwrap().targets, [5, 6, 7], "{breaches:?}");
}

#[test]
fn the_same_outage_beyond_another_limit_holds_and_says_so() {
    let total = Budget {
        total_loss_ms: Some(10_000),
        ..gap("voice", 300)
    };
    for budgets in [vec![gap("voice", 300), gap("rest", 10_000)], vec![total]] {
        let mut judge = Judge::new(&given(2, 5, budgets), 0);
        acknowledged(&mut judge, &[(0, 100..600)], 12 * SECOND, 0);
        let breaches = judge.breaches(|_| Vec::new());
        assert_eq!((breaches.len(), judge.verdict()), (2, Verdict::Hold), "{breaches:?}");
        assert!(
            breaches[1]
                .says
                .ends_with("the same outage as in breach 1, which was acknowledged before this limit was exceeded"),
            "{breaches:?}"
        );
    }
}

#[test]
fn a_total_is_counted_anew_after_the_outage_that_was_acknowledged() {
    let total = Budget {
        total_loss_ms: Some(1000),
        ..budget("total")
    };
    let mut judge = Judge::new(&given(1, 5, vec![total.clone()]), 0);
    acknowledged(&mut judge, &[(0, 100..600), (0, 700..709)], 15 * SECOND, 0);
    assert_eq!(judge.verdict(), Verdict::Go, "{:?}", judge.breaches(|_| Vec::new()));
    let used = &judge.budgets()[0];
    assert_eq!((used.worst_total, used.breaches.clone()), (50_900 * MS, vec![1]));
    let mut judge = Judge::new(&given(1, 5, vec![total]), 0);
    acknowledged(&mut judge, &[(0, 100..600), (0, 700..711)], 15 * SECOND, 0);
    assert_eq!(
        judge.breaches(|_| Vec::new())[1].says,
        "1100 ms of outages of one target, allowed 1000 ms"
    );
}

#[test]
fn more_targets_out_than_were_acknowledged_hold() {
    let share = Budget {
        targets_out: Some(0.1),
        ..budget("share")
    };
    let outages = |more: u32| {
        (0..3)
            .map(|target| (target, 100..600))
            .chain((3..3 + more).map(|target| (target, 300..310)))
    };
    let mut judge = Judge::new(&given(10, 5, vec![share.clone()]), 0);
    acknowledged(&mut judge, &outages(0).collect::<Vec<_>>(), 15 * SECOND, 0);
    assert_eq!(judge.verdict(), Verdict::Go);
    let mut judge = Judge::new(&given(10, 5, vec![share]), 0);
    acknowledged(&mut judge, &outages(1).collect::<Vec<_>>(), 15 * SECOND, 0);
    let breaches = judge.breaches(|_| Vec::new());
    assert_eq!((breaches[1].targets.clone(), judge.verdict()), (vec![3], Verdict::Hold));
}

#[test]
fn the_default_budget_is_one_limit_whatever_finds_it() {
    // Found as a crowd, and acknowledged before any of them is long.
    let outages: Vec<_> = (0..40).map(|target| (target, 100..400)).collect();
    let mut judge = Judge::new(&given(100, 5, Vec::new()), 0);
    acknowledged(&mut judge, &outages, 10 * SECOND + 150 * MS, 0);
    let breaches = judge.breaches(|_| Vec::new());
    assert_eq!((breaches.len(), judge.verdict()), (1, Verdict::Go), "{breaches:?}");
    // A restart in the same time is news.
    judge.take(&Event {
        at: 10 * SECOND + 149 * MS,
        kind: Kind::Restart,
        target: 3,
    });
    assert_eq!(judge.verdict(), Verdict::Hold);
}

#[test]
fn budgets_that_held_are_told_with_what_was_seen() {
    let share = Budget {
        targets_out: Some(0.5),
        longest_gap_ms: Some(2000),
        ..budget("patient")
    };
    let mut judge = Judge::new(&given(4, 5, vec![gap("gap", 300), share]), 0);
    assert!(judge.budgets().iter().all(|used| !used.judged));
    acknowledged(
        &mut judge,
        &[(0, 100..110), (1, 105..110), (1, 200..202)],
        60 * SECOND,
        0,
    );
    let told: Vec<_> = judge
        .budgets()
        .into_iter()
        .map(|used| {
            (
                used.longest_gap / MS,
                used.worst_total / MS,
                used.most_out,
                used.targets,
                used.breaches,
                used.judged,
            )
        })
        .collect();
    assert_eq!(
        told,
        [(1000, 1000, 2, 4, vec![1], true), (1000, 1000, 2, 4, vec![], true)]
    );
}

proptest! {
    /// Whatever goes on: outages that began while an acknowledged one lasted, before the acknowledgement, do not hold again; and one that
    /// begins after it and is too long does.
    #[test]
    fn an_acknowledgement_covers_its_time_and_no_other(
        begins in proptest::collection::vec((100_u64..150, 1_u64..300), 1..8),
        lag in 0_u64..1500,
        later in prop::option::of((151_u64..400, 4_u64..100)),
    ) {
        let mut outages: Vec<_> = (1..).zip(&begins).map(|(target, (from, length))| (target, *from..from + length)).collect();
        // The one that is told and lasts.
        outages.push((0, 100..500));
        if let Some((from, length)) = later {
            outages.push((20, from..from + length));
        }
        let mut judge = Judge::new(&given(30, 5, vec![gap("gap", 300)]), 0);
        prop_assert_eq!(acknowledged(&mut judge, &outages, 15 * SECOND, lag * MS), 1);
        let wanted = if later.is_some() { Verdict::Hold } else { Verdict::Go };
        let breaches = judge.breaches(|_| Vec::new());
        prop_assert_eq!(judge.verdict(), wanted, "{:?}", breaches);
        if later.is_some() {
            prop_assert_eq!(&breaches[1].targets, &vec![20]);
        }
    }
}
