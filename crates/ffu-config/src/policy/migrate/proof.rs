//! The comparison of every rule of the target with the rule that did its work before. Nothing is believed of the plan: both
//! sides are worked out anew, from the files and from what is to be written.

use std::collections::BTreeMap;

use super::plan::Plan;
use super::{Context, Proof};
use crate::finding::{Finding, Severity};
use crate::policy::check::Check;
use crate::policy::engine::{Enforcer, Meaning};

const SOURCE: &str = "the service's registered rules, series by series";

/// Both sides of a rule.
struct Sides {
    before: Meaning,
    after: Meaning,
    /// The rule as it stands, without references written out, for people.
    shown_before: String,
    shown_after: String,
}

fn shown(check: Option<Check>) -> String {
    check.map_or_else(|| "nothing".to_owned(), |check| format!("{:?}", check.to_string()))
}

/// Compares all rules of the target; each that is different gets a finding.
pub(super) fn compare(context: &Context<'_>, plan: &Plan, findings: &mut Vec<Finding>) -> Proof {
    let request = &context.request;
    let history = request.history;
    let nothing = BTreeMap::new();
    let (first, last) = (&history.stages[context.from], &history.stages[context.to]);
    let before = Enforcer::new(first, request.before, &context.file);
    let after = Enforcer::new(last, request.after, &plan.rules);
    let defaults_before = Enforcer::new(first, request.before, &nothing);
    let defaults_after = Enforcer::new(last, request.after, &nothing);
    let mut proof = Proof {
        rules: last.rules.len(),
        ..Proof::default()
    };
    for name in last.rules.keys() {
        let overridden = plan.rules.contains_key(*name);
        let Some(origin) = history.origin(name, context.from, context.to) else {
            proof.new += 1;
            if overridden {
                let message = "the service did not ask for it before; the line in the file takes effect now".to_owned();
                let finding = Finding::new("policy-rule-takes-effect", Severity::Decide, *name, message);
                let finding = finding.remedy("keep it if it was written for the target, else take it out");
                findings.push(context.at(finding, name));
            }
            continue;
        };
        let sides = Sides {
            before: before.meaning(origin),
            after: after.meaning(name),
            shown_before: shown(before.rule(origin)),
            shown_after: shown(after.rule(name)),
        };
        let equal = sides.before.same(&sides.after);
        match equal {
            true => proof.equal += 1,
            false => {
                proof.named += 1;
                let was_overridden = context.file.contains_key(origin);
                let finding = difference(name, origin, &sides, overridden, was_overridden);
                let finding = match changed_in(context, name) {
                    Some(series) if !overridden => finding.since(series),
                    _ => finding,
                };
                findings.push(context.at(finding, origin));
            }
        }
        if overridden {
            let old = (defaults_before.meaning(origin), shown(defaults_before.rule(origin)));
            let new = (defaults_after.meaning(name), shown(defaults_after.rule(name)));
            if new.0.same(&sides.after) {
                let message = format!("the override is the same as the default of {}: {}", request.to, new.1);
                let finding = Finding::new("policy-override-redundant", Severity::Info, *name, message);
                findings.push(context.at(finding.remedy("it may be taken out").source(SOURCE), origin));
            } else if !old.0.same(&new.0) && first.in_code {
                let what = match old.0.same(&sides.after) {
                    true => "the override pins the old default",
                    false => "the default under the override changed",
                };
                let message = format!(
                    "{what}: it was {}, it is {}; the override is {}",
                    old.1, new.1, sides.shown_after
                );
                let finding = Finding::new(
                    "policy-default-changed-under-override",
                    Severity::Decide,
                    *name,
                    message,
                );
                let finding = finding.remedy("keep the override, or adapt it to the new default's roles and scopes");
                let finding = match changed_in(context, name) {
                    Some(series) => finding.since(series),
                    None => finding,
                };
                findings.push(context.at(finding.source(SOURCE), origin));
            }
        }
    }
    proof
}

/// The first series of the path in which the default check is another one than in the series before.
fn changed_in<'a>(context: &Context<'a>, name: &str) -> Option<&'a ffu_model::Series> {
    let stages = &context.request.history.stages[context.from..=context.to];
    let changed = stages.windows(2).find(|pair| {
        let [old, new] = pair else { return false };
        let text = |stage: &crate::policy::Stage<'_>| {
            let rule = stage.rules.get(name)?;
            Some((
                rule.check.clone(),
                rule.predecessor.as_ref().map(|old| old.check.clone()),
            ))
        };
        text(new).is_some() && text(old) != text(new)
    });
    changed.map(|pair| &pair[1].series)
}

fn difference(name: &str, origin: &str, sides: &Sides, overridden: bool, was_overridden: bool) -> Finding {
    let was = match origin == name {
        true => String::new(),
        false => format!(" (as {origin})"),
    };
    let (old, new) = (&sides.shown_before, &sides.shown_after);
    if sides.before == Meaning::TooComplex || sides.after == Meaning::TooComplex {
        let message = format!("is too complex to be compared: {old}{was} before, {new} now");
        return Finding::new("policy-not-compared", Severity::Decide, name, message).remedy("compare it by hand");
    }
    let text = match (old == new, &sides.before, &sides.after) {
        (true, Meaning::Known(before), Meaning::Known(after)) => {
            format!("rules that {new} refers to changed: in full it was {before}{was}, it is {after}")
        }
        _ => format!("was {old}{was}, is {new}"),
    };
    match (overridden, was_overridden) {
        (true, _) => Finding::new("policy-effect-changed", Severity::Decide, name, text)
            .remedy("adapt the override or the rules it refers to"),
        (false, true) => Finding::new("policy-override-lost", Severity::LostUnlessYouAct, name, text)
            .remedy(format!("write an override for {name}")),
        (false, false) => Finding::new("policy-default-changed", Severity::ChangedDefault, name, text)
            .remedy("give the roles to who needs them, or pin the old check with --pin-defaults")
            .source(SOURCE),
    }
}

/// Writes the rules whose defaults changed into the plan, with what they needed before.
pub(super) fn pin(context: &Context<'_>, plan: &mut Plan) {
    let request = &context.request;
    let history = request.history;
    let before = Enforcer::new(&history.stages[context.from], request.before, &context.file);
    // A pinned rule may change others that refer to it, so it is asked again until nothing is left.
    loop {
        let mut pinned = Vec::new();
        let last = &history.stages[context.to];
        let after = Enforcer::new(last, request.after, &plan.rules);
        for name in last.rules.keys().filter(|name| !plan.rules.contains_key(**name)) {
            let Some(origin) = history.origin(name, context.from, context.to) else {
                continue;
            };
            let Meaning::Known(meaning) = before.meaning(origin) else {
                continue;
            };
            if !after.meaning(name).same(&Meaning::Known(meaning.clone())) {
                pinned.push(((*name).to_owned(), meaning));
            }
        }
        if pinned.is_empty() {
            return;
        }
        for (name, meaning) in pinned {
            let remark = format!("{name} as it was in {}", request.from);
            plan.texts.insert(name.clone(), meaning.to_string());
            plan.rules.insert(name.clone(), meaning);
            plan.added.push((name, remark));
        }
    }
}
