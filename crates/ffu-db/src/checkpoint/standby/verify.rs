//! The second look before the freeze: every chunk of the source is compared with what the copy holds, and what the server
//! knew of the table just before is written down. A table of which it knows the same in the window need not be read there.
//!
//! As slow as the copy is told to be, and without locks, too.

use std::sync::Mutex;

use camino::Utf8Path;

use super::chunks::range;
use super::hash;
use super::side::Side;
use super::state::{self, Copying, TableCopy};
use super::structure::{self, Table};
use crate::control::Control;
use crate::error::DbError;
use crate::pace::Pace;
use crate::server::Session;
use crate::writes::{self, Evidence, Now, is_settled, unwritten};

/// Tables that are observed at once hold this many bytes at most, or are one: the longer ago an observation was, the more
/// tables were written since.
const ROUND_BYTES: u64 = 64 << 20;
/// What was written while it was looked at gets another chance.
const PASSES: usize = 2;

/// Some tables of a database that are observed and compared together.
struct Round<'a> {
    database: usize,
    side: &'a Side,
    tables: Vec<(String, Table)>,
}

/// What all lanes share.
struct Shared<'a> {
    dir: &'a Utf8Path,
    copying: Mutex<Vec<Copying>>,
    /// The list of transactions must not be asked for too often: one lane at a time.
    asking: Mutex<()>,
    pace: Pace,
    control: &'a Control<'a>,
}

