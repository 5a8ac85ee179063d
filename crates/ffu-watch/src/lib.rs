//! The watch: probes of the data plane, what became of them, outages, budgets.
//!
//! Probers (`agent`) run as processes of their own, one a vantage point, and send [`Entry`]s home; everything that is concluded
//! from them (`tally`) is pure, so that a record that is read again gives the same answer as the watch gave.

pub mod agent;
pub mod clock;
mod error;
pub mod frame;
pub mod instances;
pub mod judge;
mod outlet;
pub mod record;
pub mod replay;
pub mod session;
mod ssh;
pub mod tally;
pub mod targets;
pub mod vantage;
pub mod workload;

pub use error::WatchError;

use ffu_model::watch::{Fate, Notice};

/// A row as a database hands it over.
pub type Row = Vec<Option<String>>;

/// One thing that the watch saw: what records hold and tallies take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// What became of a probe.
    Fate(Fate),
    /// Anything else.
    Notice(Notice),
}
