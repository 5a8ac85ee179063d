//! The place of all hop environments of a user, and who may change what in it.
//!
//! Three locks, all flock, so that none survives its process: `envs/.locks/SERIES` is held by whoever builds or removes
//! that environment, `envs/.locks/SERIES.command` by the tool a build is running, and the venv's directory itself, shared,
//! by whoever uses it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_hosts::{StopFlag, StopLevel};
use ffu_model::Series;
use jiff::Timestamp;

use crate::check;
use crate::command::HopEnv;
use crate::disk;
use crate::error::EnvError;
use crate::manifest::Manifest;

const POLL: Duration = Duration::from_millis(50);

/// The store of hop environments below a cache directory.
#[derive(Clone, Debug)]
pub struct EnvStore {
    pub(crate) cache_root: Utf8PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
    /// Replaced by tests that need a full disk.
    pub(crate) free_bytes: fn(&Utf8Path) -> std::io::Result<u64>,
}

/// A finished environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvInfo {
    /// Its series.
    pub series: Series,
    /// Where it is.
    pub directory: Utf8PathBuf,
    /// Full version of its Python.
    pub python: String,
    /// SHA-256 of the lock it was built from.
    pub lock_sha256: String,
    /// Its distributions: normalised name → version.
    pub packages: BTreeMap<String, String>,
    /// Patches that were applied.
    pub patches: Vec<String>,
    /// Files, byte code aside.
    pub files: usize,
    /// Bytes on disk when it was built.
    pub bytes: u64,
    /// When it was built.
    pub built: Timestamp,
}

impl EnvInfo {
    pub(crate) fn of(manifest: &Manifest, directory: &Utf8Path) -> EnvInfo {
        EnvInfo {
            series: manifest.series.clone(),
            directory: directory.to_owned(),
            python: manifest.python.clone(),
            lock_sha256: manifest.lock_sha256.clone(),
            packages: manifest.found.clone(),
            patches: manifest.patches.keys().cloned().collect(),
            files: manifest.files.len(),
            bytes: manifest.bytes,
            built: manifest.built,
        }
    }
}

impl EnvStore {
    /// The store below a cache directory (`ffu`'s own is `${XDG_CACHE_HOME:-~/.cache}/ffu`), with this process' environment
    /// variables deciding how packages and interpreters are found.
    pub fn new(cache_root: impl Into<Utf8PathBuf>) -> EnvStore {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        EnvStore {
            cache_root: cache_root.into(),
            variables: std::env::vars_os().filter_map(text).collect(),
            free_bytes: disk::free_bytes,
        }
    }

    /// With other environment variables.
    pub fn with_variables(mut self, variables: BTreeMap<String, String>) -> EnvStore {
        self.variables = variables;
        self
    }

    /// Where the environments are.
    pub fn directory(&self) -> Utf8PathBuf {
        self.cache_root.join("envs")
    }

    /// Where the outputs of builds are kept.
    pub fn logs(&self) -> Utf8PathBuf {
        self.cache_root.join("logs")
    }

    /// The tools venv.
    pub fn tools(&self) -> Utf8PathBuf {
        self.cache_root.join("tools")
    }

