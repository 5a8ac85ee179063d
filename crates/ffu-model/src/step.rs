//! One action of a plan. A step says everything the engine needs; the engine has no choices left to make.

mod command;
mod files;
mod phase;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::cloud::{ConnectionRef, DatabaseKey};
use crate::plan::CheckpointMethod;
use crate::series::{Hop, Series};

pub use command::{
    CommandAction, ConfigStyle, ExitMeaning, ExpectedHeads, Leftover, Meaning, NoOp, Overlay, PendingCount, Purpose,
};
pub use files::{Carriage, CopiedSection, FileMigration, SetOption, StagedFile};
pub use phase::Phase;

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Unique in the plan; safe as a file name (see [`is_step_id`]).
    pub id: String,
    /// The phase it belongs to.
    pub phase: Phase,
    /// What it does, for people.
    pub title: String,
    /// The project it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The hop it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Hop>,
    /// What is done.
    pub action: Action,
    /// Ids of steps that must have succeeded before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// After so many seconds the step has failed.
    pub timeout_seconds: u64,
    /// How long it is expected to take, in milliseconds.
    pub estimate_ms: u64,
    /// How it is taken back.
    pub undo: Undo,
    /// Where the reason for this step comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// Whether a text may be a step's id: at most 120 of `a-z 0-9 . - _`, beginning with a letter.
pub fn is_step_id(text: &str) -> bool {
    (1..=120).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
        && !text.contains("..")
}

/// How a step is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// It changes nothing that would have to be taken back.
    Nothing,
    /// The checkpoint takes it back.
    Checkpoint,
    /// Rollback starts the old services again.
    Services,
    /// Nothing takes it back: past the point of no return.
    Irreversible,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Action {
    /// The hop environment of a series is there, whole, and answers.
    VerifyEnvironment {
        /// The series.
        series: Series,
    },
    /// Every database answers, may be written, and its account has the rights a run needs; there is room for the checkpoint.
    ProbeDatabases {
        /// The databases.
        databases: Vec<DatabaseKey>,
    },
    /// A gate of the catalog: a query that must give the expected count.
    Gate {
        /// The gate's id in the catalog.
        gate: String,
        /// The database it asks.
        database: DatabaseKey,
        /// A query with one row and one unsigned integer column: the number of offenders.
        query: String,
        /// Whether offenders stop the run or are a warning.
        severity: crate::finding::Severity,
        /// What offenders mean.
        message: String,
        /// What to do about them.
        remedy: String,
    },
    /// Writes the target's configuration into the run's directory, from the present files.
    StageConfig {
        /// One entry a file.
        files: Vec<StagedFile>,
    },
    /// Stops services, in the given order.
    StopServices {
        /// Unit names.
        units: Vec<String>,
    },
    /// Waits until no operation is in flight.
    Drain {
        /// What counts as in flight.
        watches: Vec<DrainWatch>,
    },
    /// Measures ahead of the freeze what [`Action::CaptureInvariants`] will: it takes over what was not written since.
    MeasureInvariants {
        /// What is measured.
        invariants: Vec<Invariant>,
    },
    /// Counts and fingerprints what must be the same before and after.
    CaptureInvariants {
        /// What is captured.
        invariants: Vec<Invariant>,
    },
    /// Compares with what [`Action::CaptureInvariants`] saw; where a thing lives may have changed since.
    CompareInvariants {
        /// The step that captured.
        baseline: String,
        /// What is compared, with the places at this point of the run.
        invariants: Vec<Invariant>,
    },
    /// Begins the databases' copies while they are in use; nothing of them is changed or locked.
    PrepareCheckpoint {
        /// The databases that exist.
        databases: Vec<DatabaseKey>,
        /// Whether a database that cannot have a copy stops the run.
        method: CheckpointMethod,
        /// MiB a second at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_mib: Option<u64>,
    },
    /// Makes the way back: finishes the databases' copies or dumps them, copies files, verifies all.
    Checkpoint {
        /// The databases, those that do not exist yet included.
        databases: Vec<DatabaseKey>,
        /// Configuration and unit files.
        files: Vec<Utf8PathBuf>,
        /// How; plans of before there was a choice dump.
        #[serde(
            default = "CheckpointMethod::dump",
            skip_serializing_if = "CheckpointMethod::is_dump"
        )]
        method: CheckpointMethod,
    },
    /// Creates a database on the server of another, with that one's account.
    CreateDatabase {
        /// The database to create.
        database: DatabaseKey,
        /// Its connection.
        connection: ConnectionRef,
        /// The database whose server and account it shares.
        like: DatabaseKey,
    },
    /// Copies tables with their rows, keys and constraints from one database to an empty one.
    CopyTables {
        /// From here.
        from: DatabaseKey,
        /// To there.
        to: DatabaseKey,
        /// The tables; those that do not exist at the source are skipped and named.
        tables: Vec<String>,
        /// Written to `alembic_version` of the destination after the copy.
        stamp: Option<String>,
    },
    /// Runs a project's command in a hop environment and judges it.
    Command(Box<CommandAction>),
    /// Puts the staged configuration in place.
    InstallConfig {
        /// The step that staged it.
        staged: String,
        /// What is installed.
        files: Vec<StagedFile>,
    },
    /// Starts services at a series.
    StartServices {
        /// Unit names.
        units: Vec<String>,
        /// The series whose packages serve.
        series: Series,
    },
    /// Asks running services whether they answer.
    VerifyServices {
        /// Unit names.
        units: Vec<String>,
    },
    /// The operator does something with other tools, then goes on with `ffu resume`.
    Pause {
        /// What to do.
        message: String,
    },
    /// Reports how old the remaining agents are.
    ReviewAgents {
        /// The nova cell databases.
        databases: Vec<DatabaseKey>,
    },
    /// Deletes the checkpoint.
    DropCheckpoint {
        /// The step that made it.
        checkpoint: String,
    },
}

/// Operations in flight in one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainWatch {
    /// The database.
    pub database: DatabaseKey,
    /// What is counted, e.g. `instances with a task_state`.
    pub what: String,
    /// A query that gives the number in flight.
    pub query: String,
}

/// Rows that must be the same before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// Its name, e.g. `nova.instances`.
    pub id: String,
    /// Where the rows live now.
    pub database: DatabaseKey,
    /// Their table.
    pub table: String,
    /// A condition; empty for all rows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// Columns that identify a row.
    pub key: Vec<String>,
    /// Columns that migrations are meant to change.
    #[serde(default)]
    pub except: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_ids_are_file_names() {
        assert!(is_step_id("hops.2024.2.nova.db-sync"));
        for bad in ["", "../x", "a/b", "a..b", "A", "1a", "a\0b"] {
            assert!(!is_step_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn phases_are_ordered_and_named() {
        assert!(Phase::ALL.is_sorted());
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
    }

    #[test]
    fn unknown_fields_and_kinds_of_actions_are_refused() {
        assert!(serde_json::from_str::<Action>(r#"{"kind":"pause","message":"x"}"#).is_ok());
        assert!(serde_json::from_str::<Action>(r#"{"kind":"pause","message":"x","then":"rm"}"#).is_err());
        assert!(serde_json::from_str::<Action>(r#"{"kind":"shell","command":"rm"}"#).is_err());
    }
}
