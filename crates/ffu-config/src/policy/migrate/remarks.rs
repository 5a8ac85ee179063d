//! What there is to say of the files and settings themselves, apart from single rules' fates.

use std::collections::BTreeMap;

use super::Context;
use crate::finding::{Finding, Severity};
use crate::policy::check::Check;
use crate::policy::engine::Engine;
use crate::policy::file::Entry;
use crate::policy::value::Value;

/// Values that do not mean what their writer thought, names that count twice, and files that are not read at all.
pub(super) fn on_files(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, source) in context.sources.iter().enumerate() {
        let name = source.input.name;
        for entry in &source.file.entries {
            on_entry(entry, name, &mut findings);
        }
        if n == 0 {
            on_name(context, name, source.file.json, &mut findings);
        }
    }
    findings
}

fn on_entry(entry: &Entry, file: &str, findings: &mut Vec<Finding>) {
    let mut say = |id: &str, severity, message: String, remedy: &str| {
        let finding = Finding::new(id, severity, &entry.name, message);
        findings.push(finding.at(Some(file), entry.line, entry.column).remedy(remedy));
    };
    if !entry.name_is_text {
        let message = "the name is no text in YAML, so no service finds the rule".to_owned();
        return say(
            "policy-name-is-no-text",
            Severity::Decide,
            message,
            "put the name in quotes",
        );
    }
    if !entry.counts {
        let message = "the name is there again further down, and only the last one counts".to_owned();
        say("policy-rule-twice", Severity::Decide, message, "take one of them out");
    }
    match (entry.value.read(), &entry.value) {
        (Err(error), _) => say(
            "policy-value-no-check",
            Severity::Decide,
            error.to_string(),
            "write the check as text in quotes",
        ),
        (Ok(parsed), value) => {
            for mistake in parsed.mistakes {
                let message = format!(
                    "the check cannot be read as meant: {}; oslo.policy only logs it",
                    mistake.what
                );
                say("policy-check-malformed", Severity::Decide, message, "correct the check");
            }
            if matches!(value, Value::Falsy(_)) {
                let message =
                    "the value is empty or false in YAML (an unquoted ! is, too), so everybody may".to_owned();
                let remedy = "write \"!\" in quotes to deny, \"@\" to admit everybody";
                say("policy-value-admits-everybody", Severity::Decide, message, remedy);
            }
        }
    }
}

/// Whether the services read the file before and after, by its name.
fn on_name(context: &Context<'_>, name: &str, json: bool, findings: &mut Vec<Finding>) {
    let (before, after) = (context.request.before, context.request.after);
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let base = last(name);
    let mut say = |id: &str, severity, message: String, remedy: String| {
        let mut finding = Finding::new(id, severity, "oslo_policy.policy_file", message).remedy(remedy);
        finding.file = Some(name.to_owned());
        finding.source = "oslo_policy.opts, oslo_policy.policy.pick_default_policy_file".to_owned();
        findings.push(finding);
    };
    let falls_back = |engine: Engine, set: bool| engine.falls_back_to_json && !set && base == "policy.json";
    let engine = |at: usize| Engine::of(&context.request.history.stages[at].series);
    let read_before = last(&before.policy_file) == base || falls_back(engine(context.from), before.policy_file_is_set);
    if !read_before && !base.is_empty() {
        let message = format!(
            "{} reads {}, not {base}: what is in this file was not in force",
            context.request.from, before.policy_file
        );
        let remedy = "check which file is in force, and migrate that one".to_owned();
        say("policy-file-was-not-read", Severity::Decide, message, remedy);
    }
    let suggested = super::write::suggested(name, json);
    let wanted = last(&suggested);
    if last(&after.policy_file) == wanted {
        if wanted != base && read_before {
            let message = format!("the file is {wanted} from now on: JSON became YAML");
            let remedy = format!("install it as {wanted} and take {base} away");
            say("policy-file-renamed", Severity::Moved, message, remedy);
        }
        return;
    }
    let (what, remedy) = match after.policy_file_is_set {
        true => (
            format!(
                "the configuration sets policy_file to {}, the migrated file would be {wanted}",
                after.policy_file
            ),
            format!("set [oslo_policy] policy_file = {wanted}, or install the file under the name that is set"),
        ),
        false => (
            format!(
                "{} reads {}; a file {wanted} is ignored without a word",
                context.request.to, after.policy_file
            ),
            format!(
                "install it as {}, or set [oslo_policy] policy_file = {wanted}",
                after.policy_file
            ),
        ),
    };
    say("policy-file-not-read", Severity::LostUnlessYouAct, what, remedy);
}

/// The two switches whose defaults became true.
pub(super) fn on_settings(context: &Context<'_>, rules: &BTreeMap<String, Check>, findings: &mut Vec<Finding>) {
    let (before, after) = (context.request.before, context.request.after);
    let target = &context.request.history.stages[context.to];
    if before.enforce_new_defaults != after.enforce_new_defaults && before.enforce_scope <= after.enforce_scope {
        let count = target.rules.values().filter(|rule| rule.predecessor.is_some()).count();
        let message = format!(
            "is {} now: the old default checks of {count} rules are {} or-ed to the new ones",
            after.enforce_new_defaults,
            if after.enforce_new_defaults { "no longer" } else { "" }
        );
        let finding = Finding::new(
            "policy-new-defaults",
            Severity::ChangedDefault,
            "oslo_policy.enforce_new_defaults",
            message.replace("are  or-ed", "are or-ed"),
        );
        let remedy = "give the roles reader, member, manager and admin to who needs them, or set it to false for now";
        findings.push(finding.remedy(remedy).source("oslo_policy.opts"));
    }
    if before.enforce_scope || !after.enforce_scope {
        return;
    }
    let narrow = target
        .rules
        .values()
        .filter(|rule| !rule.scopes.is_empty() && !rule.scopes.iter().any(|s| s == "project"));
    let narrow: Vec<&str> = narrow.map(|rule| rule.name.as_str()).collect();
    let message = format!(
        "is true now: a token of another scope than the rule's is refused; {} rules refuse tokens of a project",
        narrow.len()
    );
    let finding = Finding::new(
        "policy-scope-enforced",
        Severity::ChangedDefault,
        "oslo_policy.enforce_scope",
        message,
    );
    findings.push(
        finding
            .remedy("use tokens of the rule's scope")
            .source("oslo_policy.opts"),
    );
    for name in narrow.into_iter().filter(|name| rules.contains_key(*name)) {
        let scopes = target
            .rules
            .get(name)
            .map(|rule| rule.scopes.join(", "))
            .unwrap_or_default();
        let message =
            format!("the override admits nobody with a token of a project any more: the rule's scopes are {scopes}");
        let finding = Finding::new("policy-scope-of-override", Severity::Decide, name, message);
        findings.push(context.at(
            finding.remedy("use tokens of that scope, or set enforce_scope to false for now"),
            name,
        ));
    }
}
