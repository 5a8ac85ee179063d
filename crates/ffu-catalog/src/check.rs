//! What serde cannot see: names, references, spans and completeness across files.

mod project;

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::Series;
use ffu_model::cloud::is_name;

use crate::error::{Problem, shown};
use crate::load::{Parsed, Report};
use crate::locate::Place;
use crate::query;
use crate::types::{EnvironmentFile, GateEntry, HeadEntry, Patch, Project, SeriesFile};

/// What the checks of single files need to know of the others.
pub(crate) struct Known<'a> {
    order: BTreeMap<&'a Series, usize>,
    series: Vec<&'a Series>,
    projects: &'a BTreeMap<String, Project>,
    /// Service → project.
    services: BTreeMap<&'a str, &'a str>,
}

impl Known<'_> {
    fn choices(&self) -> String {
        let names: Vec<&str> = self.series.iter().map(|s| s.as_str()).collect();
        names.join(", ")
    }

    /// Reports a series that is not there.
    fn series(&self, report: &mut Report<'_>, place: &Place<'_>, series: &Series) -> bool {
        let known = self.order.contains_key(series);
        if !known {
            let problem = Problem::UnknownSeries {
                series: series.to_string(),
                choices: self.choices(),
            };
            report.add(place, problem);
        }
        known
    }

    /// Reports what is wrong with the `since` and `until` of an entry.
    fn span(&self, report: &mut Report<'_>, entry: &Place<'_>, since: &Option<Series>, until: &Option<Series>) {
        let fine = |report: &mut Report<'_>, name, series: &Option<Series>| {
            series
                .as_ref()
                .is_none_or(|series| self.series(report, &entry.name(name), series))
        };
        let both = fine(report, "since", since) & fine(report, "until", until);
        if let (true, Some(since), Some(until)) = (both, since, until)
            && self.order.get(since) > self.order.get(until)
        {
            let problem = Problem::SpanReversed {
                since: since.to_string(),
                until: until.to_string(),
            };
            report.add(&entry.name("until"), problem);
        }
    }

    /// The positions of a span, within the catalog.
    fn positions(&self, since: &Option<Series>, until: &Option<Series>) -> std::ops::Range<usize> {
        let start = since.as_ref().and_then(|s| self.order.get(s).copied()).unwrap_or(0);
        let end = until
            .as_ref()
            .and_then(|s| self.order.get(s).copied())
            .map_or(self.series.len(), |at| at + 1);
        start..end
    }

    /// Reports a project, or a role of it, that is not there.
    fn database(
        &self,
        report: &mut Report<'_>,
        entry: &Place<'_>,
        project: (&'static str, &str),
        role: (&'static str, &str),
    ) {
        let Some(found) = self.projects.get(project.1) else {
            let choices = self.projects.keys().cloned().collect::<Vec<_>>().join(", ");
            report.add(&entry.name(project.0), unknown("project", project.1, choices));
            return;
        };
        if !found.database.iter().any(|database| database.role == role.1) {
            report.add(&entry.name(role.0), unknown("database role", role.1, roles(found)));
        }
    }
}

fn roles(project: &Project) -> String {
    let mut names: Vec<&str> = project.database.iter().map(|database| database.role.as_str()).collect();
    names.dedup();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn unknown(what: &'static str, name: &str, choices: String) -> Problem {
    Problem::Unknown {
        what,
        name: shown(name),
        choices,
    }
}

fn bad_value(what: &'static str, value: &str, reason: &str) -> Problem {
    Problem::BadValue {
        what,
        value: shown(value),
        reason: reason.to_owned(),
    }
}

/// Reports a name that is unsafe, or was seen before.
fn name<'a>(
    report: &mut Report<'_>,
    place: &Place<'_>,
    what: &'static str,
    name: &'a str,
    seen: &mut BTreeSet<&'a str>,
) {
    if !is_name(name) {
        report.add(
            place,
            Problem::BadName {
                what,
                name: shown(name),
            },
        );
    } else if !seen.insert(name) {
        report.add(
            place,
            Problem::Duplicate {
                what,
                name: name.to_owned(),
            },
        );
    }
}

fn source(report: &mut Report<'_>, entry: &Place<'_>, what: &'static str, name: &str, source: &str) {
    if source.trim().is_empty() {
        report.add(
            &entry.name("source"),
            Problem::NoSource {
                what,
                name: shown(name),
            },
        );
    }
}

/// Every semantic mistake of the parsed files.
pub(crate) fn check(parsed: &Parsed, report: &mut Report<'_>) {
    let Some(series) = &parsed.series else { return };
    let Some(environments) = &parsed.environments else {
        return;
    };
    let ids = series.series.iter().map(|entry| &entry.id);
    let services = parsed.projects.values().flat_map(|project| {
        project
            .service
            .iter()
            .map(|service| (service.name.as_str(), project.name.as_str()))
    });
    let known = Known {
        order: ids.clone().enumerate().map(|(at, id)| (id, at)).collect(),
        series: ids.collect(),
        projects: &parsed.projects,
        services: services.collect(),
    };
    check_series(&known, report, series);
    let mut invariants = BTreeSet::new();
    let mut services = BTreeSet::new();
    for (stem, project) in &parsed.projects {
        project::check(&known, report, stem, project, &mut invariants, &mut services);
    }
    let mut ids = BTreeSet::new();
    for (stem, gates) in &parsed.gates {
        check_gates(&known, report, stem, gates, &mut ids);
    }
    check_environments(&known, report, environments, parsed);
    for (stem, heads) in &parsed.heads {
        check_heads(&known, report, stem, heads);
    }
    complete_heads(&known, report, parsed, environments);
    for (stem, patch) in &parsed.patches {
        check_patch(&known, report, stem, patch);
    }
}

fn check_series(known: &Known<'_>, report: &mut Report<'_>, file: &SeriesFile) {
    let root = Place::file("series.toml");
    if file.series.is_empty() {
        report.add(&root, Problem::Incomplete("there is no series".to_owned()));
    }
    let mut seen = BTreeSet::new();
    let mut last = None;
    for (index, entry) in file.series.iter().enumerate() {
        let place = root.name("series").at(index);
        let mut names = BTreeSet::from([entry.id.as_str().to_owned(), entry.name.to_ascii_lowercase()]);
        names.extend(entry.number.clone());
        for name in names {
            if !seen.insert(name.clone()) {
                report.add(
                    &place.name("id"),
                    Problem::Duplicate {
                        what: "series",
                        name: shown(&name),
                    },
                );
            }
        }
        if last.is_some_and(|last| last >= entry.first_release) {
            let problem = bad_value(
                "first_release",
                &entry.first_release.to_string(),
                "is not later than the series before",
            );
            report.add(&place.name("first_release"), problem);
        }
        last = Some(entry.first_release);
        for python in &entry.python {
            if minor(python).is_none() {
                report.add(
                    &place.name("python"),
                    bad_value("Python version", python, "has not the form 3.12"),
                );
            }
        }
        if entry.python.first().and_then(|p| minor(p)) > entry.python.last().and_then(|p| minor(p)) {
            report.add(
                &place.name("python"),
                bad_value("python", &entry.python.join(" – "), "is not oldest, then newest"),
            );
        }
    }
    for (index, skip) in file.skip.iter().enumerate() {
        let place = root.name("skip").at(index);
        let both =
            known.series(report, &place.name("from"), &skip.from) & known.series(report, &place.name("to"), &skip.to);
        if both && known.order.get(&skip.from) >= known.order.get(&skip.to) {
            report.add(
                &place.name("to"),
                bad_value("skip to", skip.to.as_str(), "does not lead to a later series"),
            );
        }
        source(report, &place, "skip", skip.from.as_str(), &skip.source);
    }
}

fn minor(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn check_gates<'a>(
    known: &Known<'_>,
    report: &mut Report<'_>,
    stem: &str,
    gates: &'a [GateEntry],
    ids: &mut BTreeSet<&'a str>,
) {
    let file = format!("gates/{stem}.toml");
    for (index, gate) in gates.iter().enumerate() {
        let place = Place::file(&file).name("gate").at(index);
        name(report, &place.name("id"), "gate", &gate.id, ids);
        known.database(report, &place, ("project", &gate.project), ("database", &gate.database));
        known.series(report, &place.name("entering"), &gate.entering);
        known.span(report, &place, &gate.since, &gate.until);
        if let Some(reason) = query::refusal(&gate.query) {
            report.add(&place.name("query"), Problem::Query { reason });
        }
        for (field, text) in [("message", &gate.message), ("remedy", &gate.remedy)] {
            if text.trim().is_empty() {
                report.add(
                    &place.name(field),
                    Problem::Incomplete(format!("gate {:?} needs a {field}", shown(&gate.id))),
                );
            }
        }
        if !gate.in_prepare && !gate.on_hop {
            let problem = Problem::Incomplete(format!("gate {:?} is never asked", shown(&gate.id)));
            report.add(&place, problem);
        }
        source(report, &place, "gate", &gate.id, &gate.source);
    }
}

fn check_environments(known: &Known<'_>, report: &mut Report<'_>, file: &EnvironmentFile, parsed: &Parsed) {
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

/// `20.6.1`, with letters and digits as in `1.0.0rc1`.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        && text.split('.').all(|part| !part.is_empty())
}

fn check_heads(known: &Known<'_>, report: &mut Report<'_>, stem: &str, heads: &[HeadEntry]) {
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

fn complete_heads(known: &Known<'_>, report: &mut Report<'_>, parsed: &Parsed, environments: &EnvironmentFile) {
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

fn check_patch(known: &Known<'_>, report: &mut Report<'_>, stem: &str, patch: &Patch) {
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
