//! The checksum of a chunk: rows counted, and the sum of 60 bits of the SHA-1 of every row's lossless text.
//!
//! A row's text begins with which columns are NULL and how long every value of variable length is, so that no two rows
//! share it; sums do not depend on the order of rows. Two different sets of rows have the same sum with a chance of 2⁻⁶⁰.
//! Of what the servers offer, SHA-1 is the cheapest that will do: processors have instructions for it, and none for MD5 (OpenSSL
//! on one core with them: MD5 0.7 GB/s, SHA-1 2.0, SHA-256 1.7; without them SHA-256 is the slowest of the three). CRC32 is
//! cheaper still, but linear, and sums of it can miss values that change places.

use serde::{Deserialize, Serialize};

use super::structure::Column;
use crate::error::DbError;
use crate::quote::identifier;
use crate::server::Session;

/// What a chunk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// Sum of the rows' hashes; as text in files, whose numbers end at 64 bits.
    #[serde(with = "text")]
    pub hash: u128,
}

impl Sum {
    pub(super) fn add(&mut self, other: &Sum) {
        self.rows += other.rows;
        // No table has the 2⁶⁸ rows that it would take to overflow.
        self.hash = self.hash.saturating_add(other.hash);
    }
}

mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom("not a number"))
    }
}

/// A value as bytes that lose nothing, within one server.
fn value(column: &str, kind: &str) -> String {
    match kind {
        // The text of a FLOAT is rounded to six digits, that of the equal DOUBLE is exact.
        "float" => format!("({column} + 0e0)"),
        "bit" => format!("({column} + 0)"),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => {
            format!("CONCAT_WS(':', ST_SRID({column}), LENGTH(ST_AsWKB({column})), ST_AsWKB({column}))")
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "binary"
        | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "tinyint" | "smallint" | "mediumint"
        | "int" | "bigint" | "decimal" | "double" | "date" | "datetime" | "timestamp" | "time" | "year" => {
            column.to_owned()
        }
        // json of MySQL, uuid, inet6 and whatever comes.
        _ => format!("CAST({column} AS CHAR)"),
    }
}

fn is_variable(kind: &str) -> bool {
    !matches!(
        kind,
        "tinyint"
            | "smallint"
            | "mediumint"
            | "int"
            | "bigint"
            | "decimal"
            | "double"
            | "float"
            | "bit"
            | "date"
            | "datetime"
            | "timestamp"
            | "time"
            | "year"
    )
}

/// The hash of a row. `careful` hashes every long value by itself, so that no row's text is longer than a packet.
pub(super) fn expression(columns: &[Column], careful: bool) -> Result<String, DbError> {
    let (mut nulls, mut lengths, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for column in columns {
        let quoted = identifier("column", &column.name)?;
        if column.nullable {
            nulls.push(format!("ISNULL({quoted})"));
        }
        if is_variable(&column.kind) {
            lengths.push(format!("LENGTH({quoted})"));
        }
        let plain = value(&quoted, &column.kind);
        let large = matches!(
            column.kind.as_str(),
            "mediumtext" | "longtext" | "mediumblob" | "longblob" | "json"
        );
        values.push(if is_variable(&column.kind) && (careful || large) {
            let most = if careful { 4096 } else { 65_535 };
            format!("IF(LENGTH({quoted}) > {most}, SHA1({plain}), {plain})")
        } else {
            plain
        });
    }
    let mut parts = Vec::new();
    if !nulls.is_empty() {
        parts.push(format!("CONCAT({})", nulls.join(", ")));
    }
    parts.extend(lengths);
    parts.extend(values);
    // A binary separator makes all of it binary: no character set is converted, and none can clash.
    Ok(format!("SHA1(CONCAT_WS(X'2C', {}))", parts.join(", ")))
}

/// What a row counts whose text was longer than a packet, so that the server made it NULL: more than all hashes together.
const TOO_LONG: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// Counts and sums the rows of a table for which a condition holds.
pub(super) fn sum(
    session: &mut Session,
    schema: &str,
    name: &str,
    columns: &[Column],
    condition: &str,
) -> Result<Sum, DbError> {
    let during = format!("comparing {schema}.{name}");
    let table = format!("{}.{}", identifier("schema", schema)?, identifier("table", name)?);
    for careful in [false, true] {
        let hash = expression(columns, careful)?;
        let sql = format!(
            "SELECT CAST(COUNT(*) AS CHAR), CAST(COALESCE(SUM(COALESCE(CAST(CONV(LEFT({hash}, 15), 16, 10) AS UNSIGNED), \
             {TOO_LONG})), 0) AS CHAR) FROM {table}{condition}"
        );
        let rows = session.rows(&sql, &during)?;
        let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
        let rows = values.next().and_then(|text| text.parse().ok());
        let hash = values.next().and_then(|text| text.parse().ok());
        if let (Some(rows), Some(hash)) = (rows, hash)
            && hash < TOO_LONG
        {
            return Ok(Sum { rows, hash });
        }
    }
    Err(DbError::NoStandby {
        schema: schema.to_owned(),
        reason: format!("rows of its table {name} are longer than the server's max_allowed_packet lets it compare"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_length_and_columns_that_are_never_null_no_mark() {
        let column = |name: &str, kind: &str, nullable| Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            charset: None,
            nullable,
            generated: false,
        };
        let columns = [
            column("id", "int", false),
            column("a", "varchar", true),
            column("f", "float", true),
        ];
        assert_eq!(
            expression(&columns, false).unwrap(),
            "SHA1(CONCAT_WS(X'2C', CONCAT(ISNULL(`a`), ISNULL(`f`)), LENGTH(`a`), `id`, `a`, (`f` + 0e0)))"
        );
        assert!(
            expression(&columns, true)
                .unwrap()
                .contains("IF(LENGTH(`a`) > 4096, SHA1(`a`), `a`)")
        );
    }
}
