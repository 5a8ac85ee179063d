//! The options and the policy of one series, with the indexes that a reader of files needs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use ffu_model::Series;

use super::types::{AuthPlugin, DynamicGroup, Opt, PolicyRule, SeriesSet, ServiceOptions};

impl SeriesSet {
    /// Whether the nth series is in it.
    pub fn holds(self, position: usize) -> bool {
        u32::try_from(position).is_ok_and(|n| self.0.checked_shr(n).is_some_and(|bits| bits & 1 == 1))
    }

    /// The set of the nth series alone; empty from the 32nd on.
    pub fn only(position: usize) -> SeriesSet {
        SeriesSet(
            u32::try_from(position)
                .ok()
                .and_then(|n| 1u32.checked_shl(n))
                .unwrap_or(0),
        )
    }
}

impl ServiceOptions {
    /// The place of a series in [`ServiceOptions::series`]; `None` where there is no dump of it.
    pub fn position(&self, series: &Series) -> Option<usize> {
        self.series.iter().position(|one| one == series)
    }

    /// The series of a set, oldest first.
    pub fn series_of(&self, set: SeriesSet) -> impl Iterator<Item = &Series> {
        self.series
            .iter()
            .enumerate()
            .filter(move |(at, _)| set.holds(*at))
            .map(|(_, series)| series)
    }

    /// The options of a series; `None` where there is no dump of it.
    pub fn at<'a>(&'a self, series: &Series) -> Option<OptionSet<'a>> {
        let position = self.position(series)?;
        let mut index = Index::default();
        index.options.reserve(self.options.len());
        let held = |option: &&'a Opt| option.series.holds(position);
        index.options.extend(self.options.iter().filter(held));
        let order = |option: &&'a Opt| (option.group.as_str(), option.name.as_str());
        // In a catalog they are in order already.
        if !index.options.is_sorted_by_key(order) {
            index.options.sort_by_key(order);
        }
        let mut at = 0;
        for group in index.options.chunk_by(|one, next| one.group == next.group) {
            if let Some(first) = group.first() {
                index.groups.insert(&first.group, at..at + group.len());
            }
            at += group.len();
        }
        for option in &index.options {
            for old in &option.aliases {
                let names = index.aliases.entry(&old.group).or_default();
                names.entry(&old.name).or_default().push(option);
            }
        }
        Some(OptionSet {
            service: self,
            position,
            index: Arc::new(index),
        })
    }

    /// The policy of a series; `None` where there is no dump of it.
    pub fn policy_at(&self, series: &Series) -> Option<PolicySet<'_>> {
        let position = self.position(series)?;
        let mut set = PolicySet {
            rules: BTreeMap::new(),
            predecessors: HashMap::new(),
        };
        for rule in self.policy.iter().filter(|rule| rule.series.holds(position)) {
            set.rules.insert(&rule.name, rule);
            if let Some(old) = &rule.predecessor {
                set.predecessors.entry(&old.name).or_default().push(rule);
            }
        }
        Some(set)
    }
}

/// The options of one service in one series.
#[derive(Clone, Debug)]
pub struct OptionSet<'a> {
    service: &'a ServiceOptions,
    position: usize,
    index: Arc<Index<'a>>,
}

#[derive(Debug, Default)]
struct Index<'a> {
    // By group and name.
    options: Vec<&'a Opt>,
    // Where the options of a group are.
    groups: BTreeMap<&'a str, Range<usize>>,
    // Group, then name.
    aliases: HashMap<&'a str, HashMap<&'a str, Vec<&'a Opt>>>,
}

