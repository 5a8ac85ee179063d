//! oslo.config files and oslo.policy files: read without loss, migrated from one series to another, explained.
//!
//! The crate does no I/O: it is handed bytes and an option catalog, and returns bytes and findings.

pub mod carry;
pub mod check;
pub mod era;
pub mod explain;
pub mod fate;
pub mod finding;
pub mod ini;
pub mod merge;
pub mod migrate;
pub mod policy;
pub mod reading;
pub mod values;
