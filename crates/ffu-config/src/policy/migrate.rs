//! Carries policy files from one series to another: names, references and form; and compares, rule by rule, what a request
//! needs before and after.
//!
//! oslo.policy itself honours an old name only while the new rule declares it as its predecessor, and not in every era
//! ([`super::Engine`]); a name that was dropped two series later is ignored without a word. So each override is written under
//! the names that its work has at the target, and nothing is left to oslo.policy's handling of old names.

mod limbo;
mod plan;
mod proof;
mod references;
mod remarks;
mod write;

use std::collections::BTreeMap;

use ffu_model::Series;
use serde::Serialize;

use super::check::Check;
use super::engine::Settings;
use super::error::PolicyError;
use super::file::{Entry, Format, PolicyFile};
use super::history::History;
use crate::finding::{self, Finding};

/// One file, as it is found.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its name, for findings; its last part is compared with the option `policy_file`.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How it is to be read; [`Format::Auto`] as the services do.
    pub format: Format,
}

/// What is to be carried whereto.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The service's rules over the series.
    pub history: &'a History<'a>,
    /// The series the files are written for.
    pub from: &'a Series,
    /// The series they are wanted for; the same one for a mere check.
    pub to: &'a Series,
    /// `policy_file` first, then those of `policy_dirs` in the order of their names: a later file wins.
    pub files: &'a [Input<'a>],
    /// The service's settings in the first series.
    pub before: &'a Settings,
    /// Its settings at the target.
    pub after: &'a Settings,
    /// Whether rules whose default changed are written into the first file with what they needed before.
    pub pin_defaults: bool,
}

/// A file for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The name of the input.
    pub name: String,
    /// The name that suits it now: `.json` becomes `.yaml`.
    pub suggested_name: String,
    /// YAML; byte for byte the input where nothing had to be changed.
    pub text: Vec<u8>,
    /// Whether a byte is different.
    pub changed: bool,
}

/// How many rules of the target were compared with what they were before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Rules that the target registers.
    pub rules: usize,
    /// Those that need the same as before.
    pub equal: usize,
    /// Those that do not; each is named by a finding.
    pub named: usize,
    /// Those that do the work of no rule of the first series.
    pub new: usize,
}

impl std::ops::AddAssign for Proof {
    fn add_assign(&mut self, other: Proof) {
        self.rules += other.rules;
        self.equal += other.equal;
        self.named += other.named;
        self.new += other.new;
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The files, in the order in which they were given.
    pub files: Vec<Migrated>,
    /// What has to be said, the most severe first.
    pub findings: Vec<Finding>,
    /// The comparison.
    pub proof: Proof,
    /// The rules of all files as they are in force at the target, name and check.
    pub rules: BTreeMap<String, Check>,
}

/// Why nothing was carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// A file cannot be read.
    #[error("{file}: {error}")]
    File {
        /// The file.
        file: String,
        /// Why.
        error: PolicyError,
    },
    /// The catalog has no rules of a series.
    #[error("there are no policy rules of {series} in the catalog; `ffu catalog show` lists the series that it has")]
    NoSeries {
        /// The series.
        series: Series,
    },
    /// The target is older.
    #[error("{to} is before {from}: files are carried forward only; give --from and --to the other way round")]
    Backwards {
        /// Where from.
        from: Series,
        /// Where to.
        to: Series,
    },
    /// What was written does not read back as it was meant. Nothing of it may be used.
    #[error("{file}: the result does not read back as meant (rule {rule}); migrate it by hand and report the file")]
    Verify {
        /// The file.
        file: String,
        /// A rule that is different.
        rule: String,
    },
}

/// A file and its rules.
struct Source<'a> {
    input: Input<'a>,
    file: PolicyFile,
}

impl Source<'_> {
    /// The rules whose names are text and whose values oslo.policy can read.
    fn rules(&self) -> impl Iterator<Item = (&Entry, Check)> {
        let counting = self
            .file
            .entries
            .iter()
            .filter(|entry| entry.counts && entry.name_is_text);
        counting.filter_map(|entry| Some((entry, entry.value.read().ok()?.check)))
    }
}

/// Where on the path, and what the files say, for all parts of a migration.
struct Context<'a> {
    request: Request<'a>,
    from: usize,
    to: usize,
    sources: Vec<Source<'a>>,
    /// All rules in force, of several files the last one's.
    file: BTreeMap<String, Check>,
}

impl Context<'_> {
    /// The place of a rule in the files.
    fn at(&self, finding: Finding, name: &str) -> Finding {
        let last = self.sources.iter().rev().find_map(|source| {
            let entry = source
                .file
                .entries
                .iter()
                .find(|entry| entry.counts && entry.name == name)?;
            Some((source.input.name, entry))
        });
        match last {
            Some((file, entry)) => finding.at(Some(file), entry.line, entry.column),
            None => finding,
        }
    }
}

/// Carries files from one series to another.
///
/// # Errors
/// Where a file cannot be read, a series is not in the catalog, or the result does not read back as it was meant. What the
/// operator has to know about readable files is a finding, not an error.
pub fn migrate(request: &Request<'_>) -> Result<Outcome, MigrateError> {
    let place = |series: &Series| {
        let missing = || MigrateError::NoSeries { series: series.clone() };
        request.history.position(series).ok_or_else(missing)
    };
    let (from, to) = (place(request.from)?, place(request.to)?);
    if to < from {
        return Err(MigrateError::Backwards {
            from: request.from.clone(),
            to: request.to.clone(),
        });
    }
    let mut sources = Vec::new();
    for input in request.files {
        let file = PolicyFile::parse(input.bytes, input.format).map_err(|error| MigrateError::File {
            file: input.name.to_owned(),
            error,
        })?;
        sources.push(Source { input: *input, file });
    }
    let mut file = BTreeMap::new();
    for (entry, check) in sources.iter().flat_map(Source::rules) {
        file.insert(entry.name.clone(), check);
    }
    let context = Context {
        request: *request,
        from,
        to,
        sources,
        file,
    };
    let mut findings = remarks::on_files(&context);
    let mut plan = plan::make(&context, &mut findings);
    if request.pin_defaults {
        proof::pin(&context, &mut plan);
    }
    let proof = proof::compare(&context, &plan, &mut findings);
    remarks::on_settings(&context, &plan.rules, &mut findings);
    let files = write::all(&context, &plan)?;
    finding::sort(&mut findings);
    Ok(Outcome {
        files,
        findings,
        proof,
        rules: plan.rules,
    })
}

#[cfg(test)]
mod tests;
