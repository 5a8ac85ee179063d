//! What a schema is made of, as statements that make it again: tables with their columns and the key by which they are cut
//! into chunks; views, triggers, routines and events.

use std::collections::BTreeMap;

use ffu_model::digest::sha256_hex;
use serde::{Deserialize, Serialize};

use super::chunks::{KeyColumn, key_of};
use crate::error::DbError;
use crate::quote::identifier;
use crate::server::Session;

/// A table as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// `SHOW CREATE TABLE`, whole.
    pub create: String,
    /// SHA-256 of it without the counter.
    pub sha256: String,
    /// `AUTO_INCREMENT=`, where there is one.
    pub counter: Option<u64>,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// The key by which it is cut; empty where there is none that could.
    pub key: Vec<KeyColumn>,
    /// Bytes, as estimated.
    pub bytes: u64,
    /// Rows, as estimated.
    pub rows: u64,
}

impl Table {
    /// Bytes of a row on average, with its share of the indexes.
    pub(super) fn width(&self) -> u64 {
        self.bytes / self.rows.max(1)
    }

    /// Bytes of so many rows.
    pub(super) fn bytes_of(&self, rows: u64) -> u64 {
        rows.saturating_mul(self.width())
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// `DATA_TYPE`, lower case.
    pub kind: String,
    pub charset: Option<String>,
    pub nullable: bool,
    /// Computed by the server, so that it cannot be inserted.
    pub generated: bool,
}

/// A definition that is no table, with the session it was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The statement.
    pub create: String,
    /// Its `sql_mode`, where the server keeps one.
    pub sql_mode: String,
    /// Character set of its text, where the server keeps one.
    pub charset: String,
    /// Collation of the connection, where the server keeps one.
    pub collation: String,
    /// The time zone of an event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
}

/// Views, triggers, routines and events of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// By name.
    pub views: BTreeMap<String, Definition>,
    /// By name.
    pub triggers: BTreeMap<String, Definition>,
    /// By `PROCEDURE name` or `FUNCTION name`.
    pub routines: BTreeMap<String, Definition>,
    /// By name.
    pub events: BTreeMap<String, Definition>,
}

/// What a table is beyond base tables and views, or why its storage cannot be relied on.
pub(super) fn obstacle(session: &mut Session, schema: &str) -> Result<Option<String>, DbError> {
    let rows = session.prepared(
        "SELECT TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE, '') FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE <> 'VIEW' \
         AND (TABLE_TYPE <> 'BASE TABLE' OR ENGINE IS NULL OR ENGINE <> 'InnoDB') ORDER BY TABLE_NAME LIMIT 1",
        &[schema],
        &format!("looking at the tables of {schema}"),
    )?;
    Ok(rows.into_iter().next().map(|row| {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        format!(
            "its table {} is a {} of engine {:?}, not an InnoDB table",
            next(),
            next(),
            next()
        )
    }))
}

/// Every base table.
pub(super) fn tables(session: &mut Session, schema: &str) -> Result<BTreeMap<String, Table>, DbError> {
    let during = format!("reading the structure of {schema}");
    let listed = session.prepared(
        "SELECT TABLE_NAME, CAST(COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) AS CHAR), CAST(COALESCE(TABLE_ROWS, 0) AS CHAR) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'",
        &[schema],
        &during,
    )?;
    let mut columns: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in session.prepared(
        "SELECT TABLE_NAME, COLUMN_NAME, LOWER(DATA_TYPE), CHARACTER_SET_NAME, IS_NULLABLE, COALESCE(GENERATION_EXPRESSION, '') \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION",
        &[schema],
        &during,
    )? {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let table = next().unwrap_or_default();
        columns.entry(table).or_default().push(Column {
            name: next().unwrap_or_default(),
            kind: next().unwrap_or_default(),
            charset: next(),
            nullable: next().as_deref() != Some("NO"),
            generated: !next().unwrap_or_default().is_empty(),
        });
    }
    // Table, key, then its columns in order, each with NULL or the length of its prefix.
    let mut keys: BTreeMap<String, BTreeMap<String, Vec<(String, bool)>>> = BTreeMap::new();
    for row in session.prepared(
        "SELECT TABLE_NAME, INDEX_NAME, COALESCE(COLUMN_NAME, ''), SUB_PART FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = ? AND NON_UNIQUE = 0 AND INDEX_TYPE = 'BTREE' ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
        &[schema],
        &during,
    )? {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let (table, key, column) = (
            next().unwrap_or_default(),
            next().unwrap_or_default(),
            next().unwrap_or_default(),
        );
        let whole = next().is_none();
        keys.entry(table).or_default().entry(key).or_default().push((column, whole));
    }
    let mut found = BTreeMap::new();
    for row in listed {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let name = next();
        let (bytes, rows) = (next().parse().unwrap_or(0), next().parse().unwrap_or(0));
        let create = show(session, "TABLE", schema, &name, 1, &during)?.create;
        let columns = columns.remove(&name).unwrap_or_default();
        let table = Table {
            sha256: sha256_hex(crate::fingerprint::normalised(&create).as_bytes()),
            counter: counter(&create),
            key: key_of(&columns, keys.get(&name)),
            create,
            columns,
            bytes,
            rows,
        };
        found.insert(name, table);
    }
    Ok(found)
}

