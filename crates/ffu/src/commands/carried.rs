//! What `ffu config migrate` and `ffu policy migrate` share: the series they start from, the files on their way, the end.

mod finish;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use ffu_catalog::Catalog;
use ffu_config::finding::{Finding, Severity};
use ffu_config::migrate::Proof;
use ffu_config::policy;
use ffu_model::Series;
use ffu_model::secret::Secret;

use super::elsewhere::Created;
use crate::cli::config::MigrateArguments;
use crate::configs::find::{self, Findings};
use crate::configs::show;
use crate::configs::told::Told;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::read_file;

pub use finish::{finish, write_sarif};

/// The services that have a catalog of options.
pub fn services(catalog: &Catalog) -> Vec<String> {
    catalog.option_services().map(str::to_owned).collect()
}

/// Where the files come from.
pub enum Start {
    /// One series for all.
    Series(Series),
    /// As discovered, a project.
    Cloud(Utf8PathBuf, BTreeMap<String, Option<Series>>),
}

impl Start {
    /// From the options.
    pub fn new(catalog: &Catalog, arguments: &MigrateArguments) -> Result<Self, Failure> {
        if let Some(from) = &arguments.from {
            return Ok(Start::Series(catalog.resolve(from)?));
        }
        let Some(path) = &arguments.cloud else {
            return Err(Failure::new(
                Exit::Usage,
                "neither --from nor --cloud is given\n  next: say the series with --from",
            ));
        };
        let text = String::from_utf8(read_file(path, "cloud file")?)
            .map_err(|error| Failure::new(Exit::BadInput, format!("{path}: not UTF-8 ({error})")))?;
        let cloud = ffu_discover::from_toml(path.as_str(), &text)?;
        let series = cloud
            .projects
            .into_iter()
            .map(|project| (project.project, project.series))
            .collect();
        Ok(Start::Cloud(path.clone(), series))
    }

    /// The series a service's files were written for.
    pub fn of(&self, service: &str) -> Result<Series, Failure> {
        match self {
            Start::Series(series) => Ok(series.clone()),
            Start::Cloud(path, projects) => projects.get(service).cloned().flatten().ok_or_else(|| {
                Failure::new(
                    Exit::BadInput,
                    format!("{path} does not say at which series {service} is\n  next: give --from"),
                )
            }),
        }
    }

    /// For people.
    fn shown(&self) -> String {
        match self {
            Start::Series(series) => series.to_string(),
            Start::Cloud(path, _) => path.to_string(),
        }
    }
}

/// All series from one to another, both included; one alone where they are the same.
pub fn path(catalog: &Catalog, from: &Series, to: &Series) -> Result<Vec<Series>, Failure> {
    if from == to {
        return Ok(vec![from.clone()]);
    }
    let hops = catalog.path(from, to, false)?;
    Ok(std::iter::once(from.clone())
        .chain(hops.into_iter().map(|hop| hop.to))
        .collect())
}

/// The variables of an environment file that oslo.config looks at (systemd's EnvironmentFile: `NAME=VALUE`, quotes around the
/// value taken off, `#` and `;` begin a remark).
pub fn environment(path: Option<&Utf8PathBuf>) -> Result<BTreeMap<String, String>, Failure> {
    let Some(path) = path else {
        return Ok(BTreeMap::new());
    };
    let text = String::from_utf8(find::read(path)?)
        .map_err(|error| Failure::new(Exit::BadInput, format!("{path}: not UTF-8 ({error})")))?;
    let mut variables = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
            return Err(Failure::new(
                Exit::BadInput,
                format!("{path}: line {}: no NAME=VALUE\n  next: mend the line", at + 1),
            ));
        };
        let value = value.trim();
        let bare = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        if name.starts_with("OS_") {
            variables.insert(name.trim().to_owned(), bare.unwrap_or(value).to_owned());
        }
    }
    Ok(variables)
}

