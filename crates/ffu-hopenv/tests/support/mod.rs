//! A recipe with two small packages, and a store in a directory of its own.
//!
//! The tools venv must be there (`scripts/setup-tools`, which `make test` runs); its absence fails the tests.
#![allow(dead_code)] // Each test binary uses its part.

use std::collections::BTreeMap;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_hopenv::{BuildEvent, BuildEventKind, BuildOptions, EnvError, EnvStore};
use ffu_model::Series;

pub const SERIES: &str = "2025.1";
pub const LOCK: &str = "\
# A lock of two small packages.
iso8601==2.1.0 \\
    --hash=sha256:6b1d3829ee8921c4301998c909f7829fa9ed3cbdac0d3b16af2d743aed1ba8df \\
    --hash=sha256:aac4145c4dcb66ad8b648a02830f5e2ff6c24af20f4f482689be402db2429242
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274 \\
    --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81
";
const PATCH: &str = "\
id = \"test-six\"
series = [\"2025.1\"]
package = \"six\"
file = \"six.py\"
find = 'Utilities for writing code that runs on Python 2 and 3'
replace = 'Patched by a test'
reason = \"to see a patch applied\"
bug = \"https://bugs.launchpad.net/bugs/1\"
";

pub fn series() -> Series {
    SERIES.parse().unwrap()
}

pub fn cache() -> Utf8PathBuf {
    let home = || Utf8PathBuf::from(std::env::var("HOME").unwrap()).join(".cache");
    let cache = std::env::var("XDG_CACHE_HOME").ok().filter(|dir| !dir.is_empty());
    cache.map_or_else(home, Utf8PathBuf::from).join("ffu")
}

/// The Python that the tools venv was made with: whatever else the machine has, it has that one.
pub fn python() -> (Utf8PathBuf, String) {
    let path = cache().join("tools/bin/python");
    let question = "import sys; print('%d.%d' % sys.version_info[:2])";
    let output = std::process::Command::new(&path).args(["-c", question]).output();
    let output = output.unwrap_or_else(|error| panic!("{path}: {error}: run scripts/setup-tools first"));
    (path, String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The catalog with the recipe of one series replaced by one of two packages and a patch.
pub fn catalog(installer: &str, lock: &str) -> Catalog {
    catalog_asking_for(installer, lock, "")
}

/// The same with `packages` of the recipe.
pub fn catalog_asking_for(installer: &str, lock: &str, packages: &str) -> Catalog {
    let real = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/environments.toml");
    let real = std::fs::read_to_string(real).unwrap();
    let mut recipes: String = real
        .split_inclusive("[[environment]]\n")
        .map(|block| block.to_owned())
        .collect::<Vec<_>>()
        .join("");
    let begin = recipes
        .find(&format!("[[environment]]\nseries = \"{SERIES}\""))
        .unwrap();
    let end = recipes[begin + 1..]
        .find("\n[[")
        .map_or(recipes.len(), |at| begin + 1 + at);
    let recipe = format!(
        "[[environment]]\nseries = \"{SERIES}\"\npython = \"{}\"\ninstaller = \"{installer}\"\nlocks = \"{SERIES}.lock\"\n\
         disk_mib = 40\npackages = [{packages}]\n",
        python().1
    );
    recipes.replace_range(begin..end, &recipe);
    let overlay: BTreeMap<String, Vec<u8>> = [
        ("environments.toml".to_owned(), recipes.into_bytes()),
        (format!("locks/{SERIES}.lock"), lock.as_bytes().to_vec()),
        ("patches/test-six.toml".to_owned(), PATCH.as_bytes().to_vec()),
    ]
    .into();
    Catalog::with_overlay(&overlay).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A store in a directory of its own, with the machine's tools.
pub struct Place {
    _directory: tempfile::TempDir,
    pub root: Utf8PathBuf,
    pub store: EnvStore,
    events: Mutex<Vec<BuildEventKind>>,
}

impl Place {
    pub fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        let _ = std::os::unix::fs::symlink(cache().join("tools"), root.join("tools"));
        Place {
            _directory: directory,
            store: EnvStore::new(&root),
            root,
            events: Mutex::default(),
        }
    }

    pub fn options(&self) -> BuildOptions {
        BuildOptions {
            python: Some(python().0),
            ..BuildOptions::default()
        }
    }

    pub fn build(&self, catalog: &Catalog, options: &BuildOptions) -> Result<Utf8PathBuf, EnvError> {
        self.events.lock().unwrap().clear();
        let note = |event: BuildEvent| self.events.lock().unwrap().push(event.kind);
        self.store
            .build(catalog, &series(), options, &note)
            .map(|info| info.directory)
    }

    pub fn told(&self, wanted: impl Fn(&BuildEventKind) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(wanted)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join("envs")).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with(".locks"));
        names.sort();
        names
    }
}
