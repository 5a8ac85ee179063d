//! The journal and the executor: run, resume, roll back, accept.
//!
//! The engine decides order, writes intents and outcomes, and knows nothing of databases, services or terminals: these are
//! behind the [`Performer`] it is handed, and whoever shows progress is an observer of the journal's events.

mod error;
mod execute;
mod gate;
mod journal;
mod performer;
mod rollback;
mod rundir;
mod view;

pub use error::EngineError;
pub use execute::{Execution, Scope, execute};
pub use ffu_model::stop::{StopFlag, StopLevel};
pub use gate::{Gate, Open, PROBES_LOST, Permit};
pub use journal::{Journal, read_journal};
pub use performer::{Inspection, Performed, Performer, RollbackAction};
pub use rollback::rollback;
pub use rundir::{CloudLock, RunDirectory, StateDirectory, cloud_key};
pub use view::{RunView, StepState};

#[cfg(test)]
mod tests;
