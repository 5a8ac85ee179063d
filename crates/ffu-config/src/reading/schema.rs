//! The options that are registered, under every spelling they answer to.

use ffu_catalog::options::Opt;
use std::borrow::Cow;
use std::sync::Arc;

use foldhash::HashMap;

use crate::era::Era;

/// The options of a service in one series, with the groups that its values bring into being.
#[derive(Clone, Debug)]
pub struct Schema<'a> {
    era: Era,
    /// What the catalog has: the same for every set of files, so that it is made once.
    base: Arc<Layer<'a>>,
    /// What the values of one set of files add; it goes before the base. Its positions follow those of the base.
    own: Layer<'a>,
}

#[derive(Clone, Debug, Default)]
struct Layer<'a> {
    options: Vec<Registered<'a>>,
    /// Group, then name; a position.
    groups: HashMap<Cow<'a, str>, HashMap<&'a str, usize>>,
    /// What a reference by an old name finds: group, then name; a position.
    old: HashMap<&'a str, HashMap<&'a str, usize>>,
}

#[derive(Clone, Debug)]
struct Registered<'a> {
    group: Cow<'a, str>,
    opt: &'a Opt,
}

impl<'a> Layer<'a> {
    fn position(&self, group: &str, name: &str) -> Option<usize> {
        self.groups.get(group)?.get(name).copied()
    }

    fn register(&mut self, group: Cow<'a, str>, opt: &'a Opt, before: usize) {
        let position = before + self.options.len();
        if let Some(known) = self.position(&group, &opt.name) {
            // oslo.config refuses this; the later one counts.
            if let Some(option) = self.options.get_mut(known - before) {
                option.opt = opt;
            }
            return;
        }
        let names = self.groups.entry(group.clone()).or_default();
        names.insert(&opt.name, position);
        self.options.push(Registered { group, opt });
        for alias in &opt.aliases {
            // `_track_deprecated_opts` puts an old name without a group of its own under DEFAULT, whatever the option's.
            let group = if alias.group == opt.group {
                "DEFAULT"
            } else {
                &alias.group
            };
            let names = self.old.entry(group).or_default();
            if !alias.name.contains('-') {
                names.insert(&alias.name, position);
            }
        }
    }
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
        let options: Vec<&'a Opt> = options.into_iter().collect();
        let mut base = Layer::default();
        base.options.reserve(options.len());
        for group in options.chunk_by(|one, next| one.group == next.group) {
            if let Some(first) = group.first() {
                let names = base.groups.entry(Cow::Borrowed(&first.group)).or_default();
                names.reserve(group.len());
            }
            for opt in group {
                base.register(Cow::Borrowed(&opt.group), opt, 0);
            }
        }
        Schema {
            era,
            base: Arc::new(base),
            own: Layer::default(),
        }
    }

    /// Adds a group that a value names, e.g. one of cinder's `enabled_backends`, with the options it may hold. Their own
    /// group is not looked at, and old names in that group become old names in the new one.
    pub fn add_group(&mut self, name: &str, options: impl IntoIterator<Item = &'a Opt>) {
        self.own.groups.entry(Cow::Owned(name.to_owned())).or_default();
        for opt in options {
            self.own
                .register(Cow::Owned(name.to_owned()), opt, self.base.options.len());
        }
    }

    /// As it was before any group was added.
    pub(crate) fn bare(&self) -> Self {
        Schema {
            own: Layer::default(),
            ..self.clone()
        }
    }

    /// The era by whose rules values are read.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Every option with the group it is in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a Opt)> {
        let is_replaced = |one: &&Registered<'a>| self.own.position(&one.group, &one.opt.name).is_none();
        let base = self.base.options.iter().filter(is_replaced);
        base.chain(&self.own.options).map(|one| (&*one.group, one.opt))
    }

    /// An option by its current group and name.
    pub fn get(&self, group: &str, name: &str) -> Option<&'a Opt> {
        Some(self.at(self.position(group, name)?)?.opt)
    }

    /// Whether any option is in a group.
    pub fn has_group(&self, group: &str) -> bool {
        self.own.groups.contains_key(group) || self.base.groups.contains_key(group)
    }

    fn at(&self, position: usize) -> Option<&Registered<'a>> {
        match position.checked_sub(self.base.options.len()) {
            Some(own) => self.own.options.get(own),
            None => self.base.options.get(position),
        }
    }

    pub(super) fn position(&self, group: &str, name: &str) -> Option<usize> {
        self.own
            .position(group, name)
            .or_else(|| self.base.position(group, name))
    }

    /// What a reference finds (`_get_opt_info`); `DEFAULT` stands for no group.
    pub(super) fn find(&self, group: &str, name: &str) -> Found<'a> {
        if group != "DEFAULT" && !self.has_group(group) {
            return Found::NoGroup;
        }
        let option = |position: usize| match self.at(position) {
            Some(option) => Found::Option(option.opt),
            None => Found::NoOption,
        };
        if let Some(position) = self.position(group, name) {
            return option(position);
        }
        let old = |layer: &Layer<'a>| layer.old.get(group).and_then(|names| names.get(name)).copied();
        let Some(real) = old(&self.own).or_else(|| old(&self.base)).and_then(|at| self.at(at)) else {
            return Found::NoOption;
        };
        let real_name = real.opt.registered_name.as_deref().unwrap_or(&real.opt.name);
        let in_group = if real.group == "DEFAULT" { group } else { &real.group };
        match self.position(in_group, real_name) {
            Some(position) => option(position),
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
        self.iter().flat_map(|(group, opt)| {
            self.names(opt, group)
                .map(|(group, name)| (self.era.group(group).into_owned(), name.to_owned()))
                .collect::<Vec<_>>()
        })
    }
}
