//! The proof: the effective value of every option that was set, before by the rules of the first series and after by those
//! of the target. One that differs has a finding that names it, or gets one here.

use std::collections::BTreeMap;

use foldhash::{HashSet, HashSetExt as _};

use ffu_model::secret::mask;

use super::findings::at;
use super::side::{Inst, Side};
use super::uses::Uses;
use super::value::{Likeness, compare, mapped};
use super::work::Work;
use super::{Expectation, Proof, Verdict};
use crate::fate::Name;
use crate::finding::Severity;
use crate::reading::{Effective, FileSet, ReadError, Reading};
use crate::values::Value;

/// Reads the migrated files and compares.
pub(crate) fn prove(
    work: &mut Work<'_, '_>,
    files: &FileSet,
    environment: &BTreeMap<String, String>,
) -> (Proof, Vec<Expectation>) {
    let schema = work.after.schema.bare();
    let side = Side::new(work.lineage.target(), schema, files, environment, Some(work.before));
    let reading = Reading::new(&side.schema, files, environment);
    let mut proof = Proof::default();
    let mut expectations = Vec::new();
    let mut expected: HashSet<(String, String)> = HashSet::new();
    for option in 0..work.uses.options.len() {
        proof.options_set += 1;
        let inst = work.uses.options[option].clone();
        let Some(before) = work.reading.effective(&inst.group, &inst.option.name) else {
            continue;
        };
        let (targets, value) = match work.absorbed.get(&option) {
            Some((target, value)) => (vec![target.clone()], Ok(value.clone())),
            None => {
                let destiny = &work.destinies[option];
                let value = before.value.clone().map(|value| mapped(&value, &destiny.values));
                (destiny.targets.clone(), value)
            }
        };
        let mut equal = !targets.is_empty();
        for target in &targets {
            expected.insert((target.group.clone(), target.option.name.clone()));
            let after = reading.effective(&target.group, &target.option.name);
            let same = judge(work, &inst, target, &before, &value, after.as_ref());
            equal &= same;
            expectations.push(expectation(&inst, &before, Some((target, after)), same));
        }
        if targets.is_empty() {
            expectations.push(expectation(&inst, &before, None, false));
        }
        if equal {
            proof.proven_equal += 1;
        } else {
            proof.named += 1;
            if !work.findings.names(&inst.group, &inst.option.name) {
                unproven(work, &inst, option, &targets);
            }
        }
    }
    // Within one series nothing takes effect that did not before.
    if work.lineage.steps().len() > 1 {
        surprises(work, &side, files, &expected);
    }
    (proof, expectations)
}

/// Whether an option of the target has the value that it should have; a difference is named.
fn judge(
    work: &mut Work<'_, '_>,
    inst: &Inst<'_>,
    target: &Inst<'_>,
    before: &Effective,
    value: &Result<Value, ReadError>,
    after: Option<&Effective>,
) -> bool {
    let Some(after) = after else { return false };
    let (group, name) = target.key();
    let subject = format!("{group}.{name}");
    let secret = inst.option.secret || target.option.secret;
    match (value, &after.value) {
        (Ok(value), Ok(now)) => match compare(value, now) {
            Likeness::Same => true,
            Likeness::OtherType => {
                let message = "the target reads its value as another type".to_owned();
                work.findings
                    .list
                    .push(at("type-changed", Severity::Info, &subject, message, None));
                true
            }
            Likeness::Different => {
                if !before.references.is_empty() && !work.findings.names(&inst.group, &inst.option.name) {
                    let message = format!(
                        "it refers to {}, which has another value at the target",
                        before
                            .references
                            .iter()
                            .map(|(g, n)| format!("{g}.{n}"))
                            .collect::<Vec<_>>()
                            .join(", ")
                    );
                    let finding = at("reference-changed", Severity::Decide, &subject, message, None)
                        .remedy("set what it refers to, or write the value itself");
                    work.findings.add(&[inst.key()], finding);
                }
                false
            }
        },
        (Err(_), Err(_)) => {
            let message = "its value could not be read before, and cannot be at the target".to_owned();
            let finding = at("value-refused", Severity::Decide, &subject, message, None).remedy("correct the value");
            work.findings.add(&[inst.key()], finding);
            false
        }
        (Ok(_), Err(error)) => {
            let why = if secret {
                String::new()
            } else {
                format!(": {}", mask(&reason(error), &[]))
            };
            let message = format!("the target refuses its value{why}");
            let finding = at("value-refused", Severity::LostUnlessYouAct, &subject, message, None)
                .remedy("give it a value that the target takes; the service may not start before");
            work.findings.add(&[inst.key()], finding);
            false
        }
        (Err(_), Ok(_)) => {
            let message =
                "its value could not be read before, and can be at the target: it takes effect now".to_owned();
            let finding = at("takes-effect", Severity::Decide, &subject, message, None).remedy("check the value");
            work.findings.add(&[inst.key()], finding);
            false
        }
    }
}

