//! The manifest of an environment: what it was built from and every file it consists of.
//!
//! Byte code is not hashed, it differs from build to build; that it is there is recorded, because a hop without it takes
//! three times as long.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::Series;
use ffu_model::digest::{hex, sha256_hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::EnvError;

/// The format version.
pub(crate) const FORMAT: u32 = 1;
/// The manifest's name in the environment.
pub(crate) const NAME: &str = "ffu-manifest.json";
/// Largest manifest that is read, in bytes; one of 15,000 files has 3 MB.
const LARGEST: u64 = 64 << 20;

/// What an environment is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub format: u32,
    pub series: Series,
    pub built: Timestamp,
    /// Of the lock file.
    pub lock_sha256: String,
    /// Of the patches that were applied, by name.
    pub patches: BTreeMap<String, String>,
    /// Full version of the interpreter.
    pub python: String,
    /// The interpreter the venv was made from.
    pub interpreter: Utf8PathBuf,
    /// Site-packages, relative to the environment.
    pub site_packages: Utf8PathBuf,
    /// What the lock asks for: normalised name → version.
    pub asked: BTreeMap<String, String>,
    /// What was found installed.
    pub found: BTreeMap<String, String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Path relative to the environment → file.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    /// Bytes; 0 for a link.
    pub size: u64,
    /// Modification time in nanoseconds of the epoch.
    pub mtime: i64,
    /// Of the content; of the target's path for a link.
    pub sha256: String,
    /// Whether byte code of it exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compiled: bool,
}

impl Manifest {
    pub(crate) fn read(series: &Series, environment: &Utf8Path) -> Result<Manifest, EnvError> {
        let path = environment.join(NAME);
        let bad = |why: String| EnvError::BadManifest {
            series: series.to_string(),
            path: path.clone(),
            why,
        };
        let mut text = Vec::new();
        let file = File::open(&path).map_err(|error| bad(error.to_string()))?;
        file.take(LARGEST)
            .read_to_end(&mut text)
            .map_err(|error| bad(error.to_string()))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(bad(format!(
                "its format is {}, this program knows {FORMAT}",
                manifest.format
            )));
        }
        if manifest.series != *series {
            return Err(bad(format!("it belongs to {}", manifest.series)));
        }
        let inside =
            |path: &str| !path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.is_empty());
        if !inside(manifest.site_packages.as_str()) || !manifest.files.keys().all(|file| inside(file)) {
            return Err(bad("it names files outside of the environment".to_owned()));
        }
        Ok(manifest)
    }

    /// Writes it, synced: what follows it on disk may rely on it.
    pub(crate) fn write(&self, environment: &Utf8Path) -> Result<(), EnvError> {
        let path = environment.join(NAME);
        let write = || {
            let file = File::create(&path)?;
            let mut writer = std::io::BufWriter::new(&file);
            serde_json::to_writer(&mut writer, self)?;
            std::io::Write::flush(&mut writer)?;
            file.sync_all()
        };
        write().map_err(EnvError::io("write", &path))
    }
}

