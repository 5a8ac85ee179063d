//! The side effects of a run: what the engine's `Performer` does with environments, databases, services and files.

mod access;
mod back;
mod carry;
mod checkpoint;
mod command;
pub mod config;
pub mod dump_key;
mod invariants;
mod proven;
mod questions;
mod services;
mod strangers;
mod warm;

use std::collections::BTreeMap;

use ffu_catalog::Catalog;
use ffu_engine::{Inspection, Performed, Performer, RollbackAction, RunDirectory, StopFlag};
use ffu_hopenv::EnvStore;
use ffu_hosts::ServiceManager;
use ffu_model::cloud::{ConnectionRef, DatabaseKey};
use ffu_model::step::Action;
use ffu_model::{Plan, Step, StepResult};

use crate::failure::Failure;
use crate::notes::Notes;
use crate::places::Places;

/// Everything a run touches.
pub struct World {
    plan: Plan,
    run: RunDirectory,
    catalog: Catalog,
    environments: EnvStore,
    manager: Box<dyn ServiceManager>,
    stop: StopFlag,
    /// Where each database's connection is to be read, those that the run creates included.
    references: BTreeMap<DatabaseKey, ConnectionRef>,
    /// How much is read of databases that come back.
    proof: ffu_db::checkpoint::Thoroughness,
    /// Where the key that opens dumps is, if not where the plan says.
    dump_key: Option<camino::Utf8PathBuf>,
    /// Whether commands run that provably change nothing.
    paranoid: bool,
    /// How far long steps are.
    notes: Notes,
    /// Absent when commands are to be plain processes.
    warmth: Option<warm::Warmth>,
}

impl World {
    /// For one run of one plan.
    ///
    /// # Errors
    /// If the environments' store cannot be used.
    pub fn new(
        plan: &Plan,
        run: &RunDirectory,
        catalog: &Catalog,
        places: &Places,
        stop: &StopFlag,
    ) -> Result<Self, Failure> {
        let mut references: BTreeMap<DatabaseKey, ConnectionRef> = plan
            .cloud
            .databases()
            .map(|(key, database)| (key, database.connection.clone()))
            .collect();
        for step in &plan.steps {
            if let Action::CreateDatabase {
                database, connection, ..
            } = &step.action
            {
                references.insert(database.clone(), connection.clone());
            }
        }
        Ok(World {
            plan: plan.clone(),
            run: run.clone(),
            catalog: catalog.clone(),
            environments: EnvStore::new(places.cache.clone()),
            manager: services::manager(&plan.cloud, run),
            stop: stop.clone(),
            references,
            paranoid: false,
            proof: ffu_db::checkpoint::Thoroughness::Sufficient,
            dump_key: None,
            notes: Notes::default(),
            warmth: None,
        })
    }

    /// Has every row read of databases that come back.
    pub fn prove_fully(&mut self) {
        self.proof = ffu_db::checkpoint::Thoroughness::Full;
    }

    /// Where steps say how far they are.
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    fn staged(&self) -> camino::Utf8PathBuf {
        self.run.staged()
    }
}

impl Performer for World {
    fn perform(&self, step: &Step, attempt: u32) -> Performed {
        match &step.action {
            Action::VerifyEnvironment { series } => self.verify_environment(series),
            Action::ProbeDatabases { databases } => self.probe_databases(databases),
            Action::Gate {
                gate,
                database,
                query,
                severity,
                message,
                remedy,
            } => self.gate(step, gate, database, query, *severity, message, remedy),
            Action::StageConfig { files } => {
                let means = carry::Means {
                    catalog: &self.catalog,
                    environments: &self.environments,
                };
                config::stage(&self.staged(), files, means)
            }
            Action::StopServices { units } => self.stop_services(units),
            Action::Drain { watches } => self.drain(watches, step.timeout_seconds),
            Action::MeasureInvariants { invariants } => self.measure_ahead(invariants),
            Action::CaptureInvariants { invariants } => self.capture(invariants),
            Action::CompareInvariants { invariants, .. } => self.compare(invariants),
            Action::PrepareCheckpoint {
                databases,
                method,
                limit_mib,
            } => self.prepare_checkpoint(databases, *method, *limit_mib),
            Action::Checkpoint {
                databases,
                files,
                method,
            } => self.make_checkpoint(databases, files, *method),
            Action::CreateDatabase {
                database,
                connection,
                like,
            } => self.create_database(database, connection, like),
            Action::CopyTables {
                from,
                to,
                tables,
                stamp,
            } => self.copy_tables(from, to, tables, stamp.as_deref()),
            Action::Command(command) => self.command(step, command, attempt),
            Action::InstallConfig { files, .. } => config::install(&self.staged(), files),
            Action::StartServices { units, series } => self.start_services(units, series),
            Action::VerifyServices { units } => self.verify_services(units),
            Action::Pause { .. } => Performed::succeeded("the operator went on"),
            Action::ReviewAgents { databases } => self.review_agents(databases),
            Action::DropCheckpoint { .. } => self.drop_checkpoint(),
        }
    }

    fn inspect(&self, step: &Step, attempt: u32) -> Inspection {
        match &step.action {
            Action::Command(command) => self.inspect_command(step, command, attempt),
            Action::InstallConfig { files, .. } => {
                if config::is_installed(&self.staged(), files) {
                    Inspection::Complete("every file in place is its staged form".to_owned())
                } else {
                    Inspection::Incomplete("some files are not in place yet".to_owned())
                }
            }
            Action::Checkpoint { .. } => self.inspect_checkpoint(),
            Action::CopyTables { to, .. } => self.inspect_copy(to),
            // The others may be repeated: they ask, wait, or bring about a state that may be there already.
            _ => Inspection::Incomplete("it may be repeated".to_owned()),
        }
    }

    fn take_back(&self, action: RollbackAction) -> Performed {
        match action {
            RollbackAction::Quiesce => self.quiesce(),
            RollbackAction::Databases => self.restore_databases(),
            RollbackAction::Files => self.restore_files(),
            RollbackAction::Services => self.restore_services(),
        }
    }
}

/// A failure with the next command.
pub(crate) fn failed(what: impl std::fmt::Display) -> Performed {
    let text = ffu_model::secret::mask(&what.to_string(), &[]);
    let next = if text.contains("next:") {
        ""
    } else {
        "\n  next: mend it, then `ffu resume`; or `ffu rollback`"
    };
    Performed::failed(format!("{text}{next}"))
}

/// Warned if there are findings, succeeded otherwise.
pub(crate) fn judged(detail: impl Into<String>, findings: Vec<ffu_model::Finding>) -> Performed {
    let worth = findings
        .iter()
        .any(|finding| finding.severity >= ffu_model::Severity::Warning);
    let mut performed = Performed::with(
        if worth {
            StepResult::Warned
        } else {
            StepResult::Succeeded
        },
        detail.into(),
    );
    performed.findings = findings;
    performed
}
