//! Tables that somebody else makes in a database while a run works on it. The way back knows nothing of them, and must not
//! destroy them with the run's own: they are put aside, with their rows, in a schema that nothing of `ffu` ever drops.

use std::collections::BTreeMap;

use camino::Utf8Path;
use ffu_model::DatabaseKey;

use super::{manifest, standby};
use crate::error::DbError;
use crate::quote::identifier;
use crate::url::Access;

/// What is kept of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The schema it is kept in.
    pub schema: String,
    /// The tables.
    pub tables: Vec<String>,
}

/// The connections of a checkpoint's databases, as they were when it was made: configuration may have changed since.
///
/// # Errors
/// [`DbError::BadCheckpoint`] if they cannot be read.
pub fn connections(dir: &Utf8Path) -> Result<BTreeMap<DatabaseKey, Access>, DbError> {
    manifest::connections(dir)
}

/// The names of a database's tables, sorted; none if it does not exist.
///
/// # Errors
/// If the server does not answer.
pub fn tables(access: &Access) -> Result<Vec<String>, DbError> {
    standby::table_names(&mut access.strongest()?.open(None)?, access.schema()?)
}

/// Moves these tables of a database, those that are there, into a schema of their own. Gives everything that this run keeps
/// of the database, also from earlier times; `None` if that is nothing. May be repeated.
///
/// # Errors
/// Those of the server; a table of the same name that is kept already is never replaced.
pub fn set_aside(dir: &Utf8Path, access: &Access, names: &[String]) -> Result<Option<Kept>, DbError> {
    let (schema, keep) = (access.schema()?, schema_of(dir, access.schema()?));
    let during = format!("putting tables of {schema} aside");
    let mut session = access.strongest()?.open(None)?;
    let here = standby::table_names(&mut session, schema)?;
    let going: Vec<&String> = names.iter().filter(|name| here.contains(name)).collect();
    if !going.is_empty() {
        let keep = identifier("schema", &keep)?;
        session.run(&format!("CREATE DATABASE IF NOT EXISTS {keep}"), &during)?;
        session.run(
            "SET SESSION foreign_key_checks = 0, SESSION lock_wait_timeout = 120",
            &during,
        )?;
        let from = identifier("schema", schema)?;
        for name in going {
            let name = identifier("table", name)?;
            session.run(&format!("RENAME TABLE {from}.{name} TO {keep}.{name}"), &during)?;
        }
    }
    let tables = standby::table_names(&mut session, &keep)?;
    Ok((!tables.is_empty()).then_some(Kept { schema: keep, tables }))
}

/// Not a name of [`standby`]'s schemas, which are dropped when a run is over.
fn schema_of(dir: &Utf8Path, schema: &str) -> String {
    standby::names(dir, schema).0.replacen("_c_", "_k_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_in_a_schema_that_nothing_drops() {
        let name = schema_of(Utf8Path::new("/runs/a/checkpoint"), "nova_c_api");
        assert!(name.starts_with("ffu_") && name.ends_with("_k_nova_c_api"), "{name}");
        assert!(!standby::is_ours(&name));
    }
}
