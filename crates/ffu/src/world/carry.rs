//! Carries the configuration of a run to the target while it is staged, and collects what there is to say of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_config::finding::{self, Finding, Severity};
use ffu_config::migrate::{InputFile, Migrator, Proof};
use ffu_engine::Performed;
use ffu_model::StepResult;
use ffu_model::step::FileMigration;

use crate::configs::told::Told;

/// The whole list of findings, below the staging directory; no project has a file of that name at the root.
const REPORT: &str = "findings.txt";

/// What came out of the files that were staged so far.
#[derive(Debug, Default)]
pub struct Carried {
    told: Told,
    proof: Proof,
    changed: usize,
    /// What would be lost, and the commands that show it.
    lost: Vec<String>,
}

impl Carried {
    /// Carries one file.
    ///
    /// # Errors
    /// A file that cannot be read as its service would read it; nothing is written then.
    pub fn carry(
        &mut self,
        catalog: &Catalog,
        migration: &FileMigration,
        source: &Utf8Path,
        bytes: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let service = &migration.service;
        let options = match catalog.options(service) {
            Some(Ok(options)) => options,
            Some(Err(error)) => return Err(format!("the option catalog of {service}: {error}")),
            None => return Err(format!("there is no option catalog of {service}; make the plan again")),
        };
        let migrator =
            Migrator::new(options, catalog.config_rules(), &migration.path).map_err(|error| error.to_string())?;
        let mut files = Vec::new();
        for path in &migration.read_with {
            let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
            files.push(InputFile {
                label: path.to_string(),
                bytes,
            });
        }
        files.push(InputFile {
            label: source.to_string(),
            bytes: bytes.clone(),
        });
        let outcome = migrator
            .migrate(&files, &BTreeMap::new(), false)
            .map_err(|error| error.to_string())?;
        let own = outcome.files.into_iter().next_back().map_or(bytes, |file| {
            self.changed += usize::from(file.changed);
            file.bytes
        });
        self.proof += outcome.proof;
        let (Some(from), Some(to)) = (migration.path.first(), migration.path.last()) else {
            return Ok(own);
        };
        let lost: Vec<&Finding> = outcome
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::LostUnlessYouAct && !self.told.findings.contains(finding))
            .collect();
        if !lost.is_empty() && !migration.accept_loss {
            let subjects: Vec<&str> = lost.iter().map(|finding| finding.subject.as_str()).collect();
            let names: Vec<&str> = files.iter().map(|file| file.label.as_str()).collect();
            self.lost.push(format!(
                "{source}: {}\n  next: `ffu config migrate --service {service} --from {from} --to {to} {}` shows what happens to them",
                subjects.join(", "),
                names.join(" ")
            ));
        }
        self.told.extend(outcome.findings);
        Ok(own)
    }

    /// Writes the whole list below the staging directory.
    pub fn write_report(&mut self, directory: &Utf8Path) -> Result<(), String> {
        if self.proof.options_set == 0 && self.told.findings.is_empty() {
            return Ok(());
        }
        finding::sort(&mut self.told.findings);
        let mut text = String::new();
        for finding in &self.told.findings {
            let _ = writeln!(text, "{finding}");
        }
        let path: Utf8PathBuf = directory.join(REPORT);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| format!("{path}: {error}"))
    }

    /// How the step went: what needs a decision is a finding of it, the rest is in the list.
    pub fn performed(self, staged: &str, directory: &Utf8Path) -> Performed {
        if self.proof.options_set == 0 && self.told.findings.is_empty() {
            return Performed::succeeded(staged);
        }
        let detail = format!(
            "{staged}, {} carried to the target: {} options set, {} proven equal, {} named in {}",
            self.changed,
            self.proof.options_set,
            self.proof.proven_equal,
            self.proof.named,
            directory.join(REPORT)
        );
        let mut performed = if self.lost.is_empty() {
            Performed::succeeded(detail)
        } else {
            Performed::with(
                StepResult::Failed,
                format!(
                    "settings would be lost at the target:\n  {}\n  then mend the file and `ffu resume`, or make a plan with --configuration accept-loss",
                    self.lost.join("\n  ")
                ),
            )
        };
        performed.findings = self
            .told
            .findings
            .iter()
            .filter(|finding| finding.severity.needs_a_decision())
            .map(|finding| ffu_model::Finding {
                id: finding.id.clone(),
                severity: ffu_model::Severity::Warning,
                project: None,
                message: format!("{}: {}", finding.subject, finding.message),
                remedy: finding.remedy.clone(),
                source: finding.source.clone(),
            })
            .collect();
        for (name, value) in [
            ("options-set", self.proof.options_set),
            ("options-proven-equal", self.proof.proven_equal),
            ("options-named", self.proof.named),
        ] {
            performed.figures.insert(name.to_owned(), value as u64);
        }
        performed
    }
}
