//! The files of a deployment that a run stages, carries to the target and installs.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::Overlay;
use crate::series::Series;

/// A file of the deployment with its place in the staging directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagedFile {
    /// The project it belongs to.
    pub project: String,
    /// Where it comes from; absent for a file that only the target has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Utf8PathBuf>,
    /// Where it is installed.
    pub destination: Utf8PathBuf,
    /// Options that are set in it. No secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<SetOption>,
    /// Sections taken whole from another file, e.g. the service's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied_sections: Vec<CopiedSection>,
    /// Options whose value is a connection that is resolved when the file is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Overlay>,
    /// How its content is carried to the target before anything is set in it; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<FileMigration>,
    /// Why it stays as it is, where it is not carried.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kept: String,
}

/// In which way the content of a file is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carriage {
    /// Option by option, as `ffu config migrate` does.
    #[default]
    Options,
    /// Rule by rule, as `ffu policy migrate` does.
    Policy,
    /// What upstream changed is applied to the operator's file; upstream's own come from the hop environments.
    Merge,
}

impl Carriage {
    fn is_options(&self) -> bool {
        *self == Carriage::Options
    }
}

/// How a configuration file is carried from one series to another (`ffu config migrate`, `ffu policy migrate`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMigration {
    /// The service whose file it is.
    pub service: String,
    /// In which way.
    #[serde(default, skip_serializing_if = "Carriage::is_options")]
    pub carriage: Carriage,
    /// All series from the one it was written for to the target, both included.
    pub path: Vec<Series>,
    /// Files of the same language that the service reads before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_with: Vec<Utf8PathBuf>,
    /// Policy files that the service reads after this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_after: Vec<Utf8PathBuf>,
    /// For a policy file: the option files in which `[oslo_policy]` may be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Utf8PathBuf>,
    /// Whether the run goes on although something is lost unless the operator acts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_loss: bool,
}

/// A section taken from another file of the deployment when a file is staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiedSection {
    /// The file it is taken from.
    pub file: Utf8PathBuf,
    /// The section.
    pub section: String,
}

/// One option set in a staged file, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetOption {
    /// Section.
    pub section: String,
    /// Option.
    pub option: String,
    /// Value; one that begins with `{staged}/` is a path in the run's staging directory.
    pub value: String,
    /// Why, with its source.
    pub reason: String,
}
