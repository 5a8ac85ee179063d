//! Turns the files and directories of a command line into sets of files that a service reads together.
//!
//! Files given one by one, with their service, are one ordered set. In a tree every service's main file (`nova.conf`) is a
//! set, and every other file of the service is a set with the nearest main file before it, as its daemon is started
//! (`--config-file neutron.conf --config-file l3_agent.ini`). `NAME.conf.d` directories are read as `--config-dir` is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::kind::{self, Kind};
use crate::exit::Exit;
use crate::failure::Failure;

/// The largest configuration file that is read, in bytes.
pub const LARGEST: u64 = 256 * 1024 * 1024;
/// The most files of one call.
const MOST_FILES: usize = 200_000;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As the command line leads to it.
    pub path: Utf8PathBuf,
    /// Below the directory that was given, for `-o`; the bare name of a file given itself.
    pub inside: Utf8PathBuf,
    /// Whose it is.
    pub service: String,
    /// Its language.
    pub kind: Kind,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Files by (service, place), sorted.
    pub files: Vec<Found>,
    /// Whether the files were given one by one, so that they are one set in this order.
    pub ordered: bool,
    /// Files that look like configuration, but whose service nobody knows.
    pub unknown: Vec<Utf8PathBuf>,
}

/// Files that are read together, as indexes of [`Findings::files`]; the last one is the one the set is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSet {
    /// Whose.
    pub service: String,
    /// In reading order.
    pub files: Vec<usize>,
}

/// Looks at everything the command line names. `wanted` says which kinds the command is about.
///
/// # Errors
/// A path that does not exist or cannot be read, a file whose service is not known and not given.
pub fn find(
    paths: &[Utf8PathBuf],
    service: Option<&str>,
    services: &[String],
    wanted: impl Fn(Kind) -> bool,
) -> Result<Findings, Failure> {
    if let Some(service) = service
        && !services.iter().any(|known| known == service)
    {
        return Err(Failure::new(
            Exit::BadInput,
            format!(
                "{service}: no such service in the catalog of options; there are {}",
                services.join(", ")
            ),
        ));
    }
    let mut findings = Findings {
        ordered: true,
        ..Findings::default()
    };
    let mut seen = BTreeSet::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| bad(path, &error.to_string()))?;
        if metadata.is_dir() {
            findings.ordered = false;
            walk(path, service, services, &wanted, &mut findings, &mut seen)?;
        } else if metadata.is_file() {
            let name = path.file_name().unwrap_or_default();
            // A file that is named is meant, whatever its name.
            let kind = kind::of_name(name).unwrap_or(Kind::Options);
            let full = crate::places::absolute(path.clone())?;
            let Some(service) = service.or_else(|| kind::service_of(&full, services)) else {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{path}: neither its name nor its directory tells whose it is\n  next: give --service"),
                ));
            };
            if wanted(kind) && seen.insert(path.clone()) {
                findings.files.push(Found {
                    path: path.clone(),
                    inside: name.into(),
                    service: service.to_owned(),
                    kind,
                });
            }
        } else {
            return Err(bad(path, "it is neither a file nor a directory"));
        }
    }
    if !findings.ordered {
        findings
            .files
            .sort_by(|a, b| (&a.service, &a.path).cmp(&(&b.service, &b.path)));
    }
    Ok(findings)
}

fn walk(
    root: &Utf8Path,
    service: Option<&str>,
    services: &[String],
    wanted: &impl Fn(Kind) -> bool,
    findings: &mut Findings,
    seen: &mut BTreeSet<Utf8PathBuf>,
) -> Result<(), Failure> {
    let full_root = crate::places::absolute(root.to_owned())?;
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = directory
            .read_dir_utf8()
            .map_err(|error| bad(&directory, &error.to_string()))?;
        for entry in entries {
            let entry = entry.map_err(|error| bad(&directory, &error.to_string()))?;
            let kind_of_entry = entry
                .file_type()
                .map_err(|error| bad(entry.path(), &error.to_string()))?;
            let path = entry.path();
            if kind_of_entry.is_dir() {
                open.push(path.to_owned());
                continue;
            }
            // A link to a file counts (distributions link policy files); one to a directory could lead in circles.
            if !kind_of_entry.is_file() && !fs::metadata(path).is_ok_and(|target| target.is_file()) {
                continue;
            }
            let Some(kind) = kind::of_name(entry.file_name()).filter(|kind| wanted(*kind)) else {
                continue;
            };
            let inside = path.strip_prefix(root).unwrap_or(path).to_owned();
            let Some(service) = service.or_else(|| kind::service_of(&full_root.join(&inside), services)) else {
                findings.unknown.push(path.to_owned());
                continue;
            };
            if seen.insert(path.to_owned()) {
                findings.files.push(Found {
                    path: path.to_owned(),
                    inside,
                    service: service.to_owned(),
                    kind,
                });
            }
            if findings.files.len() > MOST_FILES {
                return Err(bad(
                    root,
                    &format!("more than {MOST_FILES} configuration files lie below it"),
                ));
            }
        }
    }
    findings.unknown.sort();
    Ok(())
}

