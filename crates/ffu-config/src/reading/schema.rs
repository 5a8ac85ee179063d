//! The options that are registered, under every spelling they answer to.

use std::collections::HashMap;

use ffu_catalog::options::Opt;

use crate::era::Era;

/// The options of a service in one series, with the groups that its values bring into being.
#[derive(Clone, Debug)]
pub struct Schema<'a> {
    era: Era,
    options: Vec<Registered<'a>>,
    /// Group, then name; a position in `options`.
    groups: HashMap<String, HashMap<&'a str, usize>>,
    /// What a reference by an old name finds: group, then name; a position in `options`.
    old: HashMap<String, HashMap<&'a str, usize>>,
}

#[derive(Clone, Debug)]
struct Registered<'a> {
    group: String,
    opt: &'a Opt,
}

/// What a name of a reference is.
pub(super) enum Found<'a> {
    /// An option.
    Option(&'a Opt),
    /// Nothing, and the reference stays in the text as it is: an old name that oslo.config finds, but whose new name it
    /// then looks for in the wrong group.
    Nothing,
    /// No such option.
    NoOption,
    /// No such group.
    NoGroup,
}

impl<'a> Schema<'a> {
    /// The options as they are in the catalog.
    pub fn new(options: impl IntoIterator<Item = &'a Opt>, era: Era) -> Self {
        let mut schema = Schema {
            era,
            options: Vec::new(),
            groups: HashMap::new(),
            old: HashMap::new(),
        };
        for opt in options {
            schema.register(&opt.group, opt);
        }
        schema
    }

    /// Adds a group that a value names, e.g. one of cinder's `enabled_backends`, with the options it may hold. Their own
    /// group is not looked at, and old names in that group become old names in the new one.
    pub fn add_group(&mut self, name: &str, options: impl IntoIterator<Item = &'a Opt>) {
        self.groups.entry(name.to_owned()).or_default();
        for opt in options {
            self.register(name, opt);
        }
    }

    /// The era by whose rules values are read.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Every option with the group it is in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a Opt)> {
        self.options.iter().map(|option| (option.group.as_str(), option.opt))
    }

    /// An option by its current group and name.
    pub fn get(&self, group: &str, name: &str) -> Option<&'a Opt> {
        let position = self.position(group, name)?;
        self.options.get(position).map(|option| option.opt)
    }

    /// Whether any option is in a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    fn register(&mut self, group: &str, opt: &'a Opt) {
        let position = self.options.len();
        if let Some(known) = self.position(group, &opt.name) {
            // oslo.config refuses this; the later one counts.
            if let Some(option) = self.options.get_mut(known) {
                option.opt = opt;
            }
            return;
        }
        self.options.push(Registered {
            group: group.to_owned(),
            opt,
        });
        let names = self.groups.entry(group.to_owned()).or_default();
        names.insert(&opt.name, position);
        for alias in &opt.aliases {
            // `_track_deprecated_opts` puts an old name without a group of its own under DEFAULT, whatever the option's.
            let group = if alias.group == opt.group {
                "DEFAULT"
            } else {
                &alias.group
            };
            let names = self.old.entry(group.to_owned()).or_default();
            if !alias.name.contains('-') {
                names.insert(&alias.name, position);
            }
        }
    }

    pub(super) fn position(&self, group: &str, name: &str) -> Option<usize> {
        self.groups.get(group)?.get(name).copied()
    }

    /// What a reference finds (`_get_opt_info`); `DEFAULT` stands for no group.
    pub(super) fn find(&self, group: &str, name: &str) -> Found<'a> {
        let empty = HashMap::new();
        let options = match self.groups.get(group) {
            Some(options) => options,
            None if group == "DEFAULT" => &empty,
            None => return Found::NoGroup,
        };
        let option = |position: usize| match self.options.get(position) {
            Some(option) => Found::Option(option.opt),
            None => Found::NoOption,
        };
        if let Some(position) = options.get(name) {
            return option(*position);
        }
        let old = self.old.get(group).and_then(|names| names.get(name));
        let Some(real) = old.and_then(|position| self.options.get(*position)) else {
            return Found::NoOption;
        };
        let real_name = real.opt.registered_name.as_deref().unwrap_or(&real.opt.name);
        let options = if real.group == "DEFAULT" {
            Some(options)
        } else {
            self.groups.get(&real.group)
        };
        match options.and_then(|options| options.get(real_name)) {
            Some(position) => option(*position),
            None => Found::Nothing,
        }
    }

    /// The spellings of an option when it is asked for in a group, in the order in which they are looked for.
    pub(super) fn names<'s>(&self, opt: &'s Opt, group: &'s str) -> impl Iterator<Item = (&'s str, &'s str)> {
        let old = opt.aliases.iter().map(move |alias| {
            let own = alias.group == opt.group;
            (if own { group } else { alias.group.as_str() }, alias.name.as_str())
        });
        [(group, opt.name.as_str())].into_iter().chain(old)
    }

    /// Every spelling of every option, groups as oslo.config compares them.
    pub(super) fn spellings(&self) -> impl Iterator<Item = (String, String)> {
        self.options.iter().flat_map(|option| {
            self.names(option.opt, &option.group)
                .map(|(group, name)| (self.era.group(group).into_owned(), name.to_owned()))
                .collect::<Vec<_>>()
        })
    }
}
