//! A table cut into ranges of its key, so that what changed in one is found and copied again without the others.
//!
//! The ranges are half open, in the order of the key's own collation, and the last has no end: whatever is inserted, every
//! row is in exactly one of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::structure::Column;
use crate::error::DbError;
use crate::quote::{identifier, is_word, literal};
use crate::server::Session;

/// A column of the key, with how its values are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// How a value is written.
    pub form: KeyForm,
}

/// How the value of a key's column is written in a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// A whole or decimal number.
    Number,
    /// Bytes, as hexadecimal digits.
    Bytes,
    /// Text of a character set, as hexadecimal digits.
    Text(String),
    /// Date or time, in UTC.
    Time,
}

/// The key of a table that can be cut by: the primary key, else a unique one, without NULLs, prefixes and types whose
/// order is not that of their text.
pub(super) fn key_of(columns: &[Column], keys: Option<&BTreeMap<String, Vec<(String, bool)>>>) -> Vec<KeyColumn> {
    let Some(keys) = keys else { return Vec::new() };
    let usable = |parts: &Vec<(String, bool)>| -> Option<Vec<KeyColumn>> {
        parts
            .iter()
            .map(|(name, whole)| {
                let column = columns.iter().find(|column| column.name == *name)?;
                let form = match column.kind.as_str() {
                    "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => KeyForm::Number,
                    "binary" | "varbinary" => KeyForm::Bytes,
                    "char" | "varchar" => KeyForm::Text(column.charset.clone().filter(|name| is_word(name))?),
                    "date" | "datetime" | "timestamp" => KeyForm::Time,
                    _ => return None,
                };
                (*whole && !column.nullable).then(|| KeyColumn {
                    name: name.clone(),
                    form,
                })
            })
            .collect()
    };
    let primary = keys.get("PRIMARY");
    if primary.is_some() {
        return primary.and_then(usable).unwrap_or_default();
    }
    keys.values().find_map(usable).unwrap_or_default()
}

impl KeyColumn {
    /// The expression by which a bound is read.
    fn read(&self) -> Result<String, DbError> {
        let name = identifier("column", &self.name)?;
        Ok(match self.form {
            KeyForm::Number | KeyForm::Time => format!("CAST({name} AS CHAR)"),
            KeyForm::Bytes | KeyForm::Text(_) => format!("HEX({name})"),
        })
    }

    /// A value that was read, in a condition. What is no such value becomes NULL, which no row meets.
    fn written(&self, value: &str) -> String {
        let hex = value.len().is_multiple_of(2) && value.chars().all(|c| c.is_ascii_hexdigit());
        match &self.form {
            KeyForm::Number => {
                let number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.');
                if number { value.to_owned() } else { "NULL".to_owned() }
            }
            KeyForm::Time => literal(value),
            KeyForm::Bytes if hex => format!("X'{value}'"),
            KeyForm::Text(charset) if hex && is_word(charset) => format!("_{charset} X'{value}'"),
            KeyForm::Bytes | KeyForm::Text(_) => "NULL".to_owned(),
        }
    }
}

/// ` WHERE …` for the rows after one bound up to and including another; empty where there is no bound.
pub(super) fn range(key: &[KeyColumn], after: Option<&[String]>, upto: Option<&[String]>) -> Result<String, DbError> {
    let mut conditions = Vec::new();
    if let Some(bound) = after {
        conditions.push(beyond(key, bound, ">", false)?);
    }
    if let Some(bound) = upto {
        conditions.push(beyond(key, bound, "<", true)?);
    }
    Ok(if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    })
}

/// `(a > x OR (a = x AND b > y))`: the form that the servers' range optimizers understand; they do not understand rows.
fn beyond(key: &[KeyColumn], bound: &[String], operator: &str, inclusive: bool) -> Result<String, DbError> {
    let mut alternatives = Vec::new();
    for (at, (column, value)) in key.iter().zip(bound).enumerate() {
        let mut terms = Vec::new();
        for (earlier, value) in key.iter().zip(bound).take(at) {
            terms.push(format!(
                "{} = {}",
                identifier("column", &earlier.name)?,
                earlier.written(value)
            ));
        }
        let last = at + 1 == key.len();
        terms.push(format!(
            "{} {operator}{} {}",
            identifier("column", &column.name)?,
            if inclusive && last { "=" } else { "" },
            column.written(value)
        ));
        alternatives.push(if terms.len() == 1 {
            terms.remove(0)
        } else {
            format!("({})", terms.join(" AND "))
        });
    }
    Ok(format!("({})", alternatives.join(" OR ")))
}

