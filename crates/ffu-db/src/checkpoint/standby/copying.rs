//! The early copy, made while the cloud is up: chunk by chunk, each one statement that reads without locks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_model::DatabaseKey;

use super::chunks::{next_bound, range};
use super::state::{Chunk, Copying, TableCopy};
use super::structure::Table;
use super::{Refusal, hash, names, objects, state, structure};
use crate::checkpoint::Target;
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::quote::identifier;
use crate::server::{Server, Session};

/// Bytes of a chunk: what one change costs to copy again, and how long a statement is.
const CHUNK_BYTES: u64 = 8 << 20;
/// How often the state is written down.
const SAVED_EVERY: Duration = Duration::from_secs(2);
const DUPLICATE_KEY: u16 = 1062;
/// Lanes that write neighbouring unique values may lock each other out; the statement of one is then taken back whole.
const DEADLOCK: u16 = 1213;
const ATTEMPTS: u32 = 50;

/// What the early copy has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Databases that now have a copy.
    pub databases: Vec<PreparedDatabase>,
    /// Databases that cannot have one, with the reason: they are dumped in the window.
    pub refusals: Vec<Refusal>,
}

/// A database that has a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedDatabase {
    /// The database.
    pub key: DatabaseKey,
    /// The schema of the copy.
    pub copy: String,
    /// Tables.
    pub tables: usize,
    /// Rows that were copied.
    pub rows: u64,
    /// Data and index bytes of the database, as the server estimates them.
    pub bytes: u64,
}

/// A schema and its copy.
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

    /// Deletes a range of the copy's rows; without a condition all of them.
    pub(super) fn delete_rows(&self, session: &mut Session, name: &str, condition: &str) -> Result<(), DbError> {
        let table = format!("{}.{}", identifier("schema", &self.copy)?, identifier("table", name)?);
        // Not TRUNCATE: two of them on tables that refer to each other wait for each other, and MariaDB does not notice.
        let sql = format!("DELETE FROM {table}{condition}");
        patient(session, &sql, &format!("emptying a part of {}.{name}", self.copy))
    }
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

/// Rows of a chunk.
pub(super) fn chunk_rows(table: &Table) -> u64 {
    let width = table.bytes / table.rows.max(1);
    (CHUNK_BYTES / width.max(16)).clamp(200, 100_000)
}

/// Not more bytes a second than a limit, over all lanes.
struct Throttle {
    limit: Option<u64>,
    free_at: Mutex<Instant>,
}