/// Files below site-packages and `bin`, byte code aside, relative to the environment.
pub(crate) fn list(environment: &Utf8Path, site_packages: &Utf8Path) -> Result<Vec<Utf8PathBuf>, EnvError> {
    let mut found = Vec::new();
    let mut directories = vec![site_packages.to_owned(), Utf8PathBuf::from("bin")];
    while let Some(directory) = directories.pop() {
        let full = environment.join(&directory);
        let entries = std::fs::read_dir(&full).map_err(EnvError::io("read", &full))?;
        for entry in entries {
            let entry = entry.map_err(EnvError::io("read", &full))?;
            // Names that are not UTF-8 cannot be told apart then, but their presence is still noticed.
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(EnvError::io("read", &full))?;
            if kind.is_dir() {
                if name != "__pycache__" {
                    directories.push(directory.join(name));
                }
            } else if !name.ends_with(".pyc") && !name.ends_with(".pyo") {
                found.push(directory.join(name));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Size, time and hash of files, in as many threads as the machine has cores.
pub(crate) fn hash_all(
    environment: &Utf8Path,
    files: &[Utf8PathBuf],
    python: &str,
) -> Result<BTreeMap<String, FileEntry>, EnvError> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(String, FileEntry)>, EnvError> {
        let mut done = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let entry = entry(environment, file, python).map_err(EnvError::io("read", environment.join(file)))?;
            done.push((file.to_string(), entry));
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = BTreeMap::new();
        for worker in workers {
            let part = worker.join().map_err(|_| EnvError::Io {
                action: "read",
                path: environment.to_owned(),
                source: std::io::Error::other("a reading thread ended unexpectedly"),
            })?;
            all.extend(part?);
        }
        Ok(all)
    })
}

/// One file as it is now.
pub(crate) fn entry(environment: &Utf8Path, file: &Utf8Path, python: &str) -> std::io::Result<FileEntry> {
    let full = environment.join(file);
    let meta = std::fs::symlink_metadata(&full)?;
    let mtime = mtime_of(&meta);
    if meta.is_symlink() {
        let target = std::fs::read_link(&full)?;
        return Ok(FileEntry {
            size: 0,
            mtime,
            sha256: sha256_hex(format!("-> {}", target.to_string_lossy()).as_bytes()),
            compiled: false,
        });
    }
    let mut hash = Sha256::new();
    let mut reader = File::open(&full)?;
    let mut buffer = vec![0_u8; 128 << 10];
    let mut size = 0;
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(FileEntry {
        size,
        mtime,
        sha256: hex(&hash.finalize()),
        compiled: byte_code(file, python).is_some_and(|code| environment.join(code).exists()),
    })
}

pub(crate) fn mtime_of(meta: &std::fs::Metadata) -> i64 {
    meta.mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(meta.mtime_nsec())
}

/// Where the byte code of a module is (PEP 3147; beside it in Python 2).
pub(crate) fn byte_code(file: &Utf8Path, python: &str) -> Option<Utf8PathBuf> {
    if file.extension() != Some("py") || file.starts_with("bin") {
        return None;
    }
    if python.starts_with("2.") {
        return Some(Utf8PathBuf::from(format!("{file}c")));
    }
    let tag: String = python.split('.').take(2).collect();
    let name = format!("{}.cpython-{tag}.pyc", file.file_stem()?);
    Some(file.parent()?.join("__pycache__").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_is_where_python_puts_it() {
        let file = Utf8Path::new("lib/x/a.b.py");
        assert_eq!(
            byte_code(file, "3.11.7").unwrap(),
            "lib/x/__pycache__/a.b.cpython-311.pyc"
        );
        assert_eq!(byte_code(file, "2.7.18").unwrap(), "lib/x/a.b.pyc");
        assert_eq!(byte_code(Utf8Path::new("lib/x/a.so"), "3.11.7"), None);
    }

    #[test]
    fn a_hostile_or_foreign_manifest_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = Utf8Path::from_path(directory.path()).unwrap();
        let train: Series = "train".parse().unwrap();
        let sound = serde_json::json!({
            "format": 1, "series": "train", "built": "2026-11-24T00:00:00Z", "lock_sha256": "", "patches": {},
            "python": "3.7.16", "interpreter": "python", "site_packages": "lib/python3.7/site-packages", "asked": {},
            "found": {}, "bytes": 1, "files": {"bin/x": {"size": 1, "mtime": 1, "sha256": ""}}
        });
        let read = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = sound.clone();
            change(&mut value);
            std::fs::write(place.join(NAME), value.to_string()).unwrap();
            Manifest::read(&train, place)
        };
        assert!(read(&|_| {}).is_ok());
        for (change, word) in [
            (("/format", serde_json::json!(9)), "format is 9"),
            (("/series", serde_json::json!("rocky")), "belongs to rocky"),
            (("/site_packages", serde_json::json!("../../etc")), "outside"),
            (
                (
                    "/files",
                    serde_json::json!({"/etc/passwd": {"size": 1, "mtime": 1, "sha256": ""}}),
                ),
                "outside",
            ),
            (("/python", serde_json::json!(3)), "invalid type"),
        ] {
            let (pointer, value) = change;
            let error = read(&|manifest| *manifest.pointer_mut(pointer).unwrap() = value.clone()).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(word) && text.contains("ffu env build train --force"),
                "{text}"
            );
        }
        std::fs::remove_file(place.join(NAME)).unwrap();
        assert!(matches!(
            Manifest::read(&train, place),
            Err(EnvError::BadManifest { .. })
        ));
    }
}
