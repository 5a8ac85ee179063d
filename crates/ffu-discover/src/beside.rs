//! What a project's services read beside their options: policy files, PasteDeploy pipelines, rootwrap's files; and which
//! files lie there that no service of the catalog reads.
//!
//! Places follow the services: `policy_file` and `policy_dirs` are looked for as `ConfigOpts.find_file` does (beside the
//! configuration files, the last one's directory first), of a policy directory every file counts that does not begin with a
//! dot (oslo_policy/policy.py `_walk_through_policy_directory`), filters come from `filters_path` of `rootwrap.conf`
//! (oslo_rootwrap/wrapper.py).

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_config::ini::Document;
use ffu_model::cloud::FileKind;
use ffu_model::digest::sha256_hex;
use ffu_model::{ConfigFile, Finding, Severity};

use crate::finding;

/// Options that name a pipeline: nova's and placement's, cinder's and neutron's, glance's and keystone's, heat's.
const PASTE_OPTIONS: [(&str, &str); 4] = [
    ("wsgi", "api_paste_config"),
    ("DEFAULT", "api_paste_config"),
    ("paste_deploy", "config_file"),
    ("paste_deploy", "api_paste_config"),
];
/// Names that services look for when no policy file is set.
const POLICY_NAMES: [&str; 2] = ["policy.json", "policy.yaml"];
/// How deep, and among how many entries, files are looked for that nobody reads.
const DEEPEST: usize = 4;
const MOST: usize = 5_000;

/// Adds what is read beside the options to a project's files. `etc` is the deployment's, `files` are those of the catalog.
pub(crate) fn add(etc: &Utf8Path, project: &str, files: &mut Vec<ConfigFile>, findings: &mut Vec<Finding>) {
    for file in files.iter_mut() {
        if file.path.as_str().ends_with("paste.ini") {
            file.kind = FileKind::Paste;
        }
    }
    let options: Vec<Utf8PathBuf> = files
        .iter()
        .filter(|file| file.kind.is_options())
        .map(|file| file.path.clone())
        .collect();
    let service = Service::new(etc, project, &options);
    let mut met: BTreeSet<Utf8PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    for (path, kind) in service
        .policies()
        .into_iter()
        .chain(service.pastes())
        .chain(service.rootwraps())
    {
        if !met.insert(path.clone()) {
            continue;
        }
        match ffu_db::oslo::read(&path) {
            Ok(text) => files.push(ConfigFile {
                path,
                sha256: sha256_hex(text.as_bytes()),
                kind,
            }),
            Err(error) => findings.push(finding(
                "config-missing",
                Severity::Blocker,
                Some(project),
                error.to_string(),
                "make the file readable as text, or take it away, then type `ffu discover` again",
            )),
        }
    }
    let left = service.left(&met);
    if let Some(first) = left.first() {
        let more = match left.len() {
            1 => String::new(),
            n => format!(" and {} more ({})", n - 1, names(&left[1..])),
        };
        let message = format!("{first}{more}: no service that this program knows reads it, so no run carries it");
        let remedy = format!("if a service reads it, carry it with `ffu config migrate --service {project}`");
        findings.push(finding(
            "config-not-carried",
            Severity::Info,
            Some(project),
            message,
            remedy,
        ));
    }
}

fn names(paths: &[Utf8PathBuf]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<&str> = paths.iter().take(SHOWN).filter_map(|path| path.file_name()).collect();
    if paths.len() > SHOWN {
        names.push("…");
    }
    names.join(", ")
}

/// A project's services, as far as their files tell.
struct Service<'a> {
    etc: &'a Utf8Path,
    project: &'a str,
    options: &'a [Utf8PathBuf],
    /// Those of the option files that can be read.
    documents: Vec<Document>,
    /// Where `find_file` looks, in its order.
    directories: Vec<Utf8PathBuf>,
}

