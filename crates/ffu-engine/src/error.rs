//! What can be wrong with a run itself, apart from its steps.

use camino::Utf8PathBuf;

/// Errors of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal could not be written, so nothing further was done.
    #[error(
        "{path}: the journal cannot be written ({reason}), so nothing further was done\n  next: make room or mend the disk, then `ffu resume`"
    )]
    JournalWrite {
        /// The file.
        path: Utf8PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The journal is damaged.
    #[error(
        "{path}: line {line} of the journal is damaged ({reason}); what it held is not guessed at\n  next: look at the line; `ffu rollback` still works from the checkpoint if you remove everything from that line on"
    )]
    JournalDamaged {
        /// The file.
        path: Utf8PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file of the state directory.
    #[error("{path}: {reason}\n  next: check the permissions of the state directory (--state-dir)")]
    State {
        /// The file.
        path: Utf8PathBuf,
        /// The system's words.
        reason: String,
    },
    /// Another process holds the cloud.
    #[error(
        "another ffu works on this cloud: {holder}\n  next: `ffu status` shows what it does; wait for it, or stop it with Ctrl-C where it runs"
    )]
    Locked {
        /// What the lock file says.
        holder: String,
    },
    /// A run of this cloud is not finished.
    #[error(
        "run {run} of this cloud is {state}; two runs would undo each other\n  next: `ffu resume {run}`, `ffu rollback {run}` or `ffu accept {run}`"
    )]
    Unfinished {
        /// The run.
        run: String,
        /// Its state.
        state: String,
    },
    /// There is no such run.
    #[error("there is no run {run} in {directory}\n  next: `ffu status` lists the runs")]
    NoSuchRun {
        /// The run.
        run: String,
        /// Where it was looked for.
        directory: Utf8PathBuf,
    },
    /// There is no run at all.
    #[error("there is no run in {directory}\n  next: `ffu run PLAN` starts one")]
    NoRuns {
        /// Where it was looked for.
        directory: Utf8PathBuf,
    },
    /// The run is in a state that does not allow what was asked.
    #[error("run {run} is {state}: {reason}\n  next: {next}")]
    WrongState {
        /// The run.
        run: String,
        /// Its state.
        state: String,
        /// Why not.
        reason: String,
        /// What to type.
        next: String,
    },
    /// `--from` names something that cannot be the place to go on.
    #[error("cannot go on from {step}: {reason}\n  next: `ffu status` shows which steps are done, failed and open")]
    BadFrom {
        /// The step.
        step: String,
        /// Why not.
        reason: String,
    },
    /// The plan of the run is not the plan that was started.
    #[error(
        "{path}: the run's plan was changed after it was started\n  next: `ffu rollback` still works; a changed plan is never run"
    )]
    PlanChanged {
        /// The file.
        path: Utf8PathBuf,
    },
}
