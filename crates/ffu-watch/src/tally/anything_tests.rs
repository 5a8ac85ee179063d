use ffu_model::watch::{Budget, StepMark};
use jiff::Timestamp;
use proptest::prelude::*;

use super::tests::{BEGAN, MS, targets};
use super::*;

fn instant() -> impl Strategy<Value = Nanos> {
    prop_oneof![4 => (0_u64..60_000).prop_map(|ms| BEGAN + ms * MS), 1 => any::<u64>()]
}

fn anything() -> impl Strategy<Value = Entry> {
    let outcome = prop_oneof![
        any::<(u64, bool)>().prop_map(|(rtt, blurred)| Outcome::Answered { rtt, blurred }),
        Just(Outcome::Lost),
        Just(Outcome::Unsent),
    ];
    let seq = prop_oneof![4 => 0_u32..50, 1 => any::<u32>()];
    let fate = (0_u32..4, seq, instant(), outcome).prop_map(|(target, seq, sent, outcome)| {
        Entry::Fate(Fate {
            target,
            seq,
            sent,
            outcome,
        })
    });
    let here = || "here".to_owned();
    let notice =
        (0_u32..4, instant(), instant(), any::<i64>(), 0..9).prop_map(move |(target, at, other, wall, which)| {
            Entry::Notice(match which {
                0 => Notice::Stalled {
                    vantage: here(),
                    from: at,
                    to: other,
                },
                1 => Notice::Blind {
                    vantage: here(),
                    from: at,
                    to: Some(other),
                    why: here(),
                },
                2 => Notice::Blind {
                    vantage: here(),
                    from: at,
                    to: None,
                    why: here(),
                },
                3 => Notice::StreamBroke {
                    target,
                    at,
                    why: here(),
                },
                4 => Notice::Identity {
                    target,
                    kind: here(),
                    value: wall.to_string(),
                    at,
                    explained: (wall % 3 == 0).then(here),
                },
                5 => Notice::SetAside { target },
                6 => Notice::Clock { at, wall },
                _ => {
                    let phase = if which == 7 { "freeze" } else { "hops" };
                    let mark = StepMark {
                        step: target.to_string(),
                        phase: phase.to_owned(),
                        begin: at,
                        end: (wall > 0).then_some(other),
                    };
                    Notice::Step(mark)
                }
            })
        });
    prop_oneof![4 => fate, 1 => notice]
}

proptest! {
    #[test]
    fn nothing_that_is_said_panics(entries in prop::collection::vec(anything(), 0..200), now in instant()) {
        let mut given = targets(3);
        given.budgets.budget = vec![
            Budget { name: "a".to_owned(), total_loss_ms: Some(1), longest_gap_ms: Some(u64::MAX), ..Budget::default() },
            Budget { name: "b".to_owned(), targets_out: Some(0.0), ..Budget::default() },
        ];
        for given in [given, targets(3)] {
            let mut tally = Tally::new(given, BEGAN, None);
            entries.iter().for_each(|entry| tally.take(entry));
            tally.advance(now);
            let seen = tally.snapshot(Timestamp::UNIX_EPOCH, now);
            prop_assert!(seen.timeline.len() <= 600 && tally.state(1, now).breaches.len() <= seen.breaches.len());
            prop_assert_eq!(seen.targets.len(), 3);
        }
    }
}
