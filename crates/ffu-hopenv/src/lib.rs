//! Hop environments: one venv a series with the real packages, built from the catalog's lock, checked before it is used,
//! in which the projects' own commands are run and judged.
//!
//! An environment `envs/SERIES` is a symbolic link. The venv itself is `envs/SERIES@LOCK-NONCE`, built in that place because
//! a venv holds its own path in every script, and it gets its name only when it is whole. Whatever else has an `@` in its
//! name is the rest of a build that did not end, and is removed by the next one.

mod build;
mod check;
mod command;
mod disk;
mod distributions;
mod error;
mod event;
mod install;
mod interpreter;
mod judge;
mod manifest;
mod masking;
mod patches;
mod record;
mod report;
mod store;
mod tables;
mod variables;
mod warm;

pub use build::BuildOptions;
pub use command::{HopEnv, ProjectCommand, RunError};
pub use error::EnvError;
pub use event::{BuildEvent, BuildEventKind, Stage};
pub use interpreter::Interpreter;
pub use judge::{Verdict, judge};
pub use masking::mask_file;
pub use store::{EnvInfo, EnvStore};
pub use warm::{Cold, Programs, Ran, Rest, SeriesWarmth, WarmPool};
