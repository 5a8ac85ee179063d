//! Whether an environment is still what it was when it was built, and what its recipe asks for.

use std::collections::BTreeMap;

use camino::Utf8Path;
use ffu_catalog::Catalog;
use ffu_model::Series;
use ffu_model::digest::sha256_hex;

use crate::distributions::{installed, locked, normalise, same_version};
use crate::error::EnvError;
use crate::manifest::{Manifest, byte_code, entry, hash_all, list, mtime_of};
use crate::patches;

/// How many problems an error lists.
const MOST_PROBLEMS: usize = 5;

/// Compares a manifest with the catalog.
pub(crate) fn current(catalog: &Catalog, manifest: &Manifest) -> Result<(), EnvError> {
    let series = &manifest.series;
    let stale = |why: &str| EnvError::Stale {
        series: series.to_string(),
        why: why.to_owned(),
    };
    let lock = catalog.lock(series).ok_or_else(|| EnvError::NoLock {
        series: series.to_string(),
    })?;
    if sha256_hex(lock.as_bytes()) != manifest.lock_sha256 {
        return Err(stale("the lock file has changed"));
    }
    let wanted: BTreeMap<String, String> = catalog
        .patches_for(series)
        .map(|patch| (patch.id.clone(), patches::digest(patch)))
        .collect();
    if wanted != manifest.patches {
        return Err(stale("the patches have changed"));
    }
    Ok(())
}

/// Compares what is installed with what lock and recipe ask for.
pub(crate) fn versions(
    catalog: &Catalog,
    series: &Series,
    lock: &str,
    found: &BTreeMap<String, String>,
) -> Result<(), EnvError> {
    let compare = |name: &str, version: &str| {
        let installed = found.get(name);
        if installed.is_some_and(|installed| same_version(installed, version)) {
            return Ok(());
        }
        Err(EnvError::WrongPackage {
            series: series.to_string(),
            found: installed.map_or_else(|| format!("no {name}"), |installed| format!("{name} {installed}")),
            wanted: format!("{name} {version}"),
        })
    };
    for (name, version) in locked(lock) {
        compare(&name, &version)?;
    }
    for [project, version] in catalog.environment(series).iter().flat_map(|entry| &entry.packages) {
        let distribution = catalog
            .project(project)
            .map_or(project, |project| &project.distribution);
        compare(&normalise(distribution), version)?;
    }
    Ok(())
}

/// Compares every file with the manifest; `quick` trusts size and time instead of reading them.
pub(crate) fn files(environment: &Utf8Path, manifest: &Manifest, quick: bool) -> Result<(), EnvError> {
    let present = list(environment, &manifest.site_packages)?;
    let hashed = if quick {
        BTreeMap::new()
    } else {
        hash_all(environment, &present, &manifest.python)?
    };
    let mut problems = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in &present {
        seen.insert(file.as_str());
        let Some(expected) = manifest.files.get(file.as_str()) else {
            problems.push(format!("{file} was added"));
            continue;
        };
        let changed = match hashed.get(file.as_str()) {
            Some(now) => now.sha256 != expected.sha256 || now.size != expected.size,
            None => {
                let full = environment.join(file);
                let meta = std::fs::symlink_metadata(&full).map_err(EnvError::io("read", &full))?;
                let size = if meta.is_symlink() { 0 } else { meta.len() };
                size != expected.size || mtime_of(&meta) != expected.mtime
            }
        };
        if changed {
            problems.push(format!("{file} has changed"));
        }
        if expected.compiled && byte_code(file, &manifest.python).is_some_and(|code| !environment.join(code).exists()) {
            problems.push(format!("the byte code of {file} is missing"));
        }
    }
    problems.extend(
        manifest
            .files
            .keys()
            .filter(|file| !seen.contains(file.as_str()))
            .map(|file| format!("{file} is missing")),
    );
    if problems.is_empty() {
        return Ok(());
    }
    Err(EnvError::Tampered {
        series: manifest.series.to_string(),
        more: match problems.len().saturating_sub(MOST_PROBLEMS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        },
        problems: problems.into_iter().take(MOST_PROBLEMS).collect::<Vec<_>>().join("; "),
    })
}

/// The interpreter of the venv exists and is the version it was built with: removing a Python breaks its venvs.
pub(crate) fn interpreter(environment: &Utf8Path, manifest: &Manifest) -> Result<(), EnvError> {
    let answered = crate::interpreter::ask(&environment.join("bin/python")).map(|python| python.version);
    if answered.as_deref() == Some(manifest.python.as_str()) {
        return Ok(());
    }
    Err(EnvError::Stale {
        series: manifest.series.to_string(),
        why: match answered {
            Some(version) => format!("its Python is {version} now, it was {}", manifest.python),
            None => format!("its Python {} at {} is gone", manifest.python, manifest.interpreter),
        },
    })
}

/// All of it.
pub(crate) fn whole(
    catalog: &Catalog,
    environment: &Utf8Path,
    manifest: &Manifest,
    quick: bool,
) -> Result<(), EnvError> {
    current(catalog, manifest)?;
    interpreter(environment, manifest)?;
    if !quick {
        let found = installed(&environment.join(&manifest.site_packages))?;
        let lock = catalog.lock(&manifest.series).unwrap_or_default();
        versions(catalog, &manifest.series, lock, &found)?;
    }
    files(environment, manifest, quick)
}

/// Fills in, after byte code was compiled, which files have some, and hashes again those that patches changed.
pub(crate) fn refresh(
    environment: &Utf8Path,
    files: &mut BTreeMap<String, crate::manifest::FileEntry>,
    changed: &[String],
    python: &str,
) -> Result<(), EnvError> {
    for (file, known) in files.iter_mut() {
        let path = Utf8Path::new(file);
        if changed.contains(file) {
            *known = entry(environment, path, python).map_err(EnvError::io("read", environment.join(path)))?;
        }
        known.compiled = byte_code(path, python).is_some_and(|code| environment.join(code).exists());
    }
    Ok(())
}
