//! One line of descent of an option, and the step from one series to the next.

use ffu_catalog::options::Opt;
use ffu_catalog::rules::{Change, Rule, split_name};

use super::{Name, Step};

/// A line of descent. Numbers are places in the path.
#[derive(Clone, Debug)]
pub(crate) struct Branch<'a> {
    key: (&'a str, &'a str),
    /// The changes of its name, each with where it happened.
    pub via: Vec<(usize, (&'a str, &'a str))>,
    /// The first place from which on it has been unknown.
    pub missing: Option<usize>,
    /// Where its removal was announced first.
    pub announced: Option<usize>,
    /// The rules that concern its values, with where they come in.
    pub values: Vec<(usize, &'a Rule)>,
    pub end: End<'a>,
}

/// Whether a branch has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    /// Not by a rule.
    Open,
    /// By a rule, and where.
    Rule(usize, &'a Rule),
}

impl<'a> Branch<'a> {
    pub fn start(option: &'a Opt) -> Self {
        Branch {
            key: (&option.group, &option.name),
            via: Vec::new(),
            missing: None,
            announced: option.removal.is_some().then_some(0),
            values: Vec::new(),
            end: End::Open,
        }
    }

    pub fn key(&self) -> (&'a str, &'a str) {
        self.key
    }

    pub fn name(&self) -> Name {
        Name::new(self.key.0, self.key.1)
    }

    pub fn is_alive(&self) -> bool {
        self.missing.is_none() && matches!(self.end, End::Open)
    }

    /// Whether its value is a part of another option's now.
    pub fn is_absorbed(&self) -> bool {
        matches!(self.end, End::Rule(_, rule) if absorbed_into(rule).is_some())
    }

    fn renamed(&self, at: usize, key: (&'a str, &'a str)) -> Self {
        let mut other = self.clone();
        if other.key != key {
            other.key = key;
            other.via.push((at, key));
        }
        other
    }

    fn found(mut self, at: usize, option: &'a Opt) -> Self {
        self = self.renamed(at, (&option.group, &option.name));
        self.missing = None;
        if option.removal.is_some() && self.announced.is_none() {
            self.announced = Some(at);
        }
        self
    }
}

/// The branches in the next series of the path, which is the one at `at`.
pub(crate) fn advance<'a>(branches: Vec<Branch<'a>>, at: usize, step: &Step<'a>) -> Vec<Branch<'a>> {
    let mut next: Vec<Branch<'a>> = Vec::with_capacity(branches.len());
    for branch in branches {
        if matches!(branch.end, End::Rule(..)) {
            next.push(branch);
            continue;
        }
        for ruled in by_rules(branch, at, &step.rules) {
            if matches!(ruled.end, End::Rule(..)) {
                add(&mut next, ruled);
            } else {
                by_catalog(ruled, at, step, &mut next);
            }
        }
    }
    next
}

fn by_rules<'a>(branch: Branch<'a>, at: usize, rules: &[&'a Rule]) -> Vec<Branch<'a>> {
    let mut branch = branch;
    for rule in rules {
        if !rule.matches(branch.key.0, branch.key.1) {
            continue;
        }
        match &rule.change {
            Change::Move { to, .. } => {
                if let Some(key) = split_name(to) {
                    branch = branch.renamed(at, key);
                }
            }
            Change::Split { to, .. } => {
                return to
                    .iter()
                    .filter_map(|to| split_name(to))
                    .map(|key| branch.renamed(at, key))
                    .collect();
            }
            Change::Template { .. }
            | Change::NeverEffective { .. }
            | Change::FeatureRemoved { .. }
            | Change::AnotherFile { .. } => {
                branch.end = End::Rule(at, rule);
                return vec![branch];
            }
            Change::Values { .. } | Change::Decide { .. } => branch.values.push((at, rule)),
        }
    }
    vec![branch]
}

fn by_catalog<'a>(branch: Branch<'a>, at: usize, step: &Step<'a>, next: &mut Vec<Branch<'a>>) {
    let (group, name) = branch.key;
    let same = step.set.get(group, name);
    let answering = step.set.by_alias(group, name);
    if same.is_none() && answering.is_empty() {
        let mut absent = branch;
        absent.missing = absent.missing.or(Some(at));
        add(next, absent);
        return;
    }
    for option in same.into_iter().chain(answering.iter().copied()) {
        add(next, branch.clone().found(at, option));
    }
}

fn add<'a>(branches: &mut Vec<Branch<'a>>, branch: Branch<'a>) {
    // Two lines that met go on as one, the one that changed its name less.
    let twin = branches
        .iter_mut()
        .find(|other| other.key == branch.key && other.is_alive() == branch.is_alive());
    match twin {
        Some(other) if branch.via.len() < other.via.len() => *other = branch,
        Some(_) => {}
        None => branches.push(branch),
    }
}

/// The option that holds the values of a template's options.
pub(crate) fn absorbed_into(rule: &Rule) -> Option<Name> {
    match &rule.change {
        Change::Template { to, .. } => split_name(to).map(|(group, name)| Name::new(group, name)),
        _ => None,
    }
}