impl Throttle {
    fn take(&self, bytes: u64, control: &Control) -> Result<(), DbError> {
        let Some(limit) = self.limit else { return Ok(()) };
        #[allow(clippy::cast_precision_loss)] // a pause need not be exact
        let share = Duration::from_secs_f64(bytes as f64 / limit.max(1) as f64);
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(|e| e.into_inner());
            *free_at = (*free_at).max(Instant::now()) + share;
            *free_at
        };
        while Instant::now() < until {
            control.check("copying ahead of the window")?;
            std::thread::sleep(Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }
}

/// Copies databases beside themselves, as far as that can be done while they are in use. What an earlier attempt left is
/// gone on with. `limit` is in bytes a second over all databases.
///
/// Nothing is locked and nothing of the databases is changed; a schema a database appears beside them.
///
/// # Errors
/// [`DbError::ServerFull`] before or while copying; the copies are then dropped. Those of servers otherwise; what was
/// copied stays for the next attempt.
pub fn prepare(dir: &Utf8Path, targets: &[Target], limit: Option<u64>, options: &Options) -> Result<Prepared, DbError> {
    let control = Control::start(options);
    let mut prepared = Prepared::default();
    let mut sides = Vec::new();
    let mut copying = Vec::new();
    crate::checkpoint::manifest::private_directory(dir)?;
    let before = state::load(dir)?.unwrap_or_default();
    // First of all where what follows can be found again.
    state::save_connections(dir, targets)?;
    for target in targets {
        let schema = target.access.schema()?;
        let server = target.access.strongest()?;
        if !server.schema_exists(schema)? {
            continue;
        }
        let identity = server.identity()?;
        let (copy, gone) = names(dir, schema);
        let tables = before
            .databases
            .iter()
            .find(|earlier| earlier.key == target.key && earlier.identity == identity && earlier.copy == copy)
            .map(|earlier| earlier.tables.clone())
            .unwrap_or_default();
        if copying
            .iter()
            .any(|other: &Copying| other.identity == identity && other.schema == schema)
        {
            prepared.refusals.push(Refusal {
                key: target.key.clone(),
                reason: format!("its schema {schema} belongs to another database of the plan"),
            });
            continue;
        }
        let database = Copying {
            key: target.key.clone(),
            identity,
            schema: schema.to_owned(),
            copy: copy.clone(),
            gone,
            tables,
        };
        let side = Side {
            server,
            schema: schema.to_owned(),
            copy,
        };
        copying.push(database);
        state::save(dir, &copying)?;
        match make_schema(&side, &control) {
            Ok(()) => sides.push(side),
            Err(reason) => {
                let reason = match reason {
                    DbError::NoStandby { reason, .. } => reason,
                    DbError::NoAccess { user, .. } | DbError::MissingPrivilege { user, .. } => {
                        format!("user {user:?} may not make schema {} with all that is in it", side.copy)
                    }
                    other => return Err(other),
                };
                prepared.refusals.push(Refusal {
                    key: target.key.clone(),
                    reason,
                });
                if side.server.schema_exists(&side.copy).unwrap_or(false) {
                    side.server.drop_database(&side.copy)?;
                }
                copying.pop();
                state::save(dir, &copying)?;
            }
        }
    }
    let result = require_room(&sides).and_then(|()| copy_all(dir, &sides, &mut copying, limit, &control));
    match result {
        Ok(databases) => prepared.databases = databases,
        Err(error @ DbError::ServerFull { .. }) => {
            // A full disk is not kept full: the cloud is up, and it is its disk.
            state::discard(dir)?;
            return Err(error);
        }
        Err(other) => return Err(other),
    }
    Ok(prepared)
}

/// Makes the copy's schema and shows that everything of the database can be made in it.
fn make_schema(side: &Side, control: &Control) -> Result<(), DbError> {
    let mut session = side.server.open_schema(&side.schema)?;
    if let Some(reason) = structure::obstacle(&mut session, &side.schema)? {
        return Err(DbError::NoStandby {
            schema: side.schema.clone(),
            reason,
        });
    }
    let facts = side
        .server
        .schema_facts(&side.schema)?
        .ok_or_else(|| DbError::UnknownSchema {
            address: side.server.address(),
            schema: side.schema.clone(),
        })?;
    session.run(
        &format!(
            "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {} COLLATE {}",
            identifier("schema", &side.copy)?,
            facts.charset,
            facts.collation
        ),
        &format!("making the schema of the copy of {}", side.schema),
    )?;
    side.writer()?;
    let all = structure::objects(&mut session, &side.schema)?;
    objects::clear(&side.server, &side.copy, control)?;
    // Views and triggers need their tables: those that the copy does not have yet are made here, empty.
    if all != structure::Objects::default() {
        let tables = structure::tables(&mut session, &side.schema)?;
        let mut writer = side.writer()?;
        let there = super::table_names(&mut writer, &side.copy)?;
        for (name, table) in tables.iter().filter(|(name, _)| !there.contains(*name)) {
            side.make_table(&mut writer, name, table)?;
        }
        objects::rehearse(&side.server, &side.copy, &all, control)?;
    }
    Ok(())
}

/// Where the data directory can be seen from here it must have room for the copies.
fn require_room(sides: &[Side]) -> Result<(), DbError> {
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
        let Ok(status) = nix::sys::statvfs::statvfs(directory.as_str()) else {
            continue;
        };
        let free = status.blocks_available() * status.fragment_size();
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

struct Work<'a> {
    database: usize,
    side: &'a Side,
    name: String,
    table: Table,
}

fn copy_all(
    dir: &Utf8Path,
    sides: &[Side],
    copying: &mut Vec<Copying>,
    limit: Option<u64>,
    control: &Control,
) -> Result<Vec<PreparedDatabase>, DbError> {
    let mut works = Vec::new();
    let mut done = Vec::new();
    for (database, side) in sides.iter().enumerate() {
        let mut session = side.server.open_schema(&side.schema)?;
        let mut writer = side.writer()?;
        let tables = structure::tables(&mut session, &side.schema)?;
        let there = structure::tables(&mut writer, &side.copy)?;
        for name in there.keys().filter(|name| !tables.contains_key(*name)) {
            let sql = format!("DROP TABLE {}", identifier("table", name)?);
            writer.run(&sql, &format!("dropping {}.{name}", side.copy))?;
        }
        copying[database].tables.retain(|name, _| tables.contains_key(name));
        done.push(PreparedDatabase {
            key: copying[database].key.clone(),
            copy: side.copy.clone(),
            tables: tables.len(),
            rows: 0,
            bytes: tables.values().map(|table| table.bytes).sum(),
        });
        for (name, table) in tables {
            let same = there.get(&name).is_some_and(|copy| copy.sha256 == table.sha256);
            let known = copying[database]
                .tables
                .get(&name)
                .is_some_and(|copy| copy.sha256 == table.sha256);
            if !(same && known) {
                side.make_table(&mut writer, &name, &table)?;
                let fresh = TableCopy {
                    sha256: table.sha256.clone(),
                    ..TableCopy::default()
                };
                copying[database].tables.insert(name.clone(), fresh);
            }
            works.push(Work {
                database,
                side,
                name,
                table,
            });
        }
    }
    // The largest first: then the lanes end at about the same time.
    works.sort_by(|a, b| b.table.bytes.cmp(&a.table.bytes).then_with(|| a.name.cmp(&b.name)));
    state::save(dir, copying)?;
    let shared = Mutex::new((std::mem::take(copying), Instant::now()));
    let throttle = Throttle {
        limit,
        free_at: Mutex::new(Instant::now()),
    };
    let result = control.each(&works, |work| copy_table(dir, work, &shared, &throttle, control));
    let (databases, _) = shared.into_inner().unwrap_or_else(|e| e.into_inner());
    *copying = databases;
    // Also after an error: the next attempt begins where this one ended.
    let saved = state::save(dir, copying);
    result?;
    saved?;
    for (at, database) in done.iter_mut().enumerate() {
        let chunks = copying[at].tables.values().flat_map(|table| &table.chunks);
        database.rows = chunks.filter_map(|chunk| chunk.sum.as_ref()).map(|sum| sum.rows).sum();
    }
    Ok(done)
}

fn copy_table(
    dir: &Utf8Path,
    work: &Work<'_>,
    shared: &Mutex<(Vec<Copying>, Instant)>,
    throttle: &Throttle,
    control: &Control,
) -> Result<(), DbError> {
    let Work { side, name, table, .. } = work;
    let during = format!("copying {}.{name} ahead of the window", side.schema);
    let lock = || shared.lock().unwrap_or_else(|e| e.into_inner());
    let mut copy = lock().0[work.database].tables.get(name).cloned().unwrap_or_default();
    let mut session = side.writer()?;
    let rows = chunk_rows(table);
    let width = table.bytes / table.rows.max(1);
    let mut at = 0;
    loop {
        control.check(&during)?;
        if at == copy.chunks.len() {
            if copy.whole {
                break;
            }
            let after = copy.after(at).map(<[String]>::to_vec);
            let upto = next_bound(&mut session, &side.schema, name, &table.key, after.as_deref(), rows)?;
            copy.whole = upto.is_none();
            copy.chunks.push(Chunk { upto, sum: None });
        }
        if copy.chunks[at].sum.is_none() {
            let condition = range(&table.key, copy.after(at), copy.chunks[at].upto.as_deref())?;
            // A chunk whose end was not written down may be there, whole or not at all.
            side.delete_rows(&mut session, name, &condition)?;
            match side.copy_rows(&mut session, name, table, &condition) {
                Ok(()) => {
                    let sum = hash::sum(&mut session, &side.copy, name, &table.columns, &condition)?;
                    throttle.take(sum.rows.saturating_mul(width), control)?;
                    copy.chunks[at].sum = Some(sum);
                }
                // A unique value went from a row that was copied to one that is copied now. The window sees to it.
                Err(DbError::Statement {
                    code: DUPLICATE_KEY, ..
                }) => {}
                Err(other) => return Err(other),
            }
        }
        at += 1;
        let mut shared = lock();
        shared.0[work.database].tables.insert(name.clone(), copy.clone());
        if shared.1.elapsed() > SAVED_EVERY {
            shared.1 = Instant::now();
            state::save(dir, &shared.0)?;
        }
    }
    Ok(())
}
