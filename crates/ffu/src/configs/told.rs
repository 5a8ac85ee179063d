//! Findings of many files, each told once.

use std::collections::HashSet;

use ffu_config::finding::Finding;

/// Findings, each once: a file that belongs to several sets is read with each of them.
#[derive(Debug, Default)]
pub struct Told {
    /// In the order in which they were first told.
    pub findings: Vec<Finding>,
    known: HashSet<String>,
}

impl Told {
    /// Adds those that are new.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if self.known.insert(finding.to_string()) {
                self.findings.push(finding);
            }
        }
    }

    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.extend([finding]);
    }
}
