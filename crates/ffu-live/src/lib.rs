//! What people see of a watch: the terminal view, plain lines, the live page with its events and metrics, the report file.
//!
//! Everything is drawn from a [`ffu_model::watch::Snapshot`]; nothing here measures or judges, and nothing here prints.

pub mod budgets;
mod error;
#[cfg(test)]
#[path = "../examples/made/mod.rs"]
mod made;
mod metrics;
mod page;
pub mod plain;
pub mod report;
pub mod server;
mod spark;
pub mod terminal;
pub mod words;

pub use error::LiveError;
pub use metrics::metrics;
