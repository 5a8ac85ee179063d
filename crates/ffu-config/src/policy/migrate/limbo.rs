//! Names of which the target has no use under any name: why, and what is to be said of them.

use std::collections::BTreeMap;

use super::Context;
use crate::finding::{Finding, Severity};
use crate::policy::engine::Enforcer;
use crate::policy::history::{Carried, Stage};

/// An override that no rule of the target takes over.
pub(super) struct Limbo {
    /// The remark over the comment that it becomes if nothing refers to it.
    pub remark: String,
    /// Whether no series knows it: an operator's own helper, a plugin's rule, or a slip. It stays.
    pub unknown: bool,
    /// What to say if nothing refers to it.
    pub finding: Option<Finding>,
}

/// Tells why.
pub(super) fn of(
    context: &Context<'_>,
    target: &Stage<'_>,
    before: &Enforcer<'_>,
    name: &str,
    carried: &Carried,
) -> Limbo {
    match carried.known {
        true => known(context, before, name, carried),
        false => not_known(context, target, name),
    }
}

fn not_known(context: &Context<'_>, target: &Stage<'_>, name: &str) -> Limbo {
    let history = context.request.history;
    let finding = |id, severity, message: &str| Finding::new(id, severity, name, message);
    let gone = history.gone_since(name, context.to);
    // An old name that the first series did not honour, because it is of an era that does not or has the new one, too.
    let mut followers: Vec<&str> = (context.from..=context.to)
        .flat_map(|at| history.successors(name, at))
        .map(|rule| rule.name.as_str())
        .collect();
    followers.sort_unstable();
    followers.dedup();
    if !followers.is_empty() && !target.rules.contains_key(name) {
        let list = followers.join(", ");
        let has_all = followers.iter().all(|new| context.file.contains_key(*new));
        let found = match has_all {
            true => finding(
                "policy-rule-superseded",
                Severity::RemovedWithoutEffect,
                &format!("is an old name of {list}, for which the files have lines of their own"),
            ),
            false => finding(
                "policy-rule-would-take-effect",
                Severity::Decide,
                &format!(
                    "is an old name of {list} and had no effect in {}; it is a comment now",
                    context.request.from
                ),
            )
            .remedy("write the override under the new names if it is wanted")
            .source("oslo_policy.policy.Enforcer.load_rules: old names count from Stein on"),
        };
        return Limbo {
            remark: format!("{name} was without effect; it is an old name of {list}"),
            unknown: false,
            finding: Some(found),
        };
    }
    let found = match gone {
        Some(series) => finding(
            "policy-rule-gone-before",
            Severity::RemovedWithoutEffect,
            "the service did not ask for it any more",
        )
        .since(series),
        None => finding(
            "policy-rule-unknown",
            Severity::Info,
            "no series of the service has this rule, and no other rule refers to it; it is kept",
        )
        .remedy("correct the name, or keep it if a plugin asks for it"),
    };
    let remark = match gone {
        Some(series) => format!("the service has no rule {name} since {series}"),
        None => format!("no series of the service has a rule {name}, and nothing here refers to it"),
    };
    Limbo {
        remark,
        unknown: gone.is_none(),
        finding: Some(found),
    }
}

fn known(context: &Context<'_>, before: &Enforcer<'_>, name: &str, carried: &Carried) -> Limbo {
    let history = context.request.history;
    let finding = |id, severity, message: String| Finding::new(id, severity, name, message);
    let gone = history.gone_since(name, context.to);
    if let Some(new) = carried.names.first() {
        let all: Vec<&str> = carried.names.iter().map(String::as_str).collect();
        let message = format!(
            "is {} now, for which the files have a line of their own",
            all.join(", ")
        );
        let points = context.file[name].as_rule() == Some(new) && !context.file.contains_key(new);
        let message = match points {
            true => format!("is {new} now, and this line only pointed there"),
            false => message,
        };
        let mut found = finding(
            "policy-rule-superseded",
            Severity::RemovedWithoutEffect,
            message.clone(),
        );
        found.since = carried.changed.clone();
        return Limbo {
            remark: format!("{name} {message}"),
            unknown: false,
            finding: Some(found),
        };
    }
    let at_default = {
        let nothing = BTreeMap::new();
        let defaults = Enforcer::new(&history.stages[context.from], context.request.before, &nothing);
        defaults.meaning(name).same(&before.meaning(name))
    };
    let since = gone.map(|series| format!(" since {series}")).unwrap_or_default();
    let remark = format!("the service has no rule {name}{since}");
    let mut found = match at_default {
        true => finding(
            "policy-rule-gone",
            Severity::RemovedWithoutEffect,
            "the rule is gone; it was at its default".into(),
        ),
        false => finding(
            "policy-rule-gone",
            Severity::LostUnlessYouAct,
            format!(
                "the rule is gone and none takes its place; the override was {:?}",
                context.file[name].to_string()
            ),
        )
        .remedy("find the rules that guard the same requests now (`ffu policy explain`), and override those"),
    };
    found.since = gone.cloned();
    found.source = "the service's registered rules, series by series".to_owned();
    Limbo {
        remark,
        unknown: false,
        finding: Some(found),
    }
}
