//! Entries whose option goes on: kept, renamed, moved, split.

use ffu_catalog::rules::{Change, Rule};

use super::super::findings::{at, listed};
use super::super::side::Inst;
use super::super::uses::Place;
use super::super::value::spoken_of;
use super::super::work::{Insert, Work};
use super::new_value;
use crate::fate::Name;
use crate::finding::Severity;

pub(super) fn carry<'a>(work: &mut Work<'_, 'a>, place: Place, counted: &[usize], targets: &[Inst<'a>]) {
    let Some(entry) = work.entry(place) else { return };
    let here = (entry.group().into_owned(), entry.key.clone().into_owned());
    let subject = format!("{}.{}", here.0, here.1);
    let stays = targets
        .iter()
        .any(|target| target.key() == (here.0.as_str(), here.1.as_str()));
    // The name that reaches most of them by itself, so that as little as possible has to be written twice.
    let reach = |target: &Inst<'a>| {
        let (group, name) = target.key();
        let reached = work.after.meanings(group, name);
        targets
            .iter()
            .filter(|other| reached.iter().any(|(inst, _)| inst.key() == other.key()))
            .count()
    };
    let best = targets.iter().rev().max_by_key(|target| reach(target));
    let home = if stays { None } else { best };
    if let Some(target) = home {
        let (group, name) = target.key();
        work.step(place).to = Some((group.to_owned(), name.to_owned()));
        let (id, what) = if group == here.0 {
            ("option-renamed", "is called")
        } else {
            ("option-moved", "has moved to")
        };
        let message = format!("{what} [{group}] {name}");
        let finding = at(id, Severity::Moved, &subject, message, work.spot(place));
        work.findings.add(&[], finding);
    }
    let value = new_value(work, place, counted);
    if value.is_some() {
        mapped(work, place, counted, &subject);
        work.step(place).value = value.clone();
    }
    split(work, place, targets, home, &here, value);
    for rule in rules_of(work, counted) {
        decide(work, place, counted, &subject, rule);
    }
    disagreement(work, place, counted, &subject);
}

fn rules_of<'a>(work: &Work<'_, 'a>, counted: &[usize]) -> Vec<&'a Rule> {
    let mut rules: Vec<&'a Rule> = Vec::new();
    for rule in counted.iter().flat_map(|option| &work.destinies[*option].values) {
        if !rules.iter().any(|other| std::ptr::eq(*other, *rule)) {
            rules.push(rule);
        }
    }
    rules
}

/// The values for further options of the target, where the entry does not reach them by itself.
fn split<'a>(
    work: &mut Work<'_, 'a>,
    place: Place,
    targets: &[Inst<'a>],
    home: Option<&Inst<'a>>,
    here: &(String, String),
    value: Option<String>,
) {
    let Some(entry) = work.entry(place) else { return };
    let value = value.unwrap_or_else(|| entry.value().into_owned());
    let final_name = home.map_or((here.0.as_str(), here.1.as_str()), Inst::key);
    let reached = work.after.meanings(final_name.0, final_name.1);
    let mut added = Vec::new();
    for target in targets {
        if reached.iter().any(|(inst, _)| inst.key() == target.key()) {
            continue;
        }
        let (group, key) = target.key();
        added.push(Name::new(group, key));
        work.inserts.push(Insert {
            file: place.0,
            group: group.to_owned(),
            key: key.to_owned(),
            value: value.clone(),
            comments: vec![format!("ffu: as [{}] {} was", here.0, here.1)],
        });
    }
    if !added.is_empty() {
        let subject = format!("{}.{}", here.0, here.1);
        let message = format!("its value is given to {} too", listed(&added));
        let finding = at("option-split", Severity::Moved, &subject, message, work.spot(place));
        work.findings.add(&[], finding);
    }
}

fn mapped(work: &mut Work<'_, '_>, place: Place, counted: &[usize], subject: &str) {
    let Some(entry) = work.entry(place) else { return };
    for rule in rules_of(work, counted) {
        let Change::Values { map, .. } = &rule.change else {
            continue;
        };
        let value = entry.value();
        let met = value
            .split(',')
            .map(str::trim)
            .filter_map(|item| Some((item, map.get(item)?)));
        let told: Vec<String> = met
            .map(|(old, new)| {
                if new.is_empty() {
                    format!("{old} is taken out")
                } else {
                    format!("{old} is {new} now")
                }
            })
            .collect();
        if told.is_empty() {
            continue;
        }
        let message = format!("{}: {}", told.join(", "), rule.why);
        let dropped = value
            .split(',')
            .any(|item| map.get(item.trim()).is_some_and(String::is_empty));
        let severity = if dropped {
            Severity::RemovedWithoutEffect
        } else {
            Severity::Moved
        };
        let finding = at("value-mapped", severity, subject, message, work.spot(place))
            .remedy(&rule.instead)
            .source(&rule.source)
            .since(&rule.since);
        work.findings.list.push(finding);
    }
}

fn decide(work: &mut Work<'_, '_>, place: Place, counted: &[usize], subject: &str, rule: &Rule) {
    let Change::Decide { lost, .. } = rule.change else {
        return;
    };
    let Some(entry) = work.entry(place) else { return };
    let Some(items) = spoken_of(&entry.value(), rule) else {
        return;
    };
    let severity = if lost {
        Severity::LostUnlessYouAct
    } else {
        Severity::Decide
    };
    let message = if items.is_empty() {
        rule.why.clone()
    } else {
        format!("{}: {}", items.join(", "), rule.why)
    };
    let finding = at("value-decide", severity, subject, message, work.spot(place))
        .remedy(&rule.instead)
        .source(&rule.source)
        .since(&rule.since);
    work.name(counted, finding);
}

fn disagreement(work: &mut Work<'_, '_>, place: Place, counted: &[usize], subject: &str) {
    let mut others: Vec<Name> = Vec::new();
    for option in counted {
        others.extend(work.destinies[*option].disagreement.iter().cloned());
    }
    if others.is_empty() {
        return;
    }
    let carried: Vec<Name> = counted
        .iter()
        .flat_map(|option| &work.destinies[*option].targets)
        .map(|target| Name::new(target.key().0, target.key().1))
        .collect();
    others.retain(|name| !carried.contains(name));
    if others.is_empty() {
        return;
    }
    let message = format!(
        "followed through every series it is {}; asked directly, the target takes the old name for {}",
        listed(&carried),
        listed(&others)
    );
    let finding = at(
        "ambiguous-successor",
        Severity::Decide,
        subject,
        message,
        work.spot(place),
    )
    .remedy("check that the value is where it is wanted");
    work.findings.list.push(finding);
}
