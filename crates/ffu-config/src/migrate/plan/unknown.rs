//! Entries that the series they were written for does not know.

use std::collections::BTreeSet;

use ffu_model::Series;

use super::super::findings::at;
use super::super::work::Work;
use super::ended::{UNKNOWN, is_marked};
use crate::finding::Severity;

pub(super) fn unknown(work: &mut Work<'_, '_>) {
    let mut groups: BTreeSet<(usize, String)> = BTreeSet::new();
    let service = work.service();
    let (first, last) = (
        work.lineage.first().series().clone(),
        work.lineage.target().series().clone(),
    );
    for place in work.uses.unknown.clone() {
        let Some(entry) = work.entry(place) else { continue };
        let group = entry.group().into_owned();
        let subject = format!("{group}.{}", entry.key);
        let meant = work.after.meanings(&group, &entry.key);
        if !meant.is_empty() {
            let taken = meant.iter().any(|(inst, _)| {
                let mut carried = work.destinies.iter().flat_map(|destiny| &destiny.targets);
                carried.any(|target| target.key() == inst.key())
                    || work
                        .inserts
                        .iter()
                        .any(|insert| (insert.group.as_str(), insert.key.as_str()) == inst.key())
            });
            if taken {
                let reason = format!("{service} {first} did not read this, and what it read has this name now");
                let finding = at(
                    "conflicting-names",
                    Severity::Decide,
                    &subject,
                    reason.clone(),
                    work.spot(place),
                )
                .remedy("choose the value that the one option is to have");
                work.findings.list.push(finding);
                work.step(place).comment_out = Some(vec![reason]);
            } else {
                let message = format!("{service} {first} does not know it, {last} does: it takes effect now");
                let finding = at("takes-effect", Severity::Decide, &subject, message, work.spot(place))
                    .remedy("keep it if its effect is wanted, or take it out");
                work.findings.list.push(finding);
            }
        } else if !work.before.knows_group(&group) && !work.after.knows_group(&group) {
            if groups.insert((place.0, group.clone())) {
                let message =
                    format!("no series of {service} on the way has this group; what is in it cannot be checked");
                let spot = work.spot(place);
                work.findings
                    .list
                    .push(at("unverifiable-group", Severity::Info, &group, message, spot));
            }
        } else {
            let message = match last_known(work, &group, &entry.key) {
                Some(series) => format!("it has had no effect since {service} {series}, the last that knew it"),
                None => format!("{service} does not know it, neither {first} nor {last}"),
            };
            let finding = at(
                "option-unknown-at-source",
                Severity::Info,
                &subject,
                message,
                work.spot(place),
            )
            .remedy("keep it only if a driver outside the catalog reads it");
            work.findings.list.push(finding);
            if !is_marked(&entry.comments()) {
                work.step(place).mark = Some(format!("{UNKNOWN} to {service}, in {first} already"));
            }
        }
    }
}

/// The last series before the first of the path that knew a name.
fn last_known(work: &Work<'_, '_>, group: &str, key: &str) -> Option<Series> {
    let service = work.lineage.first().service();
    let first = service.position(work.lineage.first().series())?;
    let known = service.options.iter().filter(|option| {
        let old = option.aliases.iter().any(|old| old.group == group && old.name == key);
        old || (option.group == group && option.name == key)
    });
    let earlier = known.flat_map(|option| (0..first).filter(|at| option.series.holds(*at)));
    service.series.get(earlier.max()?).cloned()
}
