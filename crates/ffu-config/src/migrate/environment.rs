//! `OS_<GROUP>__<OPTION>` in the environment: oslo.config reads it before the files, from Stein on, by current names only.

use std::collections::BTreeMap;

use super::findings::at;
use super::side::Side;
use super::uses::Uses;
use super::work::Work;
use crate::finding::Severity;

/// The name of an option's variable (`oslo_config/sources/_environment.py`).
pub(crate) fn variable(group: &str, name: &str) -> String {
    format!("OS_{}__{}", group.to_uppercase(), name.to_uppercase())
}

/// The variables that set an option: the name, to the option's index in `uses`.
pub(crate) fn variables<'a>(
    side: &Side<'a>,
    environment: &BTreeMap<String, String>,
    uses: &mut Uses<'a>,
) -> BTreeMap<String, usize> {
    let mut set = BTreeMap::new();
    if !side.era.environment || !environment.keys().any(|name| is_option(name)) {
        return set;
    }
    let groups: Vec<String> = side.schema.iter().map(|(group, _)| group.to_owned()).collect();
    let names: Vec<String> = side.schema.iter().map(|(_, option)| option.name.clone()).collect();
    for (group, name) in groups.iter().zip(&names) {
        let variable = variable(group, name);
        if environment.contains_key(&variable)
            && let Some(inst) = side.get(group, name)
        {
            set.insert(variable, uses.option(inst));
        }
    }
    set
}

fn is_option(name: &str) -> bool {
    name.strip_prefix("OS_").is_some_and(|rest| rest.contains("__"))
}

/// Which variables need another name: new name to old name. What becomes of the others is reported.
pub(crate) fn rename(work: &mut Work<'_, '_>, variables: &BTreeMap<String, usize>) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    if work.lineage.steps().len() < 2 {
        return renamed;
    }
    for (old, at_option) in variables {
        let Some(inst) = work.uses.options.get(*at_option).cloned() else {
            continue;
        };
        let destiny = &work.destinies[*at_option];
        let targets: Vec<(String, String)> = destiny
            .targets
            .iter()
            .map(|target| (target.group.clone(), target.option.name.clone()))
            .collect();
        if targets.is_empty() {
            let since = destiny.end.as_ref().map(|end| end.since.clone());
            let message = "the variable sets an option that the target does not have any more".to_owned();
            let mut finding = at("option-removed", Severity::LostUnlessYouAct, old, message, None)
                .remedy("take the variable out of the service's environment once its effect has another place");
            if let Some(since) = since {
                finding = finding.since(&since);
            }
            work.findings.add(&[inst.key()], finding);
            continue;
        }
        for (group, name) in targets {
            let new = variable(&group, &name);
            if new == *old {
                continue;
            }
            let message = format!("the environment's names have no old spellings: call the variable {new}");
            let finding = at("environment-renamed", Severity::Moved, old, message, None)
                .remedy(format!("rename {old} to {new} where the service's environment is set"));
            work.findings.add(&[], finding);
            renamed.insert(new, old.clone());
        }
    }
    ignored(work, variables);
    renamed
}

fn ignored(work: &mut Work<'_, '_>, variables: &BTreeMap<String, usize>) {
    let after: std::collections::HashSet<String> = work
        .after
        .schema
        .iter()
        .map(|(group, option)| variable(group, &option.name))
        .collect();
    for name in work
        .environment
        .keys()
        .filter(|name| is_option(name) && !variables.contains_key(*name))
    {
        let finding = if work.after.era.environment && after.contains(name) {
            at(
                "takes-effect",
                Severity::Decide,
                name,
                "the variable had no effect before, and has one at the target".to_owned(),
                None,
            )
            .remedy("take it out of the service's environment, or keep it if its effect is wanted")
        } else {
            at(
                "environment-ignored",
                Severity::Info,
                name,
                "the variable has no effect, before or after".to_owned(),
                None,
            )
        };
        work.findings.list.push(finding);
    }
}

/// The environment with its new names.
pub(crate) fn applied(
    environment: &BTreeMap<String, String>,
    renamed: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let gone: Vec<&String> = renamed.values().filter(|old| !renamed.contains_key(*old)).collect();
    let mut after: BTreeMap<String, String> = environment
        .iter()
        .filter(|(name, _)| !gone.contains(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    for (new, old) in renamed {
        if let Some(value) = environment.get(old) {
            after.insert(new.clone(), value.clone());
        }
    }
    after
}
