//! The shape of the catalog's files. Every struct here is one table of one TOML file under `catalog/`.

use std::collections::BTreeMap;

use ffu_model::step::{ConfigStyle, Meaning, Purpose};
use ffu_model::{Series, Severity, cloud::ServiceRole};
use serde::Deserialize;

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
    /// Commands of a hop, in the order in which they run within the project.
    #[serde(default)]
    pub command: Vec<CommandEntry>,
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
    /// Whether it may be repeated after an interruption.
    pub repeatable: bool,
    /// Services (catalog names) that must answer, at the series of the command.
    #[serde(default)]
    pub needs_services: Vec<String>,
    /// Exit codes; codes that are not listed mean failure.
    pub exit: Vec<ExitEntry>,
    /// Lines of output that mean failure whatever the exit code.
    #[serde(default)]
    pub failure_texts: Vec<String>,
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

/// A service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Its name, e.g. `keystone-api`.
    pub name: String,
    /// Control plane or agent.
    pub role: ServiceRole,
    /// systemd unit names by which distributions know it.
    #[serde(default)]
    pub units: Vec<String>,
    /// Stop order within the freeze: lower first (APIs before the services behind them).
    #[serde(default)]
    pub stop_order: u32,
    /// Whether users' requests come in here: such services stop before in-flight operations are drained, the others after.
    #[serde(default)]
    pub front: bool,
    /// Ways to run it from a hop environment, by series.
    #[serde(default)]
    pub run: Vec<RunEntry>,
    /// Path that answers when it is well, e.g. `/v3`.
    pub probe: Option<String>,
    /// First series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// One way to run a service; exactly one of `program` and `wsgi`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// A program in the environment's `bin`, with `{host}`, `{port}` and `{config}` in its arguments.
    pub program: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// A WSGI application, `module:callable` (a callable with `()` is called once to get the application).
    pub wsgi: Option<String>,
    /// The configuration file that `{config}` stands for, as in [`ConfigEntry::path`], where it is not the project's first.
    pub config: Option<String>,
    /// Environment variables, with `{config}` and `{config_dir}`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// First series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// Operations in flight.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainEntry {
    /// Role of the database; `cell` stands for each cell.
    pub database: String,
    /// What is counted.
    pub what: String,
    /// The query.
    pub query: String,
    /// First series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// Rows that must stay.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvariantEntry {
    /// Its name, unique in the catalog.
    pub id: String,
    /// Table.
    pub table: String,
    /// Condition.
    #[serde(default)]
    pub filter: String,
    /// Columns that identify a row.
    pub key: Vec<String>,
    /// Columns that migrations are meant to change, with nothing else.
    #[serde(default)]
    pub except: Vec<String>,
    /// Why columns are excepted, with the source; needed when there are any.
    #[serde(default)]
    pub source: String,
    /// Where it lives: the first entry whose span holds the series and whose database the cloud has; see
    /// [`crate::Catalog::place`]. An invariant without a place at the source series is not captured.
    pub place: Vec<PlaceEntry>,
}

/// Where rows live in a span of series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceEntry {
    /// Project.
    pub project: String,
    /// Role; `cell` stands for each cell.
    pub database: String,
    /// First series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// An option of the target's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingEntry {
    /// Configuration file as in [`ConfigEntry::path`].
    pub file: String,
    /// Section.
    pub section: String,
    /// Option.
    pub option: String,
    /// Value; never a secret.
    pub value: String,
    /// Why, with the source.
    pub reason: String,
    /// Targets for which it is set: first series.
    pub since: Option<Series>,
    /// Last series.
    pub until: Option<Series>,
}

/// Tables that move.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtractionEntry {
    /// The series on whose entry it is done.
    pub entering: Series,
    /// From, `project/role`.
    pub from: String,
    /// To, a role of this project.
    pub to: String,
    /// The tables.
    pub tables: Vec<String>,
    /// The alembic revision they stand for.
    pub stamp: String,
    /// Configuration file of this project that is made if it is absent.
    pub config: String,
    /// Sections of other files that go into it, e.g. the service's credentials.
    #[serde(default)]
    pub copy_sections: Vec<CopySection>,
    /// Where this comes from.
    pub source: String,
}

