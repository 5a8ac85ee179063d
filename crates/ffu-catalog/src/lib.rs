//! Knowledge as data.
pub mod types;
