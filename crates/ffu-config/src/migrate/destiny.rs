//! Where the value of one option, in one group of one set of files, goes to.

use ffu_catalog::options::Opt;
use ffu_catalog::rules::{Change, Rule};
use ffu_model::Series;

use super::side::{Inst, Origin, Side};
use crate::fate::{Branch, End, Lineage, Name};

/// Where it goes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destiny<'a> {
    /// The options of the target; several after a split.
    pub targets: Vec<Inst<'a>>,
    /// The rules that concern its values.
    pub values: Vec<&'a Rule>,
    /// Set where there is no target.
    pub end: Option<Ended<'a>>,
    /// What the target alone would make of its name, where that is something else.
    pub disagreement: Vec<Name>,
}

/// How an option ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended<'a> {
    /// The first series without it.
    pub since: Series,
    /// The first series of the path that announced it.
    pub announced: Option<Series>,
    /// The rule that says what happened.
    pub rule: Option<&'a Rule>,
    /// What it was called last.
    pub name: Name,
}

impl<'a> Ended<'a> {
    /// The rule, where the value goes on as a part of another option's.
    pub fn template(&self) -> Option<&'a Rule> {
        self.rule.filter(|rule| matches!(rule.change, Change::Template { .. }))
    }
}

/// Follows an option to the target.
pub(crate) fn destiny<'a>(lineage: &Lineage<'a>, inst: &Inst<'a>, after: &Side<'a>) -> Destiny<'a> {
    if let Origin::Plugin(_) = inst.origin {
        return of_plugin(lineage, inst, after);
    }
    let outcome = lineage.outcome(&inst.option.group, &inst.option.name);
    let mut destiny = Destiny::default();
    for branch in &outcome.successors {
        if let Some(target) = at_target(branch, inst, after) {
            if !destiny.targets.iter().any(|other| other.key() == target.key()) {
                destiny.targets.push(target);
            }
            add_rules(&mut destiny.values, branch);
        }
    }
    // An entry that is read under its own name goes on as it is; what else reads it there does so by itself.
    if destiny.targets.is_empty() {
        destiny.end = ended(lineage, &outcome.ended);
        if outcome.ended.iter().all(|branch| matches!(branch.end, End::Open)) {
            // The target knows the name all the same, as an old one of something.
            destiny.targets = outcome
                .disagreement
                .iter()
                .map(|option| in_group(option, inst))
                .collect();
        }
    }
    destiny.disagreement = outcome
        .disagreement
        .iter()
        .map(|option| Name::new(&option.group, &option.name))
        .collect();
    destiny
}

fn add_rules<'a>(rules: &mut Vec<&'a Rule>, branch: &Branch<'a>) {
    for (_, rule) in &branch.values {
        if !rules.iter().any(|other| std::ptr::eq(*other, *rule)) {
            rules.push(rule);
        }
    }
}

fn ended<'a>(lineage: &Lineage<'a>, branches: &[Branch<'a>]) -> Option<Ended<'a>> {
    let says = |branch: &&Branch<'a>| (matches!(branch.end, End::Rule(..)), branch.announced.is_some());
    let branch = branches.iter().max_by_key(says)?;
    let (since, rule) = match branch.end {
        End::Rule(at, rule) => (at, Some(rule)),
        End::Open => (branch.missing?, None),
    };
    Some(Ended {
        since: lineage.series(since).clone(),
        announced: branch.announced.map(|at| lineage.series(at).clone()),
        rule,
        name: branch.name(),
    })
}

/// The option of the target at the end of a branch; in a group that a value names, it stays in this group.
fn at_target<'a>(branch: &Branch<'a>, inst: &Inst<'a>, after: &Side<'a>) -> Option<Inst<'a>> {
    let (group, name) = branch.key();
    if inst.origin == Origin::Like {
        if let Some(there) = after.get(&inst.group, name) {
            return Some(there);
        }
        // The target has no such group (any more), or not with this option.
        if group == inst.option.group {
            return None;
        }
    }
    let option = after.set.get(group, name)?;
    Some(in_group(option, inst))
}

fn in_group<'a>(option: &'a Opt, inst: &Inst<'a>) -> Inst<'a> {
    let like = inst.origin == Origin::Like && option.group == inst.option.group;
    Inst {
        group: if like { inst.group.clone() } else { option.group.clone() },
        option,
        origin: if like { Origin::Like } else { Origin::Catalog },
    }
}

/// Plugins' options are asked for at the target only: keystoneauth has kept every name since 2.0.
fn of_plugin<'a>(lineage: &Lineage<'a>, inst: &Inst<'a>, after: &Side<'a>) -> Destiny<'a> {
    let meant = after.meanings(&inst.group, &inst.option.name);
    let best = meant.into_iter().min_by_key(|(_, rank)| *rank);
    match best {
        Some((target, _)) => Destiny {
            targets: vec![target],
            ..Destiny::default()
        },
        None => Destiny {
            end: Some(Ended {
                since: lineage.target().series().clone(),
                announced: None,
                rule: None,
                name: Name::new(&inst.group, &inst.option.name),
            }),
            ..Destiny::default()
        },
    }
}
