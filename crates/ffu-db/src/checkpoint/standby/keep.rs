//! Which tables need not be renamed: small ones whose rows, read now, are those of the checkpoint.
//!
//! A rename costs the server some syncs of its disk, twice a table; most tables of a cloud are small, and untouched by a run.
//! Reading them is cheaper and proves more. Tables that refer to each other stay or go together: InnoDB has a foreign key
//! follow the table it refers to, into whatever schema that goes.

use std::collections::{BTreeMap, BTreeSet};

use super::side::Sessions;
use super::structure::Table;
use super::{SavedCopy, hash};
use crate::control::Control;
use crate::error::DbError;
use crate::server::{Server, Session};

/// Above it renaming is cheaper than reading.
const SMALL: u64 = 1 << 20;

/// Pairs of tables of which one refers to the other, by name, in whichever of the schemas.
fn references(session: &mut Session, schemas: [&str; 3]) -> Result<Vec<(String, String)>, DbError> {
    let rows = session.prepared(
        "SELECT TABLE_NAME, REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA IN (?, ?, ?)",
        &schemas,
        "reading which tables refer to each other",
    )?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut names = row.into_iter().flatten();
            Some((names.next()?, names.next()?))
        })
        .collect())
}

/// All tables that hang together with one that goes.
fn with_neighbours(mut going: BTreeSet<String>, references: &[(String, String)]) -> BTreeSet<String> {
    loop {
        let before = going.len();
        for (one, other) in references {
            if going.contains(one) != going.contains(other) {
                going.insert(one.clone());
                going.insert(other.clone());
            }
        }
        if going.len() == before {
            return going;
        }
    }
}

/// The tables of a database that may stay where they are. `waiting` are those whose copy is at hand.
pub(super) fn unchanged(
    server: &Server,
    session: &mut Session,
    schema: &str,
    saved: &SavedCopy,
    here: &BTreeMap<String, Table>,
    waiting: &[String],
    control: &Control,
) -> Result<BTreeSet<String>, DbError> {
    let references = references(session, [schema, &saved.copy, &saved.gone])?;
    let is_candidate = |name: &String| {
        let same = |table: &Table| {
            let was = saved.fingerprint.tables.get(name);
            table.bytes <= SMALL && was.is_some_and(|was| was.schema_sha256 == table.sha256)
        };
        waiting.contains(name) && here.get(name).is_some_and(same)
    };
    let all: BTreeSet<String> = here.keys().chain(waiting).cloned().collect();
    let going = all.iter().filter(|name| !is_candidate(name)).cloned().collect();
    let going = with_neighbours(going, &references);
    let candidates: Vec<&String> = all.iter().filter(|name| !going.contains(*name)).collect();
    let sessions = Sessions::default();
    let changed = control.each(&candidates, |name| {
        control.check("looking for what the run has changed")?;
        let (Some(table), Some(was)) = (here.get(*name), saved.fingerprint.tables.get(*name)) else {
            return Ok(true);
        };
        let sum = sessions.with(
            || server.open_schema(schema),
            |session| hash::sum(session, schema, name, &table.columns, ""),
        )?;
        Ok(sum.rows != was.rows || sum.hash.to_string() != was.checksum)
    })?;
    let mut all_going = going;
    all_going.extend(
        candidates
            .iter()
            .zip(changed)
            .filter(|(_, changed)| *changed)
            .map(|(name, _)| (*name).clone()),
    );
    let all_going = with_neighbours(all_going, &references);
    Ok(all.into_iter().filter(|name| !all_going.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_refer_to_each_other_go_together() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let references = [
            pair("d", "c"),
            pair("b", "c"),
            pair("b", "a"),
            pair("x", "y"),
            pair("z", "z"),
        ];
        let going = with_neighbours(BTreeSet::from(["a".to_owned()]), &references);
        assert_eq!(going.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(with_neighbours(BTreeSet::new(), &references).is_empty());
    }
}
