//! `$other` and `${group.other}` in values, which follow the options that they name.

use super::destiny::destiny;
use super::findings::at;
use super::side::Inst;
use super::uses::Place;
use super::work::Work;
use crate::finding::Severity;
use crate::reading::{Reference, Source, references};
use crate::values::python_str;

/// Rewrites the references of all entries that stay.
pub(crate) fn rewrite(work: &mut Work<'_, '_>, places: &[Place]) {
    for place in places {
        let counted = work.uses.counts(*place);
        let step = work.steps.get(place);
        if step.is_some_and(|step| step.comment_out.is_some()) {
            continue;
        }
        let Some(&option) = counted.first() else { continue };
        let Some(entry) = work.entry(*place) else { continue };
        let text = step
            .and_then(|step| step.value.clone())
            .unwrap_or_else(|| entry.value().into_owned());
        let from = work.uses.options[option].group.clone();
        let to = step
            .and_then(|step| step.to.as_ref())
            .map_or_else(|| entry.group().into_owned(), |(group, _)| group.clone());
        let subject = format!("{}.{}", entry.group(), entry.key);
        if let Some(new) = rewritten(work, &text, &from, &to, &subject, Some(*place)) {
            work.step(*place).value = Some(new);
        }
    }
    for index in 0..work.inserts.len() {
        let insert = work.inserts[index].clone();
        let subject = format!("{}.{}", insert.group, insert.key);
        // Values that were made hold no reference; copies were read in the group of their option, which is lost here, so
        // only plain names that mean the same in both are left.
        if let Some(new) = rewritten(work, &insert.value, &insert.group, &insert.group, &subject, None) {
            work.inserts[index].value = new;
        }
    }
}

/// A value with its references as the target needs them; `None` where nothing changes.
fn rewritten(
    work: &mut Work<'_, '_>,
    text: &str,
    from: &str,
    to: &str,
    subject: &str,
    place: Option<Place>,
) -> Option<String> {
    let found = references(text, work.before.era);
    let mut new = String::with_capacity(text.len());
    let mut copied = 0;
    for reference in &found {
        let Some(written) = one(work, reference, from, to, subject, place) else {
            continue;
        };
        new.push_str(text.get(copied..reference.span.start)?);
        new.push_str(&written);
        copied = reference.span.end;
    }
    if copied == 0 {
        return None;
    }
    new.push_str(text.get(copied..)?);
    (new != text).then_some(new)
}

/// What a reference has to be written as; `None`: as it is.
fn one(
    work: &mut Work<'_, '_>,
    reference: &Reference,
    from: &str,
    to: &str,
    subject: &str,
    place: Option<Place>,
) -> Option<String> {
    let referred = resolve(work, &reference.name, from)?;
    let targets = destiny(work.lineage, &referred, work.after).targets;
    let target = targets
        .iter()
        .find(|target| target.key() == referred.key())
        .or(targets.first());
    let spot = place.and_then(|place| work.spot(place));
    let Some(target) = target else {
        return inlined(work, reference, &referred, subject, spot);
    };
    let (group, name) = target.key();
    if reached(work, &reference.name, to) == Some((group.to_owned(), name.to_owned())) {
        return None;
    }
    let short = group == to || (group == "DEFAULT" && work.after.get(to, name).is_none());
    let written = if short {
        name.to_owned()
    } else {
        format!("{group}.{name}")
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    let group_can =
        short || (group.chars().all(plain) && !group.contains('.') && !group.starts_with(|c: char| c.is_ascii_digit()));
    // `DEFAULT` is no group to oslo.config's references where another option hides the name.
    if !group_can || (!short && group == "DEFAULT") {
        return inlined(work, reference, &referred, subject, spot);
    }
    let message = format!("its reference to {} is ${{{written}}} now", reference.name);
    work.findings
        .list
        .push(at("reference-rewritten", Severity::Moved, subject, message, spot));
    Some(format!("${{{written}}}"))
}

/// The option that a reference names, by the rules of the first series.
fn resolve<'a>(work: &Work<'_, 'a>, name: &str, group: &str) -> Option<Inst<'a>> {
    match name.split_once('.') {
        Some((group, name)) => work.before.get(group, name),
        None => work
            .before
            .get(group, name)
            .or_else(|| work.before.get("DEFAULT", name)),
    }
}

/// The option that the same reference names at the target.
fn reached(work: &Work<'_, '_>, name: &str, group: &str) -> Option<(String, String)> {
    let inst = match name.split_once('.') {
        Some((group, name)) => work.after.get(group, name),
        None => work.after.get(group, name).or_else(|| work.after.get("DEFAULT", name)),
    }?;
    Some((inst.key().0.to_owned(), inst.key().1.to_owned()))
}

/// The value itself, where the target has no option to refer to.
fn inlined(
    work: &mut Work<'_, '_>,
    reference: &Reference,
    referred: &Inst<'_>,
    subject: &str,
    spot: Option<super::findings::Spot<'_>>,
) -> Option<String> {
    let effective = work.reading.effective(referred.key().0, referred.key().1)?;
    let of_machine = referred.option.machine_default && effective.sources == [Source::Default];
    let value = effective.value.ok().filter(|_| !of_machine && !referred.option.secret);
    let Some(value) = value else {
        let message = format!("it refers to {}, which the target does not have", reference.name);
        let finding = at("reference-lost", Severity::LostUnlessYouAct, subject, message, spot)
            .remedy("write the value itself in place of the reference");
        work.findings.list.push(finding);
        return None;
    };
    let message = format!(
        "it referred to {}, which the target does not have; the value stands there now",
        reference.name
    );
    work.findings
        .list
        .push(at("reference-inlined", Severity::Moved, subject, message, spot));
    Some(python_str(&value, work.before.era).replace('$', "$$"))
}