impl<'a> OptionSet<'a> {
    /// The whole catalog it is a part of.
    pub fn service(&self) -> &'a ServiceOptions {
        self.service
    }

    /// The series.
    pub fn series(&self) -> &'a Series {
        &self.service.series[self.position]
    }

    /// The version of the deliverable that was dumped.
    pub fn version(&self) -> Option<&'a str> {
        self.service.versions.get(self.series()).map(String::as_str)
    }

    /// The option of that group (lower case, or `DEFAULT`) and name (with underscores).
    pub fn get(&self, group: &str, name: &str) -> Option<&'a Opt> {
        let options = self.group(group);
        let at = options.binary_search_by(|option| option.name.as_str().cmp(name)).ok()?;
        options.get(at).copied()
    }

    /// The options that answer to an old spelling; several where one was split.
    pub fn by_alias(&self, group: &str, name: &str) -> &[&'a Opt] {
        let names = self.index.aliases.get(group);
        names.and_then(|names| names.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Its groups, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = &'a str> {
        self.index.groups.keys().copied()
    }

    /// The options of a group, in the order of their names; none where there is no such group.
    pub fn group(&self, group: &str) -> &[&'a Opt] {
        let range = self.index.groups.get(group);
        range
            .and_then(|range| self.index.options.get(range.clone()))
            .unwrap_or_default()
    }

    /// All options, by group and name.
    pub fn iter(&self) -> impl Iterator<Item = &'a Opt> {
        self.index.options.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.options.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.options.is_empty()
    }

    /// The kinds of groups whose names the operator chooses, in this series.
    pub fn dynamic_groups(&self) -> impl Iterator<Item = &'a DynamicGroup> {
        let (service, position) = (self.service, self.position);
        // A bound that was not dumped lies before the dumped series or after them; an unknown one is taken for open.
        let at = move |series: &Option<Series>| series.as_ref().and_then(|one| service.position(one));
        service.dynamic_groups.iter().filter(move |group| {
            at(&group.since).is_none_or(|since| since <= position)
                && at(&group.until).is_none_or(|until| position <= until)
        })
    }

    /// The options of a keystoneauth plugin, the value of `auth_type`, in this series.
    pub fn auth_plugin(&self, name: &str) -> impl Iterator<Item = &'a Opt> {
        let position = self.position;
        let plugin = self.service.auth_plugins.iter().find(|plugin| plugin.name == name);
        plugin
            .into_iter()
            .flat_map(|plugin: &'a AuthPlugin| &plugin.options)
            .filter(move |option| option.series.holds(position))
    }

    /// The names of the keystoneauth plugins that have options in this series.
    pub fn auth_plugins(&self) -> impl Iterator<Item = &'a str> {
        let position = self.position;
        let known = move |plugin: &&AuthPlugin| plugin.options.iter().any(|option| option.series.holds(position));
        self.service
            .auth_plugins
            .iter()
            .filter(known)
            .map(|plugin| plugin.name.as_str())
    }
}

/// The policy rules of one service in one series.
#[derive(Clone, Debug)]
pub struct PolicySet<'a> {
    rules: BTreeMap<&'a str, &'a PolicyRule>,
    predecessors: HashMap<&'a str, Vec<&'a PolicyRule>>,
}

impl<'a> PolicySet<'a> {
    /// The rule of that name.
    pub fn get(&self, name: &str) -> Option<&'a PolicyRule> {
        self.rules.get(name).copied()
    }

    /// The rules that replace or or themselves with the rule of that name; several where one was split.
    pub fn by_predecessor(&self, name: &str) -> &[&'a PolicyRule] {
        self.predecessors.get(name).map_or(&[], Vec::as_slice)
    }

    /// All rules, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'a PolicyRule> {
        self.rules.values().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::SeriesSet;

    #[test]
    fn a_set_has_thirty_two_places_and_asks_of_more_are_no() {
        let set = SeriesSet(1 << 31 | 1);
        assert!(set.holds(0) && set.holds(31) && !set.holds(1));
        assert!(!set.holds(32) && !set.holds(usize::MAX));
        assert_eq!(
            (SeriesSet::only(31), SeriesSet::only(32)),
            (SeriesSet(1 << 31), SeriesSet(0))
        );
    }
}
