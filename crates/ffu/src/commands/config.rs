//! `ffu config`: option files carried over, checked, explained.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use camino::Utf8PathBuf;
use ffu_catalog::Catalog;
use ffu_catalog::options::ServiceOptions;
use ffu_config::check::{CheckRequest, check};
use ffu_config::finding::{self, Finding, Severity};
use ffu_config::migrate::{InputFile, Migrator, Outcome};
use ffu_hopenv::EnvStore;
use ffu_model::Series;
use serde_json::json;

use crate::cli::config::{CheckArguments, ConfigCommand, MigrateArguments};
use crate::commands::carried::{self, Carried};
use crate::configs::elsewhere::Leaving;
use crate::configs::find::{self, FileSet, Findings};
use crate::configs::kind::Kind;
use crate::configs::told::Told;
use crate::configs::{known, merge, show, verify};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::places::Places;

pub fn run(places: &Places, output: Output, command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Migrate(arguments) => run_migrate(places, output, arguments),
        ConfigCommand::Check(arguments) => run_check(places, output, arguments),
        ConfigCommand::Explain { service, option } => super::life::option(places, output, service, option),
        ConfigCommand::Options { service, series } => super::life::options(places, output, service, series),
        ConfigCommand::Table { services } => super::life::table(places, output, services),
    }
}

fn run_migrate(places: &Places, output: Output, arguments: &MigrateArguments) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_configuration()?;
    let services = carried::services(catalog);
    let to = catalog.resolve(&arguments.to)?;
    let start = carried::Start::new(catalog, arguments)?;
    let found = find::find(&arguments.files, arguments.service.as_deref(), &services, |kind| {
        kind != Kind::Policy
    })?;
    carried::something(&found, &arguments.files)?;
    let mut carried = Carried::read(&found)?;
    let environment = carried::environment(arguments.env_file.as_ref())?;
    let mut verified = verify::Counts::default();
    let mut leaving = Leaving::default();
    let mut migrators: BTreeMap<String, Migrator<'_>> = BTreeMap::new();
    for set in found.sets() {
        let from = start.of(&set.service)?;
        let path = carried::path(catalog, &from, &to)?;
        let migrator = match migrators.entry(set.service.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let options = service(catalog, &set.service)?;
                let made = Migrator::new(options, catalog.config_rules(), &path);
                entry.insert(made.map_err(|error| Failure::new(Exit::BadInput, error))?)
            }
        };
        let files = inputs(&found, &set, &carried);
        let mut outcome = migrator
            .migrate(&files, &environment, arguments.pin_defaults)
            .map_err(|error| Failure::new(Exit::BadInput, error))?;
        if arguments.verify {
            verified.add(verify::both_sides(
                places,
                &set.service,
                (&from, &to),
                &files,
                &mut outcome,
            )?);
        }
        leaving.extend(std::mem::take(&mut outcome.departures), &path);
        take(&set, &found, outcome, &mut carried);
    }
    super::elsewhere::settle(catalog, arguments, &found, &mut leaving, &mut carried)?;
    let store = EnvStore::new(places.cache.clone());
    for (at, file) in found.files.iter().enumerate() {
        if matches!(file.kind, Kind::Paste | Kind::Rootwrap) {
            let from = start.of(&file.service)?;
            let merged = merge::against_upstream(&store, &file.service, &file.path, carried.before(at), (&from, &to));
            carried.replace(at, merged.bytes);
            carried.told.extend(merged.findings);
        }
    }
    carried.note_unknown(&found);
    carried.hide(catalog, &found, &start, &to);
    if arguments.verify {
        output.progress(verified.to_string());
    }
    carried::finish(output, arguments, &found, carried, &start, &to)
}

/// The catalog of a service's options.
pub fn service<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a ServiceOptions, Failure> {
    known(catalog, name, catalog.options(name)).map_err(|why| Failure::new(Exit::BadInput, why))
}

/// The files of a set. The ones before the last were carried with their own set already, but are read as they were.
fn inputs(found: &Findings, set: &FileSet, carried: &Carried) -> Vec<InputFile> {
    set.files
        .iter()
        .filter_map(|at| {
            Some(InputFile {
                label: found.files.get(*at)?.path.to_string(),
                bytes: carried.before(*at).to_vec(),
            })
        })
        .collect()
}

/// Takes over what became of a set. A main file belongs to several sets; what it became in one must hold in all.
fn take(set: &FileSet, found: &Findings, outcome: Outcome, carried: &mut Carried) {
    for (at, file) in set.files.iter().zip(outcome.files) {
        if let Some(earlier) = carried.after(*at)
            && earlier != file.bytes
        {
            let label = found.files.get(*at).map_or("", |one| one.path.as_str());
            let others: Vec<&str> = set
                .files
                .iter()
                .filter_map(|other| Some(found.files.get(*other)?.path.as_str()))
                .filter(|other| *other != label)
                .collect();
            carried.told.push(
                Finding::new(
                    "sets-disagree",
                    Severity::Decide,
                    label,
                    format!(
                        "read together with {} it would become another file than it did before",
                        others.join(", ")
                    ),
                )
                .at(Some(label), 1, 1)
                .remedy("migrate these files alone, in the order in which their service reads them"),
            );
            continue;
        }
        carried.replace(*at, file.bytes);
    }
    carried.proof += outcome.proof;
    carried.told.extend(outcome.findings);
}

fn run_check(places: &Places, output: Output, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let catalog = places.catalog_of_options()?;
    let services = carried::services(catalog);
    let series = catalog.resolve(&arguments.series)?;
    let found = find::find(&arguments.files, arguments.service.as_deref(), &services, |kind| {
        kind == Kind::Options
    })?;
    carried::something(&found, &arguments.files)?;
    let carried = Carried::read(&found)?;
    let environment = carried::environment(arguments.env_file.as_ref())?;
    let mut told = Told::default();
    let mut read: BTreeMap<String, ServiceOptions> = BTreeMap::new();
    for set in found.sets() {
        let options = match read.entry(set.service.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let at = catalog.options_at(&set.service, &series);
                let options = known(catalog, &set.service, at).map_err(|why| Failure::new(Exit::BadInput, why))?;
                entry.insert(options)
            }
        };
        let of_set = check(&CheckRequest {
            options,
            series: &series,
            files: &inputs(&found, &set, &carried),
            environment: &environment,
        })
        .map_err(|error| Failure::new(Exit::BadInput, error))?;
        told.extend(of_set);
    }
    // It lives as long as the process, as the catalog does.
    std::mem::forget(read);
    let mut findings = told.findings;
    finding::sort(&mut findings);
    checked(output, &findings, found.files.len(), &series, arguments.sarif.as_ref())
}

/// Prints what a check found; the exit code is that of the worst finding.
pub fn checked(
    output: Output,
    findings: &[Finding],
    files: usize,
    series: &Series,
    sarif: Option<&Utf8PathBuf>,
) -> Result<Exit, Failure> {
    carried::write_sarif(sarif, findings)?;
    let mut text = show::findings(findings);
    let worst = findings.iter().map(|finding| finding.severity).min();
    let exit = match worst {
        Some(severity) if severity.needs_a_decision() => Exit::Decide,
        _ => Exit::Success,
    };
    let _ = writeln!(
        text,
        "{files} files checked against {series}: {}",
        if findings.is_empty() {
            "nothing to say".to_owned()
        } else {
            format!("{} findings", findings.len())
        }
    );
    output.result(text, &json!({"series": series, "files": files, "findings": findings}));
    Ok(exit)
}