/// The key of the `rows`-th row after a bound; `None` if there are not so many, or the table cannot be cut.
pub(super) fn next_bound(
    session: &mut Session,
    schema: &str,
    table: &str,
    key: &[KeyColumn],
    after: Option<&[String]>,
    rows: u64,
) -> Result<Option<Vec<String>>, DbError> {
    if key.is_empty() {
        return Ok(None);
    }
    let (mut expressions, mut order) = (Vec::new(), Vec::new());
    for column in key {
        expressions.push(column.read()?);
        order.push(identifier("column", &column.name)?);
    }
    let sql = format!(
        "SELECT {} FROM {}.{}{} ORDER BY {} LIMIT 1 OFFSET {}",
        expressions.join(", "),
        identifier("schema", schema)?,
        identifier("table", table)?,
        range(key, after, None)?,
        order.join(", "),
        rows.saturating_sub(1)
    );
    let row = session
        .rows(&sql, &format!("cutting {schema}.{table}"))?
        .into_iter()
        .next();
    // A bound with a NULL in it cannot come of such a key; without a bound the rest is one chunk.
    Ok(row.and_then(|values| values.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str, nullable: bool) -> Column {
        Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            charset: (kind == "varchar").then(|| "utf8mb3".to_owned()),
            nullable,
            generated: false,
        }
    }

    #[test]
    fn ranges_meet_without_a_gap() {
        let key = [
            KeyColumn {
                name: "a".into(),
                form: KeyForm::Text("utf8mb3".into()),
            },
            KeyColumn {
                name: "b".into(),
                form: KeyForm::Number,
            },
        ];
        let bound = ["41".to_owned(), "7".to_owned()];
        assert_eq!(range(&key, None, None).unwrap(), "");
        assert_eq!(
            range(&key, Some(&bound), Some(&bound)).unwrap(),
            " WHERE (`a` > _utf8mb3 X'41' OR (`a` = _utf8mb3 X'41' AND `b` > 7)) AND (`a` < _utf8mb3 X'41' OR (`a` = _utf8mb3 X'41' AND `b` <= 7))"
        );
    }

    #[test]
    fn only_keys_with_a_plain_order_are_cut_by() {
        let columns = [
            column("id", "int", false),
            column("u", "varchar", false),
            column("n", "varchar", true),
            column("f", "float", false),
        ];
        let keys = |list: &[(&str, &str, bool)]| -> BTreeMap<String, Vec<(String, bool)>> {
            let mut keys: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
            for (key, column, whole) in list {
                keys.entry((*key).to_owned())
                    .or_default()
                    .push(((*column).to_owned(), *whole));
            }
            keys
        };
        let names = |list: &[(&str, &str, bool)]| -> Vec<String> {
            key_of(&columns, Some(&keys(list)))
                .into_iter()
                .map(|column| column.name)
                .collect()
        };
        assert_eq!(names(&[("PRIMARY", "id", true), ("a", "u", true)]), ["id"]);
        assert_eq!(names(&[("a", "n", true), ("b", "u", true)]), ["u"]);
        assert!(names(&[("PRIMARY", "f", true), ("b", "u", true)]).is_empty());
        assert!(names(&[("PRIMARY", "u", false)]).is_empty());
        assert!(key_of(&columns, None).is_empty());
    }

    #[test]
    fn a_state_file_cannot_put_anything_else_into_a_statement() {
        let text = KeyColumn {
            name: "a".into(),
            form: KeyForm::Text("utf8mb3".into()),
        };
        let number = KeyColumn {
            name: "a".into(),
            form: KeyForm::Number,
        };
        for hostile in ["' OR 1", "1; DROP", "zz", "1 OR 1"] {
            assert_eq!(text.written(hostile), "NULL");
            assert_eq!(number.written(hostile), "NULL");
        }
    }
}
