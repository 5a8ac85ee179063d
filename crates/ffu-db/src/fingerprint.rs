//! What a database holds, in a form that can be compared: definition, row count and content of every table, and the
//! definitions of views, triggers, routines and events.
//!
//! Content is hashed row by row from the values' text, as a client sees them, and the hashes are summed, so the order of
//! rows does not matter. `CHECKSUM TABLE` would be half as slow again faster (1.4 s instead of 2.2 s for half a million
//! instances), but it depends on the server's version and row format, has 32 bits only, and says that a FLOAT has changed
//! when a dump has merely rounded it to the digits that every client gets.

use std::collections::BTreeMap;

use ffu_model::digest::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::control::{Control, Options};
use crate::error::DbError;
use crate::quote::identifier;
use crate::server::{Server, Session};

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFingerprint {
    /// SHA-256 of its definition: columns in order, keys and constraints sorted, without the AUTO_INCREMENT counter.
    pub schema_sha256: String,
    /// Rows, counted.
    pub rows: u64,
    /// Sum of 60-bit hashes of the rows, decimal.
    pub checksum: String,
}

/// A whole database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Tables and sequences by name.
    pub tables: BTreeMap<String, TableFingerprint>,
    /// Views: SHA-256 of the definition.
    pub views: BTreeMap<String, String>,
    /// Triggers likewise.
    pub triggers: BTreeMap<String, String>,
    /// Routines likewise, by `PROCEDURE name` or `FUNCTION name`.
    pub routines: BTreeMap<String, String>,
    /// Events likewise.
    pub events: BTreeMap<String, String>,
    /// SHA-256 over all of it: equal digests, equal databases.
    pub digest: String,
}

impl Fingerprint {
    pub(crate) fn digest_of(&self) -> String {
        let parts = (&self.tables, &self.views, &self.triggers, &self.routines, &self.events);
        // Maps of strings always serialise; an empty text would still differ from every real digest.
        sha256_hex(&serde_json::to_vec(&parts).unwrap_or_default())
    }

    /// Rows over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|table| table.rows).sum()
    }

    /// What differs from `self` to `other`, as sentences; empty if nothing does.
    pub fn diff(&self, other: &Fingerprint) -> Vec<String> {
        let mut sentences = Vec::new();
        for (name, was) in &self.tables {
            match other.tables.get(name) {
                None => sentences.push(format!("table {name} ({} rows) is missing", was.rows)),
                Some(is) => {
                    if is.schema_sha256 != was.schema_sha256 {
                        sentences.push(format!("table {name} has another definition"));
                    }
                    if is.rows != was.rows {
                        sentences.push(format!("table {name} has {} rows instead of {}", is.rows, was.rows));
                    } else if is.checksum != was.checksum {
                        sentences.push(format!(
                            "table {name} has as many rows ({}) with other content",
                            is.rows
                        ));
                    }
                }
            }
        }
        for name in other.tables.keys().filter(|name| !self.tables.contains_key(*name)) {
            sentences.push(format!("table {name} is new"));
        }
        for (kind, was, is) in [
            ("view", &self.views, &other.views),
            ("trigger", &self.triggers, &other.triggers),
            ("routine", &self.routines, &other.routines),
            ("event", &self.events, &other.events),
        ] {
            for (name, definition) in was {
                match is.get(name) {
                    None => sentences.push(format!("{kind} {name} is missing")),
                    Some(now) if now != definition => sentences.push(format!("{kind} {name} has another definition")),
                    Some(_) => {}
                }
            }
            for name in is.keys().filter(|name| !was.contains_key(*name)) {
                sentences.push(format!("{kind} {name} is new"));
            }
        }
        sentences
    }
}

impl Server {
    /// The fingerprint of a database; `None` if it does not exist. Two connections share the tables.
    ///
    /// # Errors
    /// If the server does not answer or the account may not read everything.
    pub fn fingerprint(&self, schema: &str) -> Result<Option<Fingerprint>, DbError> {
        fingerprint(self, schema, &Control::start(&Options::default()))
    }
}