    /// Finished environments, by series. One whose manifest cannot be used is an error among the others.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Result<EnvInfo, EnvError>>, EnvError> {
        let directory = self.directory();
        let entries = match directory.read_dir_utf8() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(EnvError::io("read", &directory))?,
        };
        let mut found: Vec<Series> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
            .filter_map(|entry| entry.file_name().parse().ok())
            .collect();
        found.sort();
        Ok(found.iter().map(|series| Ok(self.open(series)?.info())).collect())
    }

    /// Opens an environment for use; while it is open, a rebuild does not remove it.
    ///
    /// # Errors
    /// [`EnvError::Absent`], [`EnvError::BadManifest`].
    pub fn open(&self, series: &Series) -> Result<HopEnv, EnvError> {
        let link = self.directory().join(series.as_str());
        let absent = || EnvError::Absent {
            series: series.to_string(),
        };
        // A rebuild may replace the link between reading and locking: then once more.
        for _ in 0..100 {
            let directory = self.target(series)?.ok_or_else(absent)?;
            let Ok(in_use) = File::open(&directory) else {
                if self.target(series)?.as_ref() == Some(&directory) {
                    return Err(absent());
                }
                continue;
            };
            match in_use.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(POLL);
                    continue;
                }
                Err(TryLockError::Error(source)) => return Err(EnvError::io("lock", &directory)(source)),
            }
            if self.target(series)?.as_ref() == Some(&directory) {
                let manifest = Manifest::read(series, &directory)?;
                return Ok(HopEnv::new(directory, manifest, in_use));
            }
        }
        Err(EnvError::io("lock", link)(std::io::ErrorKind::WouldBlock.into()))
    }

    /// Compares an environment with its manifest and with the catalog, every file included.
    ///
    /// # Errors
    /// [`EnvError::Absent`], [`EnvError::Stale`], [`EnvError::WrongPackage`], [`EnvError::Tampered`].
    pub fn verify(&self, catalog: &Catalog, series: &Series) -> Result<EnvInfo, EnvError> {
        self.verified(catalog, series, false)
    }

    /// The same by sizes and times, without reading every file: for use within the window.
    ///
    /// # Errors
    /// As [`EnvStore::verify`].
    pub fn verify_quick(&self, catalog: &Catalog, series: &Series) -> Result<EnvInfo, EnvError> {
        self.verified(catalog, series, true)
    }

    fn verified(&self, catalog: &Catalog, series: &Series, quick: bool) -> Result<EnvInfo, EnvError> {
        let environment = self.open(series)?;
        check::whole(catalog, environment.directory(), environment.manifest(), quick)?;
        Ok(environment.info())
    }

    /// Removes an environment and whatever builds of it left; `false` if there was none.
    ///
    /// # Errors
    /// [`EnvError::InUse`] while somebody builds or uses it.
    pub fn remove(&self, series: &Series) -> Result<bool, EnvError> {
        let in_use = || EnvError::InUse {
            series: series.to_string(),
        };
        let _lock = match self.try_lock(series)? {
            Some(lock) => lock,
            None => return Err(in_use()),
        };
        let target = self.target(series)?;
        let _exclusive = match target.as_ref().map(File::open) {
            Some(Ok(directory)) => {
                directory.try_lock().map_err(|_| in_use())?;
                Some(directory)
            }
            _ => None,
        };
        if target.is_some() {
            let link = self.directory().join(series.as_str());
            std::fs::remove_file(&link).map_err(EnvError::io("delete", &link))?;
        }
        drop(_exclusive);
        self.clean(series)?;
        Ok(target.is_some())
    }

    /// Where the link of a series leads, if there is one.
    pub(crate) fn target(&self, series: &Series) -> Result<Option<Utf8PathBuf>, EnvError> {
        let link = self.directory().join(series.as_str());
        let target = match link.read_link_utf8() {
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidInput
                ) =>
            {
                return Ok(None);
            }
            other => other.map_err(EnvError::io("read", &link))?,
        };
        // Only our own links are followed: they name a sibling.
        let sibling = target.as_str().starts_with(&format!("{series}@")) && !target.as_str().contains('/');
        Ok(sibling.then(|| self.directory().join(target)))
    }

    /// Takes the build lock of a series, calling `waiting` once if it has to wait.
    pub(crate) fn lock(&self, series: &Series, stop: &StopFlag, waiting: impl FnOnce()) -> Result<File, EnvError> {
        if let Some(lock) = self.try_lock(series)? {
            return Ok(lock);
        }
        waiting();
        loop {
            if stop.level() > StopLevel::Run {
                return Err(EnvError::Stopped {
                    series: series.to_string(),
                });
            }
            std::thread::sleep(POLL);
            if let Some(lock) = self.try_lock(series)? {
                return Ok(lock);
            }
        }
    }

    fn try_lock(&self, series: &Series) -> Result<Option<File>, EnvError> {
        let path = self.lock_path(series);
        let directory = self.directory().join(".locks");
        std::fs::create_dir_all(&directory).map_err(EnvError::io("make the directory", &directory))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(EnvError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(EnvError::io("lock", path)(source)),
        }
    }

    fn lock_path(&self, series: &Series) -> Utf8PathBuf {
        self.directory().join(".locks").join(series.as_str())
    }

    /// Locked by the tool that a build of the series runs.
    pub(crate) fn command_lock(&self, series: &Series) -> Utf8PathBuf {
        self.directory().join(".locks").join(format!("{series}.command"))
    }

    /// Removes directories of a series that its link does not name and nobody uses. Only under the build lock. Returns how
    /// many.
    pub(crate) fn clean(&self, series: &Series) -> Result<usize, EnvError> {
        let directory = self.directory();
        let current = self.target(series)?;
        let prefix = format!("{series}@");
        let mut removed = 0;
        for entry in directory.read_dir_utf8().map_err(EnvError::io("read", &directory))? {
            let entry = entry.map_err(EnvError::io("read", &directory))?;
            let path = entry.path();
            if !entry.file_name().starts_with(&prefix) || Some(path) == current.as_deref() {
                continue;
            }
            if File::open(path).is_ok_and(|open| matches!(open.try_lock(), Err(TryLockError::WouldBlock))) {
                continue;
            }
            remove_tree(path)?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Removes a directory; one that is gone is fine.
pub(crate) fn remove_tree(path: &Utf8Path) -> Result<(), EnvError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(EnvError::io("delete", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::BuildOptions;
    use crate::event::{BuildEvent, BuildEventKind};
    use std::sync::Mutex;

    fn place() -> (tempfile::TempDir, EnvStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = EnvStore::new(Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap());
        (directory, store)
    }

    #[test]
    fn a_full_disk_is_said_before_anything_is_written() {
        let (_keep, mut store) = place();
        store.free_bytes = |_| Ok(5 << 20);
        let catalog = Catalog::embedded().unwrap_or_else(|errors| panic!("{errors}"));
        let list: Vec<Series> = ["2025.1", "2025.2"].map(|series| series.parse().unwrap()).into();
        let begun = Mutex::new(Vec::new());
        let note = |event: BuildEvent| begun.lock().unwrap().push(event);
        let error = store
            .build_all(&catalog, &list, &BuildOptions::default(), &note)
            .unwrap_err();
        let EnvError::DiskFull {
            series, free_mib: 5, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(series, "2025.1, 2025.2");
        assert!(begun.lock().unwrap().is_empty());
        // The same for one, after the interpreter (which this machine may lack) was found.
        let error = store
            .build(&catalog, &list[0], &BuildOptions::default(), &note)
            .unwrap_err();
        assert!(
            matches!(error, EnvError::DiskFull { .. } | EnvError::NoInterpreter { .. }),
            "{error}"
        );
        let installing = |event: &BuildEvent| matches!(event.kind, BuildEventKind::Stage(_));
        assert!(!begun.lock().unwrap().iter().any(installing));
    }

    #[test]
    fn only_links_to_siblings_are_environments() {
        let (_keep, store) = place();
        let train: Series = "train".parse().unwrap();
        assert!(store.list().unwrap().is_empty());
        std::fs::create_dir_all(store.directory()).unwrap();
        for target in ["/etc", "../x", "rocky@1", "train@1/../../x"] {
            let link = store.directory().join("train");
            std::os::unix::fs::symlink(target, &link).unwrap();
            assert!(matches!(store.open(&train), Err(EnvError::Absent { .. })), "{target}");
            std::fs::remove_file(&link).unwrap();
        }
        std::fs::create_dir(store.directory().join("train@1")).unwrap();
        std::os::unix::fs::symlink("train@1", store.directory().join("train")).unwrap();
        assert!(matches!(
            store.list().unwrap().as_slice(),
            [Err(EnvError::BadManifest { .. })]
        ));
        std::fs::create_dir(store.directory().join("train@2")).unwrap();
        assert!(store.remove(&train).unwrap());
        assert!(!store.directory().join("train@1").exists() && !store.directory().join("train@2").exists());
    }

    #[test]
    fn one_build_of_a_series_at_a_time() {
        let (_keep, store) = place();
        let train: Series = "train".parse().unwrap();
        let lock = store
            .lock(&train, &StopFlag::new(), || panic!("nobody else is there"))
            .unwrap();
        assert!(matches!(store.remove(&train), Err(EnvError::InUse { .. })));
        let stop = StopFlag::new();
        let error = store.lock(&train, &stop, || stop.raise()).unwrap_err();
        assert!(matches!(error, EnvError::Stopped { .. }), "{error}");
        drop(lock);
        store
            .lock(&train, &StopFlag::new(), || panic!("nobody else is there"))
            .unwrap();
    }
}
