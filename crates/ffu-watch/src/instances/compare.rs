//! What became of an instance since it was seen last: pure.

use ffu_model::watch::{Nanos, Notice};

use super::Instance;
use crate::workload::GONE;

/// The power state of a guest that is up.
pub(crate) const RUNNING: &str = "running";
/// Whether it is there at all: `there` or [`GONE`].
pub(super) const INSTANCE: &str = "instance";
const POWER: &str = "power-state";
const LAUNCHED: &str = "launched-at";
const HOST: &str = "host";
const VM_STATE: &str = "vm-state";
const TASK: &str = "task";
const ASKED: &str = "asked";

/// What is to be noted of a target's instance: what differs from what is `known` of it. `found`: its row; `None` if no cell has it.
/// `reference`: what is seen is what later is compared with, and no change of it is a restart.
pub(super) fn notices<'a>(
    known: impl Fn(&str) -> Option<&'a str>,
    found: Option<&Instance>,
    reference: bool,
    target: u32,
    at: Nanos,
) -> Vec<Notice> {
    let values = match found {
        Some(row) if !row.is_gone => vec![
            (INSTANCE, "there".to_owned()),
            (POWER, row.power_state.clone()),
            (LAUNCHED, row.launched_at.clone()),
            (HOST, row.host.clone()),
            (VM_STATE, row.vm_state.clone()),
            (TASK, row.task.clone()),
            (ASKED, row.asked.to_string()),
        ],
        Some(row) => vec![(INSTANCE, GONE.to_owned()), (ASKED, row.asked.to_string())],
        // Never seen, so nothing can be missed; or purged since.
        None if known(INSTANCE).is_none() => Vec::new(),
        None => vec![(INSTANCE, GONE.to_owned())],
    };
    let why = |kind: &str| explained(&known, found, kind);
    let changed = values.into_iter().filter(|(kind, value)| known(kind) != Some(value));
    let notice = |(kind, value): (&str, String)| Notice::Identity {
        target,
        kind: kind.to_owned(),
        explained: if reference { Some(String::new()) } else { why(kind) },
        value,
        at,
    };
    changed.map(notice).collect()
}

