//! The shape of a project's services, rows, options and orders.

use std::collections::BTreeMap;

use ffu_model::Series;
use ffu_model::cloud::ServiceRole;
use serde::Deserialize;

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