fn counter(create: &str) -> Option<u64> {
    let last = create.lines().rev().find(|line| line.starts_with(')'))?;
    last.split(' ')
        .find_map(|word| word.strip_prefix("AUTO_INCREMENT="))?
        .parse()
        .ok()
}

/// One `SHOW CREATE`, of which column `at` is the statement.
fn show(
    session: &mut Session,
    kind: &'static str,
    schema: &str,
    name: &str,
    at: usize,
    during: &str,
) -> Result<Definition, DbError> {
    let sql = format!(
        "SHOW CREATE {kind} {}.{}",
        identifier("schema", schema)?,
        identifier("table", name)?
    );
    let row = session.rows(&sql, during)?.into_iter().next().unwrap_or_default();
    let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let create = text(at);
    if create.is_empty() {
        return Err(DbError::NoStandby {
            schema: schema.to_owned(),
            reason: format!(
                "the account may not see the definition of {} {name}",
                kind.to_lowercase()
            ),
        });
    }
    // Name, [mode,] statement, character set, collation: views have no mode of their own.
    let sql_mode = if at >= 2 { text(1) } else { String::new() };
    Ok(Definition {
        create,
        sql_mode,
        charset: text(at + 1),
        collation: text(at + 2),
        // An event has its time zone before the statement.
        time_zone: if at == 3 { text(2) } else { String::new() },
    })
}

/// Everything that is no table.
pub(super) fn objects(session: &mut Session, schema: &str) -> Result<Objects, DbError> {
    let during = format!("reading views, triggers, routines and events of {schema}");
    let mut found = Objects::default();
    let names = |session: &mut Session, sql: &str| session.column(sql, &[schema], &during);
    for name in names(
        session,
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'VIEW'",
    )? {
        let view = show(session, "VIEW", schema, &name, 1, &during)?;
        found.views.insert(name, view);
    }
    for name in names(
        session,
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?",
    )? {
        let trigger = show(session, "TRIGGER", schema, &name, 2, &during)?;
        found.triggers.insert(name, trigger);
    }
    for kind in ["PROCEDURE", "FUNCTION"] {
        let sql = format!(
            "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? AND ROUTINE_TYPE = '{kind}'"
        );
        for name in names(session, &sql)? {
            let routine = show(session, kind, schema, &name, 2, &during)?;
            found.routines.insert(format!("{kind} {name}"), routine);
        }
    }
    for name in names(
        session,
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
    )? {
        let event = show(session, "EVENT", schema, &name, 3, &during)?;
        found.events.insert(name, event);
    }
    Ok(found)
}

impl Table {
    /// Every column that can be inserted, quoted.
    pub(super) fn insertable(&self) -> Result<String, DbError> {
        let names: Result<Vec<String>, DbError> = self
            .columns
            .iter()
            .filter(|column| !column.generated)
            .map(|column| identifier("column", &column.name))
            .collect();
        Ok(names?.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_the_last_line_only() {
        let create = "CREATE TABLE `t` (\n  `a` int COMMENT 'AUTO_INCREMENT=9'\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8";
        assert_eq!(counter(create), Some(7));
        assert_eq!(counter("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB"), None);
    }
}
