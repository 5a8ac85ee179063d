//! Knowledge as data: series, projects, commands, gates, environments, schema heads.
//!
//! The files under `catalog/` are embedded in the binary; an overlay replaces or adds single files. The crate reads
//! no file of its own: the command line hands it the bytes of an overlay. Everything that comes in is checked before
//! it is used ([`Catalog::with_overlay`]), and every mistake is reported with its file and line.

mod check;
mod error;
mod heads;
mod load;
mod locate;
pub mod options;
pub mod overlay;
mod path;
pub mod rules;
pub mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;

use ffu_model::Series;
use ffu_model::step::ExitMeaning;
use include_dir::{Dir, include_dir};

pub use error::{CatalogError, CatalogErrors, Problem};
pub use path::PathError;
pub use types::{
    CommandEntry, EnvironmentEntry, GateEntry, HeadEntry, InvariantEntry, MissingEntry, Patch, PlaceEntry, Project,
    RunEntry, SeriesEntry, ServiceEntry, SkipEntry,
};

/// Paths below the catalog's root, and what is in them.
pub(crate) type Files = BTreeMap<String, Cow<'static, [u8]>>;

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../catalog");

/// Everything `ffu` knows about OpenStack, checked.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// All series, oldest first.
    pub series: Vec<SeriesEntry>,
    /// Skips that upstream tests.
    pub skips: Vec<SkipEntry>,
    /// All projects, by their `order`.
    pub projects: Vec<Project>,
    /// All gates, in the order of the series they guard, then by id.
    pub gates: Vec<GateEntry>,
    /// One recipe a series, oldest first.
    pub environments: Vec<EnvironmentEntry>,
    /// Releases that cannot be installed.
    pub missing: Vec<MissingEntry>,
    /// Patches, by id.
    pub patches: Vec<Patch>,
    heads: BTreeMap<String, Vec<HeadEntry>>,
    locks: BTreeMap<String, String>,
    rules: Vec<rules::Rule>,
    options: options::OptionStore,
    digest: String,
}

impl Catalog {
    /// The catalog this binary was built with.
    ///
    /// # Errors
    /// Every mistake in it; a released binary has none, its tests see to that.
    pub fn embedded() -> Result<Catalog, CatalogErrors> {
        Self::with_overlay(&BTreeMap::new())
    }

    /// The embedded catalog with some files replaced or added; keys are paths relative to the catalog's root, such as
    /// `gates/site.toml`.
    ///
    /// # Errors
    /// Every mistake in the result, each with its file and, where known, line and column.
    pub fn with_overlay(files: &BTreeMap<String, Vec<u8>>) -> Result<Catalog, CatalogErrors> {
        Self::load(files, |_| true)
    }

    /// The part of the catalog that configuration files are read by: series, option catalogs and their rules. There are no
    /// projects, gates, environments and heads in it, and no digest. It loads ten times faster.
    ///
    /// # Errors
    /// Every mistake in these files, and in the paths of the overlay.
    pub fn of_configuration(files: &BTreeMap<String, Vec<u8>>) -> Result<Catalog, CatalogErrors> {
        Self::load(files, |path| {
            path == "series.toml" || path.starts_with("options/") || path.starts_with("config-rules/")
        })
    }

    /// As [`Catalog::of_configuration`], without the rules: what checks of files need.
    ///
    /// # Errors
    /// Every mistake in these files, and in the paths of the overlay.
    pub fn of_options(files: &BTreeMap<String, Vec<u8>>) -> Result<Catalog, CatalogErrors> {
        Self::load(files, |path| path == "series.toml" || path.starts_with("options/"))
    }

    fn load(files: &BTreeMap<String, Vec<u8>>, wanted: impl Fn(&str) -> bool) -> Result<Catalog, CatalogErrors> {
        let mut effective = embedded_files(&wanted);
        let mut errors = overlay::check(files);
        for (path, bytes) in files.iter().filter(|(path, _)| wanted(path)) {
            effective.insert(path.clone(), Cow::Owned(bytes.clone()));
        }
        if errors.is_empty() {
            let whole = wanted("environments.toml");
            let loaded = load::load(&effective, whole, &mut errors);
            // What is embedded was checked by tests when it was made; unpacking it all here would make every start slow.
            loaded.options.check(files.keys(), &mut errors);
            if errors.is_empty() {
                return Ok(loaded);
            }
        }
        Err(CatalogErrors::new(errors))
    }

    /// SHA-256 over all effective files (path and bytes), whatever order they came in; empty of a part of the catalog.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The place of a series in the order of time.
    pub fn position(&self, series: &Series) -> Option<usize> {
        self.series.iter().position(|entry| entry.id == *series)
    }

