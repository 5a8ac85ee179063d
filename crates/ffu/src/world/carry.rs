//! Carries the configuration of a run to the target while it is staged, and collects what there is to say of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_catalog::options::ServiceOptions;
use ffu_config::finding::{self, Finding, Severity};
use ffu_config::migrate::{InputFile, LEFT, Migrator, Proof};
use ffu_engine::Performed;
use ffu_hopenv::EnvStore;
use ffu_model::StepResult;
use ffu_model::step::{Carriage, FileMigration, StagedFile};

use crate::configs::elsewhere::Leaving;
use crate::configs::policy::{self, Group};
use crate::configs::told::Told;
use crate::configs::{find, known, merge};

/// The whole list of findings, below the staging directory; no project has a file of that name at the root.
const REPORT: &str = "findings.txt";

/// What came out of the files that were staged so far.
#[derive(Debug, Default)]
pub struct Carried {
    told: Told,
    proof: Proof,
    rules: ffu_config::policy::Proof,
    carried: usize,
    changed: usize,
    leaving: Leaving,
    /// Whether the plan accepts losses.
    accepted: bool,
    /// What would be lost, and the commands that show it.
    lost: Vec<String>,
}

/// What carries files: the knowledge, and upstream's own files.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The hop environments.
    pub environments: &'a EnvStore,
}