impl<'a> Service<'a> {
    fn new(etc: &'a Utf8Path, project: &'a str, options: &'a [Utf8PathBuf]) -> Self {
        let mut directories: Vec<Utf8PathBuf> = Vec::new();
        let parents = options
            .iter()
            .rev()
            .filter_map(|file| file.parent().map(Utf8Path::to_owned));
        for directory in parents.chain([etc.join(project), etc.to_owned()]) {
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Service {
            etc,
            project,
            options,
            documents: options.iter().filter_map(|file| document(file)).collect(),
            directories,
        }
    }

    /// All values of an option, in the order of the files. References are resolved for the last one.
    fn values(&self, section: &str, option: &str) -> Vec<String> {
        let entries = self.documents.iter().flat_map(Document::entries);
        let mut values: Vec<String> = entries
            .filter(|entry| entry.group() == section && entry.key == option)
            .map(|entry| entry.value().into_owned())
            .collect();
        if values.last().is_some_and(|last| last.contains('$'))
            && let Ok(resolved) = ffu_db::oslo::config_value(self.options, section, option)
            && let Some(last) = values.last_mut()
        {
            *last = resolved.expose().to_owned();
        }
        values
    }

    fn value(&self, section: &str, option: &str) -> Option<String> {
        self.values(section, option).pop().filter(|value| !value.is_empty())
    }

    /// As `find_file` finds a file or directory.
    fn found(&self, name: &str) -> Option<Utf8PathBuf> {
        let plain = |path: &Utf8PathBuf| !path.components().any(|part| part.as_str() == "..") && path.exists();
        if Utf8Path::new(name).is_absolute() {
            return Some(Utf8PathBuf::from(name)).filter(plain);
        }
        self.directories
            .iter()
            .map(|directory| directory.join(name))
            .find(plain)
    }

    fn policies(&self) -> Vec<(Utf8PathBuf, FileKind)> {
        let named = self
            .value("oslo_policy", "policy_file")
            .or_else(|| self.value("DEFAULT", "policy_file"))
            // Placement's own option, until Ussuri.
            .or_else(|| {
                self.value("placement", "policy_file")
                    .filter(|_| self.project == "placement")
            });
        let mut policies: Vec<(Utf8PathBuf, FileKind)> = match named {
            Some(name) => self
                .found(&name)
                .filter(|path| path.is_file())
                .map(|path| (path, FileKind::PolicyNamed))
                .into_iter()
                .collect(),
            None => POLICY_NAMES
                .iter()
                .filter_map(|name| self.found(name))
                .map(|path| (path, FileKind::Policy))
                .collect(),
        };
        let mut directories = self.values("oslo_policy", "policy_dirs");
        if directories.is_empty() {
            directories.push("policy.d".to_owned());
        }
        for directory in directories.iter().filter_map(|name| self.found(name)) {
            let files = listed(&directory).into_iter().filter(|file| !hidden(file));
            policies.extend(files.map(|file| (file, FileKind::PolicyDirectory)));
        }
        policies
    }

    fn pastes(&self) -> Vec<(Utf8PathBuf, FileKind)> {
        let set = PASTE_OPTIONS
            .iter()
            .filter_map(|(section, option)| self.found(&self.value(section, option)?))
            .filter(|path| path.is_file());
        let beside = self
            .own()
            .flat_map(|directory| listed(directory))
            .filter(|file| file.as_str().ends_with("paste.ini") && !hidden(file));
        set.chain(beside).map(|path| (path, FileKind::Paste)).collect()
    }

    fn rootwraps(&self) -> Vec<(Utf8PathBuf, FileKind)> {
        let mut files = Vec::new();
        let set = self
            .value("DEFAULT", "rootwrap_config")
            .and_then(|name| self.found(&name));
        let beside = self.own().map(|directory| directory.join("rootwrap.conf"));
        let mut mains: Vec<Utf8PathBuf> = Vec::new();
        for main in set.into_iter().chain(beside).filter(|path| path.is_file()) {
            if !mains.contains(&main) {
                mains.push(main);
            }
        }
        for main in mains {
            let mut directories: Vec<Utf8PathBuf> = main
                .parent()
                .map(|parent| parent.join("rootwrap.d"))
                .into_iter()
                .collect();
            if let Some(document) = document(&main) {
                let paths = document
                    .entries()
                    .filter(|entry| entry.key == "filters_path")
                    .map(|entry| entry.value().into_owned())
                    .last()
                    .unwrap_or_default();
                // Directories elsewhere, such as /usr/share/nova/rootwrap, are the package's.
                directories.extend(
                    paths
                        .split(',')
                        .map(|path| Utf8PathBuf::from(path.trim()))
                        .filter(|path| path.starts_with(self.etc)),
                );
            }
            files.push(main);
            for directory in directories {
                files.extend(
                    listed(&directory)
                        .into_iter()
                        .filter(|file| file.extension() == Some("filters") && !hidden(file)),
                );
            }
        }
        files.into_iter().map(|path| (path, FileKind::Rootwrap)).collect()
    }

    /// The directories of this project alone: not the deployment's `/etc`.
    fn own(&self) -> impl Iterator<Item = &Utf8PathBuf> {
        self.directories.iter().filter(|directory| *directory != self.etc)
    }

    /// Files that look like configuration and are none of those that are known.
    fn left(&self, known: &BTreeSet<Utf8PathBuf>) -> Vec<Utf8PathBuf> {
        let mut left = BTreeSet::new();
        let mut looked = 0;
        let mut open: Vec<(Utf8PathBuf, usize)> = vec![(self.etc.join(self.project), 0)];
        while let Some((directory, depth)) = open.pop() {
            let Ok(entries) = directory.read_dir_utf8() else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                looked += 1;
                if looked > MOST {
                    return left.into_iter().collect();
                }
                let path = entry.path().to_owned();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < DEEPEST => open.push((path, depth + 1)),
                    Ok(kind) if !kind.is_dir() && looks_like_configuration(&path) && !known.contains(&path) => {
                        left.insert(path);
                    }
                    _ => {}
                }
            }
        }
        left.into_iter().collect()
    }
}

fn document(file: &Utf8Path) -> Option<Document> {
    Document::parse(ffu_db::oslo::read(file).ok()?.as_bytes()).ok()
}

/// The regular files of a directory, by name; none where it cannot be read.
fn listed(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = directory.read_dir_utf8() else {
        return Vec::new();
    };
    let mut files: Vec<Utf8PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.into_path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn hidden(path: &Utf8Path) -> bool {
    path.file_name().is_none_or(|name| name.starts_with('.'))
}

fn looks_like_configuration(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let backup = name.starts_with('.') || name.contains(".ffu-");
    let policy = name.contains("policy") && matches!(path.extension(), Some("json" | "yaml" | "yml"));
    !backup && (policy || matches!(path.extension(), Some("conf" | "ini" | "filters")))
}

#[cfg(test)]
mod tests;
