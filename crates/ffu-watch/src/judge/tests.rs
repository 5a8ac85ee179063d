use ffu_model::watch::{Budgets, OnBreach, Origin};

use super::*;

pub(super) const MS: Nanos = 1_000_000;
pub(super) const SECOND: Nanos = 1000 * MS;
const INTERVAL: Nanos = 100 * MS;

/// SplitMix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, neither included.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// How many probes are answered before one is lost.
    fn until_lost(&mut self, p: f64) -> u64 {
        (self.share().ln() / (1.0 - p).ln()) as u64
    }
}

pub(super) fn given(count: u32, baseline_s: u32, budget: Vec<Budget>) -> Targets {
    let text: String = (0..count)
        .map(|n| {
            format!(
                "[[targets]]\nname = \"t{n}\"\naddress = \"10.0.{}.{}\"\ngroups = {{ az = \"{}\" }}\n",
                n / 250,
                n % 250,
                n % 2
            )
        })
        .collect();
    Targets {
        budgets: Budgets {
            baseline_s,
            budget,
            ..Budgets::default()
        },
        ..crate::targets::parse(&text, "t.toml".into()).unwrap()
    }
}

/// What the outage machines say of lost probes, given as slots of each target.
pub(super) fn events(target: u32, lost: &[u64], found: &mut Vec<Event>) {
    let at = |slot: u64| slot * INTERVAL + u64::from(target);
    for run in lost.chunk_by(|a, b| a + 1 == *b) {
        let begin = at(run[0]);
        for (nth, slot) in (1_u32..).zip(run) {
            let length = u64::from(nth) * INTERVAL;
            let kind = if nth == 1 {
                Kind::Begin { length }
            } else {
                Kind::Lost {
                    begin,
                    length,
                    lost: nth,
                }
            };
            found.push(Event {
                at: at(*slot),
                kind,
                target,
            });
        }
        let end = at(run[run.len() - 1] + 1);
        let kind = Kind::End {
            begin,
            length: end - begin,
        };
        found.push(Event { at: end, kind, target });
    }
}

/// Random loss, every probe by itself with probability `p`; after a lost one the next is lost with `again` besides.
fn noise(random: &mut Random, count: u32, slots: u64, p: f64, again: f64) -> Vec<Vec<u64>> {
    let one = |random: &mut Random| {
        let mut lost = Vec::new();
        let mut slot = random.until_lost(p);
        while slot < slots {
            lost.push(slot);
            slot += 1 + if random.share() < again {
                0
            } else {
                random.until_lost(p)
            };
        }
        lost
    };
    (0..count).map(|_| one(random)).collect()
}

fn judged(targets: &Targets, lost: &[Vec<u64>]) -> Judge {
    let mut found = Vec::new();
    (0..)
        .zip(lost)
        .for_each(|(target, lost)| events(target, lost, &mut found));
    found.sort_unstable_by_key(|event| (event.at, event.kind, event.target));
    let mut judge = Judge::new(targets, 0);
    for event in &found {
        judge.pass(event.at, |_| true);
        judge.take(event);
    }
    judge.pass(Nanos::MAX, |_| true);
    judge
}

/// Each test of the default budget (three windows, length, flapping) is made to fail in the mean 0.01 times an hour at the upper
/// bound of the baseline's rate, so a hundred hours may have a handful of false breaches at most; with these seeds there are none.
#[test]
fn noise_like_that_of_the_baseline_is_no_breach_for_a_hundred_hours() {
    let mut false_breaches = 0;
    for hour in 0..100 {
        let mut random = Random(hour);
        // From hardly any loss to 1 %, single probes and runs, baselines of 30 s.
        let p = [0.00002, 0.0002, 0.001, 0.01][hour as usize % 4];
        let again = [0.0, 0.0, 0.2][hour as usize % 3];
        let lost = noise(&mut random, 40, 36_000, p, again);
        let judge = judged(&given(40, 30, Vec::new()), &lost);
        let found = judge.breaches(|_| Vec::new());
        false_breaches += usize::from(!found.is_empty());
    }
    assert!(false_breaches <= 3, "{false_breaches} of 100 hours");
}

