//! What people see of a watch: the terminal view, the live page with its events and metrics, the report page.
//!
//! Everything is drawn from a [`ffu_model::watch::Snapshot`]; nothing here measures or judges.
