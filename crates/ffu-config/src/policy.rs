//! Policy files of oslo.policy: read as oslo.policy reads them, carried from one series to another, rules explained.
//!
//! A policy file goes wrong silently: a rule under a name that the service no longer knows is ignored, a check that cannot
//! be read denies everybody, an empty one admits everybody. So the migration compares, rule by rule, what a request needed
//! before with what it needs afterwards, by the rules of the oslo.policy of either series, and names each difference.

pub mod check;
pub mod engine;
pub mod error;
pub mod explain;
pub mod file;
pub mod history;
pub mod migrate;
pub mod value;
mod yaml;

pub use check::Check;
pub use engine::{Enforcer, Engine, Meaning, Settings};
pub use error::PolicyError;
pub use explain::{Chapter, Life, Was, explain};
pub use file::{Entry, Format, Layout, PolicyFile};
pub use history::{Carried, History, Stage};
pub use migrate::{Input, MigrateError, Migrated, Outcome, Proof, Request, migrate};
