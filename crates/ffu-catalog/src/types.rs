//! The shape of the catalog's files. Every struct here is one table of one TOML file under `catalog/`.

mod environment;
mod rows;

use std::collections::BTreeMap;

use ffu_model::step::{ConfigStyle, Meaning, Purpose};
use ffu_model::{Series, Severity};
use serde::Deserialize;

pub use environment::{EnvironmentEntry, EnvironmentFile, HeadEntry, HeadFile, Installer, MissingEntry, Patch};
pub use rows::{
    AfterEntry, CopySection, DrainEntry, ExtractionEntry, InvariantEntry, PlaceEntry, RunEntry, ServiceEntry,
    SettingEntry,
};

/// `catalog/series.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesFile {
    /// All series, oldest first.
    pub series: Vec<SeriesEntry>,
    /// Skips that upstream tests.
    #[serde(default)]
    pub skip: Vec<SkipEntry>,
}

/// One series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesEntry {
    /// Canonical id: code name up to zed, number from 2023.1 on.
    pub id: Series,
    /// The code name, e.g. `Antelope`.
    pub name: String,
    /// The number, e.g. `2023.1`; absent before.
    pub number: Option<String>,
    /// Date of the first release.
    pub first_release: jiff::civil::Date,
    /// Whether it is a SLURP release.
    #[serde(default)]
    pub slurp: bool,
    /// Oldest and newest tested Python, `["3.9", "3.12"]`.
    pub python: [String; 2],
}

/// A skip that upstream tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipEntry {
    /// From.
    pub from: Series,
    /// To.
    pub to: Series,
    /// Where upstream says so.
    pub source: String,
}

/// `catalog/projects/NAME.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its distribution's name on the package registry.
    pub distribution: String,
    /// Its place in the order in which projects are listed and, where nothing else decides, run.
    pub order: u32,
    /// First series in which it is a project of its own.
    pub since: Option<Series>,
    /// Deliverable versions: series → first and last release.
    pub versions: BTreeMap<Series, Versions>,
    /// Other heads that stand for the schema of a series.
    #[serde(default)]
    pub same_heads: Vec<SameHeads>,
    /// Configuration files, relative to the deployment's `/etc`, in reading order.
    #[serde(default)]
    pub config: Vec<ConfigEntry>,
    /// Databases.
    #[serde(default)]
    pub database: Vec<DatabaseEntry>,
    /// Commands of a hop, in the order in which they run within the project; behind those of [`Project::on_the_way`] what
    /// stands for them there.
    #[serde(default)]
    pub command: Vec<CommandEntry>,
    /// How commands that need services are asked without them.
    #[serde(default)]
    pub on_the_way: Vec<OnTheWayEntry>,
    /// Services.
    #[serde(default)]
    pub service: Vec<ServiceEntry>,
    /// What counts as an operation in flight.
    #[serde(default)]
    pub drain: Vec<DrainEntry>,
    /// Rows that must be the same before and after.
    #[serde(default)]
    pub invariant: Vec<InvariantEntry>,
    /// Options set in the target's configuration.
    #[serde(default)]
    pub setting: Vec<SettingEntry>,
    /// Options that only the commands of a hop see, in a file that follows the others; never part of the target's
    /// configuration. `since` and `until` are series of the command.
    #[serde(default)]
    pub command_setting: Vec<SettingEntry>,
    /// Tables that move from one database to another on a hop.
    #[serde(default)]
    pub extraction: Vec<ExtractionEntry>,
    /// Projects whose commands of the same hop must have succeeded first.
    #[serde(default)]
    pub after: Vec<AfterEntry>,
}

/// Releases of a deliverable in a series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// First release.
    pub first: String,
    /// Last release.
    pub last: String,
}

/// Heads other than those of [`HeadEntry`] that stand for the schema of a series, because upstream leads there in two ways.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SameHeads {
    /// The series.
    pub series: Series,
    /// The role of the database.
    pub database: String,
    /// Rows of alembic's version table.
    pub alembic: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// A configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigEntry {
    /// Path below the deployment's `/etc`, e.g. `nova/nova.conf`.
    pub path: String,
    /// Whether its absence is a finding.
    #[serde(default)]
    pub required: bool,
    /// Whether project commands are given it with `--config-file`.
    #[serde(default)]
    pub commands: bool,
}

