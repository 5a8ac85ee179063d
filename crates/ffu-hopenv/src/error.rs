//! What can go wrong with a hop environment, each with the next command to type.

use std::io;

use camino::Utf8PathBuf;
use ffu_hosts::{HolderError, ProcessError};

/// Errors about hop environments.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The catalog has no recipe for it.
    #[error("the catalog has no hop environment for {series}: it has {known}")]
    NoRecipe {
        /// The series.
        series: String,
        /// Series with a recipe.
        known: String,
    },
    /// The catalog has no lock for it.
    #[error("the catalog has no lock file for {series}: `make locks SERIES={series}` makes it")]
    NoLock {
        /// The series.
        series: String,
    },
    /// No interpreter.
    #[error(
        "no Python {version} was found for {series} (looked at uv's, pyenv's and PATH's): {advice}, or give one with \
         `ffu env build {series} --python FILE`"
    )]
    NoInterpreter {
        /// The series.
        series: String,
        /// The minor version, e.g. `3.11`.
        version: String,
        /// The command that gets one.
        advice: String,
    },
    /// The interpreter that was asked for does not fit.
    #[error("{path} is {found}, and {series} needs Python {wanted}: {advice}")]
    WrongInterpreter {
        /// The series.
        series: String,
        /// The interpreter.
        path: Utf8PathBuf,
        /// What it is.
        found: String,
        /// What is needed.
        wanted: String,
        /// The command that gets one.
        advice: String,
    },
    /// uv or virtualenv is missing.
    #[error("{tool} is missing: `scripts/setup-tools` installs it into {directory} (or put it on PATH)")]
    NoTool {
        /// `uv` or `virtualenv`.
        tool: &'static str,
        /// The directory of the tools.
        directory: Utf8PathBuf,
    },
    /// Not enough room.
    #[error(
        "{series} needs about {need_mib} MiB below {directory}, and {free_mib} MiB are free: make room (`ffu env list`, \
         `ffu env remove SERIES`) or choose another place with XDG_CACHE_HOME"
    )]
    DiskFull {
        /// The series, or several.
        series: String,
        /// What it takes.
        need_mib: u64,
        /// What there is.
        free_mib: u64,
        /// Where.
        directory: Utf8PathBuf,
    },
    /// A command of the build failed.
    #[error("building {series}: {what} failed ({how}); its output is {log} and ends:\n{excerpt}")]
    Install {
        /// The series.
        series: String,
        /// What was being done.
        what: &'static str,
        /// How it ended.
        how: String,
        /// Its output.
        log: Utf8PathBuf,
        /// The last lines, masked.
        excerpt: String,
    },
    /// pip cannot work offline without a directory of packages.
    #[error(
        "{series} is installed with pip, which keeps no packages for offline use: give a directory of them with \
         `ffu env build {series} --offline --find-links DIR` (`pip download --no-deps -r LOCK -d DIR` fills it)"
    )]
    OfflineNeedsPackages {
        /// The series.
        series: String,
    },
    /// Files are not what their package says, even after the cache was cleaned.
    #[error(
        "building {series}: {file} is not what its package says, again after the package cache was cleaned: check the disk \
         and the package index, then `ffu env build {series}`"
    )]
    Damaged {
        /// The series.
        series: String,
        /// The first such file.
        file: String,
    },
    /// A patch does not fit.
    #[error("patch {patch} does not fit {file} of {series}: {why}; correct the catalog's patches/{patch}.toml")]
    Patch {
        /// The patch.
        patch: String,
        /// The file.
        file: String,
        /// The series.
        series: String,
        /// Why.
        why: String,
    },
    /// What was installed is not what the recipe asks for.
    #[error(
        "the environment of {series} has {found} where its recipe asks for {wanted}: `ffu env build {series} --force`"
    )]
    WrongPackage {
        /// The series.
        series: String,
        /// Name and version, or `no NAME`.
        found: String,
        /// Name and version.
        wanted: String,
    },
    /// There is none.
    #[error("there is no hop environment for {series}: `ffu env build {series}` makes it")]
    Absent {
        /// The series.
        series: String,
    },
    /// It was built from another recipe.
    #[error("the hop environment of {series} is out of date ({why}): `ffu env build {series}` makes it anew")]
    Stale {
        /// The series.
        series: String,
        /// What changed.
        why: String,
    },
    /// Its files changed since it was built.
    #[error(
        "the hop environment of {series} was changed after it was built: {problems}{more}; do not use it, \
         `ffu env build {series} --force` makes it anew"
    )]
    Tampered {
        /// The series.
        series: String,
        /// The first few, one a clause, each with its file.
        problems: String,
        /// How many more there are, in words, or nothing.
        more: String,
    },
    /// Its manifest cannot be read.
    #[error("the manifest {path} cannot be used ({why}): `ffu env build {series} --force` makes the environment anew")]
    BadManifest {
        /// The series.
        series: String,
        /// The manifest.
        path: Utf8PathBuf,
        /// Why.
        why: String,
    },
    /// It is being used.
    #[error(
        "the hop environment of {series} is in use by another `ffu`: wait until it has ended (`ffu status`), then try again"
    )]
    InUse {
        /// The series.
        series: String,
    },
    /// The operator stopped the build.
    #[error("the build of {series} was stopped; nothing of it is left: `ffu env build {series}` starts it anew")]
    Stopped {
        /// The series.
        series: String,
    },
    /// A file or directory of the store.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A command could not be run at all.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A command of an earlier build would not end.
    #[error(transparent)]
    Holder(#[from] HolderError),
}

impl EnvError {
    pub(crate) fn io(action: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> EnvError {
        let path = path.into();
        move |source| EnvError::Io { action, path, source }
    }
}
