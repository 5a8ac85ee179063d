//! The checks of one project's file.

use std::collections::BTreeSet;

use super::{Known, bad_value, is_version, name, roles, source, unknown};
use crate::error::{Problem, shown};
use crate::load::Report;
use crate::locate::Place;
use crate::overlay::text;
use crate::types::{CommandEntry, OnTheWayEntry, Project, RunEntry, ServiceEntry};
use ffu_model::query;
use ffu_model::step::{ConfigStyle, Purpose};

/// Every mistake of a project's file.
pub(super) fn check<'a>(
    known: &Known<'_>,
    report: &mut Report<'_>,
    stem: &str,
    project: &'a Project,
    invariants: &mut BTreeSet<&'a str>,
    services: &mut BTreeSet<&'a str>,
) {
    let file = format!("projects/{stem}.toml");
    let root = Place::file(&file);
    if project.name != stem {
        report.add(
            &root.name("name"),
            bad_value("project", &project.name, &format!("is in the file of {stem:?}")),
        );
    }
    known.span(report, &root, &project.since, &None);
    check_versions(known, report, &root, project);
    for (index, same) in project.same_heads.iter().enumerate() {
        let place = root.name("same_heads").at(index);
        known.series(report, &place.name("series"), &same.series);
        role(report, &place.name("database"), project, &same.database);
        source(report, &place, "heads of", same.series.as_str(), &same.source);
    }
    for (index, config) in project.config.iter().enumerate() {
        relative(report, &root.name("config").at(index).name("path"), &config.path);
    }
    for (index, database) in project.database.iter().enumerate() {
        let place = root.name("database").at(index);
        known.span(report, &place, &database.since, &database.until);
        identifier(report, &place.name("schema"), "schema", &database.schema);
        let mut alone = BTreeSet::new();
        name(report, &place.name("role"), "database role", &database.role, &mut alone);
        let overlap = project.database.iter().take(index).any(|earlier| {
            let (a, b) = (
                known.positions(&earlier.since, &earlier.until),
                known.positions(&database.since, &database.until),
            );
            earlier.role == database.role && a.start < b.end && b.start < a.end
        });
        if overlap {
            report.add(
                &place.name("role"),
                Problem::Duplicate {
                    what: "database role",
                    name: shown(&database.role),
                },
            );
        }
    }
    for (index, command) in project.command.iter().enumerate() {
        check_command(known, report, &root.name("command").at(index), project, index, command);
    }
    for (index, entry) in project.on_the_way.iter().enumerate() {
        on_the_way(report, &root.name("on_the_way").at(index), project, entry);
    }
    for (index, service) in project.service.iter().enumerate() {
        check_service(known, report, &root.name("service").at(index), service, services);
    }
    super::data::check(known, report, &root, project, invariants);
    for (index, after) in project.after.iter().enumerate() {
        let place = root.name("after").at(index);
        known.span(report, &place, &after.since, &after.until);
        if after.project == project.name || !known.projects.contains_key(&after.project) {
            let others = known.projects.keys().filter(|other| **other != project.name).cloned();
            report.add(
                &place.name("project"),
                unknown("project", &after.project, others.collect::<Vec<_>>().join(", ")),
            );
        }
    }
}

fn check_versions(known: &Known<'_>, report: &mut Report<'_>, root: &Place<'_>, project: &Project) {
    let place = root.name("versions");
    for (series, versions) in &project.versions {
        known.series(report, &place.name(series.as_str()), series);
        for version in [&versions.first, &versions.last] {
            if !is_version(version) {
                report.add(
                    &place.name(series.as_str()),
                    bad_value("version", version, "is not like 20.6.1"),
                );
            }
        }
    }
    for at in known.positions(&project.since, &None) {
        if let Some(series) = known.series.get(at)
            && !project.versions.contains_key(*series)
        {
            report.add(
                &place,
                Problem::Incomplete(format!("no versions of {} in {series}", shown(&project.name))),
            );
        }
    }
}

