//! A service's configuration carried from one series to another, with the proof that nothing was lost without a word.
//!
//! Each option that a file sets is resolved by the rules of the series it was written for, its name is followed through
//! every series ([`crate::fate`]), and the entry is renamed, moved, split, or turned into a comment in its own file. Then the
//! files are read again by the target's rules: an option whose effective value is not what it was has a finding that names
//! it, or it gets one.

mod advice;
mod apply;
mod defaults;
mod destiny;
mod elsewhere;
mod environment;
mod error;
mod findings;
mod plan;
mod proof;
mod references;
mod side;
mod template;
mod uses;
mod value;
mod work;

use std::collections::BTreeMap;
use std::fmt;

use ffu_catalog::options::{OptionSet, ServiceOptions};
use ffu_catalog::rules::Rule;
use ffu_model::Series;

use crate::era::Era;
use crate::fate::{Lineage, LineageError, Name};
use crate::finding::Finding;
use crate::reading::Schema;
use crate::values::Value;

pub use elsewhere::{Arrived, Departure, LEFT, Reception, receive};
pub use error::MigrateError;
pub(crate) use side::{Origin, Side};
pub(crate) use uses::{Place, Uses};
pub(crate) use work::read_documents;

/// A file as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct InputFile {
    /// How findings call it; a path as a rule.
    pub label: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes hold passwords.
        write!(f, "InputFile({:?}, {} bytes)", self.label, self.bytes.len())
    }
}

/// What to migrate.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The option catalog of the service.
    pub options: &'a ServiceOptions,
    /// The curated rules; those about other services are passed over.
    pub rules: &'a [Rule],
    /// All series from the one that the files were written for to the target, both included, oldest first.
    pub path: &'a [Series],
    /// The files in the order in which the service is given them.
    pub files: &'a [InputFile],
    /// The environment of the service; only `OS_<GROUP>__<OPTION>` matters.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether options that are not set and have another default at the target are set to the old one.
    pub pin_defaults: bool,
}

/// A migrated file.
#[derive(Clone, PartialEq, Eq)]
pub struct MigratedFile {
    /// As it was handed in.
    pub label: String,
    /// What it is now.
    pub bytes: Vec<u8>,
    /// Whether that is another thing than before.
    pub changed: bool,
}

impl fmt::Debug for MigratedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MigratedFile({:?}, {} bytes, changed: {})",
            self.label,
            self.bytes.len(),
            self.changed
        )
    }
}

/// How many options kept their effective value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    /// Options that the files or the environment set, by the rules of the series they were written for.
    pub options_set: usize,
    /// Those whose effective value is the same at the target.
    pub proven_equal: usize,
    /// Those whose effective value is another one or gone, and that a finding names.
    pub named: usize,
}

impl std::ops::AddAssign for Proof {
    fn add_assign(&mut self, other: Proof) {
        self.options_set += other.options_set;
        self.proven_equal += other.proven_equal;
        self.named += other.named;
    }
}

/// Whether an option kept its effective value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    Equal,
    /// No, and a finding says so.
    Named,
}

/// What an option was before and should be afterwards, for those who ask the real oslo.config on both sides.
#[derive(Clone, PartialEq)]
pub struct Expectation {
    /// The option, as the first series calls it.
    pub before: Name,
    /// Its effective value there, or why it has none.
    pub before_value: Result<Value, String>,
    /// The option of the target that has its value; `None` where there is none.
    pub after: Option<Name>,
    /// The effective value of that.
    pub after_value: Option<Result<Value, String>>,
    /// Whether the value must not be shown.
    pub secret: bool,
    /// Whether the two are the same.
    pub verdict: Verdict,
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Expectation");
        debug
            .field("before", &self.before)
            .field("after", &self.after)
            .field("verdict", &self.verdict);
        if !self.secret {
            debug
                .field("before_value", &self.before_value)
                .field("after_value", &self.after_value);
        }
        debug.finish()
    }
}

/// What a migration made.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The files, in the order in which they were handed in.
    pub files: Vec<MigratedFile>,
    /// What the operator should know, the most severe first.
    pub findings: Vec<Finding>,
    /// How much of it is proven.
    pub proof: Proof,
    /// Environment variables that must have another name: new name to old name.
    pub environment: BTreeMap<String, String>,
    /// One for each option that was set and each option of the target that has its value.
    pub expectations: Vec<Expectation>,
    /// Options that belong into a file of another service now ([`receive`]).
    pub departures: Vec<Departure>,
}

/// The knowledge for one service and path, made once for any number of sets of files.
#[derive(Debug)]
pub struct Migrator<'a> {
    pub(crate) lineage: Lineage<'a>,
    pub(crate) defaults: Vec<defaults::DefaultChange<'a>>,
    /// The options of the two ends, as readers of files need them.
    pub(crate) first: Schema<'a>,
    pub(crate) target: Schema<'a>,
}

impl<'a> Migrator<'a> {
    /// The knowledge of a service on a path (see [`Request`]).
    ///
    /// # Errors
    /// [`LineageError`] where one of the ends has no catalog.
    pub fn new(options: &'a ServiceOptions, rules: &'a [Rule], path: &[Series]) -> Result<Self, LineageError> {
        let lineage = Lineage::new(options, path, rules)?;
        let defaults = defaults::changed(&lineage);
        let schema = |set: &OptionSet<'a>| Schema::new(set.iter(), Era::of(set.series()));
        Ok(Migrator {
            first: schema(lineage.first()),
            target: schema(lineage.target()),
            lineage,
            defaults,
        })
    }

    /// Migrates one set of files.
    ///
    /// # Errors
    /// [`MigrateError`] where a file cannot be read as oslo.config would read it, or an edit cannot be written.
    pub fn migrate(
        &self,
        files: &[InputFile],
        environment: &BTreeMap<String, String>,
        pin_defaults: bool,
    ) -> Result<Outcome, MigrateError> {
        work::migrate(self, files, environment, pin_defaults)
    }

    /// The names along the path.
    pub fn lineage(&self) -> &Lineage<'a> {
        &self.lineage
    }
}

/// Migrates one set of files.
///
/// # Errors
/// [`MigrateError`]: a file that cannot be read as oslo.config would read it, a series without a catalog, or an edit that
/// cannot be written. Nothing is half done.
pub fn migrate(request: &Request<'_>) -> Result<Outcome, MigrateError> {
    let migrator = Migrator::new(request.options, request.rules, request.path)?;
    migrator.migrate(request.files, request.environment, request.pin_defaults)
}
