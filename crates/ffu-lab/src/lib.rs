//! The lab: a throwaway real cloud on this machine, to fast-forward and to throw away.
//!
//! A private MariaDB, the seven projects' databases made by their own commands at a series, real configuration files, and
//! contents that the projects' own code has put in (`seeds/`). Keystone and placement really serve; agents cannot run
//! without a hypervisor and a broker, so processes stand in for them whose only virtue is to stay.
//!
//! [`dataplane`] adds guests in network namespaces that stand for its instances, for something to be measured by a watch.
//!
//! It is also where a service of the catalog becomes a unit file ([`unit_for`], [`retarget`]), which the engine uses to
//! start the target's services.

mod beside;
mod bulk;
mod config;
mod contents;
pub mod dataplane;
mod down;
mod error;
mod graph;
mod http;
mod layout;
mod options;
mod ports;
mod secrets;
mod seeds;
mod status;
mod steps;
mod unit;
mod up;

pub use contents::Content;
pub use down::{Removed, down};
pub use error::{CommandFailure, LabError};
pub use http::{ResourceProvider, providers, token};
pub use layout::{FORMAT, Lab, LabFile, LabState, Ports};
pub use options::{Environments, LabEvent, LabOptions, PlainEnvironments};
pub use secrets::Secrets;
pub use status::{DatabaseStatus, LabStatus, UnitReport};
pub use unit::{retarget, unit_for};
pub use up::up;