    /// Whether a series lies in a span of which both ends are included; an absent end is open. A series the catalog
    /// does not know lies in no span.
    pub fn holds(&self, since: &Option<Series>, until: &Option<Series>, series: &Series) -> bool {
        let Some(at) = self.position(series) else {
            return false;
        };
        let not_before = since
            .as_ref()
            .is_none_or(|s| self.position(s).is_some_and(|start| start <= at));
        let not_after = until
            .as_ref()
            .is_none_or(|u| self.position(u).is_some_and(|end| at <= end));
        not_before && not_after
    }

    /// The project of that name.
    pub fn project(&self, name: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.name == name)
    }

    /// The projects that exist in a series, in order.
    pub fn projects_at(&self, series: &Series) -> impl Iterator<Item = &Project> {
        let series = series.clone();
        self.projects
            .iter()
            .filter(move |project| self.holds(&project.since, &None, &series))
    }

    /// The commands of a project's hop that enters `series`, in the order in which they run.
    pub fn commands<'a>(&'a self, project: &'a Project, series: &Series) -> Vec<&'a CommandEntry> {
        project
            .command
            .iter()
            .filter(|command| self.holds(&command.since, &command.until, series))
            .collect()
    }

    /// What the exit codes of a command mean in a series; a code that is not listed means failure.
    pub fn exits(&self, command: &CommandEntry, series: &Series) -> Vec<ExitMeaning> {
        command
            .exit
            .iter()
            .filter(|exit| self.holds(&exit.since, &exit.until, series))
            .map(|exit| ExitMeaning {
                code: exit.code,
                meaning: exit.meaning,
                note: exit.note.clone(),
            })
            .collect()
    }

    /// Where the rows of an invariant live at a series: the first entry whose span holds the series and whose database
    /// (project, role) the cloud has at that point. `None`: they cannot be compared there.
    pub fn place<'a>(
        &self,
        invariant: &'a InvariantEntry,
        series: &Series,
        has: impl Fn(&str, &str) -> bool,
    ) -> Option<&'a PlaceEntry> {
        invariant
            .place
            .iter()
            .find(|place| self.holds(&place.since, &place.until, series) && has(&place.project, &place.database))
    }

    /// How a service runs in a series.
    pub fn run<'a>(&self, service: &'a ServiceEntry, series: &Series) -> Option<&'a RunEntry> {
        service
            .run
            .iter()
            .find(|run| self.holds(&run.since, &run.until, series))
    }

    /// The service of that name, with its project.
    pub fn service(&self, name: &str) -> Option<(&Project, &ServiceEntry)> {
        self.projects
            .iter()
            .find_map(|project| Some((project, project.service.iter().find(|service| service.name == name)?)))
    }

    /// The recipe of a series' hop environment.
    pub fn environment(&self, series: &Series) -> Option<&EnvironmentEntry> {
        self.environments.iter().find(|entry| entry.series == *series)
    }

    /// The lock file of a series' hop environment.
    pub fn lock(&self, series: &Series) -> Option<&str> {
        let file = &self.environment(series)?.locks;
        self.locks.get(file).map(String::as_str)
    }

    /// What source packages of a series are built with.
    pub fn build_constraints(&self, series: &Series) -> Option<&str> {
        let file = self.environment(series)?.build_constraints.as_ref()?;
        self.locks.get(file).map(String::as_str)
    }

    /// The services with option catalogs, by name.
    pub fn option_services(&self) -> impl Iterator<Item = &str> {
        self.options.services()
    }

    /// The options and policy rules of a service in every series, with what an overlay adds; `None` where there is no
    /// catalog of it. Unpacked when first asked for, and kept.
    ///
    /// # Errors
    /// [`options::OptionsError`]; what is embedded has none, and files of an overlay were checked when it was loaded.
    pub fn options(&self, service: &str) -> Option<Result<&options::ServiceOptions, &options::OptionsError>> {
        self.options.get(service)
    }

    /// The options of a service in one series alone, without policy: what a check of files needs, at a fraction of the cost.
    pub fn options_at(
        &self,
        service: &str,
        series: &Series,
    ) -> Option<Result<options::ServiceOptions, options::OptionsError>> {
        self.options.at(service, series)
    }

    /// The curated rules about configuration options of all services, file by file.
    pub fn config_rules(&self) -> &[rules::Rule] {
        &self.rules
    }

    /// The patches applied to a series' hop environment.
    pub fn patches_for(&self, series: &Series) -> impl Iterator<Item = &Patch> {
        let series = series.clone();
        self.patches.iter().filter(move |patch| patch.series.contains(&series))
    }
}

fn embedded_files(wanted: impl Fn(&str) -> bool) -> Files {
    let mut files = BTreeMap::new();
    let mut directories = vec![&EMBEDDED];
    while let Some(directory) = directories.pop() {
        directories.extend(directory.dirs());
        for file in directory.files() {
            if let Some(path) = file.path().to_str() {
                // The separator of paths in the catalog is `/` wherever it was built.
                let path = path.replace('\\', "/");
                if wanted(&path) {
                    files.insert(path, Cow::Borrowed(file.contents()));
                }
            }
        }
    }
    files
}
