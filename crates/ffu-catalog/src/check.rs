//! What serde cannot see: names, references, spans and completeness across files.

mod data;
mod environment;
mod project;

use std::collections::{BTreeMap, BTreeSet};

use ffu_model::Series;
use ffu_model::cloud::is_name;

use crate::error::{Problem, shown};
use crate::load::{Parsed, Report};
use crate::locate::Place;
use crate::types::{GateEntry, Project, SeriesFile};
use ffu_model::query;

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
    environment::environments(&known, report, environments, parsed);
    for (stem, heads) in &parsed.heads {
        environment::heads(&known, report, stem, heads);
    }
    environment::complete_heads(&known, report, parsed, environments);
    for (stem, patch) in &parsed.patches {
        environment::patch(&known, report, stem, patch);
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

/// `20.6.1`, with letters and digits as in `1.0.0rc1`.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 32
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        && text.split('.').all(|part| !part.is_empty())
}
