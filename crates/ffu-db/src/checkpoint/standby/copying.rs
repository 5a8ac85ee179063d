//! The early copy, made while the cloud is up: chunk by chunk, each one statement that reads without locks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use ffu_model::DatabaseKey;

use super::chunks::{next_bound, range};
use super::side::{self, Side};
use super::state::{Chunk, Copying, TableCopy};
use super::structure::Table;
use super::{Refusal, names, objects, state, structure, verify};
use crate::checkpoint::Target;
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::pace::Pace;
use crate::quote::identifier;

/// Bytes of a chunk: what one change costs to copy again, and how long a statement is.
const CHUNK_BYTES: u64 = 8 << 20;
/// How often the state is written down.
const SAVED_EVERY: Duration = Duration::from_secs(2);

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

/// Rows of a chunk.
pub(super) fn chunk_rows(table: &Table) -> u64 {
    (CHUNK_BYTES / table.width().max(16)).clamp(200, 100_000)
}

/// Copies databases beside themselves, as far as that can be done while they are in use, and compares them. What an earlier
/// attempt left is gone on with. `limit` is in bytes a second over all databases.
///
/// Nothing is locked and nothing of the databases is changed; a schema a database appears beside them.
///
/// # Errors
/// [`DbError::AlreadyWhole`] if the directory has a whole checkpoint, whose copies must stay as they are;
/// [`DbError::ServerFull`] before or while copying; the copies are then dropped. Those of servers otherwise; what was
/// copied stays for the next attempt.
pub fn prepare(dir: &Utf8Path, targets: &[Target], limit: Option<u64>, options: &Options) -> Result<Prepared, DbError> {
    let control = Control::start(options);
    crate::checkpoint::refuse_whole(dir)?;
    crate::checkpoint::manifest::private_directory(dir)?;
    let (begun, mut refusals) = begin(dir, targets, &state::load(dir)?.unwrap_or_default())?;
    let (mut copying, begun): (Vec<Copying>, Vec<Side>) = begun.into_iter().unzip();
    // First of all where what follows can be found again.
    state::save_connections(dir, targets)?;
    state::save(dir, &copying)?;
    let mut sides = Vec::new();
    for side in begun {
        let Some(reason) = refused(make_schema(&side, &control), &side)? else {
            sides.push(side);
            continue;
        };
        if side.server.schema_exists(&side.copy).unwrap_or(false) {
            side.server.drop_database(&side.copy)?;
        }
        // Those before it have their side already.
        let key = copying.remove(sides.len()).key;
        refusals.push(Refusal { key, reason });
        state::save(dir, &copying)?;
    }
    let copied = side::require_room(&sides)
        .and_then(|()| copy_all(dir, &sides, &mut copying, limit, &control))
        .and_then(|done| verify::compare(dir, &sides, &mut copying, limit, &control).map(|()| done));
    match copied {
        Ok(databases) => Ok(Prepared { databases, refusals }),
        Err(error @ DbError::ServerFull { .. }) => {
            // A full disk is not kept full: the cloud is up, and it is its disk.
            state::discard(dir)?;
            Err(error)
        }
        Err(other) => Err(other),
    }
}

type Begun = (Copying, Side);

/// The databases to copy, each with what an earlier attempt has copied of it; and those that cannot be.
fn begin(dir: &Utf8Path, targets: &[Target], before: &state::State) -> Result<(Vec<Begun>, Vec<Refusal>), DbError> {
    let (mut begun, mut refusals): (Vec<Begun>, _) = (Vec::new(), Vec::new());
    for target in targets {
        let schema = target.access.schema()?;
        let server = target.access.strongest()?;
        if !server.schema_exists(schema)? {
            continue;
        }
        let identity = server.identity()?;
        if begun
            .iter()
            .any(|(other, _)| other.identity == identity && other.schema == schema)
        {
            refusals.push(Refusal {
                key: target.key.clone(),
                reason: format!("its schema {schema} belongs to another database of the plan"),
            });
            continue;
        }
        let (copy, gone) = names(dir, schema);
        let earlier = before
            .databases
            .iter()
            .find(|earlier| earlier.key == target.key && earlier.identity == identity && earlier.copy == copy);
        let mut tables = earlier.map(|earlier| earlier.tables.clone()).unwrap_or_default();
        // Somebody may have dropped the copy: what is made in its place is empty.
        let there = super::table_names(&mut server.open(None)?, &copy)?;
        tables.retain(|name, _| there.contains(name));
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
        begun.push((database, side));
    }
    Ok((begun, refusals))
}

/// Why a copy cannot be made; other errors say nothing about that.
fn refused(made: Result<(), DbError>, side: &Side) -> Result<Option<String>, DbError> {
    match made {
        Ok(()) => Ok(None),
        Err(DbError::NoStandby { reason, .. }) => Ok(Some(reason)),
        Err(DbError::NoAccess { user, .. } | DbError::MissingPrivilege { user, .. }) => Ok(Some(format!(
            "user {user:?} may not make schema {} with all that is in it",
            side.copy
        ))),
        Err(other) => Err(other),
    }
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
    let facts = side.facts()?;
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
        let (mut known, mut anew) = (BTreeMap::new(), Vec::new());
        for (name, table) in &tables {
            let sound = copying[database].sound(name, table, &there).cloned();
            if sound.is_none() {
                anew.push(name);
            }
            known.insert(name.clone(), sound.unwrap_or_else(|| TableCopy::of(table)));
        }
        copying[database].tables = known;
        // First what is known of the copy, then the copy: an attempt may end between the two.
        state::save(dir, copying)?;
        side.drop_others(&mut writer, &there, &tables)?;
        for name in anew {
            side.make_table(&mut writer, name, &tables[name])?;
        }
        done.push(PreparedDatabase {
            key: copying[database].key.clone(),
            copy: side.copy.clone(),
            tables: tables.len(),
            rows: 0,
            bytes: tables.values().map(|table| table.bytes).sum(),
        });
        for (name, table) in tables {
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
    let shared = Mutex::new((std::mem::take(copying), Instant::now()));
    let pace = Pace::new(limit);
    let result = control.each(&works, |work| copy_table(dir, work, &shared, &pace, control));
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
    pace: &Pace,
    control: &Control,
) -> Result<(), DbError> {
    let Work { side, name, table, .. } = work;
    let during = format!("copying {}.{name} ahead of the window", side.schema);
    let lock = || shared.lock().unwrap_or_else(|e| e.into_inner());
    let mut copy = lock().0[work.database].tables.get(name).cloned().unwrap_or_default();
    let mut session = side.writer()?;
    let rows = chunk_rows(table);
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
            // Where values changed places, the window sees to it.
            if let Some(sum) = side.copy_chunk(&mut session, name, table, &condition)? {
                pace.pass(table.bytes_of(sum.rows), control, &during)?;
                copy.chunks[at].sum = Some(sum);
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
