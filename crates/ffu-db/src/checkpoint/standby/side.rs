//! A schema and its copy, and what is done to the copy.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use camino::Utf8Path;

use super::hash::{self, Sum};
use super::structure::{self, Table};
use crate::error::DbError;
use crate::facts::SchemaFacts;
use crate::quote::identifier;
use crate::server::{Server, Session};
use crate::writes::allowed;

/// Lanes that write neighbouring unique values may lock each other out; the statement of one is then taken back whole.
const DEADLOCK: u16 = 1213;
const DUPLICATE_KEY: u16 = 1062;
const ATTEMPTS: u32 = 50;

/// A table of no database.
pub(super) const PROBE: &str = "ffu_probe_of_ids";

/// A schema and its copy.
#[derive(Clone)]
pub(super) struct Side {
    pub server: Server,
    pub schema: String,
    pub copy: String,
}

impl Side {
    /// A session in the copy that writes what it is told: zeros in counters, rows before those they refer to.
    pub(super) fn writer(&self) -> Result<Session, DbError> {
        let mut session = self.server.open_schema(&self.copy)?;
        let during = "setting up the copy's session";
        session.run(
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', SESSION foreign_key_checks = 0, SESSION lock_wait_timeout = 120",
            during,
        )?;
        // INSERT … SELECT then reads a consistent state without locking a row of the source.
        session.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", during)?;
        let log = session.rows("SELECT @@log_bin, @@session.binlog_format", during)?;
        let log: Vec<String> = log.into_iter().flatten().flatten().collect();
        if matches!(log.as_slice(), [on, format] if on == "1" && format == "STATEMENT") {
            session
                .run("SET SESSION binlog_format = 'ROW'", during)
                .map_err(|_| DbError::NoStandby {
                    schema: self.schema.clone(),
                    reason: "the server's binlog_format is STATEMENT, with which rows cannot be copied without locks"
                        .to_owned(),
                })?;
        }
        if self.server.facts().flavor == "mariadb" {
            // What is in the source stays as it is, whatever its constraints say by now.
            session.run(
                "SET SESSION check_constraint_checks = 0, SESSION innodb_strict_mode = 0",
                during,
            )?;
        }
        Ok(session)
    }

    /// Makes a table in the copy's schema, lets it be looked at, and drops it; nothing where that is not allowed. Should this end between the two,
    /// the next attempt drops it.
    pub(super) fn make_and_drop_table<R>(
        &self,
        look: impl FnOnce(&mut Session) -> Result<R, DbError>,
    ) -> Result<Option<R>, DbError> {
        let during = "making a table that is dropped again";
        let mut session = self.writer()?;
        let drop = format!("DROP TABLE IF EXISTS {PROBE}");
        if allowed(session.run(&drop, during))?.is_none() {
            return Ok(None);
        }
        if allowed(session.run(&format!("CREATE TABLE {PROBE} (id INT) ENGINE=InnoDB"), during))?.is_none() {
            return Ok(None);
        }
        let seen = look(&mut session);
        session.run(&drop, during)?;
        seen.map(Some)
    }

    /// Facts of the schema that is copied.
    pub(super) fn facts(&self) -> Result<SchemaFacts, DbError> {
        let facts = self.server.schema_facts(&self.schema)?;
        facts.ok_or_else(|| DbError::UnknownSchema {
            address: self.server.address(),
            schema: self.schema.clone(),
        })
    }

    /// Drops the copy's tables that the schema does not have; `there` are those of the copy.
    pub(super) fn drop_others(
        &self,
        session: &mut Session,
        there: &BTreeMap<String, Table>,
        tables: &BTreeMap<String, Table>,
    ) -> Result<(), DbError> {
        for name in there.keys().filter(|name| !tables.contains_key(*name)) {
            let sql = format!("DROP TABLE {}", identifier("table", name)?);
            session.run(&sql, &format!("dropping {}.{name}", self.copy))?;
        }
        Ok(())
    }

    /// Makes a table of the copy anew, empty.
    pub(super) fn make_table(&self, session: &mut Session, name: &str, table: &Table) -> Result<(), DbError> {
        let during = format!("making {}.{name}", self.copy);
        let quoted = identifier("table", name)?;
        session.run(&format!("DROP TABLE IF EXISTS {quoted}"), &during)?;
        session.run(&table.create, &during)
    }