impl Findings {
    /// The sets of option files.
    pub fn sets(&self) -> Vec<FileSet> {
        let options = |found: &&(usize, &Found)| found.1.kind == Kind::Options;
        let all: Vec<(usize, &Found)> = self.files.iter().enumerate().collect();
        if self.ordered {
            let mut by_service: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (at, found) in all.iter().filter(options) {
                by_service.entry(&found.service).or_default().push(*at);
            }
            return by_service
                .into_iter()
                .map(|(service, files)| FileSet {
                    service: service.to_owned(),
                    files,
                })
                .collect();
        }
        let mains: BTreeMap<(&str, &Utf8Path), usize> = all
            .iter()
            .filter(|(_, found)| is_main(found))
            .filter_map(|(at, found)| Some(((found.service.as_str(), found.path.parent()?), *at)))
            .collect();
        let mut sets = Vec::new();
        let mut directories: BTreeMap<(&str, &Utf8Path), Vec<usize>> = BTreeMap::new();
        for (at, found) in all.iter().filter(options) {
            match found.path.parent().filter(|parent| is_config_dir(parent)) {
                Some(parent) => directories.entry((&found.service, parent)).or_default().push(*at),
                None => {
                    let main = nearest(&mains, found, found.path.parent()).filter(|main| main != at);
                    sets.push(FileSet {
                        service: found.service.clone(),
                        files: main.into_iter().chain([*at]).collect(),
                    });
                }
            }
        }
        for ((service, directory), files) in directories {
            let Some(first) = files.first().and_then(|at| self.files.get(*at)) else {
                continue;
            };
            let main = nearest(&mains, first, directory.parent());
            // Sorted as oslo.config sorts a --config-dir: by name (the files are sorted by path).
            sets.push(FileSet {
                service: service.to_owned(),
                files: main.into_iter().chain(files).collect(),
            });
        }
        sets
    }
}

fn nearest(mains: &BTreeMap<(&str, &Utf8Path), usize>, found: &Found, from: Option<&Utf8Path>) -> Option<usize> {
    from?
        .ancestors()
        .find_map(|directory| mains.get(&(found.service.as_str(), directory)).copied())
}

fn is_main(found: &Found) -> bool {
    found.kind == Kind::Options
        && found.path.file_name().and_then(|name| name.strip_suffix(".conf")) == Some(found.service.as_str())
}

fn is_config_dir(directory: &Utf8Path) -> bool {
    directory.file_name().is_some_and(|name| name.ends_with(".conf.d"))
}

/// Reads a file whole.
///
/// # Errors
/// The file and the reason; also when it is larger than [`LARGEST`].
pub fn read(path: &Utf8Path) -> Result<Vec<u8>, Failure> {
    let file = fs::File::open(path).map_err(|error| bad(path, &error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| bad(path, &error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(bad(path, &format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

fn bad(path: &Utf8Path, reason: &str) -> Failure {
    Failure::new(
        Exit::BadInput,
        format!(
            "{path}: {reason}; nothing was written\n  next: name configuration files or directories that can be read"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        (dir, root)
    }

    fn services() -> Vec<String> {
        ["nova", "neutron"].map(String::from).into()
    }

    #[test]
    fn a_tree_falls_into_sets_as_daemons_read_them() {
        let (_dir, root) = tree(&[
            "neutron/neutron.conf",
            "neutron/plugins/ml2/ml2_conf.ini",
            "neutron/l3_agent.ini",
            "nova/nova.conf",
            "nova/nova.conf.d/10-b.conf",
            "nova/nova.conf.d/9-a.conf",
            "nova/policy.json",
            "nova/api-paste.ini",
            "etc/unknown.conf",
            "nova/server.key",
        ]);
        let found = find(std::slice::from_ref(&root), None, &services(), |_| true).unwrap();
        let sets: Vec<String> = found
            .sets()
            .iter()
            .map(|set| {
                let files: Vec<_> = set.files.iter().map(|at| found.files[*at].inside.as_str()).collect();
                format!("{}: {}", set.service, files.join(" "))
            })
            .collect();
        assert_eq!(
            sets,
            [
                "neutron: neutron/neutron.conf neutron/l3_agent.ini",
                "neutron: neutron/neutron.conf",
                "neutron: neutron/neutron.conf neutron/plugins/ml2/ml2_conf.ini",
                "nova: nova/nova.conf",
                "nova: nova/nova.conf nova/nova.conf.d/10-b.conf nova/nova.conf.d/9-a.conf",
            ]
        );
        assert_eq!(found.unknown, [root.join("etc/unknown.conf")]);
        assert_eq!(found.files.iter().filter(|f| f.kind == Kind::Policy).count(), 1);
    }

    #[test]
    fn files_given_one_by_one_keep_their_order() {
        let (_dir, root) = tree(&["b.conf", "a.conf"]);
        let files = [root.join("b.conf"), root.join("a.conf")];
        let found = find(&files, Some("nova"), &services(), |_| true).unwrap();
        assert_eq!(found.sets()[0].files.len(), 2);
        assert_eq!(found.files[0].inside, "b.conf");
    }

    #[test]
    fn what_cannot_be_found_is_said() {
        let (_dir, root) = tree(&["x.conf"]);
        let failure = |paths: &[Utf8PathBuf], service| find(paths, service, &services(), |_| true).unwrap_err();
        assert!(failure(&[root.join("gone.conf")], None).message.contains("gone.conf"));
        assert!(failure(&[root.join("x.conf")], None).message.contains("--service"));
        assert!(
            failure(&[root.join("x.conf")], Some("nvoa"))
                .message
                .contains("there are nova")
        );
        assert!(
            failure(&["/dev/null".into()], Some("nova"))
                .message
                .contains("neither a file")
        );
        assert!(read(&root).unwrap_err().message.contains("directory"));
    }
}
