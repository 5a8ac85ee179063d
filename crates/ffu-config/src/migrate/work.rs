//! One migration from its files to its outcome: the order of the work, and what its parts share.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

use ffu_catalog::options::Opt;

use super::destiny::{Destiny, destiny};
use super::elsewhere::Departure;
use super::findings::{Findings, Spot};
use super::side::{Inst, Side};
use super::uses::{Place, Uses};
use super::{InputFile, MigrateError, MigratedFile, Migrator, Outcome};
use super::{apply, defaults, environment, plan, proof};
use crate::era::Era;
use crate::fate::Lineage;
use crate::finding::Finding;
use crate::ini::{Document, Entry};
use crate::reading::{Effective, FileSet, Reading, Source};
use crate::values::Value;

/// What the parts of a migration share.
pub(crate) struct Work<'w, 'a> {
    pub lineage: &'w Lineage<'a>,
    pub before: &'w Side<'a>,
    /// The target, as far as it can be known before the files are migrated.
    pub after: &'w Side<'a>,
    pub files: &'w FileSet,
    pub environment: &'w BTreeMap<String, String>,
    pub reading: &'w Reading<'w, 'a>,
    pub uses: Uses<'a>,
    /// One for each option of `uses`.
    pub destinies: Vec<Destiny<'a>>,
    pub findings: Findings,
    pub steps: BTreeMap<Place, Step>,
    pub inserts: Vec<Insert>,
    /// Which places give an option of the target its value, a file: the most important last.
    pub orders: BTreeMap<(usize, String, String), Order>,
    /// Options whose value is a part of another option's now: that option, and the value it should have.
    pub absorbed: HashMap<usize, (Inst<'a>, Value)>,
    /// Options that go to the file of another service.
    pub departures: Vec<Departure>,
}

/// What happens to an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// The group and key it gets.
    pub to: Option<(String, String)>,
    pub value: Option<String>,
    /// Set where it becomes a comment: why.
    pub comment_out: Option<Vec<String>>,
    /// A line above it.
    pub mark: Option<String>,
}

/// An entry that is new.
#[derive(Clone)]
pub(crate) struct Insert {
    pub file: usize,
    pub group: String,
    pub key: String,
    pub value: String,
    pub comments: Vec<String>,
}

/// The entries of a file that give an option of the target its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    pub multi: bool,
    pub places: Vec<crate::ini::EntryId>,
}

impl<'w, 'a> Work<'w, 'a> {
    pub fn entry(&self, place: Place) -> Option<Entry<'w>> {
        self.files.files().get(place.0)?.document.entry(place.1)
    }

    pub fn spot(&self, place: Place) -> Option<Spot<'w>> {
        let file = self.files.files().get(place.0)?;
        Some(Spot {
            label: &file.label,
            line: file.document.entry(place.1).and_then(|entry| entry.line),
        })
    }

    pub fn service(&self) -> &'a str {
        &self.lineage.first().service().service
    }

    pub fn effective(&self, at: usize) -> Option<Effective> {
        let inst = self.uses.options.get(at)?;
        self.reading.effective(&inst.group, &inst.option.name)
    }

    /// Whether the value of an option must not be shown: it is secret, or has that of a secret one in it.
    pub fn is_secret(&self, group: &str, name: &str) -> bool {
        let mut met = HashSet::new();
        let mut open = vec![(group.to_owned(), name.to_owned())];
        while let Some((group, name)) = open.pop() {
            if self.before.get(&group, &name).is_some_and(|inst| inst.option.secret) {
                return true;
            }
            let effective = self.reading.effective(&group, &name);
            if met.insert((group, name)) {
                open.extend(effective.into_iter().flat_map(|effective| effective.references));
            }
        }
        false
    }

    /// Whether an option has the value that it would have if it was not set.
    pub fn is_default(&self, at: usize) -> bool {
        let Some(inst) = self.uses.options.get(at) else {
            return false;
        };
        let value = self.effective(at).and_then(|effective| effective.value.ok());
        value.is_some_and(|value| default_of(inst.option, self.before.era) == Some(value))
    }

    /// Adds a finding that names some options of `uses`.
    pub fn name(&mut self, options: &[usize], finding: Finding) {
        let insts: Vec<Inst<'a>> = options
            .iter()
            .map(|option| self.uses.options[*option].clone())
            .collect();
        let keys: Vec<(&str, &str)> = insts.iter().map(Inst::key).collect();
        self.findings.add(&keys, finding);
    }

    pub fn step(&mut self, place: Place) -> &mut Step {
        self.steps.entry(place).or_default()
    }

    /// Where an option's value comes from, the last entry that counts.
    pub fn source(&self, at: usize) -> Option<Place> {
        let sources = self.effective(at)?.sources;
        sources.iter().rev().find_map(|source| match source {
            Source::File { file, entry, .. } => Some((*file, *entry)),
            _ => None,
        })
    }
}