/// What stands for a command on the way, and the command it stands for.
fn on_the_way(report: &mut Report<'_>, place: &Place<'_>, project: &Project, entry: &OnTheWayEntry) {
    let mut ids: BTreeSet<&str> = project.command.iter().map(|command| command.id.as_str()).collect();
    name(report, &place.name("id"), "command", &entry.id, &mut ids);
    let meant = project.command.iter().filter(|command| command.id == entry.command);
    let commands: Vec<&CommandEntry> = meant.collect();
    if commands.is_empty() {
        let ids = project.command.iter().map(|command| command.id.as_str());
        let choices = ids.collect::<Vec<_>>().join(", ");
        report.add(&place.name("command"), unknown("command", &entry.command, choices));
    }
    let asks = |command: &&CommandEntry| command.purpose == Purpose::UpgradeCheck && !command.needs_services.is_empty();
    if !commands.iter().all(asks) {
        let reason = "is no upgrade check that needs services: nothing can stand for it";
        report.add(&place.name("command"), bad_value("command", &entry.command, reason));
    }
    let printed = |text: &String| commands.iter().any(|command| command.failure_texts.contains(text));
    for text in entry.excused_texts.iter().filter(|text| !printed(text)) {
        let reason = "is none of the command's failure_texts";
        report.add(&place.name("excused_texts"), bad_value("text", text, reason));
    }
    for (index, option) in entry.options.iter().enumerate() {
        let place = place.name("options").at(index);
        source(report, &place, "option", &option.option, &option.reason);
        let texts = [&option.section, &option.option, &option.value];
        if option.option.is_empty() || texts.iter().any(|text| text.chars().any(char::is_control)) {
            let reason = "must be printable, and its name not empty";
            report.add(&place, bad_value("option", &option.option, reason));
        }
    }
}

/// What proves that a command changes nothing.
fn idle(report: &mut Report<'_>, place: &Place<'_>, project: &Project, command: &CommandEntry) {
    if command.idle_at_heads && command.purpose != Purpose::Schema {
        let reason = "is no schema command: heads say nothing about rows";
        report.add(&place.name("idle_at_heads"), bad_value("command", &command.id, reason));
    }
    for (index, pending) in command.pending.iter().enumerate() {
        let place = place.name("pending").at(index);
        if command.purpose != Purpose::OnlineData {
            let reason = "is no online migration: counts of rows say nothing about schemas";
            report.add(&place, bad_value("command", &command.id, reason));
        }
        role(report, &place.name("database"), project, &pending.database);
        if let Some(reason) = query::refusal(&pending.query) {
            report.add(&place.name("query"), Problem::Query { reason });
        }
        source(report, &place, "count of", &pending.what, &pending.source);
    }
}

fn check_command(
    known: &Known<'_>,
    report: &mut Report<'_>,
    place: &Place<'_>,
    project: &Project,
    index: usize,
    command: &CommandEntry,
) {
    let span = known.positions(&command.since, &command.until);
    let mut alone = BTreeSet::new();
    name(report, &place.name("id"), "command", &command.id, &mut alone);
    let overlap = project.command.iter().take(index).any(|earlier| {
        let other = known.positions(&earlier.since, &earlier.until);
        earlier.id == command.id && other.start < span.end && span.start < other.end
    });
    if overlap {
        report.add(
            &place.name("id"),
            Problem::Duplicate {
                what: "command",
                name: shown(&command.id),
            },
        );
    }
    known.span(report, place, &command.since, &command.until);
    program(report, &place.name("program"), &command.program);
    let arguments = command.arguments.iter().chain(command.cell_arguments.iter().flatten());
    if arguments.clone().any(|argument| argument.contains('\0')) {
        report.add(
            &place.name("arguments"),
            bad_value("argument", &command.id, "has a NUL character"),
        );
    }
    if command.config_style == ConfigStyle::Environment && command.config_variable.is_none() {
        let problem = Problem::Incomplete(format!("command {:?} needs a config_variable", shown(&command.id)));
        report.add(&place.name("config_style"), problem);
    }
    if let Some(variable) = &command.config_variable {
        environment_name(report, &place.name("config_variable"), variable);
    }
    for database in &command.databases {
        role(report, &place.name("databases"), project, database);
    }
    for service in &command.needs_services {
        if !known.services.contains_key(service.as_str()) {
            let choices = known.services.keys().copied().collect::<Vec<_>>().join(", ");
            report.add(&place.name("needs_services"), unknown("service", service, choices));
        }
    }
    for (number, exit) in command.exit.iter().enumerate() {
        let entry = place.name("exit").at(number);
        known.span(report, &entry, &exit.since, &exit.until);
        let mine = known.positions(&exit.since, &exit.until);
        for earlier in command
            .exit
            .iter()
            .take(number)
            .filter(|earlier| earlier.code == exit.code)
        {
            let other = known.positions(&earlier.since, &earlier.until);
            let meet = mine.start.max(other.start);
            if meet < mine.end.min(other.end) {
                let series = known.series.get(meet).map(|s| s.to_string()).unwrap_or_default();
                report.add(
                    &entry,
                    Problem::DoubledExit {
                        code: exit.code,
                        series,
                    },
                );
            }
        }
    }
    idle(report, place, project, command);
    if command.exit.is_empty() {
        let problem = Problem::Incomplete(format!(
            "command {:?} needs the meaning of an exit code",
            shown(&command.id)
        ));
        report.add(place, problem);
    }
    if command.failure_texts.iter().any(|text| text.trim().is_empty()) {
        report.add(&place.name("failure_texts"), bad_value("text", "", "is in every line"));
    }
    if command.known_exceptions.iter().any(|name| name.trim().is_empty()) {
        report.add(
            &place.name("known_exceptions"),
            bad_value("exception", "", "is the beginning of every exception"),
        );
    }
    if command.timeout_seconds == 0 || command.timeout_seconds > 7 * 24 * 3600 {
        let value = command.timeout_seconds.to_string();
        report.add(
            &place.name("timeout_seconds"),
            bad_value("timeout", &value, "is not between a second and a week"),
        );
    }
    source(report, place, "command", &command.id, &command.source);
}

