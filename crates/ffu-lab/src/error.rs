//! What can go wrong with a lab.

use std::io;

use camino::Utf8PathBuf;
use ffu_model::Series;

/// An error of the lab: what happened, to what, and what to type next. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The series is not in the catalog.
    #[error("the catalog has no series {0}: `ffu catalog show` lists them")]
    UnknownSeries(Series),
    /// The size is out of range.
    #[error("a lab of {size} instances is outside 1 to {largest}: give another --size")]
    BadSize {
        /// What was asked.
        size: u32,
        /// The largest.
        largest: u32,
    },
    /// There is something in the directory already.
    #[error("{dir} is not empty: name another directory, or `ffu lab down --dir {dir}` if it is a lab")]
    NotEmpty {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// The directory's name would not survive in configuration files and option files.
    #[error("{dir:?} cannot hold a lab: its path must be absolute and have only letters, digits and / . _ - + in it")]
    BadDirectory {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// There is no lab.
    #[error("{dir} is not a lab ({why}): `ffu lab up --at SERIES --dir {dir}` makes one")]
    NotALab {
        /// The directory.
        dir: Utf8PathBuf,
        /// Why not.
        why: String,
    },
    /// No deleted instance, of which more could be made.
    #[error("the lab in {dir} has no deleted instance to multiply: make it anew with a --size of at least 20")]
    NothingToMultiply {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// A lab that was never finished.
    #[error("the lab in {dir} was never finished: `ffu lab down --dir {dir}`, then `ffu lab up` again")]
    Unfinished {
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// A file.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read`, `write`, …
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No environment for a series that is needed.
    #[error("the hop environment of {series} cannot be used: {why}; build it with `ffu env build {series}`")]
    Environment {
        /// The series.
        series: Series,
        /// Why.
        why: String,
    },
    /// A command failed.
    #[error(transparent)]
    Command(Box<CommandFailure>),
    /// The operator stopped it.
    #[error("stopped: the lab in {dir} is not finished, `ffu lab down --dir {dir}` removes it")]
    Stopped {
        /// The lab.
        dir: Utf8PathBuf,
    },
    /// No way to run a service.
    #[error("the catalog knows no way to run {service} at {series}: add a [[service.run]] to its project's file")]
    NoRun {
        /// The service.
        service: String,
        /// The series.
        series: Series,
    },
    /// A unit that cannot be moved to another series.
    #[error("the unit {unit} cannot be moved to another series: {why}")]
    Retarget {
        /// The unit.
        unit: String,
        /// Why.
        why: String,
    },
    /// A service of the lab did not answer as it should.
    #[error("{url} {problem}: look at the services with `ffu lab status`")]
    Answer {
        /// What was asked.
        url: String,
        /// What was wrong with the answer.
        problem: String,
    },
    /// Something of the lab would not end.
    #[error("{what} of the lab in {dir} does not end: {why}; end it by hand, then `ffu lab down --dir {dir}` again")]
    StillThere {
        /// What.
        what: String,
        /// The lab.
        dir: Utf8PathBuf,
        /// Why.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] ffu_db::DbError),
    /// A service.
    #[error(transparent)]
    Service(#[from] ffu_hosts::ServiceError),
    /// The data plane.
    #[error(transparent)]
    DataPlane(#[from] crate::dataplane::DataPlaneError),
}

/// A command of `up` that failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "{step} failed ({how}): `{command}`; all of its output is in {log}, the last lines are:\n{excerpt}\n`ffu lab down \
     --dir {dir}` removes what is there"
)]
pub struct CommandFailure {
    /// The step's name.
    pub step: String,
    /// How it ended.
    pub how: String,
    /// The command.
    pub command: String,
    /// Its output.
    pub log: Utf8PathBuf,
    /// The last lines, masked.
    pub excerpt: String,
    /// The lab.
    pub dir: Utf8PathBuf,
}

impl LabError {
    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> LabError {
        let path = path.into();
        move |source| LabError::Io { action, path, source }
    }
}
