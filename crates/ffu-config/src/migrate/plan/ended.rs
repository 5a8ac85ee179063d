//! Entries whose option the target does not have: gone with a feature, announced, silently, or absorbed into another one.

use std::collections::BTreeMap;

use ffu_catalog::rules::{Change, Form, Rule, split_name};

use super::super::destiny::Ended;
use super::super::findings::{at, gone_since};
use super::super::template::{Made, make};
use super::super::uses::Place;
use super::super::work::{Insert, Work};
use super::super::{advice, elsewhere};
use crate::finding::{Finding, Severity};
use crate::values::Value;

pub(super) fn end(work: &mut Work<'_, '_>, place: Place, counted: &[usize]) {
    let Some(&option) = counted.first() else { return };
    let Some(ended) = work.destinies[option].end.clone() else {
        return;
    };
    // What a template makes of it is known when all its options are.
    if ended.template().is_some() {
        return;
    }
    match ended.rule {
        Some(rule) => by_rule(work, place, option, counted, rule),
        None => by_catalog(work, place, option, counted, &ended),
    }
}

/// Options that an entry sets too and that ended, while its value goes on as another one.
pub(super) fn in_part(work: &mut Work<'_, '_>, place: Place, counted: &[usize]) {
    for option in counted {
        let Some(ended) = work.destinies[*option].end.clone() else {
            continue;
        };
        if ended.template().is_some() || !work.destinies[*option].targets.is_empty() {
            continue;
        }
        let (group, name) = work.uses.options[*option].key();
        let gone = match ended.rule {
            Some(rule) => rule.why.clone(),
            None => gone_since(work.service(), &ended.since, ended.announced.as_ref()),
        };
        let message = format!("its value goes on; it was [{group}] {name} too: {gone}");
        let spot = work.spot(place);
        let finding = at(
            "option-removed",
            Severity::RemovedWithoutEffect,
            &subject(work, place),
            message,
            spot,
        );
        work.name(&[*option], finding.since(&ended.since));
    }
}

fn subject(work: &Work<'_, '_>, place: Place) -> String {
    work.entry(place)
        .map(|entry| format!("{}.{}", entry.group(), entry.key))
        .unwrap_or_default()
}

fn by_rule(work: &mut Work<'_, '_>, place: Place, option: usize, counted: &[usize], rule: &Rule) {
    if elsewhere::depart(work, place, option, counted, rule) {
        return;
    }
    let never = matches!(rule.change, Change::NeverEffective { .. });
    let (id, severity) = match (never, work.is_default(option)) {
        (true, _) => ("never-effective", Severity::RemovedWithoutEffect),
        (false, true) => ("feature-removed", Severity::RemovedWithoutEffect),
        (false, false) if matches!(rule.change, Change::FeatureRemoved { choice: true, .. }) => {
            ("feature-removed", Severity::Decide)
        }
        (false, false) => ("feature-removed", Severity::LostUnlessYouAct),
    };
    let reasons = reasons(work.service(), rule);
    let default = if !never && severity == Severity::RemovedWithoutEffect {
        " It was set to its default."
    } else {
        ""
    };
    let message = format!("{}{default}", rule.why);
    let mut finding = told(at(id, severity, &subject(work, place), message, work.spot(place)), rule);
    if let Change::FeatureRemoved { write, .. } = &rule.change
        && severity.needs_a_decision()
        && let Some(text) = advice::text(work, write)
    {
        finding.remedy = format!("{} With your values: {text}", rule.instead);
    }
    work.name(counted, finding);
    work.step(place).comment_out = Some(reasons);
}

fn told(finding: Finding, rule: &Rule) -> Finding {
    finding.remedy(&rule.instead).source(&rule.source).since(&rule.since)
}

fn reasons(service: &str, rule: &Rule) -> Vec<String> {
    let mut reasons = vec![format!("not in {service} since {}: {}", rule.since, rule.why)];
    if !rule.instead.is_empty() {
        reasons.push(rule.instead.clone());
    }
    reasons
}