/// A section of another configuration file, as in [`ConfigEntry::path`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopySection {
    /// The file.
    pub file: String,
    /// The section.
    pub section: String,
}

/// An order between projects.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterEntry {
    /// The project that comes first.
    pub project: String,
    /// Why.
    pub reason: String,
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

/// `catalog/environments.toml`, made with the locks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// One a series.
    pub environment: Vec<EnvironmentEntry>,
    /// Releases that are not on the package registry.
    #[serde(default)]
    pub missing: Vec<MissingEntry>,
}

/// A hop environment's recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentEntry {
    /// The series.
    pub series: Series,
    /// Python minor version the lock was made for.
    pub python: String,
    /// `uv` or `pip`.
    pub installer: Installer,
    /// Lock file under `catalog/locks/`.
    pub locks: String,
    /// Build constraints under `catalog/locks/`.
    pub build_constraints: Option<String>,
    /// Newest upload date that the lock may hold, `YYYY-MM-DD`; used when locks are made.
    pub exclude_newer: Option<String>,
    /// Upper constraints that are left out when locks are made.
    #[serde(default)]
    pub drop_constraints: Vec<String>,
    /// Disk it takes, in MiB; 0 where it was not measured.
    #[serde(default)]
    pub disk_mib: u64,
    /// Project (catalog name) and version, as installed.
    pub packages: Vec<[String; 2]>,
    /// Debian packages it needs to build.
    #[serde(default)]
    pub system_packages: Vec<String>,
    /// Remarks.
    #[serde(default)]
    pub notes: String,
}

/// What installs an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Installer {
    /// uv, Python 3.6 and up.
    Uv,
    /// virtualenv and pip, Python 2.7.
    Pip,
}

/// A release that cannot be installed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingEntry {
    /// Project.
    pub project: String,
    /// Series.
    pub series: Series,
    /// Version.
    pub version: String,
    /// Why it is missing.
    pub reason: String,
    /// What is done instead.
    pub instead: String,
    /// Why the path is still linear.
    pub why_linear: String,
    /// Where this comes from.
    pub source: String,
}

/// `catalog/heads/PROJECT.toml`, made from the packages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadFile {
    /// The project; the file bears its name.
    pub project: Option<String>,
    /// One a series and database.
    pub head: Vec<HeadEntry>,
}

/// The schema heads of a database in a series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadEntry {
    /// The series.
    pub series: Series,
    /// The role of the database.
    pub database: String,
    /// sqlalchemy-migrate: repository id → latest version. Beside alembic heads: where the old tool stopped; databases
    /// created since have no such row, so it decides nothing.
    #[serde(default)]
    pub migrate: BTreeMap<String, u32>,
    /// sqlalchemy-migrate's version table.
    pub migrate_table: Option<String>,
    /// Rows of alembic's version table once every migration has run.
    #[serde(default)]
    pub alembic: Vec<String>,
    /// Heads of the revision tree where they differ from the rows: those missing there are implied by others.
    #[serde(default)]
    pub alembic_heads: Vec<String>,
    /// The package of this series is on no index; the heads were read from the tree of the series named.
    pub carried_by: Option<Series>,
    /// alembic's version table.
    #[serde(default = "alembic_version")]
    pub version_table: String,
    /// alembic revisions that are new in this series.
    #[serde(default)]
    pub new_revisions: Vec<String>,
}

fn alembic_version() -> String {
    "alembic_version".to_owned()
}

/// `catalog/patches/ID.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Its name.
    pub id: String,
    /// Series it is applied in.
    pub series: Vec<Series>,
    /// The distribution it changes.
    pub package: String,
    /// The file, relative to site-packages.
    pub file: String,
    /// The text that is replaced; must be there exactly once.
    pub find: String,
    /// The new text.
    pub replace: String,
    /// Why.
    pub reason: String,
    /// The upstream bug.
    pub bug: String,
}
