//! References from one rule to another whose name is gone: rewritten, written out, or kept alive in the file.

use std::collections::{BTreeSet, VecDeque};

use super::plan::Planner;
use crate::finding::{Finding, Severity};
use crate::policy::check;
use crate::policy::engine::{Enforcer, Meaning};

/// The deepest chain of references that is written out in place.
const DEEPEST: usize = 20;

/// What a reference to a name that is nowhere at the target turns into.
#[derive(Clone, Debug)]
pub(super) enum Turns {
    Into(String),
    Text(String),
    Stays,
}

impl Planner<'_, '_> {
    /// Rewrites references to names that are gone, until all rules that are written have been seen.
    pub(super) fn follow_references(&mut self, findings: &mut Vec<Finding>) {
        let mut queue: VecDeque<String> = self.plan.texts.keys().cloned().collect();
        // The default checks of the target may refer to a rule that only the files have.
        for rule in self.target.rules.values() {
            for (name, _) in check::parse(&rule.check).references {
                if self.limbo.contains_key(&name) && self.is_safe(&name) && !self.plan.rules.contains_key(&name) {
                    self.stay(&name, None);
                    self.limbo.remove(&name);
                    queue.push_back(name);
                }
            }
        }
        let mut done = BTreeSet::new();
        while let Some(name) = queue.pop_front() {
            if !done.insert(name.clone()) {
                continue;
            }
            let Some(text) = self.plan.texts.get(&name).cloned() else {
                continue;
            };
            let mut added = Vec::new();
            let new = self.rewritten(&name, &text, 0, &mut added, findings);
            queue.extend(added);
            if new != text {
                self.plan.rules.insert(name.clone(), check::parse(&new).check);
                self.plan.texts.insert(name, new);
            }
        }
    }

    fn rewritten(
        &mut self,
        rule: &str,
        text: &str,
        depth: usize,
        added: &mut Vec<String>,
        findings: &mut Vec<Finding>,
    ) -> String {
        let mut new = text.to_owned();
        for (name, range) in check::parse(text).references.into_iter().rev() {
            let there = self.plan.rules.contains_key(&name) || self.target.rules.contains_key(name.as_str());
            if there || depth > DEEPEST {
                continue;
            }
            let turns = match self.turns.get(&name) {
                Some(turns) => turns.clone(),
                None => {
                    let turns = self.turn(rule, &name, added, findings);
                    self.turns.insert(name.clone(), turns.clone());
                    turns
                }
            };
            match turns {
                Turns::Into(name) => new.replace_range(range, &name),
                Turns::Text(inner) => {
                    let inner = self.rewritten(rule, &inner, depth + 1, added, findings);
                    let whole = match inner.trim() {
                        "" => "@".to_owned(),
                        inner => format!("({inner})"),
                    };
                    new.replace_range(range.start - "rule:".len()..range.end, &whole);
                }
                Turns::Stays => {}
            }
        }
        new
    }

    /// What references to a name that is nowhere at the target turn into.
    fn turn(&mut self, rule: &str, name: &str, added: &mut Vec<String>, findings: &mut Vec<Finding>) -> Turns {
        let context = self.context;
        let since = context.request.history.gone_since(name, context.to);
        let since = since.map(|series| format!(" since {series}")).unwrap_or_default();
        let remark = format!("kept because other rules refer to it; the service has no rule {name}{since}");
        if context.file.contains_key(name) {
            let mine: Vec<&String> = self
                .claims
                .iter()
                .filter(|(_, old)| *old == name)
                .map(|(new, _)| new)
                .collect();
            let successor = |to: &&str| {
                self.carried
                    .get(name)
                    .is_some_and(|carried| carried.names.contains(*to))
            };
            let pointed = self.context.file[name].as_rule().filter(successor);
            if let [one] = mine.as_slice() {
                return Turns::Into((*one).clone());
            }
            if let Some(to) = pointed.filter(|_| mine.is_empty()) {
                return Turns::Into(to.to_owned());
            }
            if !self.is_safe(name) {
                return Turns::Text(self.sources[name].clone());
            }
            // An operator's own helper needs no remark: it is as it always was.
            let own = self.limbo.get(name).is_some_and(|limbo| limbo.unknown);
            self.stay(name, Some(remark).filter(|_| !own));
            if !own {
                let message =
                    "other rules refer to it, so it stays, though the service itself does not ask for it".to_owned();
                let finding = Finding::new("policy-rule-only-referred-to", Severity::Info, name, message);
                findings.push(context.at(finding, name));
            }
            self.limbo.remove(name);
            added.push(name.to_owned());
            return Turns::Stays;
        }
        let Some(check) = self.before.rule(name) else {
            let message =
                format!("refers to the rule {name}, which is nowhere and was nowhere before; such a check denies");
            let finding = Finding::new("policy-reference-to-nothing", Severity::Decide, rule, message);
            findings.push(context.at(finding.remedy("correct the name or add the rule"), rule));
            return Turns::Stays;
        };
        let history = context.request.history;
        let carried = history.carry(name, context.from, context.to, &context.file, context.request.before);
        if let Some(one) = carried.names.first().filter(|_| carried.names.len() == 1)
            && self.means_the_same(one, name)
        {
            return Turns::Into(one.clone());
        }
        let registered = history.stages[context.from].rules.get(name);
        let text = match registered {
            Some(registered) if check::parse(&registered.check).check == check => registered.check.clone(),
            _ => check.to_string(),
        };
        if !self.is_safe(name) {
            return Turns::Text(text);
        }
        let message = format!("is gone, but {rule} refers to it: its default was written into the file");
        let finding = Finding::new("policy-reference-kept", Severity::Moved, name, message);
        let finding = match history.gone_since(name, context.to) {
            Some(series) => finding.since(series),
            None => finding,
        };
        findings.push(context.at(finding, rule));
        self.plan.rules.insert(name.to_owned(), check);
        self.plan.texts.insert(name.to_owned(), text);
        self.plan.added.push((name.to_owned(), remark));
        added.push(name.to_owned());
        Turns::Stays
    }

    /// Whether a rule of the target, with the files, needs what an old one needed.
    fn means_the_same(&self, new: &str, old: &str) -> bool {
        let context = self.context;
        let mut file = self.plan.rules.clone();
        for name in context.request.history.stages[context.from].rules.keys() {
            let missing = !file.contains_key(*name) && !self.target.rules.contains_key(name);
            if missing
                && self.is_safe(name)
                && let Meaning::Known(check) = self.before.meaning(name)
            {
                file.insert((*name).to_owned(), check);
            }
        }
        let after = Enforcer::new(self.target, context.request.after, &file);
        after.meaning(new).same(&self.before.meaning(old))
    }
}
