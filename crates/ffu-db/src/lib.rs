//! MariaDB and MySQL: connections as OpenStack services have them, facts, fingerprints, checkpoints and the way back,
//! invariants, copies of tables, and a private server for the lab and for tests.
//!
//! What is read of a deployment (URLs, option files) is secret and stays in `Secret`s; what is written beside a dump is
//! readable by its owner alone; client programs get passwords through private option files only.

pub mod checkpoint;
mod client;
mod control;
pub mod copy;
mod error;
mod facts;
mod files;
pub mod fingerprint;
pub mod invariants;
mod lanes;
pub mod option_file;
pub mod oslo;
mod pace;
mod private;
mod programs;
mod quote;
pub mod resolve;
pub mod server;
pub mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod url;
mod writes;

pub use control::Options;
pub use error::DbError;
pub use facts::Heads;
pub use files::free_bytes;
pub use fingerprint::Fingerprint;
pub use lanes::side_by_side;
pub use resolve::{resolve, resolve_in};
pub use server::{PrivateServer, SchemaFacts, Server, ServerFacts, Settings};
pub use url::{Access, ConnectionUrl, UrlError};