impl Carried {
    /// Carries one file.
    ///
    /// # Errors
    /// A file that cannot be read as its service would read it; nothing is written then.
    pub fn carry(&mut self, means: Means<'_>, file: &StagedFile, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let (Some(migration), Some(source)) = (&file.migration, &file.source) else {
            return Ok(bytes);
        };
        let way = Way {
            migration,
            source,
            destination: &file.destination,
        };
        let before = bytes.clone();
        let after = match migration.carriage {
            Carriage::Options => self.options(means.catalog, way, bytes),
            Carriage::Policy => self.policy(means.catalog, way, bytes),
            Carriage::Merge => self.merge(means.environments, way, bytes),
        }?;
        self.carried += 1;
        self.accepted |= migration.accept_loss;
        self.changed += usize::from(after != before || *source != file.destination);
        Ok(after)
    }

    fn options(&mut self, catalog: &Catalog, way: Way<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let migration = way.migration;
        let options = options_of(catalog, &migration.service)?;
        let migrator =
            Migrator::new(options, catalog.config_rules(), &migration.path).map_err(|error| error.to_string())?;
        let mut files = Vec::new();
        for (label, bytes) in with_others(&migration.read_with, way.source, &bytes, &[])? {
            files.push(InputFile { label, bytes });
        }
        let outcome = migrator
            .migrate(&files, &BTreeMap::new(), false)
            .map_err(|error| error.to_string())?;
        let own = outcome.files.into_iter().next_back().map_or(bytes, |file| file.bytes);
        self.proof += outcome.proof;
        self.leaving.extend(outcome.departures, &migration.path);
        let names: Vec<&str> = files.iter().map(|file| file.label.as_str()).collect();
        self.tell(
            way,
            outcome.findings,
            &format!("ffu config migrate --service {}", migration.service),
            &names,
        );
        Ok(own)
    }

    fn policy(&mut self, catalog: &Catalog, way: Way<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let migration = way.migration;
        let (Some(from), Some(to)) = (migration.path.first(), migration.path.last()) else {
            return Ok(bytes);
        };
        let files = with_others(&migration.read_with, way.source, &bytes, &migration.read_after)?;
        let confs = migration
            .settings
            .iter()
            .map(|path| fs::read(path).map_err(|error| format!("{path}: {error}")))
            .collect::<Result<Vec<_>, _>>()?;
        let group = Group {
            options: options_of(catalog, &migration.service)?,
            from,
            to,
            files: &files,
            confs: &confs,
            pin_defaults: false,
        };
        let outcome = group.carry().map_err(|error| error.to_string())?;
        let is_first = migration.read_with.is_empty();
        // All files of a service are compared together: they count once.
        if is_first {
            self.rules += outcome.proof;
        }
        let wanted = group.settings(to).policy_file;
        let lies_right = way.destination.file_name() == Some(policy::last(&wanted));
        let findings = outcome.findings.into_iter().filter_map(|mut finding| {
            match finding.id.as_str() {
                // The name of the first one, which has said it itself.
                id if id.starts_with("policy-file-") && !is_first => return None,
                // The file is installed where the target looks for it.
                "policy-file-not-read" if lies_right => return None,
                "policy-file-renamed" => {
                    finding.message = format!("the file is {} from now on: JSON became YAML", way.destination);
                    finding.remedy = format!("take {} away once the target is accepted", way.source);
                }
                _ => {}
            }
            Some(finding)
        });
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let findings: Vec<Finding> = findings.collect();
        self.tell(
            way,
            findings,
            &format!("ffu policy migrate --service {}", migration.service),
            &names,
        );
        let own = outcome.files.into_iter().nth(migration.read_with.len());
        Ok(own.map_or(bytes, |file| file.text))
    }

    fn merge(&mut self, environments: &EnvStore, way: Way<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let migration = way.migration;
        let (Some(from), Some(to)) = (migration.path.first(), migration.path.last()) else {
            return Ok(bytes);
        };
        let merged = merge::against_upstream(environments, &migration.service, way.source, &bytes, (from, to));
        if !merged.at_hand && !migration.accept_loss {
            let why: Vec<String> = merged.findings.iter().map(|finding| finding.message.clone()).collect();
            self.lost.push(format!(
                "{}: {}\n  next: `ffu env build {from} {to}`",
                way.source,
                why.join("; ")
            ));
        }
        let command = format!("ffu config migrate --service {}", migration.service);
        self.tell(way, merged.findings, &command, &[way.source.as_str()]);
        Ok(merged.bytes)
    }

    /// Puts options that belong into another file now into it, where it is one of those that were staged.
    ///
    /// # Errors
    /// A staged file that cannot be read or written.
    pub fn settle(&mut self, catalog: &Catalog, directory: &Utf8Path, files: &[StagedFile]) -> Result<(), String> {
        for (service, file) in self.leaving.waiting() {
            let receiver = files.iter().find(|one| one.destination.ends_with(&file));
            if let Some(receiver) = receiver {
                let path = super::config::staged_path(directory, &receiver.destination);
                let bytes = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
                let bytes = self.leaving.arrive(
                    catalog,
                    (&service, &file),
                    (receiver.destination.as_str(), bytes),
                    &mut self.told.findings,
                    &mut self.proof,
                )?;
                super::config::write_whole(&path, &bytes, 0o600, None).map_err(|error| format!("{path}: {error}"))?;
            }
        }
        let left = self
            .told
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::LostUnlessYouAct && self.leaving.is_about(finding));
        let accepted = self.accepted;
        self.lost.extend(left.filter(|_| !accepted).map(|finding| {
            format!(
                "{}: {}\n  next: {}",
                finding.file.as_deref().unwrap_or_default(),
                finding.subject,
                finding.remedy
            )
        }));
        Ok(())
    }

    /// Takes findings over; what would be lost is kept for the end of the step.
    fn tell(&mut self, way: Way<'_>, findings: Vec<Finding>, command: &str, names: &[&str]) {
        let migration = way.migration;
        let lost: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::LostUnlessYouAct && !self.told.findings.contains(finding))
            // Whether another file receives it is known when all files are staged.
            .filter(|finding| finding.id != LEFT)
            .map(|finding| finding.subject.as_str())
            .collect();
        if let (false, false, Some(from), Some(to)) = (
            lost.is_empty(),
            migration.accept_loss,
            migration.path.first(),
            migration.path.last(),
        ) {
            self.lost.push(format!(
                "{}: {}\n  next: `{command} --from {from} --to {to} {}` shows what happens to them",
                way.source,
                lost.join(", "),
                names.join(" ")
            ));
        }
        self.told.extend(findings);
    }

    /// Writes the whole list below the staging directory.
    pub fn write_report(&mut self, directory: &Utf8Path) -> Result<(), String> {
        if self.carried == 0 {
            return Ok(());
        }
        finding::sort(&mut self.told.findings);
        let mut text = String::new();
        for finding in &self.told.findings {
            let _ = writeln!(text, "{finding}");
        }
        let path = directory.join(REPORT);
        super::config::write_whole(&path, text.as_bytes(), 0o600, None).map_err(|error| format!("{path}: {error}"))
    }

    /// How the step went: what needs a decision is a finding of it, the rest is in the list.
    pub fn performed(self, staged: &str, directory: &Utf8Path) -> Performed {
        if self.carried == 0 {
            return Performed::succeeded(staged);
        }
        let mut detail = format!(
            "{staged}, {} carried to the target, {} of them changed",
            self.carried, self.changed
        );
        if self.proof.options_set > 0 {
            let _ = write!(
                detail,
                "; {} options set: {} proven equal, {} named",
                self.proof.options_set, self.proof.proven_equal, self.proof.named
            );
        }
        if self.rules.rules > 0 {
            let _ = write!(
                detail,
                "; {} policy rules: {} need what they needed before, {} named, {} new",
                self.rules.rules, self.rules.equal, self.rules.named, self.rules.new
            );
        }
        if !self.told.findings.is_empty() {
            let _ = write!(detail, "; the list is {}", directory.join(REPORT));
        }
        let mut performed = if self.lost.is_empty() {
            Performed::succeeded(detail)
        } else {
            Performed::with(
                StepResult::Failed,
                format!(
                    "settings would be lost at the target:\n  {}\n  then mend it and `ffu resume`, or make a plan with --configuration accept-loss",
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
            ("policy-rules", self.rules.rules),
            ("policy-rules-equal", self.rules.equal),
            ("policy-rules-named", self.rules.named),
        ] {
            performed.figures.insert(name.to_owned(), value as u64);
        }
        performed
    }
}

/// One file's way.
#[derive(Clone, Copy)]
struct Way<'a> {
    migration: &'a FileMigration,
    source: &'a Utf8Path,
    destination: &'a Utf8Path,
}

fn options_of<'a>(catalog: &'a Catalog, service: &str) -> Result<&'a ServiceOptions, String> {
    known(catalog, service, catalog.options(service)).map_err(|why| format!("{why}; make the plan again"))
}

/// A file between those that are read before and after it, with their names.
fn with_others(
    before: &[Utf8PathBuf],
    own: &Utf8Path,
    bytes: &[u8],
    after: &[Utf8PathBuf],
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let read = |path: &Utf8PathBuf| {
        let bytes = find::read(path).map_err(|failure| failure.message)?;
        Ok((path.to_string(), bytes))
    };
    let mut files = before.iter().map(read).collect::<Result<Vec<_>, String>>()?;
    files.push((own.to_string(), bytes.to_vec()));
    files.extend(after.iter().map(read).collect::<Result<Vec<_>, String>>()?);
    Ok(files)
}

#[cfg(test)]
mod tests;
