use proptest::prelude::*;

use super::*;

const MS: Nanos = 1_000_000;

fn held(seq: u32, sent: Nanos, outcome: Outcome) -> Held {
    Held { seq, sent, outcome }
}

fn answered() -> Outcome {
    Outcome::Answered {
        rtt: 20_000,
        blurred: false,
    }
}

fn run(fates: &[(Nanos, Outcome)]) -> Track {
    let mut track = Track::new(100 * MS);
    for (seq, (sent, outcome)) in (0..).zip(fates) {
        track.see(7, held(seq, *sent, *outcome), false, 1000);
    }
    track
}

/// The same in the plainest way: look for the first answer, then for stretches of lost probes among those that were sent.
fn reference(fates: &[(Nanos, Outcome)]) -> Vec<Outage> {
    let first = fates
        .iter()
        .position(|(_, outcome)| matches!(outcome, Outcome::Answered { .. }))
        .unwrap_or(fates.len());
    let mut found: Vec<Outage> = Vec::new();
    for place in first..fates.len() {
        let (sent, outcome) = fates[place];
        if outcome != Outcome::Lost {
            continue;
        }
        let before = fates[..place]
            .iter()
            .rev()
            .find(|(_, outcome)| *outcome != Outcome::Unsent);
        let continues = before.is_some_and(|(_, outcome)| *outcome == Outcome::Lost);
        if continues {
            found.last_mut().unwrap().lost += 1;
            continue;
        }
        let is_up = |fate: &&(Nanos, Outcome)| matches!(fate.1, Outcome::Answered { .. });
        let end = fates[place..].iter().find(is_up).map(|fate| fate.0);
        let up_before = fates[..place].iter().rev().find(is_up).map(|fate| fate.0);
        let inside = fates
            .iter()
            .filter(|fate| Some(fate.0) > up_before && end.is_none_or(|end| fate.0 < end));
        // Unsent probes after the last lost one of an outage that lasts are not in it yet.
        let last_lost = fates
            .iter()
            .rev()
            .find(|fate| fate.1 == Outcome::Lost && end.is_none_or(|end| fate.0 < end))
            .unwrap()
            .0;
        let unsent = inside
            .filter(|fate| fate.1 == Outcome::Unsent && (end.is_some() || fate.0 < last_lost))
            .count();
        found.push(Outage {
            target: 7,
            begin: sent,
            end,
            up_before,
            lost: 1,
            partly_blind: unsent > 0,
        });
    }
    found
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![3 => Just(answered()), 2 => Just(Outcome::Lost), 1 => Just(Outcome::Unsent)]
}

proptest! {
    #[test]
    fn outages_are_those_of_the_reference(outcomes in prop::collection::vec(outcome(), 0..60), jitter in 0_u64..50) {
        let fates: Vec<(Nanos, Outcome)> =
            (1..).zip(outcomes).map(|(n, outcome)| (n * 100 * MS + (n * 7919 % 10) * jitter * MS / 10, outcome)).collect();
        let track = run(&fates);
        prop_assert_eq!(track.outages(7, |_, _| false), reference(&fates));
        let lost: u64 = reference(&fates).iter().map(|outage| u64::from(outage.lost)).sum();
        if track.first_answer.is_some() {
            prop_assert_eq!(track.lost, lost);
        }
        prop_assert!(track.longest() <= track.total());
    }
}

#[test]
fn time_that_was_not_probed_is_neither_up_nor_down() {
    let up = answered();
    let lost = Outcome::Lost;
    // One lost probe, ten minutes of nothing, then up again.
    let track = run(&[(100 * MS, up), (200 * MS, lost), (600_000 * MS, up)]);
    assert_eq!(track.longest(), 200 * MS - 100 * MS);
    let outage = &track.outages(0, |_, _| false)[0];
    assert!(outage.partly_blind && outage.end == Some(600_000 * MS));
    // Ten minutes of nothing before the first lost probe: it begins with that probe.
    let track = run(&[(100 * MS, up), (600_000 * MS, lost), (600_100 * MS, up)]);
    let outage = &track.outages(0, |_, _| false)[0];
    assert_eq!(
        (outage.begin, outage.up_before, outage.partly_blind),
        (600_000 * MS, Some(100 * MS), true)
    );
    assert_eq!(track.longest(), 100 * MS);
    // A late sender is not a lost packet.
    let track = run(&[
        (100 * MS, up),
        (1900 * MS, up),
        (2000 * MS, Outcome::Unsent),
        (2500 * MS, up),
    ]);
    assert_eq!((track.outages, track.longest(), track.unsent), (0, 0, 1));
}

#[test]
fn blindness_that_others_saw_marks_an_outage() {
    let track = run(&[
        (100 * MS, answered()),
        (200 * MS, Outcome::Lost),
        (300 * MS, answered()),
    ]);
    assert!(!track.outages(0, |_, _| false)[0].partly_blind);
    assert!(track.outages(0, |from, to| from == 100 * MS && to == 300 * MS)[0].partly_blind);
}

#[test]
fn only_the_latest_outages_are_kept_and_all_are_counted() {
    let mut track = Track::new(100 * MS);
    for n in 0..1000_u32 {
        let outcome = if n % 2 == 1 { Outcome::Lost } else { answered() };
        track.see(0, held(n, u64::from(n) * 100 * MS, outcome), false, 5);
    }
    assert_eq!((track.outages, track.outages(0, |_, _| false).len()), (500, 6));
    assert_eq!(track.total(), 500 * 100 * MS);
}