pub(crate) fn fingerprint(server: &Server, schema: &str, control: &Control) -> Result<Option<Fingerprint>, DbError> {
    let Some(mut session) = server.open_existing(schema)? else {
        return Ok(None);
    };
    let during = format!("fingerprinting database {schema}");
    let all = session.prepared(
        "SELECT TABLE_NAME, TABLE_TYPE, CAST(COALESCE(DATA_LENGTH, 0) AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?",
        &[schema],
        &during,
    )?;
    let mut tables = Vec::new();
    let mut views = Vec::new();
    for row in all {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let (name, kind, bytes) = (values.next(), values.next(), values.next());
        let name = name.unwrap_or_default();
        if kind.as_deref() == Some("VIEW") {
            views.push(name);
        } else {
            tables.push((bytes.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0), name));
        }
    }
    // The largest first: then the lanes end at about the same time.
    tables.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let columns = columns(&mut session, schema)?;
    let shared: std::sync::Mutex<Vec<Session>> = std::sync::Mutex::new(Vec::new());
    let taken = |result: &std::sync::Mutex<Vec<Session>>| result.lock().unwrap_or_else(|e| e.into_inner()).pop();
    let parts = control.each(&tables, |(_, name)| {
        control.check(&during)?;
        let mut session = match taken(&shared) {
            Some(session) => session,
            None => server.open_schema(schema)?,
        };
        let table = table(&mut session, schema, name, &columns)?;
        shared.lock().unwrap_or_else(|e| e.into_inner()).push(session);
        Ok((name.clone(), table))
    })?;
    let mut found = Fingerprint {
        tables: parts.into_iter().collect(),
        views: BTreeMap::new(),
        triggers: BTreeMap::new(),
        routines: BTreeMap::new(),
        events: BTreeMap::new(),
        digest: String::new(),
    };
    for name in views {
        let sql = format!("SHOW CREATE VIEW {}", identifier("view", &name)?);
        let definition = second_column(&mut session, &sql, &during)?;
        // Where a server prints the schema it is the present one, which may be a scratch schema.
        let definition = definition.replace(&format!("{}.", identifier("schema", schema)?), "");
        found.views.insert(name, sha256_hex(definition.as_bytes()));
    }
    found.triggers = definitions(
        &mut session,
        "SELECT TRIGGER_NAME, CONCAT_WS('|', ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE) \
         FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?",
        schema,
        &during,
    )?;
    found.routines = definitions(
        &mut session,
        "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS('|', DTD_IDENTIFIER, ROUTINE_DEFINITION, IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE, SQL_MODE) \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? AND ROUTINE_TYPE IN ('PROCEDURE', 'FUNCTION')",
        schema,
        &during,
    )?;
    found.events = definitions(
        &mut session,
        "SELECT EVENT_NAME, CONCAT_WS('|', EVENT_DEFINITION, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, ON_COMPLETION) \
         FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
        schema,
        &during,
    )?;
    found.digest = found.digest_of();
    Ok(Some(found))
}

fn definitions(
    session: &mut Session,
    sql: &str,
    schema: &str,
    during: &str,
) -> Result<BTreeMap<String, String>, DbError> {
    let rows = session.prepared(sql, &[schema], during)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let (name, definition) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
            (name, sha256_hex(definition.as_bytes()))
        })
        .collect())
}

fn second_column(session: &mut Session, sql: &str, during: &str) -> Result<String, DbError> {
    let rows = session.rows(sql, during)?;
    Ok(rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().nth(1))
        .flatten()
        .unwrap_or_default())
}

/// Columns of every table of a schema, each with its data type, in order.
pub(crate) type Columns = BTreeMap<String, Vec<(String, String)>>;

/// One question for a whole schema: asked table by table it would be a third of all questions.
pub(crate) fn columns(session: &mut Session, schema: &str) -> Result<Columns, DbError> {
    let rows = session.prepared(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION",
        &[schema],
        &format!("listing the columns of {schema}"),
    )?;
    let mut columns = Columns::new();
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (table, column, kind) = (next(), next(), next());
        columns.entry(table).or_default().push((column, kind));
    }
    Ok(columns)
}

