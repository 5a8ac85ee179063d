//! Decides for each override what becomes of it, and which references have to follow.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use super::limbo::{self, Limbo};
use super::references::Turns;
use crate::finding::{Finding, Severity};
use crate::policy::check::{self, Check};
use crate::policy::engine::Enforcer;
use crate::policy::history::{Carried, Stage};
use crate::policy::value::Value;

/// What becomes of the lines of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They stay, under a remark if there is one.
    Stays(Option<String>),
    /// They are written once for each name.
    Becomes(Vec<String>),
    /// They become a comment under a remark.
    Comment(String),
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// By the name in the files.
    pub fates: BTreeMap<String, Fate>,
    /// The check strings by the name at the target.
    pub texts: BTreeMap<String, String>,
    /// Rules that the files did not have, with a remark.
    pub added: Vec<(String, String)>,
    /// Remarks on names that are written beside the ones of the target.
    pub remarks: BTreeMap<String, String>,
    /// The rules of the files at the target.
    pub rules: BTreeMap<String, Check>,
}

pub(super) struct Planner<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    pub(super) before: Enforcer<'c>,
    pub(super) target: &'c Stage<'a>,
    pub(super) carried: BTreeMap<String, Carried>,
    /// The override that each name at the target gets.
    pub(super) claims: BTreeMap<String, String>,
    /// The check strings by the name in the files.
    pub(super) sources: BTreeMap<String, String>,
    /// Names that nothing at the target asks for, with what is to be said of each.
    pub(super) limbo: BTreeMap<String, Limbo>,
    pub(super) turns: BTreeMap<String, Turns>,
    pub(super) plan: Plan,
}

/// Makes the plan.
pub(super) fn make(context: &Context<'_>, findings: &mut Vec<Finding>) -> Plan {
    let request = &context.request;
    let history = request.history;
    let mut sources = BTreeMap::new();
    for (entry, check) in context.sources.iter().flat_map(super::Source::rules) {
        let text = match &entry.value {
            Value::Text(text) => text.clone(),
            _ => check.to_string(),
        };
        sources.insert(entry.name.clone(), text);
    }
    let carry = |name: &String| history.carry(name, context.from, context.to, &context.file, request.before);
    let mut planner = Planner {
        context,
        before: Enforcer::new(&history.stages[context.from], request.before, &context.file),
        target: &history.stages[context.to],
        carried: context.file.keys().map(|name| (name.clone(), carry(name))).collect(),
        claims: BTreeMap::new(),
        sources,
        limbo: BTreeMap::new(),
        turns: BTreeMap::new(),
        plan: Plan::default(),
    };
    planner.claim(findings);
    planner.settle(findings);
    planner.follow_references(findings);
    planner.bury(findings);
    planner.plan
}

impl Planner<'_, '_> {
    /// Gives each name at the target to one override: its own, or else the last one of the files.
    fn claim(&mut self, findings: &mut Vec<Finding>) {
        let mut order: Vec<&str> = Vec::new();
        for (entry, _) in self.context.sources.iter().flat_map(super::Source::rules) {
            order.retain(|name| *name != entry.name);
            order.push(&entry.name);
        }
        for name in order {
            let Some(carried) = self.carried.get(name) else {
                continue;
            };
            for new in &carried.names {
                let own = new != name && self.context.file.contains_key(new);
                let points = new != name && self.context.file.get(name).and_then(Check::as_rule) == Some(new);
                if own || points {
                    continue;
                }
                if let Some(other) = self.claims.insert(new.clone(), name.to_owned()) {
                    let message = format!("{other} and {name} are both {new} now; the later one, {name}, was taken");
                    let finding = Finding::new("policy-two-become-one", Severity::Decide, new, message);
                    let finding = finding.remedy(format!("check that {new} is what both should be"));
                    findings.push(self.context.at(finding, name));
                }
            }
            for new in &carried.only_direct {
                let message =
                    format!("{new} declares {name} as its predecessor, but the series between do not lead there");
                let finding = Finding::new("policy-paths-disagree", Severity::Decide, new, message);
                findings.push(
                    self.context
                        .at(finding.remedy("check that the override belongs there"), name),
                );
            }
        }
    }