fn reason(error: &ReadError) -> String {
    match error {
        ReadError::Value { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

fn expectation(
    inst: &Inst<'_>,
    before: &Effective,
    after: Option<(&Inst<'_>, Option<Effective>)>,
    same: bool,
) -> Expectation {
    let target = after.as_ref().map(|(target, _)| *target);
    Expectation {
        before: Name::new(&inst.group, &inst.option.name),
        before_value: before.value.clone().map_err(|error| error.to_string()),
        after: target.map(|target| Name::new(&target.group, &target.option.name)),
        secret: inst.option.secret || target.is_some_and(|target| target.option.secret),
        after_value: after.and_then(|(_, effective)| Some(effective?.value.map_err(|error| error.to_string()))),
        verdict: if same { Verdict::Equal } else { Verdict::Named },
    }
}

fn unproven(work: &mut Work<'_, '_>, inst: &Inst<'_>, option: usize, targets: &[Inst<'_>]) {
    let (group, name) = inst.key();
    let subject = format!("{group}.{name}");
    let spot = work.source(option).and_then(|place| work.spot(place));
    if let Some(other) = rival(work, option, targets) {
        let message = format!("it and {other} are one option at the target, and the other one's value counts there");
        let finding = at("conflicting-names", Severity::Decide, &subject, message, spot)
            .remedy("choose the value that the one option is to have");
        work.findings.add(&[inst.key()], finding);
        return;
    }
    let message = match targets {
        [] => "the target has no option with its value".to_owned(),
        [target, ..] => format!(
            "[{}] {} has another value at the target",
            target.key().0,
            target.key().1
        ),
    };
    let finding = at("unproven", Severity::LostUnlessYouAct, &subject, message, spot)
        .remedy("compare both by hand, and set what is wanted");
    work.findings.add(&[inst.key()], finding);
}

/// Another option of the first series that arrives at the same option of the target.
fn rival(work: &Work<'_, '_>, option: usize, targets: &[Inst<'_>]) -> Option<Name> {
    let others = work.destinies.iter().enumerate().filter(|(other, _)| *other != option);
    let mut others = others.filter(|(_, destiny)| {
        destiny
            .targets
            .iter()
            .any(|one| targets.iter().any(|target| target.key() == one.key()))
    });
    let (other, _) = others.next()?;
    let (group, name) = work.uses.options[other].key();
    Some(Name::new(group, name))
}

/// Options of the target that are set now and have no value from before.
fn surprises(work: &mut Work<'_, '_>, side: &Side<'_>, files: &FileSet, expected: &HashSet<(String, String)>) {
    let uses = Uses::of(side, files);
    for (option, entries) in uses.options.iter().zip(&uses.entries) {
        let (group, name) = option.key();
        if expected.contains(&(group.to_owned(), name.to_owned())) {
            continue;
        }
        let Some(one) = entries.iter().find(|one| one.counts) else {
            continue;
        };
        let Some(file) = files.files().get(one.place.0) else {
            continue;
        };
        let Some(entry) = file.document.entry(one.place.1) else {
            continue;
        };
        let there = (entry.group().into_owned(), entry.key.clone().into_owned());
        let subject = format!("{}.{}", there.0, there.1);
        let told = work.findings.list.iter().any(|finding| {
            let own = format!("{group}.{name}");
            let about = finding.subject == subject || finding.subject == own;
            about
                && matches!(
                    finding.id.as_str(),
                    "takes-effect" | "default-pinned" | "conflicting-names"
                )
        });
        let by_old_name = there != (group.to_owned(), name.to_owned());
        if told || !by_old_name {
            continue;
        }
        let message = format!("at the target it sets [{group}] {name} too");
        let finding = at("takes-effect", Severity::Info, &subject, message, None);
        work.findings.list.push(finding);
    }
}
