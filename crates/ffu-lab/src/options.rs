//! What a lab is asked for.

use std::time::Duration;

use camino::Utf8PathBuf;
use ffu_catalog::Catalog;
use ffu_hopenv::EnvStore;
use ffu_hosts::StopFlag;
use ffu_model::Series;

use crate::error::LabError;

/// Where the venv of a series is.
pub trait Environments: Sync {
    /// The venv's directory (the one that has `bin`).
    ///
    /// # Errors
    /// [`LabError::Environment`] if it is not there or not whole.
    fn directory(&self, series: &Series) -> Result<Utf8PathBuf, LabError>;
}

impl Environments for EnvStore {
    fn directory(&self, series: &Series) -> Result<Utf8PathBuf, LabError> {
        let opened = self.open(series).map_err(|error| LabError::Environment {
            series: series.clone(),
            why: error.to_string(),
        })?;
        Ok(opened.directory().to_owned())
    }
}

/// Venvs that somebody else made: `ROOT/SERIES/bin`.
#[derive(Clone, Debug)]
pub struct PlainEnvironments(pub Utf8PathBuf);

impl Environments for PlainEnvironments {
    fn directory(&self, series: &Series) -> Result<Utf8PathBuf, LabError> {
        let directory = self.0.join(series.as_str());
        if directory.join("bin/python").exists() {
            return Ok(directory);
        }
        Err(LabError::Environment {
            series: series.clone(),
            why: format!("there is no {directory}/bin/python"),
        })
    }
}

/// How a lab is brought up.
pub struct LabOptions<'a> {
    /// Where; an absolute path that does not exist yet, or an empty directory.
    pub dir: Utf8PathBuf,
    /// At which series.
    pub series: Series,
    /// How many instances, 1 to [`LabOptions::LARGEST`]; hosts, ports and allocations follow from it.
    pub size: u32,
    /// Bytes that nova's databases are filled up to with deleted instances, see [`crate::Lab::fill`].
    pub bulk: Option<u64>,
    /// Further options of its `mariadbd`, each `name=value`.
    pub server_options: &'a [String],
    /// The data plane that it shall have, if any.
    pub dataplane: Option<crate::dataplane::Wanted>,
    /// The knowledge.
    pub catalog: &'a Catalog,
    /// The venvs. Labs at Pike and Queens need Rocky's too, and one at Queens Pike's, for packages that are on no index.
    pub environments: &'a dyn Environments,
    /// Told what happens; called from several threads.
    pub progress: &'a (dyn Fn(&LabEvent) + Sync),
    /// Ends it early.
    pub stop: StopFlag,
}

impl LabOptions<'_> {
    /// The largest size.
    pub const LARGEST: u32 = 100_000;
}

/// What happens while a lab comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabEvent {
    /// How many steps there will be.
    Planned {
        /// The number.
        steps: usize,
    },
    /// A step began.
    Started {
        /// Its name, e.g. `nova.db-sync`.
        step: String,
    },
    /// A step ended well.
    Finished {
        /// Its name.
        step: String,
        /// How long it took.
        took: Duration,
    },
    /// A step failed; the error is what `up` returns.
    Failed {
        /// Its name.
        step: String,
    },
}
