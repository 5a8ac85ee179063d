//! What one series makes of a set of files: its options, with the groups that come into being because a value names them.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use ffu_catalog::options::{Opt, OptionSet};

use crate::era::Era;
use crate::ini::normalise_group;
use crate::reading::{FileSet, Reading, Schema};
use crate::values::Value;

/// A series with the groups that exist in a set of files.
pub(crate) struct Side<'a> {
    pub set: OptionSet<'a>,
    pub era: Era,
    /// The options of groups that the catalog does not have, and those that plugins add to groups, by group.
    pub added: BTreeMap<String, Vec<Added<'a>>>,
    /// The spellings of the added options: group and key.
    index: HashMap<(String, String), Vec<Spelled>>,
    pub schema: Schema<'a>,
    /// The groups that values name: group, to the pattern and the groups of the catalog that it is like.
    named: BTreeMap<String, (&'a str, &'a [String])>,
}

/// A spelling of an added option.
#[derive(Clone, Debug)]
struct Spelled {
    group: String,
    /// Its place in the group's list.
    at: usize,
    rank: usize,
}

/// An option that is valid in a group because of a value.
#[derive(Clone, Debug)]
pub(crate) struct Added<'a> {
    pub option: &'a Opt,
    pub origin: Origin,
}

/// Where an option of a group comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The catalog has the group.
    Catalog,
    /// The group is like one of the catalog.
    Like,
    /// A keystoneauth plugin of that name.
    Plugin(String),
}

/// An option in a group.
#[derive(Clone, Debug)]
pub(crate) struct Inst<'a> {
    pub group: String,
    pub option: &'a Opt,
    pub origin: Origin,
}

impl Inst<'_> {
    pub fn key(&self) -> (&str, &str) {
        (&self.group, &self.option.name)
    }
}

