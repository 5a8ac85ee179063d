//! One action of a plan. A step says everything the engine needs; the engine has no choices left to make.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::cloud::{ConnectionRef, DatabaseKey};
use crate::plan::CheckpointMethod;
use crate::series::{Hop, Series};

/// The phases of a run, in their only order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Control plane up: environments, databases and gates are checked, configuration is staged.
    Prepare,
    /// Control plane stopped; agents left alone; in-flight operations drained.
    Freeze,
    /// The way back is made and verified.
    Checkpoint,
    /// Schema, online data migrations, checks and invariants, hop by hop.
    Hops,
    /// Target configuration and services.
    Deploy,
    /// Data-plane nodes; its first step is the point of no return. Runs on `ffu accept`.
    Release,
    /// Unpin, last online migrations, checkpoints dropped. Runs on `ffu accept`.
    Finish,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 7] = [
        Phase::Prepare,
        Phase::Freeze,
        Phase::Checkpoint,
        Phase::Hops,
        Phase::Deploy,
        Phase::Release,
        Phase::Finish,
    ];

    /// Its name in plans and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Freeze => "freeze",
            Phase::Checkpoint => "checkpoint",
            Phase::Hops => "hops",
            Phase::Deploy => "deploy",
            Phase::Release => "release",
            Phase::Finish => "finish",
        }
    }

    /// Whether the phase belongs to `ffu accept`, after the operator's judgement.
    pub fn is_after_acceptance(self) -> bool {
        self >= Phase::Release
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

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

/// A project's command, with everything that decides whether it succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandAction {
    /// The series whose hop environment runs it.
    pub series: Series,
    /// The project.
    pub project: String,
    /// The command's name in the catalog, e.g. `db-sync`.
    pub command: String,
    /// What the command is for; decides how the result is judged.
    pub purpose: Purpose,
    /// Program, looked up in the environment's `bin`.
    pub program: String,
    /// Arguments after the `--config-file` ones. No secret.
    pub arguments: Vec<String>,
    /// Configuration files, in order. `{staged}/…` is the run's staging directory.
    pub config_files: Vec<Utf8PathBuf>,
    /// Where `--config-file` goes: before the arguments (all projects here), or not on the command line at all.
    pub config_style: ConfigStyle,
    /// With [`ConfigStyle::Environment`]: the variable that names the directory of the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_variable: Option<String>,
    /// An option given through a private file of its own, because its value is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Exit codes and what they mean.
    pub exit_codes: Vec<ExitMeaning>,
    /// Regular texts (no patterns): a line of the output that contains one means failure whatever the exit code says.
    pub failure_texts: Vec<String>,
    /// Names of exceptions whose traceback in the output does not mean failure by itself: the exit code decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_exceptions: Vec<String>,
    /// Checks of an upgrade check whose failure says nothing here: they are made elsewhere in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excused_checks: Vec<String>,
    /// Rows that an online migration may find and leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
    /// Schema heads that must be there afterwards; they also decide after a crash.
    pub expect_heads: Vec<ExpectedHeads>,
    /// What proves that the command would change nothing; absent where nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_op: Option<NoOp>,
    /// Whether the command may be run again when it was interrupted.
    pub repeatable: bool,
    /// Service units that must answer while it runs (upgrade checks of nova).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_services: Vec<String>,
}

/// What proves that a command would change nothing, so that it need not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NoOp {
    /// The databases are at these heads already, those of the command's own series.
    Heads(Vec<ExpectedHeads>),
    /// Each of these counts is 0.
    Counts(Vec<PendingCount>),
}

/// A count of rows that a command might have to change; it may count more than that, never less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingCount {
    /// What is counted.
    pub what: String,
    /// The database.
    pub database: DatabaseKey,
    /// A query with one row and one unsigned integer column.
    pub query: String,
}

/// Rows that an online migration reports as needed, and that nothing ever moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leftover {
    /// The migration's name in the table the command prints.
    pub migration: String,
    /// How many rows at most; any number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Why they do not matter, with the source.
    pub reason: String,
}

/// Why a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Moves the schema.
    Schema,
    /// Moves rows in batches until nothing is left.
    OnlineData,
    /// Only looks.
    UpgradeCheck,
}

/// How a program is told its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigStyle {
    /// `--config-file F` for each file, before the arguments.
    Arguments,
    /// No argument; the program finds a directory through an environment variable.
    Environment,
}

/// One option in a private file that follows the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The section.
    pub section: String,
    /// The option, a connection URL.
    pub option: String,
    /// Where its value comes from.
    pub connection: ConnectionRef,
}

/// What an exit code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitMeaning {
    /// The code.
    pub code: i32,
    /// Its meaning.
    pub meaning: Meaning,
    /// In words, with the reason where a known fault is tolerated.
    pub note: String,
}

/// What the engine does after an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// Done.
    Success,
    /// Done, and the operator should read the output.
    Warning,
    /// Not done yet: run it again.
    Again,
    /// Failed.
    Failure,
    /// The program itself crashed, which is a known fault of it and says nothing about the cloud.
    KnownCrash,
}

/// Versions a version table must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedHeads {
    /// The database.
    pub database: DatabaseKey,
    /// Version table or migrate repository, as in [`crate::CloudDatabase::heads`].
    pub name: String,
    /// The versions, sorted.
    pub versions: Vec<String>,
}

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
