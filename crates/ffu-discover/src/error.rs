//! Why a cloud cannot be looked at, and why a cloud file cannot be used.

use std::fmt;

use camino::Utf8PathBuf;
use ffu_db::DbError;
use ffu_hosts::ServiceError;
use ffu_model::DatabaseKey;

/// Why discovery cannot say what the cloud is.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The root is not one.
    #[error(
        "{root} is not a deployment: {reason}; type `ffu discover --from plain:DIR` with the directory that holds etc/"
    )]
    BadRoot {
        /// What was given.
        root: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// No project of the catalog has configuration below the root.
    #[error(
        "no project's configuration was found below {etc} (looked for {looked_for}); type `ffu discover --from plain:DIR` with the directory that holds etc/"
    )]
    NothingFound {
        /// Where was looked.
        etc: Utf8PathBuf,
        /// For what.
        looked_for: String,
    },
    /// Databases that could not be read.
    #[error("{} of the cloud's databases cannot be read:{}", .obstacles.len(), lines(.obstacles))]
    Databases {
        /// Which, and why.
        obstacles: Vec<Obstacle>,
    },
    /// The administrator's option file does not lead to a server.
    #[error("the administrator's account: {0}")]
    Admin(DbError),
    /// The service manager's files cannot be read.
    #[error("services: {0}")]
    Services(#[from] ServiceError),
    /// A series that was named and does not fit.
    #[error(
        "the databases cannot be at {given}: their schema heads fit {fitting}; leave --series out, or look at the findings of `ffu discover` without it"
    )]
    SeriesDoesNotFit {
        /// What was given.
        given: String,
        /// What fits.
        fitting: String,
    },
    /// The directory for temporary files cannot be used.
    #[error("no temporary directory: {0}")]
    Temporary(std::io::Error),
}

/// One database that could not be read.
#[derive(Debug)]
pub struct Obstacle {
    /// Which one.
    pub key: DatabaseKey,
    /// Why.
    pub error: DbError,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.error)
    }
}

fn lines(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(|obstacle| format!("\n  {obstacle}")).collect()
}

/// Why a cloud file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudFileError {
    /// It is too large.
    #[error("{file}: {bytes} bytes; a cloud file has at most {limit}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It is not TOML, or a field is unknown, missing or of the wrong type.
    #[error("{file}:{line}: {message}\n  next: mend the line, or make the file anew with `ffu discover`")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that does not fit its purpose.
    #[error(
        "{file}:{line}: {what} {value:?} {reason}\n  next: mend the line, or make the file anew with `ffu discover`"
    )]
    BadValue {
        /// The file.
        file: String,
        /// The line, from 1; 0 if it is nowhere as such.
        line: usize,
        /// Kind of thing.
        what: &'static str,
        /// The value, cut.
        value: String,
        /// Why not.
        reason: String,
    },
    /// The cloud has something that TOML cannot express.
    #[error("the cloud cannot be written as TOML: {0}")]
    NotWritable(String),
}