impl Shared<'_> {
    fn copying<R>(&self, work: impl FnOnce(&mut Vec<Copying>) -> R) -> R {
        work(&mut self.copying.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// What is known of a table's copy.
    fn copy(&self, database: usize, name: &str) -> Option<TableCopy> {
        self.copying(|all| all.get(database)?.tables.get(name).cloned())
    }

    fn set(&self, database: usize, name: &str, copy: TableCopy) {
        self.copying(|all| {
            if let Some(database) = all.get_mut(database) {
                database.tables.insert(name.to_owned(), copy);
            }
        });
    }
}

/// Compares all tables that are not known to be equal, as far as they keep still.
pub(super) fn compare(
    dir: &Utf8Path,
    sides: &[Side],
    copying: &mut Vec<Copying>,
    limit: Option<u64>,
    control: &Control,
) -> Result<(), DbError> {
    let shared = Shared {
        dir,
        copying: Mutex::new(std::mem::take(copying)),
        asking: Mutex::new(()),
        pace: Pace::new(limit),
        control,
    };
    let result = (0..PASSES).try_for_each(|pass| {
        let mut rounds = Vec::new();
        for (database, side) in sides.iter().enumerate() {
            control.check("looking for tables to compare")?;
            rounds.extend(rounds_of(&shared, database, side)?);
        }
        control
            .each(&rounds, |round| compare_round(&shared, round, pass > 0))
            .map(|_| ())
    });
    *copying = shared.copying.into_inner().unwrap_or_else(|e| e.into_inner());
    let saved = state::save(dir, copying);
    result.and(saved)
}

/// The tables of a database that are still to be compared, the largest first.
fn rounds_of<'a>(shared: &Shared<'_>, database: usize, side: &'a Side) -> Result<Vec<Round<'a>>, DbError> {
    let mut session = side.server.open_schema(&side.schema)?;
    let Some(now) = writes::now(&mut session, &side.server, &side.schema)? else {
        return Ok(Vec::new());
    };
    let there = structure::tables(&mut side.writer()?, &side.copy)?;
    let mut tables: Vec<(String, Table)> = structure::tables(&mut session, &side.schema)?.into_iter().collect();
    shared.copying(|all| {
        tables.retain(|(name, table)| {
            let copy = all.get(database).and_then(|copying| copying.sound(name, table, &there));
            // One that is not all there is left to the window.
            copy.is_some_and(|copy| {
                copy.whole && unwritten(copy.verified.as_ref(), Some(&now.moment), now.tables.get(name)).is_err()
            })
        });
    });
    tables.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
    let mut rounds: Vec<Round<'a>> = Vec::new();
    let mut bytes = 0;
    for (name, table) in tables {
        bytes += table.bytes;
        match rounds.last_mut() {
            Some(round) if bytes <= ROUND_BYTES => round.tables.push((name, table)),
            _ => {
                bytes = table.bytes;
                rounds.push(Round {
                    database,
                    side,
                    tables: vec![(name, table)],
                });
            }
        }
    }
    Ok(rounds)
}

/// Observes first and reads then, never the other way round. With `settled_only` those that cannot be told from written ones
/// are not read.
fn compare_round(shared: &Shared<'_>, round: &Round<'_>, settled_only: bool) -> Result<(), DbError> {
    let side = round.side;
    shared.control.check("comparing tables ahead of the window")?;
    let mut session = side.server.open_schema(&side.schema)?;
    let Some(Now {
        moment: at,
        tables: seen,
    }) = writes::now(&mut session, &side.server, &side.schema)?
    else {
        return Ok(());
    };
    let oldest = {
        let _one = shared.asking.lock().unwrap_or_else(|e| e.into_inner());
        writes::oldest_transaction(&mut session)?
    };
    for (name, table) in &round.tables {
        let evidence = seen.get(name).and_then(|seen| {
            let settled = oldest.is_some_and(|oldest| is_settled(&at, seen, oldest));
            settled.then(|| Evidence {
                at: at.clone(),
                seen: seen.clone(),
            })
        });
        if settled_only && evidence.is_none() {
            continue;
        }
        let Some(mut copy) = shared.copy(round.database, name) else {
            continue;
        };
        let changed = changed_chunks(shared, &mut session, side, name, table, &copy)?;
        if changed.is_empty() {
            copy.verified = evidence;
            shared.set(round.database, name, copy);
        } else {
            for at in &changed {
                copy.forget(*at);
            }
            shared.set(round.database, name, copy.clone());
            // First what is known of the copy, then the copy: this may end between the two.
            shared.copying(|all| state::save(shared.dir, all))?;
            copy_again(shared, round, name, table, copy, &changed)?;
        }
    }
    Ok(())
}

/// Which chunks of a table are not as the copy has them. The session is that of the observation: another one may be with
/// another node of a cluster, which does not have the same rows yet.
fn changed_chunks(
    shared: &Shared<'_>,
    session: &mut Session,
    side: &Side,
    name: &str,
    table: &Table,
    copy: &TableCopy,
) -> Result<Vec<usize>, DbError> {
    let during = format!("comparing {}.{name} ahead of the window", side.schema);
    let mut changed = Vec::new();
    for (at, chunk) in copy.chunks.iter().enumerate() {
        shared.control.check(&during)?;
        if chunk.sum.is_some() {
            let condition = range(&table.key, copy.after(at), chunk.upto.as_deref())?;
            let sum = hash::sum(session, &side.schema, name, &table.columns, &condition)?;
            shared.pace.pass(table.bytes_of(sum.rows), shared.control, &during)?;
            if chunk.sum.as_ref() == Some(&sum) {
                continue;
            }
        }
        changed.push(at);
    }
    Ok(changed)
}

/// Copies chunks again, of which the copy is known to hold nothing certain.
fn copy_again(
    shared: &Shared<'_>,
    round: &Round<'_>,
    name: &str,
    table: &Table,
    mut copy: TableCopy,
    changed: &[usize],
) -> Result<(), DbError> {
    let side = round.side;
    let during = format!("copying what changed of {}.{name} ahead of the window", side.schema);
    let mut session = side.writer()?;
    let mut conditions = Vec::new();
    for at in changed {
        let upto = copy.chunks.get(*at).and_then(|chunk| chunk.upto.clone());
        conditions.push((*at, range(&table.key, copy.after(*at), upto.as_deref())?));
    }
    // All that goes before anything that comes: unique values may have changed places.
    for (_, condition) in &conditions {
        shared.control.check(&during)?;
        side.delete_rows(&mut session, name, condition)?;
    }
    for (at, condition) in &conditions {
        shared.control.check(&during)?;
        // Where values changed places, the next look, or the window, sees to it.
        if let Some(sum) = side.copy_chunk(&mut session, name, table, condition)? {
            shared.pace.pass(table.bytes_of(sum.rows), shared.control, &during)?;
            if let Some(chunk) = copy.chunks.get_mut(*at) {
                chunk.sum = Some(sum);
            }
            shared.set(round.database, name, copy.clone());
        }
    }
    Ok(())
}