fn check_service<'a>(
    known: &Known<'_>,
    report: &mut Report<'_>,
    place: &Place<'_>,
    service: &'a ServiceEntry,
    services: &mut BTreeSet<&'a str>,
) {
    name(report, &place.name("name"), "service", &service.name, services);
    known.span(report, place, &service.since, &service.until);
    for (number, run) in service.run.iter().enumerate() {
        let entry = place.name("run").at(number);
        known.span(report, &entry, &run.since, &run.until);
        check_run(report, &entry, service, run);
    }
}

fn check_run(report: &mut Report<'_>, entry: &Place<'_>, service: &ServiceEntry, run: &RunEntry) {
    match (&run.program, &run.wsgi) {
        (Some(run_program), None) => program(report, &entry.name("program"), run_program),
        (None, Some(application)) => {
            let part = |text: &str| {
                text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') && !text.is_empty()
            };
            let fine = application.split_once(':').is_some_and(|(module, callable)| {
                part(module) && part(callable.strip_suffix("()").unwrap_or(callable))
            });
            if !fine {
                report.add(
                    &entry.name("wsgi"),
                    bad_value("WSGI application", application, "has not the form module:callable"),
                );
            }
        }
        _ => {
            let text = format!(
                "service {:?} runs by exactly one of program and wsgi",
                shown(&service.name)
            );
            report.add(entry, Problem::Incomplete(text));
        }
    }
    if let Some(config) = &run.config {
        relative(report, &entry.name("config"), config);
    }
    for (variable, value) in &run.environment {
        environment_name(report, &entry.name("environment"), variable);
        if text(value.as_bytes()).is_err() {
            report.add(
                &entry.name("environment"),
                bad_value("value", value, "has a NUL character"),
            );
        }
    }
}

pub(super) fn role(report: &mut Report<'_>, place: &Place<'_>, project: &Project, role: &str) {
    if !project.database.iter().any(|database| database.role == role) {
        report.add(place, unknown("database role", role, roles(project)));
    }
}

pub(super) fn relative(report: &mut Report<'_>, place: &Place<'_>, path: &str) {
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !plain || path.contains(['\\', '\0']) || path.len() > 255 {
        report.add(
            place,
            bad_value("path", path, "is not a plain path below the deployment's /etc"),
        );
    }
}

pub(super) fn program(report: &mut Report<'_>, place: &Place<'_>, program: &str) {
    let fine = program.starts_with(|c: char| c.is_ascii_alphanumeric())
        && program.len() <= 64
        && program.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !fine {
        report.add(
            place,
            bad_value(
                "program",
                program,
                "is not the name of a program in the environment's bin",
            ),
        );
    }
}

pub(super) fn identifier(report: &mut Report<'_>, place: &Place<'_>, what: &'static str, name: &str) {
    let fine = (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fine {
        report.add(
            place,
            bad_value(what, name, "is not an SQL name of letters, digits and _"),
        );
    }
}

pub(super) fn environment_name(report: &mut Report<'_>, place: &Place<'_>, name: &str) {
    // Variables that change which code runs are none of a catalog's business.
    let loads_code = name.starts_with("LD_") || name.starts_with("PYTHON") || name == "PATH";
    let fine = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if !fine || loads_code {
        report.add(
            place,
            bad_value(
                "environment variable",
                name,
                "is not allowed: use upper-case OS_… names",
            ),
        );
    }
}
