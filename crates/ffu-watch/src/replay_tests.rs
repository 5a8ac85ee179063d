use ffu_model::watch::{Fate, Notice, Outcome, StepMark, Target};
use proptest::prelude::*;

use super::*;

const MS: Nanos = 1_000_000;

fn targets(count: u32) -> Targets {
    let text: String = (0..count)
        .map(|n| {
            format!(
                "[[targets]]\nname = \"t{n}\"\naddress = \"10.0.0.{n}\"\ngroups = {{ az = \"{}\" }}\n",
                n % 2
            )
        })
        .collect();
    crate::targets::parse(
        &format!("timeout_ms = 500\n[budgets]\nbaseline_s = 6\n{text}"),
        "t.toml".into(),
    )
    .unwrap()
}

/// A watch of 20 seconds with outages, by the instant at which each thing is known.
fn entries(outages: &[(u32, u64, u64)], steps: &[(u64, u64)], delays: &[u64]) -> Vec<(Nanos, Entry)> {
    let mut all = Vec::new();
    for slot in 0..200_u64 {
        for target in 0..5_u32 {
            let lost = outages
                .iter()
                .any(|(of, from, length)| *of == target && (*from..from + length).contains(&slot));
            let outcome = if lost {
                Outcome::Lost
            } else {
                Outcome::Answered {
                    rtt: 1000,
                    blurred: false,
                }
            };
            let sent = (slot * 100 + 1000) * MS + u64::from(target);
            let known = sent
                + if lost {
                    500 * MS
                } else {
                    delays[(slot as usize * 5 + target as usize) % delays.len()] * MS
                };
            let fate = Fate {
                target,
                seq: slot as u32,
                sent,
                outcome,
            };
            all.push((known, Entry::Fate(fate)));
        }
    }
    for (number, (begin, length)) in steps.iter().enumerate() {
        let begin = (begin * 100 + 1000) * MS;
        let end = Some(begin + length * 100 * MS);
        let mark = StepMark {
            step: number.to_string(),
            phase: "hops".to_owned(),
            begin,
            end,
        };
        all.push((
            begin,
            Entry::Notice(Notice::Step(StepMark {
                end: None,
                ..mark.clone()
            })),
        ));
        all.push((begin + length * 100 * MS, Entry::Notice(Notice::Step(mark))));
    }
    all.sort_by_key(|(known, _)| *known);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_order_within_the_window_and_any_batches_give_the_same(
        outages in prop::collection::vec((0_u32..5, 0_u64..200, 1_u64..30), 0..8),
        steps in prop::collection::vec((0_u64..190, 1_u64..60), 0..6),
        delays in prop::collection::vec(0_u64..490, 1..40),
        batch in 1_u64..700,
        acknowledged in 5000_u64..22_000,
    ) {
        let end = 30_000 * MS;
        let entries = |delays: &[u64]| {
            let mut all = entries(&outages, &steps, delays);
            let place = all.partition_point(|(known, _)| *known < acknowledged * MS);
            all.insert(place, (acknowledged * MS, Entry::Notice(Notice::Acknowledged { number: 100, at: acknowledged * MS })));
            all
        };
        let at_once = {
            let entries = entries(&[0]).into_iter().map(|(_, entry)| entry);
            last_snapshot(&replay(targets(5), 1000 * MS, None, entries, Some(end)))
        };
        let mut live = Tally::new(targets(5), 1000 * MS, None);
        let mut next = 1000 * MS;
        for (known, entry) in entries(&delays) {
            while next < known {
                live.advance(next);
                next += batch * MS;
            }
            live.take(&entry);
        }
        live.advance(end);
        prop_assert_eq!(last_snapshot(&live), at_once);
    }
}

#[test]
fn the_wall_clock_of_the_record_is_used() {
    let clock = Entry::Notice(Notice::Clock {
        at: 5000 * MS,
        wall: 1_700_000_000_000_000_000,
    });
    let tally = replay(targets(1), 1000 * MS, Some("run".to_owned()), [clock], None);
    let seen = last_snapshot(&tally);
    assert_eq!(
        (seen.at.as_second(), seen.now, seen.run.as_deref()),
        (1_700_000_000, 5000 * MS, Some("run"))
    );
    let _: &Vec<Target> = &tally.targets().targets;
}
