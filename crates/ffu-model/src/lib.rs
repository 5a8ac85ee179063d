//! The nouns every other crate shares: series, hop, cloud, plan, step, journal event.
//!
//! Only data and the small invariants that belong to it. Nothing here reads a file, opens a socket or
//! knows a fact about OpenStack: facts live in the catalog.

pub mod cloud;
pub mod digest;
pub mod event;
pub mod fault;
pub mod finding;
pub mod plan;
pub mod query;
pub mod rehearsal;
pub mod secret;
pub mod series;
pub mod step;
pub mod stop;
pub mod warm;
pub mod watch;

pub use cloud::{
    Cloud, CloudDatabase, CloudProject, CloudService, ConfigFile, ConnectionRef, DatabaseKey, DatabaseServer, FileKind,
};
pub use event::{Event, EventKind, RunState, StepResult};
pub use finding::{Finding, Severity};
pub use plan::{Plan, PlanningReport, Policy};
pub use rehearsal::Rehearsal;
pub use series::{Hop, Series};
pub use step::{Action, Phase, Step};