    /// Copies a range of rows.
    pub(super) fn copy_rows(
        &self,
        session: &mut Session,
        name: &str,
        table: &Table,
        condition: &str,
    ) -> Result<(), DbError> {
        let columns = table.insertable()?;
        let quoted = identifier("table", name)?;
        let sql = format!(
            "INSERT INTO {}.{quoted} ({columns}) SELECT {columns} FROM {}.{quoted}{condition}",
            identifier("schema", &self.copy)?,
            identifier("schema", &self.schema)?
        );
        patient(session, &sql, &format!("copying rows of {}.{name}", self.schema))
    }

    /// Copies the rows for which a condition holds, and counts and hashes what is in the copy then; nothing if unique values changed places
    /// while this went on, so that two rows wanted one.
    pub(super) fn copy_chunk(
        &self,
        session: &mut Session,
        name: &str,
        table: &Table,
        condition: &str,
    ) -> Result<Option<Sum>, DbError> {
        match self.copy_rows(session, name, table, condition) {
            Ok(()) => hash::sum(session, &self.copy, name, &table.columns, condition).map(Some),
            Err(DbError::Statement {
                code: DUPLICATE_KEY, ..
            }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Deletes a range of the copy's rows; without a condition all of them.
    pub(super) fn delete_rows(&self, session: &mut Session, name: &str, condition: &str) -> Result<(), DbError> {
        let table = format!("{}.{}", identifier("schema", &self.copy)?, identifier("table", name)?);
        // Not TRUNCATE: two of them on tables that refer to each other wait for each other, and MariaDB does not notice.
        let sql = format!("DELETE FROM {table}{condition}");
        patient(session, &sql, &format!("emptying a part of {}.{name}", self.copy))
    }
}

/// Where the data directory can be seen from here it must have room for the copies.
pub(super) fn require_room(sides: &[Side]) -> Result<(), DbError> {
    let mut needed: BTreeMap<String, (u64, &Side)> = BTreeMap::new();
    for side in sides {
        let mut session = side.server.open_schema(&side.schema)?;
        let all: u64 = structure::tables(&mut session, &side.schema)?
            .values()
            .map(|table| table.bytes)
            .sum();
        needed.entry(side.server.facts().datadir.clone()).or_insert((0, side)).0 += all;
    }
    for (directory, (bytes, side)) in needed {
        let url = side.server.url();
        let local = url.socket().is_some() || matches!(url.host(), "localhost" | "127.0.0.1" | "::1");
        let Ok(free) = crate::files::free_bytes(Utf8Path::new(&directory)) else {
            continue;
        };
        // Estimates are a fifth off at times, and the migrations need some room of their own.
        let wanted = bytes + bytes / 4 + (32 << 20);
        if local && free < wanted {
            return Err(DbError::ServerFull {
                address: side.server.address(),
                during: "making room for the standby copies".to_owned(),
                message: format!(
                    "{} MiB free in {directory}, about {} MiB needed",
                    free >> 20,
                    wanted >> 20
                ),
            });
        }
    }
    Ok(())
}

/// A statement that is repeated when another lane was in its way.
fn patient(session: &mut Session, sql: &str, during: &str) -> Result<(), DbError> {
    let mut attempt = 1;
    loop {
        match session.run(sql, during) {
            Err(DbError::Statement { code: DEADLOCK, .. }) if attempt < ATTEMPTS => {
                std::thread::sleep(Duration::from_millis(u64::from(attempt) * 2));
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Sessions of one kind for lanes that take turns; one in which something failed is not used again.
#[derive(Default)]
pub(super) struct Sessions {
    free: Mutex<Vec<Session>>,
}

impl Sessions {
    /// Does something in a free session, or in one that `open` gives.
    pub(super) fn with<R>(
        &self,
        open: impl FnOnce() -> Result<Session, DbError>,
        work: impl FnOnce(&mut Session) -> Result<R, DbError>,
    ) -> Result<R, DbError> {
        let free = || self.free.lock().unwrap_or_else(|e| e.into_inner());
        let taken = free().pop();
        let mut session = match taken {
            Some(session) => session,
            None => open()?,
        };
        let result = work(&mut session)?;
        free().push(session);
        Ok(result)
    }
}
