//! Commands and services on a host: a local command run so that nothing is lost of it, and the service managers that the
//! freeze and the deploy phase talk to.
//!
//! Nothing here knows OpenStack. Everything a command or a service prints goes to a file in full; everything that is
//! started is either ended and reaped or recorded so that a later process can tell with certainty whether it lives.

mod detach;
pub mod holders;
pub mod http;
pub mod process;
mod proctable;
mod runfiles;
pub mod services;
mod supervisor;
mod systemd;
mod unitfile;

pub use ffu_model::stop::{StopFlag, StopLevel};
pub use holders::{HolderError, end_holders, holders, still_running, wait_until_free};
pub use http::{HttpError, get_status};
pub use process::{Adopted, Exit, Finished, ProcessError, Spec, create_output, exit_of, run, take_lock};
pub use proctable::ticks_at_start;
pub use services::{Probe, ServiceError, ServiceManager, UnitInfo, UnitStatus};
pub use supervisor::Supervisor;
pub use systemd::Systemd;
pub use unitfile::{UnitFile, UnitProbe};
