//! Rows as they come over the wire, as the statements that make them again.

use mysql::consts::ColumnType;
use mysql::{Row, Value};

use crate::quote::literal;

/// A statement is sent when it is about so long.
pub(super) const BATCH: usize = 1 << 20;
/// `binary` as a column's character set (mysql: `SELECT ID FROM information_schema.COLLATIONS WHERE COLLATION_NAME = 'binary'`).
const BINARY: u16 = 63;

/// `INSERT` statements of one table that grow row by row.
pub(super) struct Inserts {
    head: String,
    text: String,
    /// Rows in the present statement.
    pub pending: u64,
}

impl Inserts {
    /// `table` and `columns` are quoted.
    pub(super) fn new(table: &str, columns: &[String]) -> Self {
        Inserts {
            head: format!("INSERT INTO {table} ({}) VALUES ", columns.join(",")),
            text: String::new(),
            pending: 0,
        }
    }

    /// Adds a row; gives the statement when it is long enough.
    pub(super) fn add(&mut self, row: &Row) -> Option<(String, u64)> {
        if self.pending == 0 {
            self.text.push_str(&self.head);
        } else {
            self.text.push(',');
        }
        self.text.push('(');
        for (at, column) in row.columns_ref().iter().enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            match row.as_ref(at) {
                None | Some(Value::NULL) => self.text.push_str("NULL"),
                Some(Value::Bytes(bytes)) => value(&mut self.text, bytes, column.column_type(), column.character_set()),
                Some(other) => self.text.push_str(&other.as_sql(false)),
            }
        }
        self.text.push(')');
        self.pending += 1;
        if self.text.len() < BATCH { None } else { self.take() }
    }

    /// What is left.
    pub(super) fn take(&mut self) -> Option<(String, u64)> {
        let rows = std::mem::take(&mut self.pending);
        (rows > 0).then(|| (std::mem::take(&mut self.text), rows))
    }
}

fn value(text: &mut String, bytes: &[u8], kind: ColumnType, charset: u16) {
    use ColumnType as C;
    let as_text = std::str::from_utf8(bytes);
    match (kind, as_text) {
        (
            C::MYSQL_TYPE_TINY
            | C::MYSQL_TYPE_SHORT
            | C::MYSQL_TYPE_LONG
            | C::MYSQL_TYPE_LONGLONG
            | C::MYSQL_TYPE_INT24
            | C::MYSQL_TYPE_FLOAT
            | C::MYSQL_TYPE_DOUBLE
            | C::MYSQL_TYPE_DECIMAL
            | C::MYSQL_TYPE_NEWDECIMAL
            | C::MYSQL_TYPE_YEAR,
            Ok(number),
        ) => text.push_str(number),
        (
            C::MYSQL_TYPE_DATE
            | C::MYSQL_TYPE_NEWDATE
            | C::MYSQL_TYPE_TIME
            | C::MYSQL_TYPE_TIME2
            | C::MYSQL_TYPE_DATETIME
            | C::MYSQL_TYPE_DATETIME2
            | C::MYSQL_TYPE_TIMESTAMP
            | C::MYSQL_TYPE_TIMESTAMP2
            | C::MYSQL_TYPE_JSON,
            Ok(quoted),
        ) => text.push_str(&literal(quoted)),
        (C::MYSQL_TYPE_BIT, _) => hex(text, bytes),
        (_, Ok(quoted)) if charset != BINARY => text.push_str(&literal(quoted)),
        _ => hex(text, bytes),
    }
}

fn hex(text: &mut String, bytes: &[u8]) {
    text.push_str("x'");
    text.push_str(&ffu_model::digest::hex(bytes));
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8], kind: ColumnType, charset: u16) -> String {
        let mut text = String::new();
        value(&mut text, bytes, kind, charset);
        text
    }

    #[test]
    fn values_are_what_they_were() {
        assert_eq!(written(b"-12.5", ColumnType::MYSQL_TYPE_NEWDECIMAL, BINARY), "-12.5");
        assert_eq!(written(b"it's", ColumnType::MYSQL_TYPE_VAR_STRING, 45), "'it\\'s'");
        assert_eq!(written(b"\x00\xff", ColumnType::MYSQL_TYPE_BLOB, BINARY), "x'00ff'");
        assert_eq!(written(b"", ColumnType::MYSQL_TYPE_BLOB, BINARY), "x''");
        assert_eq!(written(b"\xff", ColumnType::MYSQL_TYPE_VAR_STRING, 45), "x'ff'");
        assert_eq!(
            written(b"0000-00-00", ColumnType::MYSQL_TYPE_DATE, BINARY),
            "'0000-00-00'"
        );
    }
}