#[test]
fn a_burst_over_noise_is_found_and_called_a_burst() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut lost = noise(&mut random, 100, 6000, 0.001, 0.0);
        // 500 ms of 20 % of the targets, 5 minutes in.
        for of in &mut lost[..20] {
            of.extend(3000..3005);
            of.sort_unstable();
            of.dedup();
        }
        let judge = judged(&given(100, 30, Vec::new()), &lost);
        let found = judge.breaches(|_| vec!["step".to_owned()]);
        assert_eq!(found.len(), 1, "{found:?}");
        let breach = &found[0];
        // A target that lost a probe in the same second by chance is not told from those of the burst.
        assert!(
            (0..20).all(|target| breach.targets.contains(&target)) && breach.targets.len() < 26,
            "{breach:?}"
        );
        assert_eq!(breach.confidence.origin, Origin::Burst, "{breach:?}");
        assert!(
            (299 * SECOND..=300 * SECOND + 100).contains(&breach.since),
            "{breach:?}"
        );
        assert!(breach.found <= 301 * SECOND + 500 * MS);
    }
}

#[test]
fn a_step_with_the_noise_of_the_baseline_is_noise_and_one_with_a_burst_is_not() {
    let (mut wrong_noise, mut wrong_burst) = (0, 0);
    for seed in 0..200 {
        let mut random = Random(1000 + seed);
        let lost = noise(&mut random, 100, 900, 0.001, 0.0);
        let known = judged(&given(100, 30, Vec::new()), &lost);
        let noise_of = known.noise().unwrap();
        // A step of a minute after the baseline of 30 s, and one with 500 ms of 20 of the 100 targets in its midst.
        let runs = lost
            .iter()
            .flat_map(|lost| lost.chunk_by(|a, b| a + 1 == *b))
            .filter(|run| run[0] >= 300);
        let plain = runs.fold(Loss::default(), |sum, run| Loss {
            bursts: sum.bursts + 1,
            longer: sum.longer + u64::from(run.len() > 1),
            probes: sum.probes.max(run.len() as u64),
        });
        let burst = Loss {
            bursts: plain.bursts + 20,
            longer: plain.longer + 20,
            probes: plain.probes.max(5),
        };
        let [plain, burst] = [plain, burst].map(|loss| noise_of.confidence(loss, 60 * SECOND));
        wrong_noise += u32::from(plain.origin != Origin::Noise);
        wrong_burst += u32::from(burst.origin != Origin::Burst);
    }
    assert!(
        wrong_noise <= 2 && wrong_burst <= 2,
        "of 200: {wrong_noise} noise and {wrong_burst} bursts called otherwise"
    );
}

#[test]
fn a_baseline_that_is_too_short_does_not_know() {
    let judge = judged(&given(10, 1, Vec::new()), &[vec![], vec![]]);
    let confidence = judge.noise().unwrap().confidence(
        Loss {
            bursts: 3,
            longer: 1,
            probes: 2,
        },
        SECOND,
    );
    assert_eq!(confidence.origin, Origin::Unknown, "{confidence:?}");
    assert!((0.001..=1.0).contains(&confidence.chance));
}

#[test]
fn one_target_that_flaps_and_a_slow_rise_are_found() {
    // One of 200 targets loses every third probe, in a cloud with some noise.
    let mut random = Random(5);
    let mut lost = noise(&mut random, 200, 3000, 0.0005, 0.0);
    lost[7] = (600..3000).filter(|slot| slot % 3 == 0).collect();
    let found = judged(&given(200, 30, Vec::new()), &lost).breaches(|_| Vec::new());
    assert!(found.len() == 1 && found[0].targets.contains(&7), "{found:?}");
    // Everything loses ten times what it lost, never two probes in a row and never many at once.
    let mut lost = noise(&mut random, 200, 600, 0.0005, 0.0);
    for of in &mut lost {
        let more: Vec<u64> = noise(&mut random, 1, 3000, 0.005, 0.0).remove(0);
        of.extend(more.into_iter().filter(|slot| *slot >= 600));
    }
    let found = judged(&given(200, 30, Vec::new()), &lost).breaches(|_| Vec::new());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].says.contains("begun within"), "{}", found[0].says);
}

pub(super) fn budget(name: &str) -> Budget {
    Budget {
        name: name.to_owned(),
        ..Budget::default()
    }
}

