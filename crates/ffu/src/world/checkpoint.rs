//! Steps that make the way back, and those that make or fill a database.

use std::time::Duration;

use ffu_db::checkpoint::{self, Manifest, Means, ProofReport, Target, Thoroughness, standby};
use ffu_db::{Options, copy};
use ffu_engine::{Inspection, Performed};
use ffu_model::cloud::{ConnectionRef, DatabaseKey};
use ffu_model::plan::{CheckpointMethod, CheckpointProof};
use ffu_model::{Finding, Severity};

use super::{World, failed, judged};

/// No checkpoint or restore takes longer, whatever the database; a step's own timeout is not known here.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl World {
    /// Limits for long work on databases, which the operator's second Ctrl-C ends.
    pub(super) fn with_options<T>(&self, work: impl FnOnce(&Options<'_>) -> T) -> T {
        let stop = || self.stop.is_now();
        let lanes = (self.plan.policy.parallel as usize).clamp(1, 8);
        work(&Options {
            lanes,
            stop: Some(&stop),
            timeout: LONGEST,
        })
    }

    fn targets(&self, databases: &[DatabaseKey]) -> Result<Vec<Target>, String> {
        databases
            .iter()
            .map(|key| {
                self.access(key).map(|access| Target {
                    key: key.clone(),
                    access,
                })
            })
            .collect()
    }

    pub(super) fn prepare_checkpoint(
        &self,
        databases: &[DatabaseKey],
        method: CheckpointMethod,
        limit_mib: Option<u64>,
    ) -> Performed {
        let directory = self.run.checkpoint();
        let targets = match self.targets(databases) {
            Ok(targets) => targets,
            Err(reason) => return failed(reason),
        };
        let limit = limit_mib.map(|mib| mib.saturating_mul(1 << 20));
        let prepared = match self.with_options(|options| standby::prepare(&directory, &targets, limit, options)) {
            Ok(prepared) => prepared,
            Err(error) => return failed(error),
        };
        let reasons: Vec<String> = prepared
            .refusals
            .iter()
            .map(|refusal| format!("{}: {}", refusal.key, refusal.reason))
            .collect();
        if method == CheckpointMethod::Copy && !reasons.is_empty() {
            return failed(format!(
                "no copy can be made of every database: {}\n  next: mend it, or make the plan with --checkpoint auto or dump",
                reasons.join("; ")
            ));
        }
        let mut findings: Vec<Finding> = prepared.refusals.iter().map(dumped).collect();
        let refused = |target: &&Target| prepared.refusals.iter().any(|refusal| refusal.key == target.key);
        let dumps: Vec<Target> = targets.iter().filter(refused).cloned().collect();
        match checkpoint::room(&directory, &dumps) {
            Ok(room) if room.free < room.needed => {
                return failed(format!(
                    "{directory}: {} MiB free, and dumps of the databases without a copy may need {} MiB\n  next: make room, or put \
                     runs elsewhere with --state-dir",
                    room.free >> 20,
                    (room.needed >> 20) + 1
                ));
            }
            Ok(_) => {}
            Err(error) => return failed(error),
        }
        findings.extend(self.others_copies(&targets, &prepared));
        let (mut rows, mut bytes, mut tables) = (0, 0, 0);
        for database in &prepared.databases {
            rows += database.rows;
            bytes += database.bytes;
            tables += database.tables;
        }
        let detail = format!(
            "{} databases copied beside themselves ({tables} tables, {rows} rows, {} MiB); {} to be dumped",
            prepared.databases.len(),
            bytes >> 20,
            prepared.refusals.len()
        );
        let mut performed = judged(detail, findings);
        performed.figures.insert("rows".to_owned(), rows);
        performed.figures.insert("bytes".to_owned(), bytes);
        performed
    }

    /// Copies that other runs have left on the same servers.
    fn others_copies(&self, targets: &[Target], prepared: &standby::Prepared) -> Option<Finding> {
        let mut others: Vec<String> = targets
            .iter()
            .filter(|target| prepared.databases.iter().any(|database| database.key == target.key))
            .filter_map(|target| standby::leftovers(&target.access).ok())
            .flatten()
            .filter(|name| prepared.databases.iter().all(|database| database.copy != *name))
            .collect();
        others.sort();
        others.dedup();
        (!others.is_empty()).then(|| Finding {
            id: "copies-of-other-runs".to_owned(),
            severity: Severity::Info,
            project: None,
            message: format!("copies of other runs take room on the server: {}", others.join(", ")),
            remedy: "finish these runs with `ffu rollback` or `ffu accept`, or drop the schemas".to_owned(),
            source: String::new(),
        })
    }

    pub(super) fn make_checkpoint(
        &self,
        databases: &[DatabaseKey],
        files: &[camino::Utf8PathBuf],
        method: CheckpointMethod,
    ) -> Performed {
        let directory = self.run.checkpoint();
        let targets = match self.targets(databases) {
            Ok(targets) => targets,
            Err(reason) => return failed(reason),
        };
        let key = match self.sealing_key() {
            Ok(key) => key,
            Err(error) => return failed(error),
        };
        // What an interrupted attempt left is worth nothing: a checkpoint is whole and proven, or is none.
        let emptied = match method {
            CheckpointMethod::Dump => checkpoint::drop_checkpoint(&directory),
            CheckpointMethod::Auto | CheckpointMethod::Copy => checkpoint::forget(&directory),
        };
        if let Err(error) = emptied {
            return failed(error);
        }
        let mut files = files.to_vec();
        files.extend(self.new_files());
        let proof = self.plan.policy.checkpoint_proof;
        let means = Means {
            thoroughness: if self.paranoid {
                Thoroughness::Full
            } else {
                Thoroughness::Sufficient
            },
            key: key.as_ref(),
            ..Means::default()
        };
        let made = self.with_options(|options| {
            let manifest = checkpoint::make_with(&directory, &targets, &files, means, options)?;
            let report = checkpoint::prove_with(&directory, proof, means.key, options)?;
            Ok::<_, ffu_db::DbError>((manifest, report))
        });
        match made {
            Ok((manifest, report)) => {
                let mut performed = judged(said(&manifest, &report, proof), report.findings);
                let late: u64 = manifest
                    .databases
                    .iter()
                    .filter_map(|d| d.copied.as_ref())
                    .map(|c| c.late_rows)
                    .sum();
                performed.figures.insert("bytes".to_owned(), manifest.bytes());
                performed.figures.insert("late_rows".to_owned(), late);
                let copies = manifest.databases.iter().filter_map(|d| d.copied.as_ref());
                let read = copies.map(|copy| copy.reading.read.bytes).sum();
                performed.figures.insert("read_bytes".to_owned(), read);
                performed
            }
            Err(error) => {
                // A full disk is not kept full, and a later run must not take it for a checkpoint.
                let _ = checkpoint::forget(&directory);
                failed(error)
            }
        }
    }

    /// Files that only the target has: going back removes them.
    pub(super) fn new_files(&self) -> Vec<camino::Utf8PathBuf> {
        let mut files = Vec::new();
        for step in &self.plan.steps {
            if let ffu_model::step::Action::InstallConfig { files: installed, .. } = &step.action {
                files.extend(
                    installed
                        .iter()
                        .filter(|f| f.source.is_none())
                        .map(|f| f.destination.clone()),
                );
            }
        }
        files
    }

    pub(super) fn inspect_checkpoint(&self) -> Inspection {
        // A manifest alone is not enough: the proof came after it. Making it again is always safe, as nothing has migrated yet.
        Inspection::Incomplete("it is made again from the untouched databases".to_owned())
    }

    pub(super) fn drop_checkpoint(&self) -> Performed {
        let directory = self.run.checkpoint();
        match checkpoint::drop_checkpoint(&directory) {
            Ok(()) => Performed::succeeded("dumps and copies are deleted: there is no way back from here on"),
            Err(error) => failed(error),
        }
    }

    pub(super) fn create_database(
        &self,
        database: &DatabaseKey,
        _connection: &ConnectionRef,
        like: &DatabaseKey,
    ) -> Performed {
        let created = self.access(database).and_then(|access| {
            let like = self.access(like)?;
            let like_schema = like.schema().map_err(|error| error.to_string())?.to_owned();
            copy::create_database(&access, &like_schema).map_err(|error| format!("{database}: {error}"))
        });
        match created {
            Ok(created) => Performed::succeeded(format!(
                "{database} {}{}",
                if created.created {
                    "is created"
                } else {
                    "was there already"
                },
                if created.granted {
                    ", and the service's account may use it"
                } else {
                    ""
                }
            )),
            Err(reason) => failed(reason),
        }
    }

    pub(super) fn copy_tables(
        &self,
        from: &DatabaseKey,
        to: &DatabaseKey,
        tables: &[String],
        stamp: Option<&str>,
    ) -> Performed {
        let copied = self.access(from).and_then(|source| {
            let destination = self.access(to)?;
            self.with_options(|options| {
                copy::copy_tables(&source, &destination, tables, stamp, &self.run.private(), options)
                    .map_err(|error| format!("{from} to {to}: {error}"))
            })
        });
        match copied {
            Ok(copied) => {
                let rows: u64 = copied.copied.values().sum();
                let skipped = if copied.skipped.is_empty() {
                    String::new()
                } else {
                    format!("; not there: {}", copied.skipped.join(", "))
                };
                let count = copied.copied.len();
                let mut performed = Performed::succeeded(format!(
                    "{count} tables with {rows} rows copied and found equal{skipped}"
                ));
                performed.figures = copied.copied;
                performed
            }
            Err(reason) => failed(reason),
        }
    }

    pub(super) fn inspect_copy(&self, to: &DatabaseKey) -> Inspection {
        Inspection::Incomplete(format!(
            "the copy to {to} is compared, and begun anew if it is not whole"
        ))
    }
}

