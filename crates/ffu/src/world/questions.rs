//! Steps that only ask: environments, databases, gates, operations in flight, agents.

use std::time::{Duration, Instant};

use ffu_db::checkpoint::{self, Target};
use ffu_engine::Performed;
use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{Action, DrainWatch, ExpectedHeads};
use ffu_model::{Finding, Series, Severity, Step, StepResult};

use super::access::QUESTION;
use super::{World, failed, judged};

impl World {
    pub(super) fn verify_environment(&self, series: &Series) -> Performed {
        match self.environments.verify(&self.catalog, series) {
            Ok(info) => {
                let (warm, findings) = self.warm_ahead(series);
                let detail = format!(
                    "{} packages in {} files are as built from the lock, Python {}{warm}",
                    info.packages.len(),
                    info.files,
                    info.python
                );
                judged(detail, findings)
            }
            Err(error) => failed(error),
        }
    }

    pub(super) fn probe_databases(&self, databases: &[DatabaseKey]) -> Performed {
        let mut targets = Vec::new();
        for key in databases {
            let probed = self.open(key).and_then(|database| {
                let named = |error: ffu_db::DbError| format!("{key}: {error}");
                database.server.require_writable(&database.schema).map_err(named)
            });
            if let Err(reason) = probed.and_then(|()| {
                targets.push(Target {
                    key: key.clone(),
                    access: self.access(key)?,
                });
                Ok(())
            }) {
                return failed(reason);
            }
        }
        let place = self.run.checkpoint();
        match checkpoint::room(&place, &targets) {
            // Copies need room on the server: what cannot have one is measured when that is known, still before the freeze.
            Ok(room) if !self.plan.policy.checkpoint.is_dump() => Performed::succeeded(format!(
                "{} databases may be changed; a dump of all of them would need {} MiB at most, {} MiB are free",
                databases.len(),
                room.needed >> 20,
                room.free >> 20
            )),
            Ok(room) if room.free < room.needed => failed(format!(
                "{place}: {} MiB free, and the checkpoint may need {} MiB: not enough space\n  next: make room, or put runs elsewhere \
                 with --state-dir",
                room.free >> 20,
                (room.needed >> 20) + 1
            )),
            Ok(room) => Performed::succeeded(format!(
                "{} databases may be changed; {} MiB free for a checkpoint of {} MiB at most",
                databases.len(),
                room.free >> 20,
                room.needed >> 20
            )),
            Err(error) => failed(error),
        }
    }

    #[allow(clippy::too_many_arguments)] // the fields of one action
    pub(super) fn gate(
        &self,
        step: &Step,
        gate: &str,
        database: &DatabaseKey,
        query: &str,
        severity: Severity,
        message: &str,
        remedy: &str,
    ) -> Performed {
        let offenders = match self.count(database, query) {
            Ok(offenders) => offenders,
            Err(reason) => return failed(format!("gate {gate} could not be asked: {reason}")),
        };
        let mut performed = if offenders == 0 {
            Performed::succeeded("no offenders")
        } else if severity == Severity::Blocker {
            failed(format!(
                "gate {gate}: {offenders} offenders in {database}: {message}\n  next: {remedy}"
            ))
        } else {
            let finding = Finding {
                id: gate.to_owned(),
                severity,
                project: step.project.clone(),
                message: format!("{offenders} in {database}: {message}"),
                remedy: remedy.to_owned(),
                source: step.sources.first().cloned().unwrap_or_default(),
            };
            judged(format!("{offenders} offenders"), vec![finding])
        };
        performed.figures.insert("offenders".to_owned(), offenders);
        performed
    }

    pub(super) fn drain(&self, watches: &[DrainWatch], deadline_seconds: u64) -> Performed {
        let begun = Instant::now();
        let deadline = Duration::from_secs(deadline_seconds);
        loop {
            let mut open = Vec::new();
            for watch in watches {
                match self.count(&watch.database, &watch.query) {
                    Ok(0) => {}
                    Ok(count) => open.push(format!("{count} {} in {}", watch.what, watch.database)),
                    Err(reason) => return failed(reason),
                }
            }
            if open.is_empty() {
                return Performed::succeeded(format!("nothing in flight after {} s", begun.elapsed().as_secs()));
            }
            if self.stop.level() > ffu_hosts::StopLevel::Run {
                return Performed::with(StepResult::Interrupted, format!("still in flight: {}", open.join(", ")));
            }
            if begun.elapsed() + Duration::from_secs(1) > deadline {
                return failed(format!(
                    "still in flight after {deadline_seconds} s: {}\n  next: finish or reset them (`openstack server set --state`, \
                     `cinder reset-state`), then `ffu resume`; or `ffu rollback`",
                    open.join(", ")
                ));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    pub(super) fn review_agents(&self, databases: &[DatabaseKey]) -> Performed {
        let mut findings = Vec::new();
        let mut hosts = 0;
        for key in databases {
            let query =
                "SELECT host, version FROM services WHERE `binary` = 'nova-compute' AND deleted = 0 ORDER BY host";
            let rows = self.open(key).and_then(|database| {
                database
                    .server
                    .query_rows(&database.schema, query, QUESTION)
                    .map_err(|error| format!("{key}: {error}"))
            });
            let rows = match rows {
                Ok(rows) => rows,
                Err(reason) => return failed(reason),
            };
            hosts += rows.len();
            if rows.is_empty() {
                continue;
            }
            let named: Vec<String> = rows
                .iter()
                .take(20)
                .map(|row| {
                    row.iter()
                        .map(|v| v.clone().unwrap_or_default())
                        .collect::<Vec<_>>()
                        .join(" at version ")
                })
                .collect();
            findings.push(Finding {
                id: "computes-follow".to_owned(),
                severity: Severity::Info,
                project: Some("nova".to_owned()),
                message: format!("{} computes in {key}: {}", rows.len(), named.join(", ")),
                remedy: "upgrade them with your deployment tool, in waves".to_owned(),
                source: "nova.services".to_owned(),
            });
        }
        judged(format!("{hosts} computes follow with your deployment tool"), findings)
    }

    /// Heads that a command must have reached and has not, in words; empty when all are there.
    pub(super) fn missing_heads(&self, step: &Step) -> Result<Vec<String>, String> {
        match &step.action {
            Action::Command(command) => self.not_at(&command.expect_heads),
            _ => Ok(Vec::new()),
        }
    }

    /// Those of some heads that a database is not at, in words.
    pub(super) fn not_at(&self, heads: &[ExpectedHeads]) -> Result<Vec<String>, String> {
        let mut missing = Vec::new();
        for expected in heads {
            let database = self.open(&expected.database)?;
            let named = |error: ffu_db::DbError| format!("{}: {error}", expected.database);
            let heads = database
                .server
                .heads(&database.schema)
                .map_err(named)?
                .unwrap_or_default();
            let found = heads.get(&expected.name).cloned().unwrap_or_default();
            if found != expected.versions {
                let shown = if found.is_empty() {
                    "nothing".to_owned()
                } else {
                    found.join(", ")
                };
                missing.push(format!(
                    "{} has {} at {shown}, {} is where it must be",
                    expected.database,
                    expected.name,
                    expected.versions.join(", ")
                ));
            }
        }
        Ok(missing)
    }
}
