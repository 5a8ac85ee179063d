//! What a build tells while it works. `Display` gives the plain line; the command line may draw something better.

use std::fmt;

use camino::Utf8PathBuf;
use ffu_model::Series;

/// One piece of news of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildEvent {
    /// Which environment.
    pub series: Series,
    /// What.
    pub kind: BuildEventKind,
}

/// What a build tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildEventKind {
    /// Another process builds this series; its end is waited for.
    Waiting,
    /// It is there already, checked and current.
    UpToDate,
    /// The rest of a build that did not end was removed.
    Cleaned {
        /// How many directories.
        directories: usize,
    },
    /// The interpreter.
    Interpreter {
        /// Its path.
        path: Utf8PathBuf,
        /// Its full version.
        version: String,
    },
    /// There is room.
    Disk {
        /// What the environment takes.
        need_mib: u64,
        /// What is free.
        free_mib: u64,
    },
    /// The next stage has begun.
    Stage(Stage),
    /// The last line that the running tool wrote, masked.
    Progress {
        /// The line.
        line: String,
    },
    /// Files of these packages were damaged in the package cache; they are fetched again.
    CacheRepaired {
        /// Distribution names.
        packages: Vec<String>,
    },
    /// A patch of the catalog was applied.
    Patched {
        /// The patch's name.
        id: String,
        /// The file, relative to site-packages.
        file: String,
        /// Why.
        reason: String,
        /// The upstream bug.
        bug: String,
    },
    /// It is whole and in its place.
    Done {
        /// Seconds it took.
        seconds: u64,
        /// Its size.
        mib: u64,
        /// Its files, byte code aside.
        files: usize,
    },
}

/// The stages of a build, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The venv is made.
    Create,
    /// Packages are fetched, built and installed.
    Install {
        /// How many the lock holds.
        packages: usize,
    },
    /// Files are compared with what their packages say.
    Check,
    /// Patches are applied.
    Patch,
    /// Byte code is compiled.
    Compile,
    /// The manifest is written.
    Seal,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Create => f.write_str("making the venv"),
            Stage::Install { packages } => write!(f, "installing {packages} packages"),
            Stage::Check => f.write_str("checking the installed files against their packages"),
            Stage::Patch => f.write_str("applying patches"),
            Stage::Compile => f.write_str("compiling byte code"),
            Stage::Seal => f.write_str("writing the manifest"),
        }
    }
}

impl fmt::Display for BuildEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.series)?;
        match &self.kind {
            BuildEventKind::Waiting => f.write_str("another process builds it, waiting for that"),
            BuildEventKind::UpToDate => f.write_str("is there, checked"),
            BuildEventKind::Cleaned { directories } => {
                write!(f, "removed what {directories} unfinished or replaced build(s) left")
            }
            BuildEventKind::Interpreter { path, version } => write!(f, "Python {version} at {path}"),
            BuildEventKind::Disk { need_mib, free_mib } => {
                write!(f, "takes about {need_mib} MiB of {free_mib} MiB free")
            }
            BuildEventKind::Stage(stage) => write!(f, "{stage}"),
            BuildEventKind::Progress { line } => f.write_str(line),
            BuildEventKind::CacheRepaired { packages } => {
                write!(
                    f,
                    "the package cache held damaged files of {}; fetching them again",
                    packages.join(", ")
                )
            }
            BuildEventKind::Patched { id, file, reason, bug } => {
                write!(f, "patch {id} applied to {file}: {reason} ({bug})")
            }
            BuildEventKind::Done { seconds, mib, files } => {
                write!(f, "ready after {seconds} s, {files} files, {mib} MiB")
            }
        }
    }
}