/// Why the window is longer than it could be.
fn dumped(refusal: &standby::Refusal) -> Finding {
    Finding {
        id: "checkpoint-by-dump".to_owned(),
        severity: Severity::Warning,
        project: Some(refusal.key.project.clone()),
        message: format!(
            "{} is dumped in the window, because no copy can be made of it: {}",
            refusal.key, refusal.reason
        ),
        remedy: "name an administrator's option file with --admin-option-file, or accept a longer window".to_owned(),
        source: String::new(),
    }
}

/// What a checkpoint is, in a sentence.
fn said(manifest: &Manifest, report: &ProofReport, proof: CheckpointProof) -> String {
    let copies: Vec<_> = manifest.databases.iter().filter_map(|d| d.copied.as_ref()).collect();
    let dumps = manifest.databases.iter().filter(|d| d.saved.is_some()).count();
    let mut parts = Vec::new();
    if !copies.is_empty() {
        let rows: u64 = copies.iter().map(|copy| copy.fingerprint.rows()).sum();
        let late: u64 = copies.iter().map(|copy| copy.late_rows).sum();
        let mut reading = standby::Reading::default();
        copies.iter().for_each(|copy| reading.add(&copy.reading));
        parts.push(format!(
            "{} databases in copies of {rows} rows, compared range by range and equal ({reading}; {late} rows copied in the window)",
            copies.len()
        ));
    }
    if dumps > 0 || copies.is_empty() {
        let how = match proof {
            CheckpointProof::Restore => "loaded into scratch schemas: fingerprints equal",
            CheckpointProof::Read => "read back: checksums equal",
        };
        parts.push(format!(
            "{dumps} databases in {} KiB of {}dumps, {how}",
            manifest.bytes() / 1024,
            if manifest.sealed().is_empty() { "" } else { "encrypted " }
        ));
    }
    let absent = report.databases.len() - dumps - copies.len();
    if absent > 0 {
        parts.push(format!("{absent} that do not exist yet"));
    }
    parts.push(format!("{} files", manifest.files.len()));
    parts.join("; ")
}