impl<'a> Side<'a> {
    /// What a series makes of files; `schema` has its options. `earlier` is what the series that they were written for makes
    /// of them: its groups are there too, though their naming option may have another name now.
    pub fn new(
        set: &OptionSet<'a>,
        schema: Schema<'a>,
        files: &FileSet,
        environment: &BTreeMap<String, String>,
        earlier: Option<&Side<'a>>,
    ) -> Side<'a> {
        let era = schema.era();
        let mut side = Side {
            set: set.clone(),
            era,
            added: BTreeMap::new(),
            index: HashMap::new(),
            schema,
            named: BTreeMap::new(),
        };
        side.add_named_groups(files, environment);
        side.add_plugins(files, environment);
        if let Some(earlier) = earlier {
            side.add_groups_of(earlier);
        }
        side
    }

    fn add_groups_of(&mut self, earlier: &Side<'a>) {
        for (group, (pattern, like)) in &earlier.named {
            let dynamic = self.set.dynamic_groups().find(|dynamic| dynamic.pattern == *pattern);
            let like = dynamic.map_or(*like, |dynamic| &dynamic.like);
            if !self.named.contains_key(group) {
                self.named.insert(group.clone(), (pattern, like));
                self.add(group, self.options_like(like), &Origin::Like);
            }
        }
        for (group, options) in &earlier.added {
            let plugin = options.iter().find_map(|one| match &one.origin {
                Origin::Plugin(name) => Some(name.clone()),
                _ => None,
            });
            if let Some(plugin) = plugin {
                self.add(group, self.set.auth_plugin(&plugin).collect(), &Origin::Plugin(plugin));
            }
        }
    }

    fn add_named_groups(&mut self, files: &FileSet, environment: &BTreeMap<String, String>) {
        let mut found: Vec<(String, (&'a str, &'a [String]))> = Vec::new();
        {
            let reading = Reading::new(&self.schema, files, environment);
            for dynamic in self.set.dynamic_groups() {
                let Some(effective) = reading.effective(&dynamic.group, &dynamic.option) else {
                    continue;
                };
                let Ok(value) = effective.value else { continue };
                for name in names_in(&value) {
                    let group = normalise_group(&dynamic.pattern.replace("{name}", &name)).into_owned();
                    if !found.iter().any(|(other, _)| *other == group) {
                        found.push((group, (&dynamic.pattern, &dynamic.like)));
                    }
                }
            }
        }
        for (group, (pattern, like)) in found {
            let options = self.options_like(like);
            self.named.insert(group.clone(), (pattern, like));
            self.add(&group, options, &Origin::Like);
        }
    }

    /// The options of several groups; of one name the first.
    fn options_like(&self, groups: &[String]) -> Vec<&'a Opt> {
        let mut options: Vec<&'a Opt> = Vec::new();
        let mut names = HashSet::new();
        for option in groups.iter().flat_map(|group| self.set.group(group)) {
            if names.insert(option.name.as_str()) {
                options.push(option);
            }
        }
        options
    }

    fn add_plugins(&mut self, files: &FileSet, environment: &BTreeMap<String, String>) {
        let mut found: Vec<(String, String)> = Vec::new();
        {
            let reading = Reading::new(&self.schema, files, environment);
            let text = |group: &str, name: &str| match reading.effective(group, name)?.value {
                Ok(Value::Text(text)) if !text.is_empty() => Some(text),
                _ => None,
            };
            let dynamic = self.added.keys().map(String::as_str);
            let groups: Vec<&str> = self.set.groups().chain(dynamic).collect();
            for group in groups {
                // keystoneauth reads the options of another section where `auth_section` names one.
                let owner = text(group, "auth_section").map(|section| normalise_group(&section).into_owned());
                let plugin = text(group, "auth_type").or_else(|| text(group, "auth_plugin"));
                if let Some(plugin) = plugin {
                    found.push((owner.unwrap_or_else(|| group.to_owned()), plugin));
                }
            }
        }
        for (group, plugin) in found {
            let options: Vec<&'a Opt> = self.set.auth_plugin(&plugin).collect();
            self.add(&group, options, &Origin::Plugin(plugin));
        }
    }

    fn add(&mut self, group: &str, options: Vec<&'a Opt>, origin: &Origin) {
        let mut fresh = Vec::new();
        let list = self.added.entry(group.to_owned()).or_default();
        let mut names: HashSet<&str> = list.iter().map(|other| other.option.name.as_str()).collect();
        for option in options {
            let taken = self.set.get(group, &option.name).is_some();
            if taken || !names.insert(&option.name) {
                continue;
            }
            for (rank, (in_group, key)) in spellings(group, option).into_iter().enumerate() {
                let spelled = Spelled {
                    group: group.to_owned(),
                    at: list.len(),
                    rank,
                };
                self.index.entry((in_group, key)).or_default().push(spelled);
            }
            list.push(Added {
                option,
                origin: origin.clone(),
            });
            fresh.push(option);
        }
        self.schema.add_group(group, fresh);
    }

    /// The options that a spelling sets, each with its rank: 0 for the current name, then the old names in the order in
    /// which oslo.config asks for them.
    pub fn meanings(&self, group: &str, key: &str) -> Vec<(Inst<'a>, usize)> {
        let mut meant: Vec<(Inst<'a>, usize)> = Vec::new();
        let inst = |option: &'a Opt| Inst {
            group: option.group.clone(),
            option,
            origin: Origin::Catalog,
        };
        if let Some(option) = self.set.get(group, key) {
            meant.push((inst(option), 0));
        }
        for option in self.set.by_alias(group, key) {
            let at = option
                .aliases
                .iter()
                .position(|old| old.group == group && old.name == key);
            if !meant.iter().any(|(other, _)| std::ptr::eq(other.option, *option)) {
                meant.push((inst(option), at.unwrap_or(0) + 1));
            }
        }
        let added = self.index.get(&(group.to_owned(), key.to_owned()));
        for spelled in added.into_iter().flatten() {
            let Some(one) = self.added.get(&spelled.group).and_then(|list| list.get(spelled.at)) else {
                continue;
            };
            meant.push((
                Inst {
                    group: spelled.group.clone(),
                    option: one.option,
                    origin: one.origin.clone(),
                },
                spelled.rank,
            ));
        }
        meant
    }

    /// The option of that group and current name.
    pub fn get(&self, group: &str, name: &str) -> Option<Inst<'a>> {
        self.meanings(group, name)
            .into_iter()
            .find(|(_, rank)| *rank == 0)
            .map(|(inst, _)| inst)
    }

    /// Whether anything is known of a group.
    pub fn knows_group(&self, group: &str) -> bool {
        !self.set.group(group).is_empty() || self.added.get(group).is_some_and(|list| !list.is_empty())
    }
}

/// The names under which oslo.config looks for an option in a group, in that order.
pub(crate) fn spellings(group: &str, option: &Opt) -> Vec<(String, String)> {
    let mut names = vec![(group.to_owned(), option.name.clone())];
    for old in &option.aliases {
        let in_group = if old.group == option.group { group } else { &old.group };
        names.push((in_group.to_owned(), old.name.clone()));
    }
    names
}

/// The names in the value of an option that names groups: `a`, `a:kind`, or the keys of a dict.
fn names_in(value: &Value) -> Vec<String> {
    match value {
        Value::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(bare)
            .collect(),
        Value::List(items) => items.iter().flat_map(names_in).collect(),
        Value::Dict(pairs) => pairs.iter().map(|(key, _)| key.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn bare(name: &str) -> String {
    name.split(':').next().unwrap_or(name).trim().to_owned()
}
