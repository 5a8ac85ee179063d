//! From files to a [`Catalog`]: parse each, then hand all to the semantic checks.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::error::{CatalogError, Problem};
use crate::locate::{Place, line_and_column};
use crate::options::OptionStore;
use crate::overlay::text;
use crate::rules::{Rule, RuleFile};
use crate::types::{EnvironmentFile, GateEntry, GateFile, HeadEntry, HeadFile, Patch, Project, SeriesFile};
use crate::{Catalog, Files, check, rules};

/// Where option catalogs are. They are the only files that are not text, and are read when they are asked for.
const OPTIONS: &str = "options/";

/// The parsed files, each with its path, for checks that report places.
#[derive(Default)]
pub(crate) struct Parsed {
    pub texts: BTreeMap<String, String>,
    pub series: Option<SeriesFile>,
    pub projects: BTreeMap<String, Project>,
    pub gates: BTreeMap<String, Vec<GateEntry>>,
    pub environments: Option<EnvironmentFile>,
    pub heads: BTreeMap<String, Vec<HeadEntry>>,
    pub patches: BTreeMap<String, Patch>,
    pub rules: BTreeMap<String, Vec<Rule>>,
    /// Names of files under `locks/`.
    pub locks: BTreeMap<String, String>,
}

/// Mistakes as they are found.
pub(crate) struct Report<'a> {
    pub texts: &'a BTreeMap<String, String>,
    pub errors: &'a mut Vec<CatalogError>,
}

impl Report<'_> {
    pub fn add(&mut self, place: &Place<'_>, problem: Problem) {
        let position = self.texts.get(place.file).and_then(|text| place.position(text));
        self.errors.push(CatalogError {
            file: place.file.to_owned(),
            line: position.map(|p| p.0),
            column: position.map(|p| p.1),
            problem,
        });
    }
}

/// Reads all files; what it returns is of use only if no error was added. `whole`: nothing was left out, so that the files can
/// be checked against each other.
pub(crate) fn load(files: &Files, whole: bool, errors: &mut Vec<CatalogError>) -> Catalog {
    let mut parsed = Parsed::default();
    for (path, bytes) in files {
        if path.starts_with(OPTIONS) {
            continue;
        }
        match text(bytes) {
            Ok(text) => {
                parsed.texts.insert(path.clone(), text.to_owned());
            }
            Err(offset) => errors.push(error_of(path, Problem::NotText { offset })),
        }
    }
    parse_all(&mut parsed, errors);
    for (required, asked) in [("series.toml", true), ("environments.toml", whole)] {
        if asked && !files.contains_key(required) {
            errors.push(error_of(required, Problem::NoFile));
        }
    }
    // Checks across files would only repeat what a file that did not parse has caused.
    if errors.is_empty() {
        let mut report = Report {
            texts: &parsed.texts,
            errors,
        };
        if whole {
            check::check(&parsed, &mut report);
        }
        rules::check(&parsed, errors);
    }
    assemble(parsed, files, whole)
}

fn parse_all(parsed: &mut Parsed, errors: &mut Vec<CatalogError>) {
    let texts = std::mem::take(&mut parsed.texts);
    for (path, text) in &texts {
        let (directory, file) = path.split_once('/').unwrap_or(("", path));
        let stem = file.strip_suffix(".toml").unwrap_or(file).to_owned();
        match (directory, file) {
            ("", "series.toml") => parsed.series = parse(path, text, errors),
            ("", "environments.toml") => parsed.environments = parse(path, text, errors),
            ("projects", _) => insert(&mut parsed.projects, stem, parse(path, text, errors)),
            ("gates", _) => insert(
                &mut parsed.gates,
                stem,
                parse(path, text, errors).map(|f: GateFile| f.gate),
            ),
            ("heads", _) => insert(
                &mut parsed.heads,
                stem,
                parse(path, text, errors).map(|f: HeadFile| f.head),
            ),
            ("patches", _) => insert(&mut parsed.patches, stem, parse(path, text, errors)),
            ("config-rules", _) => insert(
                &mut parsed.rules,
                path.clone(),
                parse(path, text, errors).map(|f: RuleFile| f.rule),
            ),
            ("locks", _) => {
                parsed.locks.insert(file.to_owned(), text.clone());
            }
            _ => {}
        }
    }
    parsed.texts = texts;
}

fn insert<T>(map: &mut BTreeMap<String, T>, name: String, value: Option<T>) {
    if let Some(value) = value {
        map.insert(name, value);
    }
}

fn parse<T: DeserializeOwned>(path: &str, text: &str, errors: &mut Vec<CatalogError>) -> Option<T> {
    match toml::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let position = error.span().map(|span| line_and_column(text, span.start));
            errors.push(CatalogError {
                file: path.to_owned(),
                line: position.map(|p| p.0),
                column: position.map(|p| p.1),
                problem: Problem::Toml {
                    message: error.message().to_owned(),
                },
            });
            None
        }
    }
}

fn error_of(path: &str, problem: Problem) -> CatalogError {
    CatalogError {
        file: path.to_owned(),
        line: None,
        column: None,
        problem,
    }
}

fn digest(files: &Files) -> String {
    // Lengths keep two different sets of files from giving the same bytes.
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    ffu_model::digest::hex(&hash.finalize())
}

/// Not before the checks, which speak of the entries of the file.
fn add_what_is_on_the_way(project: &mut Project) {
    for command in std::mem::take(&mut project.command) {
        let entries = project.on_the_way.iter().filter(|entry| entry.command == command.id);
        let alone: Vec<_> = entries.map(|entry| entry.instead_of(&command)).collect();
        project.command.push(command);
        project.command.extend(alone);
    }
}

fn assemble(parsed: Parsed, files: &Files, whole: bool) -> Catalog {
    let (series, skips) = parsed.series.map(|file| (file.series, file.skip)).unwrap_or_default();
    let (environments, missing) = parsed
        .environments
        .map(|file| (file.environment, file.missing))
        .unwrap_or_default();
    let mut catalog = Catalog {
        series,
        skips,
        projects: parsed.projects.into_values().collect(),
        gates: parsed.gates.into_values().flatten().collect(),
        environments,
        missing,
        patches: parsed.patches.into_values().collect(),
        heads: parsed.heads,
        locks: parsed.locks,
        rules: parsed.rules.into_values().flatten().collect(),
        options: OptionStore::default(),
        // A part decides nothing that a plan would have to be compared with.
        digest: if whole { digest(files) } else { String::new() },
    };
    let order = catalog.series.iter().map(|entry| entry.id.clone()).collect();
    let packed = files.iter().filter(|(path, _)| path.starts_with(OPTIONS));
    catalog.options = OptionStore::new(order, packed);
    let place: BTreeMap<_, _> = catalog
        .series
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.id.clone(), at))
        .collect();
    catalog
        .projects
        .sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    catalog.projects.iter_mut().for_each(add_what_is_on_the_way);
    catalog
        .gates
        .sort_by(|a, b| (place.get(&a.entering), &a.id).cmp(&(place.get(&b.entering), &b.id)));
    catalog
        .environments
        .sort_by_key(|entry| place.get(&entry.series).copied());
    catalog
}
