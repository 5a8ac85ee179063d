//! Why there is no plan, and what to do next.

use ffu_catalog::PathError;

/// Why a plan cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The path does not exist.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A project's series is not known.
    #[error(
        "{project}: its series is not known, so no path can be planned for it{}\n  next: look at the findings in the cloud \
         file; if you know the series, run `ffu discover` again with --series",
        reason_suffix(reason)
    )]
    UnknownSeries {
        /// The project.
        project: String,
        /// What discovery said about it.
        reason: String,
    },
    /// A rehearsal's file that cannot be read.
    #[error(
        "{file}: not a rehearsal of this program: {reason}\n  next: name the rehearsal.json that `ffu rehearse` wrote"
    )]
    BadRehearsal {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A rehearsal that says nothing about the plan.
    #[error(
        "the rehearsal is of something else: {reason}\n  next: `ffu rehearse` this plan, or plan without --from-rehearsal"
    )]
    OtherRehearsal {
        /// What differs.
        reason: String,
    },
    /// The cloud has no project.
    #[error(
        "the cloud file names no project, so there is nothing to upgrade\n  next: run `ffu discover` on the deployment"
    )]
    Empty,
    /// A finding of the cloud forbids a run.
    #[error("{id}: {message}\n  next: {remedy}")]
    Blocked {
        /// The finding's id.
        id: String,
        /// Its message.
        message: String,
        /// Its remedy.
        remedy: String,
    },
    /// A project that is ahead of the target.
    #[error(
        "{project} is at {series} already, which is ahead of the target {target}: migrations only go forward\n  next: choose \
         {series} or later as the target"
    )]
    Ahead {
        /// The project.
        project: String,
        /// Its series.
        series: String,
        /// The target.
        target: String,
    },
    /// The catalog has no entry for a project of the cloud.
    #[error(
        "the cloud has {project}, which the catalog does not know\n  next: add projects/{project}.toml in an overlay \
         (--catalog DIR), or take the project out of the cloud file"
    )]
    UnknownProject {
        /// The project.
        project: String,
    },
    /// A database that a command needs is not in the cloud.
    #[error(
        "{project}: the {command} command works on the {role} database, which the cloud file does not have\n  next: run \
         `ffu discover` again and read its findings"
    )]
    MissingDatabase {
        /// The project.
        project: String,
        /// The command.
        command: String,
        /// The role.
        role: String,
    },
    /// The catalog does not know the schema heads that a hop must reach.
    #[error(
        "{project}: the catalog has no schema heads for {series}, so a migration to it could not be judged\n  next: run \
         `make heads`, or add them in an overlay (--catalog DIR)"
    )]
    MissingHeads {
        /// The project.
        project: String,
        /// The series.
        series: String,
    },
    /// Two projects wait for each other.
    #[error(
        "the catalog's order of projects at {series} goes round in a circle: {projects}\n  next: `ffu catalog check`"
    )]
    Circle {
        /// The series.
        series: String,
        /// The projects.
        projects: String,
    },
    /// A plan that is not one.
    #[error(
        "{origin}: not a plan of this program: {reason}\n  next: make one with `ffu plan --cloud cloud.toml --to SERIES -o plan.json`"
    )]
    Malformed {
        /// Where it came from.
        origin: String,
        /// What is wrong, with line and column where known.
        reason: String,
    },
    /// Cannot happen for plans made here.
    #[error("the plan could not be written as JSON: {reason}")]
    NotSerialisable {
        /// Why.
        reason: String,
    },
}

fn reason_suffix(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}