/// A command about nothing is a mistake of the caller.
pub fn something(found: &Findings, paths: &[Utf8PathBuf]) -> Result<(), Failure> {
    if !found.files.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
    let unknown = match found.unknown.len() {
        0 => String::new(),
        n => format!(
            " ({n} files of unknown services, such as {}: give --service)",
            found.unknown[0]
        ),
    };
    Err(Failure::new(
        Exit::BadInput,
        format!(
            "no file for this command in {}{unknown}\n  next: name configuration files, or a directory such as /etc/nova",
            names.join(", ")
        ),
    ))
}

/// The files on their way.
pub struct Carried {
    before: Vec<Vec<u8>>,
    after: Vec<Option<Vec<u8>>>,
    renamed: Vec<Option<String>>,
    secrets: Vec<Vec<Secret>>,
    /// What there is to say.
    pub told: Told,
    /// The proof over all sets of option files.
    pub proof: Proof,
    /// The proof over all policy files.
    pub rules: policy::Proof,
    /// Files that come into being.
    pub created: Vec<Created>,
    /// Files that got options of other files.
    pub received: Vec<usize>,
}

impl Carried {
    /// Reads every file.
    pub fn read(found: &Findings) -> Result<Self, Failure> {
        let before = found
            .files
            .iter()
            .map(|file| find::read(&file.path))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Carried {
            after: vec![None; before.len()],
            renamed: vec![None; before.len()],
            secrets: vec![Vec::new(); before.len()],
            before,
            told: Told::default(),
            proof: Proof::default(),
            rules: policy::Proof::default(),
            created: Vec::new(),
            received: Vec::new(),
        })
    }

    /// A file as it was read.
    pub fn before(&self, at: usize) -> &[u8] {
        self.before.get(at).map_or(&[], Vec::as_slice)
    }

    /// What it became so far.
    pub fn after(&self, at: usize) -> Option<&[u8]> {
        self.after.get(at)?.as_deref()
    }

    /// Sets what it becomes.
    pub fn replace(&mut self, at: usize, bytes: Vec<u8>) {
        if let Some(after) = self.after.get_mut(at) {
            *after = Some(bytes);
        }
    }

    /// Sets the name it gets.
    pub fn rename(&mut self, at: usize, name: String) {
        if let Some(renamed) = self.renamed.get_mut(at) {
            *renamed = Some(name);
        }
    }

    /// Adds the secrets of every file, so that no output shows them.
    pub fn hide(&mut self, catalog: &Catalog, found: &Findings, start: &Start, to: &Series) {
        for (at, file) in found.files.iter().enumerate() {
            let options = catalog.options(&file.service).and_then(Result::ok);
            let from = start.of(&file.service).ok();
            let sets: Vec<_> = [from.as_ref(), Some(to)]
                .into_iter()
                .flatten()
                .filter_map(|series| options?.at(series))
                .collect();
            let sets: Vec<_> = sets.iter().collect();
            let mut hidden = show::secrets(self.before(at), &sets);
            // What came from another file was never in this one.
            if self.received.contains(&at) {
                hidden.extend(show::secrets(self.after(at).unwrap_or_default(), &sets));
            }
            if let Some(secrets) = self.secrets.get_mut(at) {
                *secrets = hidden;
            }
        }
    }

    /// Names the files that were left aside, so that nobody takes them for done.
    pub fn note_unknown(&mut self, found: &Findings) {
        for path in &found.unknown {
            self.told.push(
                Finding::new(
                    "file-not-looked-at",
                    Severity::Info,
                    path.as_str(),
                    "nobody knows whose it is; it was left as it is",
                )
                .at(Some(path.as_str()), 1, 1)
                .remedy("give --service with this file alone"),
            );
        }
    }

    fn changed(&self, at: usize) -> bool {
        self.after(at).is_some_and(|after| after != self.before(at))
            || self.renamed.get(at).is_some_and(Option::is_some)
    }
}