/// Why a change of one of its properties is no restart; `None` if it is.
fn explained<'a>(known: &impl Fn(&str) -> Option<&'a str>, found: Option<&Instance>, kind: &str) -> Option<String> {
    if matches!(kind, TASK | ASKED) {
        return Some(String::new());
    }
    let asked = known(ASKED).and_then(|count| count.parse::<u64>().ok());
    if let (Some(row), Some(before)) = (found, asked)
        && row.asked > before
    {
        return Some(format!("a user asked nova for {:?}", row.last_asked));
    }
    if let Some(task) = known(TASK).filter(|task| !task.is_empty()) {
        return Some(format!("nova was at it before ({task})"));
    }
    if kind == POWER && found.is_some_and(|row| matches!(row.power_state.as_str(), "no state" | "unknown")) {
        return Some("nova does not know its power state".to_owned());
    }
    if kind == VM_STATE {
        return Some("that is what nova thinks of it, the guest may be up".to_owned());
    }
    let was_up = known(POWER).is_none_or(|power| power == RUNNING);
    (!was_up).then(|| "it was not running before".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn up() -> Instance {
        Instance {
            uuid: "u".to_owned(),
            power_state: RUNNING.to_owned(),
            launched_at: "2026-11-01 10:00:00".to_owned(),
            host: "cmp1".to_owned(),
            vm_state: "active".to_owned(),
            asked: 1,
            last_asked: "create".to_owned(),
            ..Instance::default()
        }
    }

    /// What is known once these are seen one after the other, the first before the freeze; and what was said of the last.
    fn seen(rows: &[Option<Instance>]) -> Vec<(String, String, Option<String>)> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let mut last = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let of = known.clone();
            let notices = notices(|kind| of.get(kind).map(String::as_str), row.as_ref(), number == 0, 0, 1);
            last.clear();
            for notice in notices {
                let Notice::Identity {
                    kind, value, explained, ..
                } = notice
                else {
                    continue;
                };
                // What is heard for the first time is no change (see `tally::identities`).
                if known.insert(kind.clone(), value.clone()).is_some() || number == 0 {
                    last.push((kind, value, explained));
                }
            }
        }
        last
    }

    fn restarts(rows: &[Option<Instance>]) -> Vec<String> {
        let of = seen(rows).into_iter().filter(|(_, _, explained)| explained.is_none());
        of.map(|(kind, value, _)| format!("{kind} {value}")).collect()
    }

    #[test]
    fn what_changes_by_itself_is_a_restart() {
        let with = |change: &dyn Fn(&mut Instance)| {
            let mut row = up();
            change(&mut row);
            Some(row)
        };
        let of = |row: Option<Instance>| restarts(&[Some(up()), row]);
        assert_eq!(of(with(&|_| {})), Vec::<String>::new());
        assert_eq!(
            of(with(&|row| row.power_state = "shutdown".into())),
            ["power-state shutdown"]
        );
        assert_eq!(of(with(&|row| row.host = "cmp2".into())), ["host cmp2"]);
        assert_eq!(of(with(&|row| row.launched_at = "later".into())), ["launched-at later"]);
        assert_eq!(of(with(&|row| row.is_gone = true)), ["instance gone"]);
        assert_eq!(of(None), ["instance gone"], "purged");
        assert_eq!(of(with(&|row| row.vm_state = "error".into())), Vec::<String>::new());
        let words = seen(&[Some(up()), with(&|row| row.vm_state = "error".into())]);
        assert!(
            words[0].2.as_ref().is_some_and(|why| why.contains("may be up")),
            "{words:?}"
        );
    }

    #[test]
    fn what_a_user_or_a_task_does_is_none_and_what_comes_then_is_one() {
        let stopped = Instance {
            power_state: "shutdown".to_owned(),
            asked: 2,
            last_asked: "stop".to_owned(),
            ..up()
        };
        let words = seen(&[Some(up()), Some(stopped.clone())]);
        let why = words
            .iter()
            .find(|(kind, ..)| kind == POWER)
            .and_then(|(.., why)| why.as_deref());
        assert_eq!(why, Some("a user asked nova for \"stop\""));
        let started = Instance {
            power_state: RUNNING.to_owned(),
            ..stopped.clone()
        };
        assert_eq!(
            restarts(&[Some(up()), Some(stopped.clone()), Some(started.clone())]),
            Vec::<String>::new()
        );
        let crashed = Instance {
            power_state: "crashed".to_owned(),
            ..started.clone()
        };
        assert_eq!(
            restarts(&[Some(up()), Some(stopped), Some(started), Some(crashed)]),
            ["power-state crashed"]
        );
        let resizing = Instance {
            task: "resize_migrating".to_owned(),
            ..up()
        };
        let moved = Instance {
            host: "cmp2".to_owned(),
            ..up()
        };
        assert_eq!(restarts(&[Some(resizing), Some(moved)]), Vec::<String>::new());
        assert_eq!(restarts(&[None, Some(up())]), Vec::<String>::new(), "never seen before");
    }

    proptest! {
        /// The first look is never a restart, nor is a second one that sees the same.
        #[test]
        fn looking_is_no_restart(power in "running|shutdown|", host in "[a-z]{0,3}", task in "[a-z]{0,3}", asked in 0_u64..3, is_gone: bool) {
            let row = Instance { power_state: power, host, task, asked, is_gone, ..up() };
            prop_assert_eq!(restarts(&[Some(row.clone())]), Vec::<String>::new());
            prop_assert_eq!(seen(&[Some(row.clone()), Some(row)]), Vec::new());
        }
    }
}