    fn settle(&mut self, findings: &mut Vec<Finding>) {
        let context = self.context;
        for name in context.file.keys() {
            let Some(carried) = self.carried.get(name) else {
                continue;
            };
            let mine = |new: &&String| self.claims.get(*new).is_some_and(|owner| owner == name);
            let mut names: Vec<String> = carried.names.iter().filter(mine).cloned().collect();
            names.sort_by_key(|new| new != name);
            let finding = |id, severity, message: String| {
                let finding = Finding::new(id, severity, name, message);
                let finding = match &carried.changed {
                    Some(series) => finding.since(series),
                    None => finding,
                };
                context.at(finding, name)
            };
            if names.is_empty() {
                let limbo = limbo::of(context, self.target, &self.before, name, carried);
                self.limbo.insert(name.clone(), limbo);
                continue;
            }
            match names.as_slice() {
                [same] if same == name => {}
                [one] => findings.push(finding("policy-rule-renamed", Severity::Moved, format!("is {one} now"))),
                several => {
                    let message = format!("is split: the override holds for {}", several.join(", "));
                    findings.push(finding("policy-rule-split", Severity::Moved, message));
                }
            }
            for new in &names {
                self.plan.rules.insert(new.clone(), context.file[name].clone());
                self.plan.texts.insert(new.clone(), self.sources[name].clone());
            }
            let fate = match names.as_slice() {
                [same] if same == name => Fate::Stays(None),
                _ => Fate::Becomes(names),
            };
            self.plan.fates.insert(name.clone(), fate);
        }
        self.settle_unknown(findings);
    }

    /// Names that the first series did not know stay where they do no harm: silently if the target asks for them or another
    /// rule refers to them, else under a remark.
    fn settle_unknown(&mut self, findings: &mut Vec<Finding>) {
        let referred = self.referred_to();
        let unknown: Vec<String> = self
            .limbo
            .iter()
            .filter(|(_, limbo)| limbo.unknown)
            .map(|(n, _)| n.clone())
            .collect();
        for name in unknown {
            let Some(limbo) = self.limbo.remove(&name) else {
                continue;
            };
            let asked =
                self.target.rules.contains_key(name.as_str()) || name == self.context.request.after.default_rule;
            if asked || referred.contains(&name) {
                self.stay(&name, None);
                continue;
            }
            self.stay(&name, Some(limbo.remark));
            findings.extend(limbo.finding.map(|finding| self.context.at(finding, &name)));
        }
    }

    /// The names that rules which are not about to become comments refer to, at first or second hand.
    fn referred_to(&self) -> BTreeSet<String> {
        let stays = |name: &&String| self.limbo.get(*name).is_none_or(|limbo| limbo.unknown);
        let kept = self
            .sources
            .keys()
            .filter(stays)
            .filter_map(|name| self.sources.get(name));
        let defaults = self.target.rules.values().map(|rule| &rule.check);
        let mut open: Vec<&String> = kept.chain(defaults).collect();
        let mut referred = BTreeSet::new();
        while let Some(text) = open.pop() {
            for (name, _) in check::parse(text).references {
                if let Some(next) = self.sources.get(&name).filter(|_| !referred.contains(&name)) {
                    open.push(next);
                }
                referred.insert(name);
            }
        }
        referred
    }

    /// Whether a name can stand in the file without the target taking it for an override of a rule that follows it.
    pub(super) fn is_safe(&self, name: &str) -> bool {
        let history = self.context.request.history;
        history
            .successors(name, self.context.to)
            .all(|rule| self.plan.rules.contains_key(&rule.name))
    }

    pub(super) fn stay(&mut self, name: &str, remark: Option<String>) {
        self.plan.rules.insert(name.to_owned(), self.context.file[name].clone());
        self.plan.texts.insert(name.to_owned(), self.sources[name].clone());
        match (self.plan.fates.get_mut(name), remark) {
            (Some(Fate::Becomes(names)), remark) => {
                names.push(name.to_owned());
                self.plan.remarks.extend(remark.map(|remark| (name.to_owned(), remark)));
            }
            (_, remark) => {
                self.plan.fates.insert(name.to_owned(), Fate::Stays(remark));
            }
        }
    }

    /// What is still in limbo becomes a comment.
    fn bury(&mut self, findings: &mut Vec<Finding>) {
        for (name, limbo) in std::mem::take(&mut self.limbo) {
            self.plan.fates.insert(name.clone(), Fate::Comment(limbo.remark));
            findings.extend(limbo.finding.map(|finding| self.context.at(finding, &name)));
        }
    }
}