#[test]
fn budgets_are_for_those_who_match_and_each_figure_is_judged() {
    let az = Budget {
        filter: [("az".to_owned(), "1".to_owned())].into(),
        longest_gap_ms: Some(300),
        ..budget("az 1")
    };
    let total = Budget {
        total_loss_ms: Some(500),
        on_breach: Some(OnBreach::Continue),
        ..budget("total")
    };
    let share = Budget {
        targets_out: Some(0.2),
        on_breach: Some(OnBreach::Stop),
        ..budget("share")
    };
    let targets = given(10, 5, vec![az, total, share]);
    // Target 0 (az 0) is out for 900 ms in parts, target 1 (az 1) for 300 ms, 3 and 5 join target 1.
    let mut lost = vec![Vec::new(); 10];
    lost[0] = vec![10, 11, 12, 13, 14, 15, 16, 100, 101, 102, 110, 111, 112];
    lost[1] = (200..203).collect();
    let judge = judged(&targets, &lost);
    let found = judge.breaches(|_| Vec::new());
    assert_eq!(
        found.iter().map(|b| b.budget.as_str()).collect::<Vec<_>>(),
        ["total"],
        "what the baseline lost does not count"
    );
    assert_eq!(judge.verdict(), Verdict::Go, "it is only written down");
    assert!(
        found[0]
            .says
            .starts_with("600 ms of outages of one target, allowed 500 ms"),
        "{}",
        found[0].says
    );
    for also in [3, 5] {
        lost[also] = (201..205).collect();
    }
    let judge = judged(&targets, &lost);
    let found = judge.breaches(|_| Vec::new());
    assert_eq!(
        found.iter().map(|b| b.budget.as_str()).collect::<Vec<_>>(),
        ["total", "share", "az 1"]
    );
    assert_eq!(found[1].targets, [3, 5, 1]);
    assert!(
        found[1]
            .says
            .starts_with("3 of 10 targets out at one time, allowed 20 %"),
        "{}",
        found[1].says
    );
    assert_eq!(found[2].targets, [3, 5]);
    assert_eq!(found[2].says, "longest gap 400 ms, allowed 300 ms");
    assert_eq!(judge.verdict(), Verdict::Stop);
}

#[test]
fn one_breach_grows_until_it_is_acknowledged_and_then_only_news_begin_another() {
    let gap = Budget {
        longest_gap_ms: Some(300),
        ..budget("gap")
    };
    let mut judge = Judge::new(&given(4, 5, vec![gap]), 0);
    judge.pass(5 * SECOND, |_| true);
    let mut found = Vec::new();
    (0..4).for_each(|target| {
        events(
            target,
            &(100..200).map(|n| n + u64::from(target) * 20).collect::<Vec<_>>(),
            &mut found,
        )
    });
    found.sort_unstable_by_key(|event| (event.at, event.kind, event.target));
    let (first, rest) = found.split_at(90);
    first.iter().for_each(|event| judge.take(event));
    let seen = judge.breaches(|_| Vec::new());
    assert_eq!(
        (seen.len(), seen[0].targets.len(), judge.verdict()),
        (1, 3, Verdict::Hold)
    );
    let now = first.last().unwrap().at + SECOND;
    assert!(judge.acknowledge(1, now));
    assert_eq!(judge.verdict(), Verdict::Go);
    // The outages that were told go on; the fourth target's is new.
    rest.iter().for_each(|event| judge.take(event));
    let seen = judge.breaches(|_| Vec::new());
    assert_eq!(
        seen.iter()
            .map(|b| (b.acknowledged, b.targets.clone()))
            .collect::<Vec<_>>(),
        [(true, vec![0, 1, 2]), (false, vec![3])]
    );
    assert_eq!(judge.verdict(), Verdict::Hold);
}

#[test]
fn a_flapping_cloud_makes_few_breaches() {
    for on_breach in [OnBreach::Continue, OnBreach::Pause] {
        let gap = Budget {
            longest_gap_ms: Some(100),
            on_breach: Some(on_breach),
            ..budget("gap")
        };
        // Every two minutes for a week something is out.
        let lost: Vec<u64> = (1..5000).flat_map(|n| [n * 1200, n * 1200 + 1]).collect();
        let judge = judged(&given(1, 5, vec![gap]), &[lost]);
        let count = judge.breaches(|_| Vec::new()).len();
        assert_eq!(count, if on_breach == OnBreach::Pause { 1 } else { 100 });
    }
}
