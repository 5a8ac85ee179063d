//! `standby.json`: how far the early copy is. It outlives the program, so that a copy that was interrupted goes on.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8Path;
use ffu_model::DatabaseKey;
use serde::{Deserialize, Serialize};

use super::super::Target;
use super::super::manifest::{self, broken};
use super::hash::Sum;
use super::structure::Table;
use crate::error::DbError;
use crate::url::Access;
use crate::writes::Evidence;

const FORMAT: u32 = 1;
const FILE: &str = "standby.json";
const CONNECTIONS: &str = "standby-connections.json";
const MAX_BYTES: u64 = 256 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub format: u32,
    pub databases: Vec<Copying>,
}

/// A database of which a copy is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Copying {
    pub key: DatabaseKey,
    pub identity: String,
    pub schema: String,
    pub copy: String,
    pub gone: String,
    pub tables: BTreeMap<String, TableCopy>,
}

/// A table of which a copy is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableCopy {
    /// Of the definition it was copied with.
    pub sha256: String,
    pub chunks: Vec<Chunk>,
    /// Whether the last chunk has no end, so that all rows are in one.
    pub whole: bool,
    /// What the server knew of the table just before all its chunks were found equal to what the copy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Evidence>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chunk {
    /// The key of its last row; none for the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upto: Option<Vec<String>>,
    /// What the copy holds; none if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<Sum>,
}

impl Copying {
    /// What is known of a table's copy, if that and the copy itself (`there` are those of the copy) have its definition.
    pub(super) fn sound(&self, name: &str, table: &Table, there: &BTreeMap<String, Table>) -> Option<&TableCopy> {
        let is_there = there.get(name).is_some_and(|copy| copy.sha256 == table.sha256);
        self.tables
            .get(name)
            .filter(|copy| is_there && copy.sha256 == table.sha256)
    }
}

impl TableCopy {
    /// Of a table of which nothing is copied yet.
    pub(super) fn of(table: &Table) -> Self {
        TableCopy {
            sha256: table.sha256.clone(),
            ..TableCopy::default()
        }
    }

    /// What the copy holds in all, if that is known.
    pub(super) fn total(&self) -> Option<Sum> {
        let mut total = Sum::default();
        for chunk in &self.chunks {
            total.add(chunk.sum.as_ref()?);
        }
        self.whole.then_some(total)
    }

    /// Forgets what chunks of the copy hold, because that is about to change.
    pub(super) fn forget(&mut self, at: usize) {
        self.verified = None;
        if let Some(chunk) = self.chunks.get_mut(at) {
            chunk.sum = None;
        }
    }

    /// Where a chunk begins.
    pub(super) fn after(&self, at: usize) -> Option<&[String]> {
        self.chunks.get(at.checked_sub(1)?)?.upto.as_deref()
    }
}

/// What an earlier attempt left; nothing if there was none.
pub(super) fn load(dir: &Utf8Path) -> Result<Option<State>, DbError> {
    let path = dir.join(FILE);
    match fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DbError::io("cannot read", &path, error)),
        Ok(metadata) if metadata.len() > MAX_BYTES => return Err(broken(&path, "it is larger than 256 MiB")),
        Ok(_) => {}
    }
    let bytes = fs::read(&path).map_err(|e| DbError::io("cannot read", &path, e))?;
    let state: State = serde_json::from_slice(&bytes).map_err(|e| broken(&path, e.to_string()))?;
    if state.format != FORMAT {
        return Err(broken(
            &path,
            format!("format {} is unknown, this program knows {FORMAT}", state.format),
        ));
    }
    for database in &state.databases {
        // These are dropped: whatever the file says, it is never anything but a copy.
        if !super::is_ours(&database.copy) || !super::is_ours(&database.gone) {
            return Err(broken(
                &path,
                format!("{} and {} are not schemas of copies", database.copy, database.gone),
            ));
        }
    }
    Ok(Some(state))
}

/// The databases of which a copy is begun.
pub(in super::super) fn begun(dir: &Utf8Path) -> Result<Vec<DatabaseKey>, DbError> {
    let state = load(dir)?.unwrap_or_default();
    Ok(state.databases.into_iter().map(|database| database.key).collect())
}

