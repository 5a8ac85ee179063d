//! Steps that make the way back, and those that make or fill a database.

use std::time::Duration;

use ffu_db::checkpoint::{self, Target};
use ffu_db::{Options, copy};
use ffu_engine::{Inspection, Performed};
use ffu_model::cloud::{ConnectionRef, DatabaseKey};
use ffu_model::plan::CheckpointProof;

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

    pub(super) fn make_checkpoint(&self, databases: &[DatabaseKey], files: &[camino::Utf8PathBuf]) -> Performed {
        let directory = self.run.checkpoint();
        let mut targets = Vec::new();
        for key in databases {
            match self.access(key) {
                Ok(access) => targets.push(Target {
                    key: key.clone(),
                    access,
                }),
                Err(reason) => return failed(reason),
            }
        }
        // What an interrupted attempt left is worth nothing: a checkpoint is whole and proven, or is none.
        if let Err(error) = checkpoint::drop_checkpoint(&directory) {
            return failed(error);
        }
        let mut files = files.to_vec();
        files.extend(self.new_files());
        let proof = self.plan.policy.checkpoint_proof;
        let made = self.with_options(|options| {
            let manifest = checkpoint::make(&directory, &targets, &files, options)?;
            let report = checkpoint::prove(&directory, proof, options)?;
            Ok::<_, ffu_db::DbError>((manifest, report))
        });
        match made {
            Ok((manifest, report)) => {
                let how = match proof {
                    CheckpointProof::Restore => "loaded into scratch schemas: fingerprints equal",
                    CheckpointProof::Read => "read back: checksums equal",
                };
                let detail = format!(
                    "{} databases in {} KiB of dumps, {}; {} files",
                    report.databases.len(),
                    manifest.bytes() / 1024,
                    how,
                    manifest.files.len()
                );
                let mut performed = judged(detail, report.findings);
                performed.figures.insert("bytes".to_owned(), manifest.bytes());
                performed
            }
            Err(error) => {
                // A full disk is not kept full, and a later run must not take it for a checkpoint.
                let _ = checkpoint::drop_checkpoint(&directory);
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
            Ok(()) => Performed::succeeded("the dumps are deleted: there is no way back from here on"),
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