/// The default of an option as a value; `None` where it is of one machine only or refers to others.
pub(crate) fn default_of(option: &Opt, era: Era) -> Option<Value> {
    if option.machine_default {
        return None;
    }
    match &option.default {
        None => Some(Value::None),
        Some(json) if json.to_string().contains('$') => None,
        Some(json) => crate::values::from_default(&option.kind, option.multi, json, era).ok(),
    }
}

/// Reads files as a series reads them.
pub(crate) fn read_documents(files: &[InputFile], era: Era) -> Result<FileSet, MigrateError> {
    let mut set = FileSet::new();
    for file in files {
        let document = Document::parse_as(&file.bytes, era).map_err(|error| MigrateError::Parse {
            label: file.label.clone(),
            error,
        })?;
        if let Some((line, column)) = document.first_nul() {
            return Err(MigrateError::Nul {
                label: file.label.clone(),
                line,
                column,
            });
        }
        set.push(&file.label, document);
    }
    Ok(set)
}

pub(super) fn migrate(
    migrator: &Migrator<'_>,
    inputs: &[InputFile],
    environment: &BTreeMap<String, String>,
    pin_defaults: bool,
) -> Result<Outcome, MigrateError> {
    let lineage = &migrator.lineage;
    let files = read_documents(inputs, Era::of(lineage.first().series()))?;
    let before = Side::new(lineage.first(), migrator.first.clone(), &files, environment, None);
    let after = Side::new(
        lineage.target(),
        migrator.target.clone(),
        &files,
        environment,
        Some(&before),
    );
    let reading = Reading::new(&before.schema, &files, environment);
    let mut uses = Uses::of(&before, &files);
    let variables = environment::variables(&before, environment, &mut uses);
    let destinies: Vec<_> = uses.options.iter().map(|inst| destiny(lineage, inst, &after)).collect();
    let mut work = Work {
        lineage,
        before: &before,
        after: &after,
        files: &files,
        environment,
        reading: &reading,
        uses,
        destinies,
        findings: Findings::default(),
        steps: BTreeMap::new(),
        inserts: Vec::new(),
        orders: BTreeMap::new(),
        absorbed: HashMap::new(),
        departures: Vec::new(),
    };
    let renamed = environment::rename(&mut work, &variables);
    // Within one series there is nothing to carry.
    if lineage.steps().len() > 1 {
        plan::plan(&mut work);
        defaults::report(&mut work, &migrator.defaults, pin_defaults);
    }
    let documents = apply::apply(&work)?;

    let mut migrated = Vec::with_capacity(inputs.len());
    let mut after_files = FileSet::new();
    for (input, document) in inputs.iter().zip(&documents) {
        let bytes = document.to_bytes();
        let again = Document::parse_as(&bytes, after.era).map_err(|error| MigrateError::Unreadable {
            label: input.label.clone(),
            error,
        })?;
        after_files.push(&input.label, again);
        migrated.push(MigratedFile {
            label: input.label.clone(),
            changed: bytes != input.bytes,
            bytes,
        });
    }
    let after_environment = environment::applied(environment, &renamed);
    let (proof, expectations) = proof::prove(&mut work, &after_files, &after_environment);
    let departures = std::mem::take(&mut work.departures);
    let findings = work.findings.into_sorted();
    Ok(Outcome {
        departures,
        files: migrated,
        findings,
        proof,
        environment: renamed,
        expectations,
    })
}