pub(super) fn save(dir: &Utf8Path, databases: &[Copying]) -> Result<(), DbError> {
    let state = State {
        format: FORMAT,
        databases: databases.to_vec(),
    };
    let bytes = serde_json::to_vec(&state).map_err(|e| broken(dir, e.to_string()))?;
    crate::files::write_atomically(&dir.join(FILE), &bytes, 0o600)
}

pub(super) fn save_connections(dir: &Utf8Path, targets: &[Target]) -> Result<(), DbError> {
    let path = dir.join(CONNECTIONS);
    crate::files::write_atomically(&path, &manifest::connections_text(dir, targets)?, 0o600)
}

/// Drops the schemas of all copies. A run that has none is done.
fn drop_schemas(dir: &Utf8Path) -> Result<Vec<String>, DbError> {
    let Some(state) = load(dir)? else { return Ok(Vec::new()) };
    let accesses = manifest::connections_in(&dir.join(CONNECTIONS))?;
    let mut dropped = Vec::new();
    for database in &state.databases {
        let access: &Access = accesses
            .get(&database.key)
            .ok_or_else(|| broken(dir, format!("the connection of {} is missing", database.key)))?;
        let server = access.strongest()?;
        for schema in [&database.copy, &database.gone] {
            if server.schema_exists(schema)? {
                server.drop_database(schema)?;
                dropped.push(schema.clone());
            }
        }
    }
    Ok(dropped)
}

/// Drops the schemas of all copies with what is in them, and forgets them: the list stays until all are dropped. Returns
/// those that were there.
pub(in super::super) fn discard(dir: &Utf8Path) -> Result<Vec<String>, DbError> {
    let dropped = drop_schemas(dir)?;
    for name in [FILE, CONNECTIONS] {
        let path = dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DbError::io("cannot remove", path, error));
            }
            _ => {}
        }
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_names_other_schemas_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(scratch.path()).unwrap();
        assert_eq!(load(dir).unwrap(), None);
        assert_eq!(discard(dir).unwrap(), [] as [&str; 0]);
        let mut copying = Copying {
            key: DatabaseKey::new("nova", "api"),
            identity: String::new(),
            schema: "nova_api".into(),
            copy: "ffu_00112233_c_nova_api".into(),
            gone: "ffu_00112233_g_nova_api".into(),
            tables: BTreeMap::from([(
                "t".into(),
                TableCopy {
                    chunks: vec![
                        Chunk {
                            upto: Some(vec!["1".into()]),
                            sum: Some(Sum {
                                rows: 1,
                                hash: u128::from(u64::MAX) * 8,
                            }),
                        },
                        Chunk::default(),
                    ],
                    whole: true,
                    ..TableCopy::default()
                },
            )]),
        };
        save(dir, std::slice::from_ref(&copying)).unwrap();
        let loaded = load(dir).unwrap().unwrap();
        assert_eq!(loaded.databases, [copying.clone()]);
        assert_eq!(loaded.databases[0].tables["t"].after(1), Some(&["1".to_owned()][..]));
        copying.copy = "nova_api".into();
        save(dir, &[copying]).unwrap();
        assert!(load(dir).unwrap_err().to_string().contains("not schemas of copies"));
        assert!(discard(dir).is_err(), "nothing is dropped by such a list");
    }

    #[test]
    fn a_state_from_before_tables_were_compared_is_read() {
        let text = r#"{"sha256": "00", "chunks": [{"sum": {"rows": 2, "hash": "5"}}], "whole": true}"#;
        let mut copy: TableCopy = serde_json::from_str(text).unwrap();
        assert_eq!(
            (copy.verified.as_ref(), copy.total()),
            (None, Some(Sum { rows: 2, hash: 5 }))
        );
        copy.verified = Some(Evidence::default());
        let again: TableCopy = serde_json::from_str(&serde_json::to_string(&copy).unwrap()).unwrap();
        assert_eq!(again, copy);
        copy.forget(0);
        assert_eq!((copy.verified.as_ref(), copy.total()), (None, None));
    }
}
