//! What discovery, the planner, the linter and the gates have to say about a thing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// The run goes on, and the operator should look.
    Warning,
    /// The run must not start, or must stop.
    Blocker,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Blocker => "blocker",
        })
    }
}

/// One thing that was found, with a name that documentation and scripts can rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// A stable kebab-case name, e.g. `mixed-schema-heads`.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// The project it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What was found, to which thing. No secret.
    pub message: String,
    /// What to do or to type next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// Where the fact behind it comes from (project, version, file or bug).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.id)?;
        if let Some(project) = &self.project {
            write!(f, " ({project})")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    next: {}", self.remedy)?;
        }
        Ok(())
    }
}
