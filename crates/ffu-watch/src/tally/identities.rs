//! Who workloads say they are, and what a change of it means.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ffu_model::watch::{Nanos, Target, Workload};

use crate::judge::span;
use crate::workload::{GONE, by_hand};

/// Kinds of identity that one target may have.
const KINDS: usize = 16;
/// Changes that are told one by one, the latest.
const TOLD: usize = 20;
/// Workloads that are told one by one.
const NAMED: usize = 10;
/// Characters of a value that are told.
const SHOWN: usize = 60;

/// A change that is worth a word.
#[derive(Clone, Debug)]
struct Change {
    target: u32,
    what: String,
    at: Nanos,
}

/// What is known of all workloads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identities {
    known: HashMap<u32, BTreeMap<String, String>>,
    /// When a target's last restart was seen: what is seen at the same instant is the same restart.
    restarted: HashMap<u32, Nanos>,
    changes: VecDeque<Change>,
    before: u64,
}

impl Identities {
    /// What was last heard of a target.
    pub(crate) fn of(&self, target: u32, kind: &str) -> Option<&str> {
        self.known.get(&target)?.get(kind).map(String::as_str)
    }

    /// Something is heard. `explained`: why a change is no restart, if it is none. True if the workload restarted.
    pub(crate) fn take(&mut self, target: u32, kind: &str, value: &str, at: Nanos, explained: Option<&str>) -> bool {
        let known = self.known.entry(target).or_default();
        let Some(before) = known.get_mut(kind) else {
            if known.len() < KINDS {
                known.insert(kind.to_owned(), value.to_owned());
            }
            return false;
        };
        if before == value {
            return false;
        }
        let before = std::mem::replace(before, value.to_owned());
        let what = format!("{kind} {} → {}", shown(&before), shown(value));
        match explained {
            Some("") => false,
            Some(why) => {
                self.tell(target, format!("{what}; no restart: {why}"), at);
                false
            }
            // One that is gone was counted then, whoever comes in its place.
            None if before == GONE => false,
            None => {
                self.tell(target, what, at);
                self.restarted.insert(target, at) != Some(at)
            }
        }
    }

    /// Workloads that never said who they are: a restart of them would not be seen. What databases say is told elsewhere.
    pub(crate) fn unread(&self, targets: &[Target]) -> Option<String> {
        let unread: Vec<(&str, &Workload)> = (0..)
            .zip(targets)
            .filter(|(target, _)| !self.known.contains_key(target))
            .filter_map(|(_, target)| Some((target.name.as_str(), target.workload.as_ref()?)))
            .filter(|(_, workload)| !matches!(workload, Workload::Instance { .. }))
            .collect();
        let (_, first) = unread.first()?;
        let names: Vec<&str> = unread.iter().take(NAMED).map(|(name, _)| *name).collect();
        let more = if unread.len() > NAMED { ", …" } else { "" };
        Some(format!(
            "{} workloads could not be read, a restart of them would not be seen: {}{more}; next: `{}` shows why",
            unread.len(),
            names.join(", "),
            by_hand(first)
        ))
    }

    fn tell(&mut self, target: u32, what: String, at: Nanos) {
        if self.changes.len() >= TOLD {
            self.changes.pop_front();
            self.before += 1;
        }
        self.changes.push_back(Change { target, what, at });
    }

    /// The changes, oldest first.
    pub(crate) fn words(&self, targets: &[Target], began: Nanos) -> Vec<String> {
        let mut words = Vec::new();
        if self.before > 0 {
            words.push(format!("{} changes of workloads before those told here", self.before));
        }
        words.extend(self.changes.iter().map(|change| {
            let name = targets.get(change.target as usize).map_or("?", |target| &target.name);
            let after = span(change.at.saturating_sub(began));
            format!("workload of {name}: {} (seen after {after})", change.what)
        }));
        words
    }
}

fn shown(value: &str) -> String {
    match value {
        "" => "none".to_owned(),
        _ => value.chars().take(SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_at_once_is_one_restart_and_what_is_explained_is_none() {
        let mut identities = Identities::default();
        for kind in ["host", "launched-at", "task"] {
            assert!(!identities.take(3, kind, "a", 1, None), "first seen");
        }
        assert!(identities.take(3, "host", "b", 5, None));
        assert!(!identities.take(3, "launched-at", "b", 5, None), "the same restart");
        assert!(!identities.take(3, "host", "c", 6, Some("asked for")));
        assert!(!identities.take(3, "task", "", 6, Some("")));
        assert!(identities.take(3, "host", "d", 7, None), "another one");
        assert_eq!((identities.of(3, "host"), identities.of(4, "host")), (Some("d"), None));
        let words = identities.words(&[], 0);
        assert_eq!(words.len(), 4, "{words:?}");
        assert_eq!(
            words[2],
            "workload of ?: host b → c; no restart: asked for (seen after 0 ms)"
        );
    }

    #[test]
    fn workloads_that_never_said_who_they_are_are_told_with_what_to_type() {
        let target = |name: String, workload: serde_json::Value| -> Target {
            serde_json::from_value(serde_json::json!({"name": name, "address": "192.0.2.1", "workload": workload}))
                .expect("a target")
        };
        let ssh = |name: usize| target(format!("t{name}"), serde_json::json!({"type": "ssh", "host": "db-1"}));
        let mut targets = vec![
            target("none".to_owned(), serde_json::Value::Null),
            target("nova".to_owned(), serde_json::json!({"type": "instance", "uuid": "u"})),
            ssh(2),
            ssh(3),
        ];
        let mut identities = Identities::default();
        identities.take(2, "boot-id", "a", 1, None);
        assert_eq!(
            identities.unread(&targets).as_deref(),
            Some(
                "1 workloads could not be read, a restart of them would not be seen: t3; next: \
                 `ssh -o BatchMode=yes db-1 cat /proc/sys/kernel/random/boot_id` shows why"
            )
        );
        identities.take(3, "boot-id", "a", 1, None);
        assert_eq!(identities.unread(&targets), None);
        targets.extend((4..1000).map(ssh));
        let words = identities.unread(&targets).expect("many");
        assert!(
            words.starts_with("996 workloads") && words.contains("t13, …") && words.len() < 400,
            "{words}"
        );
    }

    #[test]
    fn any_number_of_changes_is_few_words() {
        let mut identities = Identities::default();
        for at in 0..100_000 {
            let long = at.to_string().repeat(500);
            identities.take(1, "boot-id", &long, at, None);
            identities.take(1, &long, "x", at, None);
        }
        let words = identities.words(&[], 0);
        assert_eq!(words.len(), TOLD + 1);
        assert!(words.iter().all(|word| word.len() < 300), "{words:?}");
        assert_eq!(identities.known[&1].len(), KINDS);
    }
}