/// A database of a project.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseEntry {
    /// `main`, `api`, `cell`, `cell0`.
    pub role: String,
    /// Section of the option with the connection URL.
    pub section: String,
    /// The option.
    pub option: String,
    /// Usual schema name; used where it has to be created.
    pub schema: String,
    /// First series in which it exists.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// A command of a hop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandEntry {
    /// Its name, e.g. `db-sync`.
    pub id: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The program in the environment's `bin`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How it is told its configuration.
    #[serde(default = "config_arguments")]
    pub config_style: ConfigStyle,
    /// With [`ConfigStyle::Environment`]: the variable that names the directory of the configuration file.
    pub config_variable: Option<String>,
    /// Roles of the databases it works on.
    pub databases: Vec<String>,
    /// Whether a schema command leaves its databases at the heads of its series; false for the first of several.
    #[serde(default = "yes")]
    pub reaches_heads: bool,
    /// Whether it is also run once for each further cell, with that cell's connection as an overlay of `[database] connection`.
    #[serde(default)]
    pub per_cell: bool,
    /// Arguments for the run in a further cell, if they differ.
    pub cell_arguments: Option<Vec<String>>,
    /// Of a schema command: whether it changes nothing where its databases are at the heads of its series already.
    #[serde(default)]
    pub idle_at_heads: bool,
    /// Of an online migration: counts of the rows it might change. Where all are 0 it changes nothing; where there are none,
    /// nothing is known.
    #[serde(default)]
    pub pending: Vec<PendingEntry>,
    /// Whether it may be repeated after an interruption.
    pub repeatable: bool,
    /// Services (catalog names) that must answer, at the series of the command.
    #[serde(default)]
    pub needs_services: Vec<String>,
    /// What it is on the hops before the last one alone, made of a command that needs services by [`OnTheWayEntry`].
    #[serde(skip)]
    pub on_the_way: Option<OnTheWayEntry>,
    /// Exit codes; codes that are not listed mean failure.
    pub exit: Vec<ExitEntry>,
    /// Rows that an online migration may find and leave.
    #[serde(default)]
    pub leftovers: Vec<LeftoverEntry>,
    /// Lines of output that mean failure whatever the exit code.
    #[serde(default)]
    pub failure_texts: Vec<String>,
    /// Exceptions whose traceback in the output does not mean failure by itself: the exit code decides.
    #[serde(default)]
    pub known_exceptions: Vec<String>,
    /// Seconds after which it has failed.
    pub timeout_seconds: u64,
    /// Usual CPU milliseconds on a small cloud.
    pub estimate_ms: u64,
    /// Where these facts come from.
    pub source: String,
    /// First series; `since` and `until` are both included, an absent one is open.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

fn config_arguments() -> ConfigStyle {
    ConfigStyle::Arguments
}

/// How an upgrade check that needs services is asked where they do not run: on the hops before the last one. It is asked again,
/// with its services, at the target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnTheWayEntry {
    /// The command that needs services; all its entries are meant.
    pub command: String,
    /// The id of the one that stands for it.
    pub id: String,
    /// Checks (as an upgrade check prints them) whose failure says nothing there.
    pub excused_checks: Vec<String>,
    /// Failure texts of the command that those checks print there.
    #[serde(default)]
    pub excused_texts: Vec<String>,
    /// Options for this command alone, beside the deployment's configuration.
    #[serde(default)]
    pub options: Vec<CommandOption>,
}

impl OnTheWayEntry {
    /// What stands for the command.
    pub(crate) fn instead_of(&self, command: &CommandEntry) -> CommandEntry {
        let mut alone = command.clone();
        alone.id.clone_from(&self.id);
        alone.needs_services.clear();
        alone.failure_texts.retain(|text| !self.excused_texts.contains(text));
        alone.on_the_way = Some(self.clone());
        alone
    }
}

/// An option that one command alone is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOption {
    /// Section.
    pub section: String,
    /// Option.
    pub option: String,
    /// Value; never a secret.
    pub value: String,
    /// Why, with the source.
    pub reason: String,
}

/// A count of rows that an online migration might change; it may count more, never less.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingEntry {
    /// What is counted: the migration's name.
    pub what: String,
    /// The role of the database.
    pub database: String,
    /// A query with one row and one unsigned integer column.
    pub query: String,
    /// Where the condition comes from.
    pub source: String,
}

/// Rows that an online migration reports as needed, and that nothing ever moves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftoverEntry {
    /// The migration's name in the table that the command prints.
    pub migration: String,
    /// How many rows at most; any number if absent.
    pub at_most: Option<u64>,
    /// Why they do not matter, with the source.
    pub reason: String,
}

/// The meaning of an exit code.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitEntry {
    /// The code.
    pub code: i32,
    /// The meaning.
    pub meaning: Meaning,
    /// In words.
    pub note: String,
    /// First series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// `catalog/gates/*.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateFile {
    /// The gates.
    pub gate: Vec<GateEntry>,
}

/// A gate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateEntry {
    /// Its name, unique in the catalog.
    pub id: String,
    /// Project.
    pub project: String,
    /// Role of the database it asks; `cell` stands for each cell.
    pub database: String,
    /// The series whose entry needs it.
    pub entering: Series,
    /// Only for a plan whose target is the series entered: about what runs there, not about what passes through.
    #[serde(default)]
    pub target_only: bool,
    /// Also asked before the window if the source series is within the span in which the query is valid.
    #[serde(default)]
    pub in_prepare: bool,
    /// Asked on the hop itself, before the project's commands.
    #[serde(default = "yes")]
    pub on_hop: bool,
    /// First series whose schema the query fits.
    pub since: Option<Series>,
    /// Last series whose schema the query fits.
    pub until: Option<Series>,
    /// One row, one unsigned integer: the number of offenders.
    pub query: String,
    /// What offenders mean for the run.
    pub severity: Severity,
    /// What is wrong when there are offenders.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Where this comes from.
    pub source: String,
}

fn yes() -> bool {
    true
}
