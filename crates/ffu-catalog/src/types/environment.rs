//! The shape of what is made with the locks: recipes, missing releases, schema heads, patches.

use std::collections::BTreeMap;

use ffu_model::Series;
use serde::Deserialize;

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
