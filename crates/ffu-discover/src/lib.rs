//! A [`Cloud`](ffu_model::Cloud) from a deployment's own files and databases.
//!
//! Only looks, never writes. What is said about the cloud goes into findings with stable names; errors are kept for what
//! makes looking impossible. No secret leaves: a cloud file names the configuration file that holds it.

mod beside;
mod databases;
mod diagnosis;
mod drift;
mod error;
mod file;
mod plain;
mod series;
mod services;

use camino::Utf8PathBuf;
use ffu_model::{Finding, Series, Severity};

pub use drift::drift;
pub use error::{CloudFileError, DiscoverError, Obstacle};
pub use file::{from_toml, to_toml};
pub use plain::discover_plain;

/// What the operator adds to what can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The series, where the schema heads leave a choice.
    pub series: Option<Series>,
    /// A MySQL option file with an administrator's account, recorded for the server it leads to.
    pub admin_option_file: Option<Utf8PathBuf>,
}

/// A finding about a project, or about the whole cloud.
pub(crate) fn finding(
    id: &str,
    severity: Severity,
    project: Option<&str>,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        id: id.to_owned(),
        severity,
        project: project.map(str::to_owned),
        message: message.into(),
        remedy: remedy.into(),
        source: String::new(),
    }
}

/// Series, for sentences.
pub(crate) fn listed<'a>(series: impl IntoIterator<Item = &'a Series>) -> String {
    series.into_iter().map(Series::as_str).collect::<Vec<_>>().join(", ")
}
