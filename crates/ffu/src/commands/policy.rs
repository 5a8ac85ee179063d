//! `ffu policy`: policy files carried over, checked, explained.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ffu_catalog::Catalog;
use ffu_config::finding::{self, Finding};
use ffu_config::policy::{self, History};
use ffu_model::Series;
use serde_json::json;

use super::carried::{self, Carried};
use super::config;
use crate::cli::config::{CheckArguments, MigrateArguments, PolicyCommand};
use crate::configs::find::{self, Findings};
use crate::configs::kind::Kind;
use crate::configs::policy as rules;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

pub fn run(places: &Places, output: Output, command: &PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Migrate(arguments) => run_migrate(places, output, arguments),
        PolicyCommand::Check(arguments) => run_check(places, output, arguments),
        PolicyCommand::Explain { service, rule } => explain(places, output, service, rule),
        PolicyCommand::Options { service, series } => options(places, output, service, series),
    }
}

fn run_migrate(places: &Places, output: Output, arguments: &MigrateArguments) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let services = carried::services(catalog);
    let to = catalog.resolve(&arguments.to)?;
    let start = carried::Start::new(catalog, arguments)?;
    let found = policies(&arguments.files, arguments.service.as_deref(), &services)?;
    let mut carried = Carried::read(&found)?;
    for group in groups(&found) {
        let from = start.of(&group.service)?;
        let outcome = migrated(catalog, &found, &group, &carried, (&from, &to), arguments.pin_defaults)?;
        for (at, file) in group.files.iter().zip(outcome.files) {
            let name = found
                .files
                .get(*at)
                .and_then(|one| one.path.file_name())
                .unwrap_or_default();
            if file.suggested_name != name && file.suggested_name != file.name {
                let suggested = camino::Utf8Path::new(&file.suggested_name);
                if let Some(suggested) = suggested.file_name().filter(|suggested| *suggested != name) {
                    carried.rename(*at, suggested.to_owned());
                }
            }
            carried.replace(*at, file.text);
        }
        carried.told.extend(outcome.findings);
        carried.rules += outcome.proof;
    }
    carried.note_unknown(&found);
    carried::finish(output, arguments, &found, carried, &start, &to)
}

fn run_check(places: &Places, output: Output, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let services = carried::services(catalog);
    let series = catalog.resolve(&arguments.series)?;
    let found = policies(&arguments.files, arguments.service.as_deref(), &services)?;
    let carried = Carried::read(&found)?;
    let mut findings: Vec<Finding> = Vec::new();
    for group in groups(&found) {
        findings.extend(migrated(catalog, &found, &group, &carried, (&series, &series), false)?.findings);
    }
    finding::sort(&mut findings);
    config::checked(output, &findings, found.files.len(), &series, arguments.sarif.as_ref())
}

/// Files that were named are policy files, whatever their names.
fn policies(paths: &[camino::Utf8PathBuf], service: Option<&str>, services: &[String]) -> Result<Findings, Failure> {
    let mut found = find::find(paths, service, services, |_| true)?;
    let named: BTreeSet<&camino::Utf8PathBuf> = paths.iter().collect();
    found
        .files
        .retain(|file| file.kind == Kind::Policy || named.contains(&file.path));
    carried::something(&found, paths)?;
    Ok(found)
}

/// Policy files that one service reads together: those of one directory (with its `policy.d`).
struct Group {
    service: String,
    files: Vec<usize>,
}

fn groups(found: &Findings) -> Vec<Group> {
    let mut groups: BTreeMap<(String, camino::Utf8PathBuf), Vec<usize>> = BTreeMap::new();
    for (at, file) in found.files.iter().enumerate() {
        let mut directory = file.path.parent().map(camino::Utf8Path::to_owned).unwrap_or_default();
        if directory.file_name() == Some("policy.d") {
            directory.pop();
        }
        groups.entry((file.service.clone(), directory)).or_default().push(at);
    }
    groups
        .into_iter()
        .map(|((service, _), mut files)| {
            // `policy_file` first, then the directory's by name: a later one wins.
            files.sort_by_key(|at| {
                let path = &found.files[*at].path;
                (
                    path.parent().and_then(camino::Utf8Path::file_name) == Some("policy.d"),
                    path.clone(),
                )
            });
            Group { service, files }
        })
        .collect()
}

fn migrated(
    catalog: &Catalog,
    found: &Findings,
    group: &Group,
    carried: &Carried,
    (from, to): (&Series, &Series),
    pin_defaults: bool,
) -> Result<policy::Outcome, Failure> {
    let options = config::service(catalog, &group.service)?;
    let conf = group
        .files
        .first()
        .and_then(|at| {
            found
                .files
                .get(*at)?
                .path
                .parent()
                .map(|p| p.join(format!("{}.conf", group.service)))
        })
        .filter(|path| path.is_file())
        .map(|path| find::read(&path))
        .transpose()?;
    let files: Vec<(String, Vec<u8>)> = group
        .files
        .iter()
        .filter_map(|at| Some((found.files.get(*at)?.path.to_string(), carried.before(*at).to_vec())))
        .collect();
    rules::Group {
        options,
        from,
        to,
        files: &files,
        confs: &conf.into_iter().collect::<Vec<_>>(),
        pin_defaults,
    }
    .carry()
    .map_err(|error| Failure::new(Exit::BadInput, error))
}

fn explain(places: &Places, output: Output, service: &str, rule: &str) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let options = config::service(catalog, service)?;
    let history = History::of(options);
    let Some(life) = policy::explain(&history, rule) else {
        return Err(Failure::new(
            Exit::BadInput,
            format!(
                "{service} has no policy rule {rule} in any series\n  next: `ffu policy options {service} SERIES` lists them"
            ),
        ));
    };
    output.result(life.to_string(), &life);
    Ok(Exit::Success)
}

fn options(places: &Places, output: Output, service: &str, series: &str) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let series = catalog.resolve(series)?;
    let options = config::service(catalog, service)?;
    let Some(rules) = options.policy_at(&series) else {
        return Err(Failure::new(Exit::BadInput, super::life::not_dumped(options, &series)));
    };
    let mut text = String::new();
    for rule in rules.iter() {
        let _ = write!(text, "{}: {:?}", rule.name, rule.check);
        if !rule.scopes.is_empty() {
            let _ = write!(text, " ({})", rule.scopes.join(", "));
        }
        if let Some(old) = &rule.predecessor {
            let _ = write!(text, ", before: {} {:?}", old.name, old.check);
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{service} of {series}: {} rules", rules.len());
    let all: Vec<_> = rules.iter().collect();
    output.result(text, &json!({"service": service, "series": series, "rules": all}));
    Ok(Exit::Success)
}
