//! A service's policy rules over the series, and where an override goes on the way from one to another.

use std::collections::{BTreeMap, BTreeSet};

use ffu_catalog::options::{PolicyRule, ServiceOptions};
use ffu_model::Series;

use super::check::Check;
use super::engine::{Enforcer, Settings};

/// The rules that a service registers in one series.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// The series.
    pub series: Series,
    /// The rules by name.
    pub rules: BTreeMap<&'a str, &'a PolicyRule>,
    /// Whether the defaults are in the code. Where they are not, the service ships a policy file, which the operator's
    /// replaces as a whole: a rule that is not in it is the default rule's.
    pub in_code: bool,
}

/// All series of a service, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History<'a> {
    /// The series.
    pub stages: Vec<Stage<'a>>,
}

/// Where an override ends up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The rules of the target that take its place; empty if there is none.
    pub names: BTreeSet<String>,
    /// Whether the service asked for the rule, or honoured the name, in the first series.
    pub known: bool,
    /// The first series in which it has another name, is split, or is gone.
    pub changed: Option<Series>,
    /// Rules that only the target itself declares as successors; the series between do not.
    pub only_direct: BTreeSet<String>,
}

impl<'a> History<'a> {
    /// The history of a service's catalog.
    pub fn of(service: &'a ServiceOptions) -> Self {
        let stage = |(position, series): (usize, &Series)| Stage {
            series: series.clone(),
            rules: service
                .policy
                .iter()
                .filter(|rule| rule.series.holds(position))
                .map(|rule| (rule.name.as_str(), rule))
                .collect(),
            in_code: !service.policy_files.contains(series),
        };
        History {
            stages: service.series.iter().enumerate().map(stage).collect(),
        }
    }

    /// The place of a series.
    pub fn position(&self, series: &Series) -> Option<usize> {
        self.stages.iter().position(|stage| stage.series == *series)
    }

    /// The first series after a place in which a rule is not registered any more, never to come back up to an end.
    pub fn gone_since(&self, name: &str, to: usize) -> Option<&Series> {
        let last = self.stages[..=to]
            .iter()
            .rposition(|stage| stage.rules.contains_key(name))?;
        self.stages[..=to].get(last + 1).map(|stage| &stage.series)
    }

    /// The first series that registers a rule.
    pub fn known_since(&self, name: &str) -> Option<&Series> {
        self.stages
            .iter()
            .find(|stage| stage.rules.contains_key(name))
            .map(|stage| &stage.series)
    }

    /// Follows an override of a file from one series to another: in the first by what its oslo.policy does with it, then
    /// through each series, then directly.
    pub fn carry(
        &self,
        name: &str,
        from: usize,
        to: usize,
        file: &BTreeMap<String, Check>,
        settings: &Settings,
    ) -> Carried {
        let first = &self.stages[from];
        let enforcer = Enforcer::new(first, settings, file);
        let mut live: BTreeSet<&str> = BTreeSet::new();
        let current = first.rules.keys().find(|known| **known == name);
        live.extend(current);
        live.extend(first.rules.keys().filter(|new| enforcer.honours(new, name)));
        let known = !live.is_empty();
        let mut changed = (known && current.is_none()).then(|| first.series.clone());
        for pair in self.stages[from..=to].windows(2) {
            let [before, stage] = pair else { continue };
            let mut next = BTreeSet::new();
            for name in &live {
                let split = stage.rules.values().filter(|rule| {
                    let follows = rule.predecessor.as_ref().is_some_and(|old| old.name == **name);
                    let was_there = |stage: &Stage<'_>| stage.rules.contains_key(rule.name.as_str());
                    follows && !was_there(before) && !was_there(first) && rule.name != **name
                });
                let split: Vec<&str> = split.map(|rule| rule.name.as_str()).collect();
                if !split.is_empty() || !stage.rules.contains_key(name) {
                    changed.get_or_insert_with(|| stage.series.clone());
                }
                // A name that is missing with nothing in its place may only be missing from one series' catalog.
                if split.is_empty() || stage.rules.contains_key(name) {
                    next.insert(*name);
                }
                next.extend(split);
            }
            live = next;
        }
        let target = &self.stages[to];
        live.retain(|name| target.rules.contains_key(name));
        let mut names: BTreeSet<String> = live.into_iter().map(str::to_owned).collect();
        let direct = target.rules.values().filter(|rule| {
            let follows = rule.predecessor.as_ref().is_some_and(|old| old.name == name);
            known && follows && rule.name != name && !first.rules.contains_key(rule.name.as_str())
        });
        let only_direct: BTreeSet<String> = direct
            .map(|rule| rule.name.clone())
            .filter(|direct| !names.contains(direct))
            .collect();
        names.extend(only_direct.iter().cloned());
        if names.len() == 1 && names.contains(name) {
            changed = None;
        }
        Carried {
            names,
            known,
            changed,
            only_direct,
        }
    }

    /// The rule of an earlier series that did a rule's work there; `None` for one that is new.
    pub fn origin(&self, name: &str, from: usize, to: usize) -> Option<&'a str> {
        let mut name = name;
        let mut at = to;
        loop {
            // The earliest series of the path in which the name stands without a break that matters.
            let first = self.stages[from..=at]
                .iter()
                .position(|stage| stage.rules.contains_key(name))
                .map(|n| n + from)?;
            if first == from {
                return self.stages[from].rules.get_key_value(name).map(|(name, _)| *name);
            }
            let old = self.stages[first..=to]
                .iter()
                .filter_map(|stage| stage.rules.get(name)?.predecessor.as_ref())
                .map(|old| old.name.as_str())
                .find(|old| *old != name)?;
            name = old;
            at = first - 1;
        }
    }

    /// Rules of a series that name another one as their predecessor.
    pub fn successors<'h>(&'h self, name: &'h str, at: usize) -> impl Iterator<Item = &'a PolicyRule> + 'h {
        let follows = move |rule: &&PolicyRule| rule.predecessor.as_ref().is_some_and(|old| old.name == name);
        self.stages[at]
            .rules
            .values()
            .copied()
            .filter(follows)
            .filter(move |rule| rule.name != name)
    }
}