/// The fingerprint of one table.
pub(crate) fn table(
    session: &mut Session,
    schema: &str,
    name: &str,
    columns: &Columns,
) -> Result<TableFingerprint, DbError> {
    let during = format!("fingerprinting table {schema}.{name}");
    let quoted = identifier("table", name)?;
    let gone = || DbError::UnknownTable {
        schema: schema.to_owned(),
        table: name.to_owned(),
    };
    let columns = columns.get(name).ok_or_else(gone)?;
    let create = second_column(session, &format!("SHOW CREATE TABLE {quoted}"), &during)?;
    let mut parts = Vec::new();
    for (column, kind) in columns {
        let column = identifier("column", column)?;
        let bytes = crate::invariants::value_expression(&column, kind);
        // The length keeps neighbours apart; a long value must not make the whole text longer than a packet.
        parts.push(format!(
            "IF({column} IS NULL, 'N', CONCAT(LENGTH({bytes}), ':', IF(LENGTH({bytes}) > 4096, MD5({bytes}), {bytes})))"
        ));
    }
    let sql = format!(
        "SELECT CAST(COUNT(*) AS CHAR), CAST(COALESCE(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS(',', {})), 15), 16, 10) AS UNSIGNED)), 0) AS CHAR) FROM {quoted}",
        parts.join(", ")
    );
    let mut values = session
        .rows(&sql, &during)?
        .into_iter()
        .flatten()
        .map(Option::unwrap_or_default);
    let rows = values.next().and_then(|text| text.parse().ok()).ok_or_else(gone)?;
    Ok(TableFingerprint {
        schema_sha256: sha256_hex(normalised(&create).as_bytes()),
        rows,
        checksum: values.next().unwrap_or_default(),
    })
}

/// A definition without what says nothing: the counter, and the order of keys and constraints.
pub(crate) fn normalised(create: &str) -> String {
    let mut head = Vec::new();
    let mut keys = Vec::new();
    for line in create.lines() {
        let line = line.trim_end_matches(',');
        if line.starts_with("  ") && !line.starts_with("  `") {
            keys.push(line.to_owned());
        } else if line.starts_with(')') {
            let words: Vec<&str> = line
                .split(' ')
                .filter(|word| !word.starts_with("AUTO_INCREMENT="))
                .collect();
            head.push(words.join(" "));
        } else if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            head.push(format!("CREATE TABLE {rest}"));
        } else {
            head.push(line.to_owned());
        }
    }
    keys.sort();
    head.extend(keys);
    head.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_the_order_of_keys_do_not_matter_columns_do() {
        let one = "CREATE TABLE `t` (\n  `a` int(11),\n  `b` int(11),\n  KEY `x` (`a`),\n  KEY `y` (`b`)\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8";
        let two = "CREATE TABLE `t` (\n  `a` int(11),\n  `b` int(11),\n  KEY `y` (`b`),\n  KEY `x` (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8";
        let three = "CREATE TABLE `t` (\n  `b` int(11),\n  `a` int(11),\n  KEY `y` (`b`),\n  KEY `x` (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8";
        assert_eq!(normalised(one), normalised(two));
        assert_ne!(normalised(one), normalised(three));
    }

    #[test]
    fn differences_are_sentences() {
        let table = |rows, checksum: &str| TableFingerprint {
            schema_sha256: "s".into(),
            rows,
            checksum: checksum.into(),
        };
        let empty = Fingerprint {
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            triggers: BTreeMap::new(),
            routines: BTreeMap::new(),
            events: BTreeMap::new(),
            digest: String::new(),
        };
        let mut one = empty.clone();
        let mut two = empty;
        one.tables = BTreeMap::from([
            ("a".into(), table(1, "1")),
            ("b".into(), table(2, "2")),
            ("c".into(), table(3, "3")),
        ]);
        two.tables = BTreeMap::from([
            ("a".into(), table(1, "9")),
            ("b".into(), table(5, "2")),
            ("d".into(), table(3, "3")),
        ]);
        one.views = BTreeMap::from([("v".into(), "x".into())]);
        assert_eq!(
            one.diff(&two),
            [
                "table a has as many rows (1) with other content",
                "table b has 5 rows instead of 2",
                "table c (3 rows) is missing",
                "table d is new",
                "view v is missing"
            ]
        );
        assert!(one.diff(&one).is_empty());
    }
}
