//! The standby copy: the way back as a rename. Before the freeze every table is copied into a schema beside its own; inside
//! the window what changed since is copied again; going back renames the copies to the original names.
//!
//! What is proven, and by what:
//!
//! - *Checkpoint.* Every table is cut into ranges of its key. For each range the rows that lie in the **copy** were counted
//!   and hashed (see `hash`) when it was written. The rows of the **source** are counted and hashed before the freeze, just
//!   after the server was asked what it knows of writes to the table (`verify`), and once more with the control plane
//!   stopped; ranges that differ are copied and compared again. The second reading is spared a table of which the server,
//!   asked again in the window, knows the same: by the time of its last write, its ids and its definition's time, if the
//!   server was not restarted, no clock was set and nothing can have been forgotten (`crate::writes` has the rules, and
//!   the reasons). Whatever is in doubt is read; [`Thoroughness::Full`](super::Thoroughness) reads all. Definitions of all tables
//!   are compared. So source and copy are equal, but for a chance of 2⁻⁶⁰, if nobody wrote to the copy in between. The
//!   copy's schema is new, so that only accounts can that have rights on every schema, or by a pattern that its name happens
//!   to meet.
//!
//!   Tried on MariaDB 10.11 alone; before 10.6 every row is read. Of MySQL 8 its documentation is believed, but for times that are NULL. Of a
//!   Galera cluster two nodes were tried: what a peer writes is stamped when it is applied, and every statement waits for what
//!   peers have committed. Not noticed would be a
//!   clock that is set back and forth between two observations, so that a transaction begins in the very second of a
//!   table's last write, a `table_definition_cache` that is made small and large again in between, and, on a server that does
//!   not keep UTC, a transaction that is open over the hour that summer's end repeats.
//! - *Way back.* Small tables are read: those with the definition, count and hash of the checkpoint stay where they are,
//!   together with all that they refer to. The others are renamed, and are physically those that were proven: InnoDB's table
//!   ids are recorded at the checkpoint, and an id goes with its table through renames and restarts, but not through anything
//!   that builds the table anew (ALTER, TRUNCATE, DROP and CREATE). An id does not say that no row was written. The server
//!   knows when a table was last written, but not from before its start, and not once the table has left its cache: where
//!   that is after the checkpoint, the rows are counted and hashed again. Where the server does not know it, the copy is
//!   taken to be unwritten, as nobody but this program has to do with its schema. The set of tables, every definition,
//!   views, triggers, routines and events are compared with those recorded. All rows are read only with `full`, or where ids
//!   cannot be had: no PROCESS privilege, another node of a cluster.
//!
//! Not kept: the physical row format of tables that were made under another `innodb_default_row_format`, and statistics.

mod chunks;
mod copying;
mod hash;
mod keep;
mod objects;
mod observe;
mod reading;
mod settle;
mod side;
mod state;
mod structure;
mod swap;
mod verify;
mod window;

use ffu_model::DatabaseKey;

pub use chunks::{KeyColumn, KeyForm};
pub use copying::{Prepared, PreparedDatabase, prepare};
pub use hash::Sum;
pub use reading::Reading;
pub(super) use state::{begun, discard};
pub use structure::{Definition, Objects};
pub(super) use swap::swap;
pub(super) use window::complete;

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::error::DbError;
use crate::fingerprint::Fingerprint;
use crate::server::Session;
use crate::url::Access;

/// A copy that was proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCopy {
    /// The schema that holds it.
    pub copy: String,
    /// The schema that takes the migrated tables on the way back.
    pub gone: String,
    /// Default character set of the database.
    pub charset: String,
    /// Default collation.
    pub collation: String,
    /// Which server: see [`Server::identity`]. Ids of tables are comparable on the same only.
    pub identity: String,
    /// The server's host, for clusters whose nodes are one by identity.
    pub node: String,
    /// What it holds; the checksums are those of `hash`.
    pub fingerprint: Fingerprint,
    /// InnoDB's ids of tables and partitions, by name in the dictionary without the schema; empty where they cannot be read.
    pub ids: BTreeMap<String, u64>,
    /// What is no table.
    pub objects: Objects,
    /// The server's time, UTC, when the last row had been written.
    pub proven_at: String,
    /// Rows that were copied again inside the window.
    pub late_rows: u64,
    /// Which of the source's tables were read in the window.
    #[serde(default)]
    pub reading: Reading,
}

/// The names of the schemas of a run, from its checkpoint's directory: two runs never share them.
pub(super) fn names(dir: &Utf8Path, schema: &str) -> (String, String) {
    let tag: String = ffu_model::digest::sha256_hex(dir.as_str().as_bytes())
        .chars()
        .take(8)
        .collect();
    let named = |kind: char| {
        let plain = format!("ffu_{tag}_{kind}_{schema}");
        if plain.chars().count() <= 64 {
            return plain;
        }
        let digest = ffu_model::digest::sha256_hex(schema.as_bytes());
        let head: String = plain.chars().take(64 - 9).collect();
        format!("{head}_{}", digest.chars().take(8).collect::<String>())
    };
    (named('c'), named('g'))
}

pub(super) fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("ffu_") else {
        return false;
    };
    let mut parts = rest.splitn(3, '_');
    parts
        .next()
        .is_some_and(|tag| tag.len() == 8 && tag.chars().all(|c| c.is_ascii_hexdigit()))
        && matches!(parts.next(), Some("c" | "g"))
        && parts.next().is_some_and(|schema| !schema.is_empty())
}

/// Schemas on a server that standby copies of any run have left, sorted.
///
/// # Errors
/// If the server does not answer.
pub fn leftovers(access: &Access) -> Result<Vec<String>, DbError> {
    let all = access.strongest()?.open(None)?.column(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'ffu\\_%' ORDER BY SCHEMA_NAME",
        &[],
        "looking for standby copies",
    )?;
    Ok(all.into_iter().filter(|name| is_ours(name)).collect())
}

/// Why no copy can be made of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The database.
    pub key: DatabaseKey,
    /// Why, without a full stop.
    pub reason: String,
}

/// Names of the base tables of a schema; empty if it is not there.
pub(super) fn table_names(session: &mut Session, schema: &str) -> Result<Vec<String>, DbError> {
    session.column(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME",
        &[schema],
        &format!("listing the tables of {schema}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let (copy, gone) = names(Utf8Path::new("/state/runs/a/checkpoint"), "nova_api");
        assert!(copy.ends_with("_c_nova_api") && gone.ends_with("_g_nova_api") && is_ours(&copy) && is_ours(&gone));
        assert_ne!(copy, names(Utf8Path::new("/state/runs/b/checkpoint"), "nova_api").0);
        let long = |last: &str| names(Utf8Path::new("/a"), &format!("{}{last}", "x".repeat(63))).0;
        assert_eq!(long("a").len(), 64);
        assert_ne!(long("a"), long("b"));
        for other in [
            "ffu_proof_0123456789ab_1",
            "ffu_12345678_x_nova",
            "ffu_1234567_c_nova",
            "ffu_12345678_c_",
            "nova",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
