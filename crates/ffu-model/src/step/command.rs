//! A project's command, with everything that decides whether it succeeded.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::cloud::{ConnectionRef, DatabaseKey};
use crate::series::Series;

/// A project's command, with everything that decides whether it succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAction {
    /// The series whose hop environment runs it.
    pub series: Series,
    /// The project.
    pub project: String,
    /// The command's name in the catalog, e.g. `db-sync`.
    pub command: String,
    /// What the command is for; decides how the result is judged.
    pub purpose: Purpose,
    /// Program, looked up in the environment's `bin`.
    pub program: String,
    /// Arguments after the `--config-file` ones. No secret.
    pub arguments: Vec<String>,
    /// Configuration files, in order. `{staged}/…` is the run's staging directory.
    pub config_files: Vec<Utf8PathBuf>,
    /// Where `--config-file` goes: before the arguments (all projects here), or not on the command line at all.
    pub config_style: ConfigStyle,
    /// With [`ConfigStyle::Environment`]: the variable that names the directory of the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_variable: Option<String>,
    /// An option given through a private file of its own, because its value is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Exit codes and what they mean.
    pub exit_codes: Vec<ExitMeaning>,
    /// Regular texts (no patterns): a line of the output that contains one means failure whatever the exit code says.
    pub failure_texts: Vec<String>,
    /// Names of exceptions whose traceback in the output does not mean failure by itself: the exit code decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_exceptions: Vec<String>,
    /// Checks of an upgrade check whose failure says nothing here: they are made elsewhere in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excused_checks: Vec<String>,
    /// Rows that an online migration may find and leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
    /// Schema heads that must be there afterwards; they also decide after a crash.
    pub expect_heads: Vec<ExpectedHeads>,
    /// What proves that the command would change nothing; absent where nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_op: Option<NoOp>,
    /// Whether the command may be run again when it was interrupted.
    pub repeatable: bool,
    /// Service units that must answer while it runs (upgrade checks of nova).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_services: Vec<String>,
}

/// What proves that a command would change nothing, so that it need not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NoOp {
    /// The databases are at these heads already, those of the command's own series.
    Heads(Vec<ExpectedHeads>),
    /// Each of these counts is 0.
    Counts(Vec<PendingCount>),
}

/// A count of rows that a command might have to change; it may count more than that, never less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingCount {
    /// What is counted.
    pub what: String,
    /// The database.
    pub database: DatabaseKey,
    /// A query with one row and one unsigned integer column.
    pub query: String,
}

/// Rows that an online migration reports as needed, and that nothing ever moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leftover {
    /// The migration's name in the table the command prints.
    pub migration: String,
    /// How many rows at most; any number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Why they do not matter, with the source.
    pub reason: String,
}

/// Why a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Moves the schema.
    Schema,
    /// Moves rows in batches until nothing is left.
    OnlineData,
    /// Only looks.
    UpgradeCheck,
}

/// How a program is told its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigStyle {
    /// `--config-file F` for each file, before the arguments.
    Arguments,
    /// No argument; the program finds a directory through an environment variable.
    Environment,
}

/// One option in a private file that follows the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The section.
    pub section: String,
    /// The option, a connection URL.
    pub option: String,
    /// Where its value comes from.
    pub connection: ConnectionRef,
}

/// What an exit code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitMeaning {
    /// The code.
    pub code: i32,
    /// Its meaning.
    pub meaning: Meaning,
    /// In words, with the reason where a known fault is tolerated.
    pub note: String,
}

/// What the engine does after an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Done.
    Success,
    /// Done, and the operator should read the output.
    Warning,
    /// Not done yet: run it again.
    Again,
    /// Failed.
    Failure,
    /// The program itself crashed, which is a known fault of it and says nothing about the cloud.
    KnownCrash,
}

/// Versions a version table must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedHeads {
    /// The database.
    pub database: DatabaseKey,
    /// Version table or migrate repository, as in [`crate::CloudDatabase::heads`].
    pub name: String,
    /// The versions, sorted.
    pub versions: Vec<String>,
}
