//! The checks of recipes, heads and patches, and whether there is one of each for every series.

use std::collections::BTreeSet;

use super::{Known, bad_value, is_version, minor, source, unknown};
use crate::error::{Problem, shown};
use crate::load::{Parsed, Report};
use crate::locate::Place;
use crate::types::{EnvironmentFile, HeadEntry, Patch};

pub(super) fn environments(known: &Known<'_>, report: &mut Report<'_>, file: &EnvironmentFile, parsed: &Parsed) {
    let root = Place::file("environments.toml");
    let mut seen = BTreeSet::new();
    for (index, entry) in file.environment.iter().enumerate() {
        let place = root.name("environment").at(index);
        known.series(report, &place.name("series"), &entry.series);
        if !seen.insert(&entry.series) {
            let problem = Problem::Duplicate {
                what: "environment of",
                name: entry.series.to_string(),
            };
            report.add(&place.name("series"), problem);
        }
        if minor(&entry.python).is_none() {
            report.add(
                &place.name("python"),
                bad_value("Python version", &entry.python, "has not the form 3.12"),
            );
        }
        let files = [
            ("locks", Some(&entry.locks)),
            ("build_constraints", entry.build_constraints.as_ref()),
        ];
        for (field, lock) in files.iter().filter_map(|(field, lock)| lock.map(|lock| (*field, lock))) {
            if !parsed.locks.contains_key(lock) {
                report.add(&place.name(field), bad_value("file", lock, "is not there under locks/"));
            }
        }
        for [project, version] in &entry.packages {
            match known.projects.get(project) {
                None => {
                    let choices = known.projects.keys().cloned().collect::<Vec<_>>().join(", ");
                    report.add(&place.name("packages"), unknown("project", project, choices));
                }
                Some(_) if !is_version(version) => {
                    report.add(
                        &place.name("packages"),
                        bad_value("version", version, "is not like 20.6.1"),
                    );
                }
                Some(_) => {}
            }
        }
    }
    for (index, entry) in file.missing.iter().enumerate() {
        let place = root.name("missing").at(index);
        known.series(report, &place.name("series"), &entry.series);
        if !known.projects.contains_key(&entry.project) {
            let choices = known.projects.keys().cloned().collect::<Vec<_>>().join(", ");
            report.add(&place.name("project"), unknown("project", &entry.project, choices));
        }
        source(report, &place, "missing release", &entry.project, &entry.source);
    }
    for series in known.series.iter().filter(|series| !seen.contains(**series)) {
        report.add(
            &root,
            Problem::NoEnvironment {
                series: series.to_string(),
            },
        );
    }
}

pub(super) fn heads(known: &Known<'_>, report: &mut Report<'_>, stem: &str, heads: &[HeadEntry]) {
    let file = format!("heads/{stem}.toml");
    if !known.projects.contains_key(stem) {
        let choices = known.projects.keys().cloned().collect::<Vec<_>>().join(", ");
        report.add(&Place::file(&file), unknown("project", stem, choices));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, head) in heads.iter().enumerate() {
        let place = Place::file(&file).name("head").at(index);
        known.series(report, &place.name("series"), &head.series);
        known.database(report, &place, ("project", stem), ("database", &head.database));
        if !seen.insert((&head.series, &head.database)) {
            let name = format!("{} of {}", head.database, head.series);
            report.add(
                &place,
                Problem::Duplicate {
                    what: "heads for",
                    name: shown(&name),
                },
            );
        }
        if head.alembic.is_empty() && head.migrate.is_empty() {
            report.add(
                &place,
                Problem::Incomplete("the entry has neither alembic nor migrate heads".to_owned()),
            );
        }
    }
}

pub(super) fn complete_heads(
    known: &Known<'_>,
    report: &mut Report<'_>,
    parsed: &Parsed,
    environments: &EnvironmentFile,
) {
    for (stem, project) in &parsed.projects {
        let file = format!("heads/{stem}.toml");
        let heads = parsed.heads.get(stem).map(Vec::as_slice).unwrap_or_default();
        let exists = known.positions(&project.since, &None);
        for database in &project.database {
            let span = known.positions(&database.since, &database.until);
            for (at, series) in known.series.iter().enumerate() {
                let installable = !environments
                    .missing
                    .iter()
                    .any(|m| m.project == *stem && m.series == **series);
                let wanted = exists.contains(&at) && span.contains(&at) && installable;
                if wanted
                    && !heads
                        .iter()
                        .any(|head| head.series == **series && head.database == database.role)
                {
                    let problem = Problem::NoHeads {
                        project: stem.clone(),
                        role: shown(&database.role),
                        series: series.to_string(),
                    };
                    report.add(&Place::file(&file), problem);
                }
            }
        }
    }
}

pub(super) fn patch(known: &Known<'_>, report: &mut Report<'_>, stem: &str, patch: &Patch) {
    let file = format!("patches/{stem}.toml");
    let root = Place::file(&file);
    if patch.id != stem {
        report.add(
            &root.name("id"),
            bad_value("patch", &patch.id, &format!("is in the file of {stem:?}")),
        );
    }
    for (index, series) in patch.series.iter().enumerate() {
        known.series(report, &root.name("series").at(index), series);
    }
    let parts_are_plain = patch.file.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !parts_are_plain || patch.file.contains(['\\', '\0', ':']) {
        report.add(
            &root.name("file"),
            bad_value("file", &patch.file, "is not a path inside site-packages"),
        );
    }
    if patch.find.is_empty() || patch.find == patch.replace {
        report.add(
            &root.name("find"),
            bad_value("find", &patch.find, "is empty or equal to its replacement"),
        );
    }
    for (field, text) in [("reason", &patch.reason), ("bug", &patch.bug)] {
        if text.trim().is_empty() {
            report.add(
                &root.name(field),
                Problem::Incomplete(format!("patch {stem:?} needs a {field}")),
            );
        }
    }
}
