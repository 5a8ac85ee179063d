//! The checks of what a project's file says about rows and options: drains, invariants, settings, extractions.

use std::collections::BTreeSet;

use super::project::{identifier, relative, role};
use super::{Known, bad_value, source, unknown};
use crate::error::{Problem, shown};
use crate::load::Report;
use crate::locate::Place;
use crate::types::{ExtractionEntry, InvariantEntry, Project};
use ffu_model::query;

/// Every mistake in these parts of a project's file.
pub(super) fn check<'a>(
    known: &Known<'_>,
    report: &mut Report<'_>,
    root: &Place<'_>,
    project: &'a Project,
    invariants: &mut BTreeSet<&'a str>,
) {
    for (index, drain) in project.drain.iter().enumerate() {
        let place = root.name("drain").at(index);
        role(report, &place.name("database"), project, &drain.database);
        known.span(report, &place, &drain.since, &drain.until);
        if let Some(reason) = query::refusal(&drain.query) {
            report.add(&place.name("query"), Problem::Query { reason });
        }
    }
    for (index, invariant) in project.invariant.iter().enumerate() {
        check_invariant(known, report, &root.name("invariant").at(index), invariant, invariants);
    }
    let settings = project
        .setting
        .iter()
        .enumerate()
        .map(|(index, setting)| ("setting", index, setting));
    let for_commands = project.command_setting.iter().enumerate();
    for (table, index, setting) in settings.chain(for_commands.map(|(index, s)| ("command_setting", index, s))) {
        let place = root.name(table).at(index);
        known.span(report, &place, &setting.since, &setting.until);
        if !project.config.iter().any(|config| config.path == setting.file) {
            let choices = project
                .config
                .iter()
                .map(|config| config.path.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            report.add(
                &place.name("file"),
                unknown("configuration file", &setting.file, choices),
            );
        }
        for (field, value) in [
            ("section", &setting.section),
            ("option", &setting.option),
            ("value", &setting.value),
        ] {
            let breaks_a_line = value.chars().any(char::is_control) || (field != "value" && value.is_empty());
            if breaks_a_line || (field != "value" && value.contains(['[', ']', '='])) {
                report.add(
                    &place.name(field),
                    bad_value(field, value, "cannot be written to a configuration file"),
                );
            }
        }
        source(report, &place, "setting", &setting.option, &setting.reason);
    }
    for (index, extraction) in project.extraction.iter().enumerate() {
        check_extraction(known, report, &root.name("extraction").at(index), project, extraction);
    }
}

fn check_invariant<'a>(
    known: &Known<'_>,
    report: &mut Report<'_>,
    place: &Place<'_>,
    invariant: &'a InvariantEntry,
    invariants: &mut BTreeSet<&'a str>,
) {
    // Ids have the form project.thing, and both parts are names.
    let fine = invariant.id.split('.').all(ffu_model::cloud::is_name);
    if !fine {
        report.add(
            &place.name("id"),
            Problem::BadName {
                what: "invariant",
                name: shown(&invariant.id),
            },
        );
    } else if !invariants.insert(&invariant.id) {
        report.add(
            &place.name("id"),
            Problem::Duplicate {
                what: "invariant",
                name: invariant.id.clone(),
            },
        );
    }
    identifier(report, &place.name("table"), "table", &invariant.table);
    for (field, columns) in [("key", &invariant.key), ("except", &invariant.except)] {
        for column in columns {
            identifier(report, &place.name(field), "column", column);
        }
    }
    if invariant.key.is_empty() {
        report.add(
            &place.name("key"),
            Problem::Incomplete(format!("invariant {:?} needs a key", shown(&invariant.id))),
        );
    }
    if !invariant.filter.is_empty()
        && let Some(reason) = query::condition_refusal(&invariant.filter)
    {
        report.add(&place.name("filter"), Problem::Query { reason });
    }
    if !invariant.except.is_empty() {
        source(report, place, "excepted columns of", &invariant.id, &invariant.source);
    }
    if invariant.place.is_empty() {
        report.add(
            place,
            Problem::Incomplete(format!("invariant {:?} needs a place", shown(&invariant.id))),
        );
    }
    for (number, entry) in invariant.place.iter().enumerate() {
        let at = place.name("place").at(number);
        known.database(report, &at, ("project", &entry.project), ("database", &entry.database));
        known.span(report, &at, &entry.since, &entry.until);
    }
}

fn check_extraction(
    known: &Known<'_>,
    report: &mut Report<'_>,
    place: &Place<'_>,
    project: &Project,
    entry: &ExtractionEntry,
) {
    known.series(report, &place.name("entering"), &entry.entering);
    match entry.from.split_once('/') {
        Some((from, from_role)) => known.database(report, place, ("from", from), ("from", from_role)),
        None => report.add(
            &place.name("from"),
            bad_value("database", &entry.from, "has not the form project/role"),
        ),
    }
    role(report, &place.name("to"), project, &entry.to);
    for table in &entry.tables {
        identifier(report, &place.name("tables"), "table", table);
    }
    if entry.stamp.is_empty() || !entry.stamp.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        report.add(
            &place.name("stamp"),
            bad_value("revision", &entry.stamp, "is not an alembic revision"),
        );
    }
    relative(report, &place.name("config"), &entry.config);
    for (number, copy) in entry.copy_sections.iter().enumerate() {
        relative(report, &place.name("copy_sections").at(number).name("file"), &copy.file);
    }
    source(report, place, "extraction", &entry.from, &entry.source);
}
