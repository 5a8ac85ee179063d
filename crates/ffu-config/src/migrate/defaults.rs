//! Options that nobody set and whose default is another one at the target.

use ffu_catalog::options::Opt;

use super::findings::at;
use super::value::{Likeness, compare, config_text};
use super::work::{Insert, Work, default_of};
use crate::era::Era;
use crate::fate::Lineage;
use crate::finding::Severity;
use crate::values::{Value, python_str};

/// A default that changed.
#[derive(Debug)]
pub(crate) struct DefaultChange<'a> {
    before: &'a Opt,
    after: &'a Opt,
    old: Value,
    new: Value,
}

/// The defaults that changed between the ends of a path; those of one machine only are left out.
pub(crate) fn changed<'a>(lineage: &Lineage<'a>) -> Vec<DefaultChange<'a>> {
    let mut changes = Vec::new();
    let (first, target) = (lineage.first(), lineage.target());
    if lineage.steps().len() < 2 {
        return changes;
    }
    let (era, era_after) = (Era::of(first.series()), Era::of(target.series()));
    for before in first.iter() {
        let outcome = lineage.outcome(&before.group, &before.name);
        let [branch] = outcome.successors.as_slice() else {
            continue;
        };
        let (group, name) = branch.key();
        let Some(after) = target.get(group, name) else { continue };
        let (Some(old), Some(new)) = (default_of(before, era), default_of(after, era_after)) else {
            continue;
        };
        if !branch.values.is_empty() || compare(&old, &new) != Likeness::Different {
            continue;
        }
        changes.push(DefaultChange {
            before,
            after,
            old,
            new,
        });
    }
    changes
}

/// Reports them for a set of files, or pins them.
pub(crate) fn report(work: &mut Work<'_, '_>, changes: &[DefaultChange<'_>], pin: bool) {
    if work.files.files().is_empty() {
        return;
    }
    let (first, last) = (
        work.lineage.first().series().clone(),
        work.lineage.target().series().clone(),
    );
    let taken: std::collections::HashSet<(String, String)> = work
        .destinies
        .iter()
        .flat_map(|destiny| &destiny.targets)
        .map(|target| (target.group.clone(), target.option.name.clone()))
        .chain(
            work.inserts
                .iter()
                .map(|insert| (insert.group.clone(), insert.key.clone())),
        )
        .collect();
    let preset: std::collections::HashSet<(String, String)> = work
        .uses
        .unknown
        .iter()
        .filter_map(|place| work.entry(*place))
        .flat_map(|entry| work.after.meanings(&entry.group(), &entry.key))
        .map(|(inst, _)| (inst.group.clone(), inst.option.name.clone()))
        .collect();
    for change in changes {
        let key = (change.after.group.clone(), change.after.name.clone());
        if work.uses.find(&change.before.group, &change.before.name).is_some()
            || taken.contains(&key)
            || preset.contains(&key)
        {
            continue;
        }
        let subject = format!("{}.{}", key.0, key.1);
        let secret = change.before.secret || change.after.secret;
        let show = |value: &Value| if secret { "***".to_owned() } else { shown(value) };
        let told = format!(
            "its default is {} in {last}, and was {} in {first}",
            show(&change.new),
            show(&change.old)
        );
        let text = config_text(&change.after.kind, &change.old).filter(|_| pin && !change.after.multi);
        let Some(text) = text else {
            let remedy = if pin {
                "the old default cannot be written into a file".to_owned()
            } else {
                "set it if the old one is wanted (`--pin-defaults` does so for all)".to_owned()
            };
            let finding = at("default-changed", Severity::ChangedDefault, &subject, told, None).remedy(remedy);
            work.findings.list.push(finding);
            continue;
        };
        let file = file_for(work, &key.0);
        work.inserts.push(Insert {
            file,
            group: key.0,
            key: key.1,
            value: text,
            comments: vec![format!("ffu: the default of {first}; that of {last} is another one")],
        });
        let spot = work.files.files().get(file).map(|file| super::findings::Spot {
            label: &file.label,
            line: None,
        });
        work.findings
            .list
            .push(at("default-pinned", Severity::Info, &subject, told, spot));
    }
}

/// A value in a sentence.
fn shown(value: &Value) -> String {
    match value {
        Value::None => "none".to_owned(),
        Value::Text(text) => format!("{text:?}"),
        other => python_str(other, Era::NEWEST),
    }
}

/// The last file that has the group, so that the new entry is near its like; else the first one.
fn file_for(work: &Work<'_, '_>, group: &str) -> usize {
    let has = |file: &crate::reading::File| {
        file.document
            .sections()
            .any(|section| crate::ini::normalise_group(section) == group)
    };
    work.files.files().iter().rposition(has).unwrap_or(0)
}
