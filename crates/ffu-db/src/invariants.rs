//! Counts and per-column checksums of a table's rows, comparable across schema changes.
//!
//! One query a table: the number of rows and, for every column, the sum over the rows of a 60-bit hash of (key, value).
//! The order of rows does not matter, NULL and the empty text differ, and what migrations change in form only does not
//! count: character set and collation (compared as UTF-8), the precision of dates (compared with microseconds), the width
//! of integers, VARCHAR against TEXT or ENUM.

mod take;

pub use take::{NotMeasured, Taken, Wanted, Witness, take};

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::DbError;
use crate::quote::identifier;
use crate::server::{Server, Session};
use crate::writes::Evidence;

/// What was measured of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Rows that meet the condition.
    pub rows: u64,
    /// Checksum of every column, decimal.
    pub columns: BTreeMap<String, String>,
    /// What the server knew of writes to the table just before, if that can be told from a later write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
}

/// One difference between two measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Difference {
    /// Another number of rows. Columns are not compared then.
    Rows {
        /// Before.
        before: u64,
        /// After.
        after: u64,
    },
    /// A column's values are not the same.
    Column {
        /// The column.
        column: String,
    },
    /// Nothing is left that could be compared.
    NothingInCommon,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Rows { before, after } => write!(f, "{before} rows before, {after} after"),
            Difference::Column { column } => write!(f, "column {column} has other values"),
            Difference::NothingInCommon => f.write_str("no column is there on both sides"),
        }
    }
}

/// Measures a table. `key` names the columns that identify a row; `filter` is a condition, empty for all rows.
///
/// # Errors
/// [`DbError::UnknownTable`], [`DbError::UnknownColumn`], [`DbError::QueryRefused`] for a condition that is more than one.
pub fn measure(server: &Server, schema: &str, table: &str, filter: &str, key: &[String]) -> Result<Measure, DbError> {
    measure_in(&mut server.open_schema(schema)?, schema, table, filter, key)
}

fn measure_in(
    session: &mut Session,
    schema: &str,
    table: &str,
    filter: &str,
    key: &[String],
) -> Result<Measure, DbError> {
    let during = format!("measuring {schema}.{table}");
    let quoted = identifier("table", table)?;
    if !filter.is_empty()
        && let Some(reason) = ffu_model::query::condition_refusal(filter)
    {
        return Err(DbError::QueryRefused { reason });
    }
    let columns: Vec<(String, String)> = session
        .prepared(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY COLUMN_NAME",
            &[schema, table],
            &during,
        )?
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            (values.next().unwrap_or_default(), values.next().unwrap_or_default())
        })
        .collect();
    if columns.is_empty() {
        return Err(DbError::UnknownTable {
            schema: schema.to_owned(),
            table: table.to_owned(),
        });
    }
    let mut keys = Vec::new();
    for name in key {
        let (column, kind) =
            columns
                .iter()
                .find(|(column, _)| column == name)
                .ok_or_else(|| DbError::UnknownColumn {
                    schema: schema.to_owned(),
                    table: table.to_owned(),
                    column: name.chars().take(64).collect(),
                })?;
        keys.push(marked(&identifier("column", column)?, kind));
    }
    let key = if keys.is_empty() {
        "''".to_owned()
    } else {
        format!("CONCAT_WS(',', {})", keys.join(", "))
    };
    let mut sums = vec!["CAST(COUNT(*) AS CHAR)".to_owned()];
    for (column, kind) in &columns {
        let value = marked(&identifier("column", column)?, kind);
        sums.push(format!(
            "CAST(COALESCE(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS('=', {key}, {value})), 15), 16, 10) AS UNSIGNED)), 0) AS CHAR)"
        ));
    }
    let condition = if filter.is_empty() {
        String::new()
    } else {
        format!(" WHERE ({filter})")
    };
    let sql = format!("SELECT {} FROM {quoted}{condition}", sums.join(", "));
    session.run("SET SESSION TRANSACTION READ ONLY", &during)?;
    let row = session.rows(&sql, &during)?.into_iter().next().unwrap_or_default();
    let mut values = row.into_iter().map(Option::unwrap_or_default);
    let count = values.next().unwrap_or_default();
    let rows = count.parse().map_err(|_| DbError::NotACount {
        found: format!("{count:?}"),
        query: during,
    })?;
    Ok(Measure {
        rows,
        columns: columns.into_iter().map(|(name, _)| name).zip(values).collect(),
        evidence: None,
    })
}

/// A value by its hash, or `N` for NULL: of whatever length it is, the whole text stays shorter than a packet.
fn marked(column: &str, kind: &str) -> String {
    format!("IF({column} IS NULL, 'N', MD5({}))", value_expression(column, kind))
}

/// A column's value as bytes that do not depend on character set, collation or precision.
pub(crate) fn value_expression(column: &str, kind: &str) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "datetime" | "timestamp" => format!("CAST(CAST({column} AS DATETIME(6)) AS BINARY)"),
        "time" => format!("CAST(CAST({column} AS TIME(6)) AS BINARY)"),
        "bit" => format!("CAST({column} + 0 AS BINARY)"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => column.to_owned(),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            format!("CAST(CONVERT({column} USING utf8mb4) AS BINARY)")
        }
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" => format!("ST_AsWKB({column})"),
        _ => format!("CAST(CAST({column} AS CHAR) AS BINARY)"),
    }
}

/// What is not the same before and after, over the columns that are there on both sides and not excepted.
pub fn compare(before: &Measure, after: &Measure, except: &[String]) -> Vec<Difference> {
    if before.rows != after.rows {
        return vec![Difference::Rows {
            before: before.rows,
            after: after.rows,
        }];
    }
    let common: Vec<_> = before
        .columns
        .iter()
        .filter(|(name, _)| !except.contains(name))
        .filter_map(|(name, was)| after.columns.get(name).map(|is| (name, was, is)))
        .collect();
    if common.is_empty() {
        return vec![Difference::NothingInCommon];
    }
    common
        .into_iter()
        .filter(|(_, was, is)| was != is)
        .map(|(name, ..)| Difference::Column { column: name.clone() })
        .collect()
}