fn by_catalog(work: &mut Work<'_, '_>, place: Place, option: usize, counted: &[usize], ended: &Ended<'_>) {
    let Some(entry) = work.entry(place) else { return };
    let service = work.service();
    let subject = subject(work, place);
    let message = gone_since(service, &ended.since, ended.announced.as_ref());
    let default = work.is_default(option);
    let severity = if default {
        Severity::RemovedWithoutEffect
    } else {
        Severity::LostUnlessYouAct
    };
    let message_told = if default {
        format!("{message}; it was set to its default")
    } else {
        message.clone()
    };
    let id = if ended.announced.is_some() {
        "option-removed"
    } else {
        "option-unknown"
    };
    let mut finding = at(id, severity, &subject, message_told, work.spot(place)).since(&ended.since);
    if !default {
        let remedy = match &ended.announced {
            Some(_) => format!(
                "read the release notes of {service} {} for what replaces it, or delete the comment",
                ended.since
            ),
            None => format!(
                "read the release notes of {service} {}; keep the entry only if a driver outside the catalog reads it",
                ended.since
            ),
        };
        finding = finding.remedy(remedy);
    }
    work.name(counted, finding);
    if ended.announced.is_some() {
        work.step(place).comment_out = Some(vec![message]);
    } else if !is_marked(&entry.comments()) {
        // A name that vanished without a word may belong to a driver that the catalog does not have.
        work.step(place).mark = Some(format!("{UNKNOWN} to {service} since {}", ended.since));
    }
}

/// How the mark of an unknown option begins.
pub(super) const UNKNOWN: &str = "unknown";

pub(super) fn is_marked(comments: &[&str]) -> bool {
    let mark = format!("# ffu: {UNKNOWN} to ");
    comments.iter().any(|comment| comment.starts_with(&mark))
}

/// The options that several became, each written once.
pub(super) fn templates(work: &mut Work<'_, '_>) {
    let mut by_rule: BTreeMap<String, (&Rule, Vec<usize>)> = BTreeMap::new();
    for (option, destiny) in work.destinies.iter().enumerate() {
        if let Some(rule) = destiny.end.as_ref().and_then(Ended::template)
            && work.uses.entries[option].iter().any(|one| one.counts)
        {
            by_rule
                .entry(rule.id.clone())
                .or_insert_with(|| (rule, Vec::new()))
                .1
                .push(option);
        }
    }
    for (rule, options) in by_rule.into_values() {
        if let Change::Template { form, from, to } = &rule.change {
            template(work, rule, &options, *form, from, to);
        }
    }
}

fn template(work: &mut Work<'_, '_>, rule: &Rule, options: &[usize], form: Form, from: &[String], to: &str) {
    let Some((group, name)) = split_name(to) else { return };
    let values: BTreeMap<String, Value> = from
        .iter()
        .filter_map(|full| {
            let (group, name) = split_name(full)?;
            Some((name.to_owned(), work.reading.effective(group, name)?.value.ok()?))
        })
        .collect();
    let set = work.uses.find(group, name);
    let already = set
        .and_then(|at| work.effective(at))
        .and_then(|effective| effective.value.ok());
    let already = match &already {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let made = make(form, &values, already);
    let Some(target) = work.after.get(group, name) else {
        return;
    };
    let mut reasons = reasons(work.service(), rule);
    let (id, severity, message) = match &made {
        Made::Value(_) => {
            reasons.push(format!("its value is a part of [{group}] {name} now"));
            (
                "option-absorbed",
                Severity::Moved,
                format!("its value is a part of [{group}] {name} now"),
            )
        }
        Made::WithoutEffect => {
            reasons = vec![format!("without effect: [{group}] {name} was set, and that counted")];
            let message = format!("[{group}] {name} was set, and that counted");
            ("never-effective", Severity::RemovedWithoutEffect, message)
        }
        Made::Not(why) => (
            "value-decide",
            Severity::LostUnlessYouAct,
            format!("[{group}] {name} could not be made: {why}"),
        ),
    };
    let mut places: Vec<Place> = Vec::new();
    for option in options {
        let inst = work.uses.options[*option].clone();
        let mut of_option: Vec<Place> = work.uses.entries[*option]
            .iter()
            .filter(|one| one.counts)
            .map(|one| one.place)
            .collect();
        of_option.sort_unstable();
        for place in &of_option {
            let finding = told(
                at(id, severity, &subject(work, *place), message.clone(), work.spot(*place)),
                rule,
            );
            work.findings.add(&[inst.key()], finding);
            work.step(*place).comment_out = Some(reasons.clone());
        }
        places.extend(of_option);
    }
    let Made::Value(value) = made else { return };
    let expected = Value::Text(value.replace("$$", "$"));
    for option in options {
        work.absorbed.insert(*option, (target.clone(), expected.clone()));
    }
    if let Some(place) = set.and_then(|at| work.source(at)) {
        work.step(place).value = Some(value);
        return;
    }
    // With the secret, where there is one: a file that only the service may read.
    let secret = options.iter().find(|option| work.uses.options[**option].option.secret);
    let file = secret
        .and_then(|option| work.source(*option))
        .or(places.iter().max().copied())
        .map_or(0, |place| place.0);
    work.inserts.push(Insert {
        file,
        group: group.to_owned(),
        key: name.to_owned(),
        value,
        comments: vec![format!("ffu: made of the {} options that it replaces", options.len())],
    });
}
