//! Where things are kept: the XDG directories, or what the command line says; and the files that it names.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;

use crate::cli::Everywhere;
use crate::exit::Exit;
use crate::failure::Failure;

/// The largest file of a catalog overlay, and of a cloud or plan file, in bytes.
const LARGEST: u64 = 32 * 1024 * 1024;

/// Places and the catalog overlay, from the global options.
#[derive(Debug, Clone)]
pub struct Places {
    /// Hop environments and package caches.
    pub cache: Utf8PathBuf,
    /// Runs.
    pub state: Utf8PathBuf,
    /// The overlay.
    pub overlay: Option<Utf8PathBuf>,
}

impl Places {
    /// From the options, the XDG variables, or the home directory.
    pub fn new(chosen: Everywhere) -> Result<Self, Failure> {
        let (cache, state) = (chosen.cache_dir, chosen.state_dir);
        Ok(Places {
            cache: absolute(cache.map_or_else(|| xdg("XDG_CACHE_HOME", ".cache"), Ok)?)?,
            state: absolute(state.map_or_else(|| xdg("XDG_STATE_HOME", ".local/state"), Ok)?)?,
            overlay: chosen.catalog,
        })
    }

    /// The catalog with its overlay.
    pub fn catalog(&self) -> Result<Catalog, Failure> {
        Ok(Catalog::with_overlay(&self.overlay_files()?)?)
    }

    /// The part of the catalog that `ffu config check` needs, with its overlay.
    pub fn catalog_of_options(&self) -> Result<&'static Catalog, Failure> {
        Ok(Box::leak(Box::new(Catalog::of_options(&self.overlay_files()?)?)))
    }

    /// The part of the catalog that `ffu config` and `ffu policy` need, with its overlay.
    ///
    /// It lives as long as the process: taking tens of thousands of options apart at the end would be time for nothing.
    pub fn catalog_of_configuration(&self) -> Result<&'static Catalog, Failure> {
        Ok(Box::leak(Box::new(Catalog::of_configuration(&self.overlay_files()?)?)))
    }

    fn overlay_files(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        match &self.overlay {
            None => Ok(BTreeMap::new()),
            Some(directory) => read_overlay(directory),
        }
    }
}

fn xdg(variable: &str, fallback: &str) -> Result<Utf8PathBuf, Failure> {
    match env::var(variable) {
        Ok(base) if base.starts_with('/') => Ok(Utf8PathBuf::from(base).join("ffu")),
        _ => match env::var("HOME") {
            Ok(home) if home.starts_with('/') => Ok(Utf8PathBuf::from(home).join(fallback).join("ffu")),
            _ => Err(Failure::new(
                Exit::Usage,
                format!("neither {variable} nor HOME is set\n  next: give --state-dir and --cache-dir"),
            )),
        },
    }
}

/// An absolute form of a path, without looking at links.
pub fn absolute(path: Utf8PathBuf) -> Result<Utf8PathBuf, Failure> {
    let full = std::path::absolute(&path).map_err(|error| Failure::new(Exit::Usage, format!("{path}: {error}")))?;
    Utf8PathBuf::from_path_buf(full)
        .map_err(|path| Failure::new(Exit::Usage, format!("{}: not a UTF-8 path", path.display())))
}

/// Reads a file that the command line names, with a limit on its size.
pub fn read_file(path: &Utf8Path, what: &str) -> Result<Vec<u8>, Failure> {
    let bad = |reason: String| Failure::new(Exit::BadInput, format!("{path}: {reason}\n  next: name the {what}"));
    let file = fs::File::open(path).map_err(|error| bad(error.to_string()))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(bad("it is a directory".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| bad(error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(bad(format!(
            "it is larger than the {LARGEST} bytes that a {what} may have"
        )));
    }
    Ok(bytes)
}

/// Writes a file so that it is there whole or not at all.
pub fn write_file(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    write_with_mode(path, bytes, 0o644)
}

/// As [`write_file`], for what its owner alone may read.
pub fn write_secret(path: &Utf8Path, bytes: &[u8]) -> Result<(), Failure> {
    write_with_mode(path, bytes, 0o600)
}

fn write_with_mode(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failure, format!("{path}: {error}"));
    let temporary = Utf8PathBuf::from(format!("{path}.{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

fn read_overlay(directory: &Utf8Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let bad = |path: &Utf8Path, reason: String| {
        Failure::new(
            Exit::BadInput,
            format!("{path}: {reason}\n  next: give --catalog a directory laid out like the catalog of the sources"),
        )
    };
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in next.read_dir_utf8().map_err(|error| bad(&next, error.to_string()))? {
            let entry = entry.map_err(|error| bad(&next, error.to_string()))?;
            let kind = entry
                .file_type()
                .map_err(|error| bad(entry.path(), error.to_string()))?;
            if kind.is_dir() {
                open.push(entry.path().to_owned());
            } else if kind.is_file() {
                let inside = entry.path().strip_prefix(directory).unwrap_or(entry.path());
                files.insert(inside.to_string(), read_file(entry.path(), "catalog overlay")?);
            } else {
                return Err(bad(entry.path(), "it is neither a file nor a directory".to_owned()));
            }
            if files.len() > 10_000 {
                return Err(bad(
                    directory,
                    "it has more than 10,000 files, so it is not an overlay".to_owned(),
                ));
            }
        }
    }
    Ok(files)
}
