//! What is left for the window: every chunk of the source against its copy, but those of tables that are known not to have
//! been written since they were compared; and what changed copied again.

use std::collections::BTreeMap;

use camino::Utf8Path;
use ffu_model::DatabaseKey;

use super::chunks::{next_bound, range};
use super::copying::chunk_rows;
use super::hash::Sum;
use super::settle::settle;
use super::side::{Sessions, Side};
use super::state::{Chunk, Copying, TableCopy};
use super::structure::Table;
use super::{Reading, SavedCopy, hash, observe, state, structure};
use crate::checkpoint::{Target, Thoroughness};
use crate::control::Control;
use crate::error::DbError;
use crate::fingerprint::{Fingerprint, TableFingerprint};
use crate::quote::identifier;
use crate::server::Session;
use crate::writes::{self, Doubt, Moment, unwritten};

/// A database with a copy, at the beginning of the window.
struct Open {
    /// What is known of the copy, with every table of the source and all its chunks.
    copying: Copying,
    side: Side,
    tables: BTreeMap<String, Table>,
    /// Those of the copy.
    there: BTreeMap<String, Table>,
    /// Names of tables that the copy does not have as they are now.
    anew: Vec<String>,
    /// What those tables hold that need not be read.
    known: BTreeMap<String, Sum>,
    reading: Reading,
    sessions: Sessions,
}

impl Open {
    fn session<R>(&self, work: impl FnOnce(&mut Session) -> Result<R, DbError>) -> Result<R, DbError> {
        self.sessions.with(|| self.side.writer(), work)
    }
}

/// One chunk to compare.
struct Item<'a> {
    open: &'a Open,
    name: &'a str,
    table: &'a Table,
    /// Which of the table's chunks.
    at: usize,
    condition: String,
    /// What the copy holds, where it is known.
    copied: Option<&'a Sum>,
}

/// Finishes the copies of those databases that have one, with nobody writing any more, and proves them equal to their
/// sources. Databases without a copy are left out.
pub(in super::super) fn complete(
    dir: &Utf8Path,
    targets: &[Target],
    thoroughness: Thoroughness,
    control: &Control,
) -> Result<BTreeMap<DatabaseKey, SavedCopy>, DbError> {
    let Some(mut begun) = state::load(dir)? else {
        return Ok(BTreeMap::new());
    };
    let mut opened = Vec::new();
    for target in targets {
        let schema = target.access.schema()?;
        let Some(copying) = begun
            .databases
            .iter()
            .find(|d| d.key == target.key && d.schema == schema)
        else {
            continue;
        };
        let server = target.access.strongest()?;
        if server.identity()? != copying.identity || !server.schema_exists(schema)? {
            continue;
        }
        let side = Side {
            server,
            schema: schema.to_owned(),
            copy: copying.copy.clone(),
        };
        opened.push((copying.clone(), side));
    }
    let opened = control.each(&opened, |(copying, side)| look(copying, side, thoroughness, control))?;
    let mut items = Vec::new();
    for open in &opened {
        for (name, table) in &open.tables {
            let Some(copy) = open.copying.tables.get(name).filter(|_| !open.known.contains_key(name)) else {
                continue;
            };
            for (at, chunk) in copy.chunks.iter().enumerate() {
                items.push(Item {
                    open,
                    name,
                    table,
                    at,
                    condition: range(&table.key, copy.after(at), chunk.upto.as_deref())?,
                    copied: chunk.sum.as_ref(),
                });
            }
        }
    }
    // The largest tables first, as everywhere.
    items.sort_by_key(|item| std::cmp::Reverse(item.table.bytes));
    let sums = control.each(&items, |item| {
        control.check("comparing the copy with its source")?;
        item.open.session(|session| {
            hash::sum(
                session,
                &item.open.side.schema,
                item.name,
                &item.table.columns,
                &item.condition,
            )
        })
    })?;
    let changed: Vec<(&Item<'_>, &Sum)> = items
        .iter()
        .zip(&sums)
        .filter(|(item, sum)| item.copied != Some(*sum))
        .collect();
    if !changed.is_empty() || opened.iter().any(|open| !open.anew.is_empty()) {
        // First what is known of the copies, then the copies: should this end between the two, and the source be by then as
        // the early copy found it, the next attempt must not take them for what they were.
        for open in &opened {
            let mut known = open.copying.clone();
            for (item, _) in changed.iter().filter(|(item, _)| std::ptr::eq(item.open, open)) {
                if let Some(copy) = known.tables.get_mut(item.name) {
                    copy.forget(item.at);
                }
            }
            for database in begun.databases.iter_mut().filter(|database| database.key == known.key) {
                *database = known.clone();
            }
        }
        state::save(dir, &begun.databases)?;
    }
    control.each(&opened, |open| {
        control.check("making tables of the copy anew")?;
        open.session(|session| align(open, session))
    })?;
    // All that is not as it should be goes before anything is inserted: unique values may have changed places.
    control.each(&changed, |(item, _)| {
        control.check("removing what changed from the copy")?;
        item.open
            .session(|session| item.open.side.delete_rows(session, item.name, &item.condition))
    })?;
    control.each(&changed, |(item, sum)| {
        control.check("copying what changed")?;
        let side = &item.open.side;
        item.open.session(|session| {
            side.copy_rows(session, item.name, item.table, &item.condition)?;
            let copied = hash::sum(session, &side.copy, item.name, &item.table.columns, &item.condition)?;
            if copied != **sum {
                return Err(DbError::WrittenMeanwhile {
                    what: format!("table {}.{}", side.schema, item.name),
                    differences: format!("{} rows were copied where {} had been counted", copied.rows, sum.rows),
                });
            }
            Ok(())
        })
    })?;
    let finished = control.each(&opened, |open| {
        let known = open.known.iter().map(|(name, sum)| (name.as_str(), sum.clone()));
        let mut totals: BTreeMap<&str, Sum> = known.collect();
        for (item, sum) in items
            .iter()
            .zip(&sums)
            .filter(|(item, _)| std::ptr::eq(item.open, open))
        {
            totals.entry(item.name).or_default().add(sum);
        }
        let late = changed.iter().filter(|(item, _)| std::ptr::eq(item.open, open));
        finish(open, &totals, late.map(|(_, sum)| sum.rows).sum())
    })?;
    let mut settled: Vec<&str> = Vec::new();
    for open in opened.iter() {
        if !settled.contains(&open.copying.identity.as_str()) {
            open.session(|session| settle(&open.side, session))?;
            settled.push(&open.copying.identity);
        }
    }
    Ok(opened
        .iter()
        .map(|open| open.copying.key.clone())
        .zip(finished)
        .collect())
}

/// Looks at both sides, and finds the chunks of every table; changes nothing of either.
fn look(copying: &Copying, side: &Side, thoroughness: Thoroughness, control: &Control) -> Result<Open, DbError> {
    let mut session = side.server.open_schema(&side.schema)?;
    let mut open = Open {
        copying: copying.clone(),
        side: side.clone(),
        tables: structure::tables(&mut session, &side.schema)?,
        there: structure::tables(&mut side.writer()?, &side.copy)?,
        anew: Vec::new(),
        known: BTreeMap::new(),
        reading: Reading::default(),
        sessions: Sessions::default(),
    };
    let now = observe::in_window(copying, side, &mut session, thoroughness)?;
    let moment = now.as_ref().map(|now| &now.moment);
    open.reading.cache_needed = moment.map(Moment::cache_needed).unwrap_or_default();
    for (name, table) in &open.tables {
        let during = "looking at what was altered since";
        control.check(during)?;
        let known = copying.sound(name, table, &open.there);
        if known.is_none() {
            open.anew.push(name.clone());
        }
        let mut copy = known.cloned().unwrap_or_else(|| TableCopy::of(table));
        let seen = now.as_ref().and_then(|now| now.tables.get(name));
        let proven = unwritten(copy.verified.as_ref(), moment, seen)
            .and_then(|evidence| Ok((copy.total().ok_or(Doubt::NotCompared)?, evidence.at.clock)));
        open.reading
            .count(table.bytes, proven.as_ref().map(|(_, at)| *at).map_err(|doubt| *doubt));
        if let Ok((total, _)) = proven {
            open.known.insert(name.clone(), total);
        }
        while !copy.whole {
            control.check(during)?;
            let after = copy.after(copy.chunks.len());
            let upto = next_bound(&mut session, &side.schema, name, &table.key, after, chunk_rows(table))?;
            copy.whole = upto.is_none();
            copy.chunks.push(Chunk { upto, sum: None });
        }
        open.copying.tables.insert(name.clone(), copy);
    }
    Ok(open)
}

/// Brings the copy's tables in line with the source's: new ones, altered ones and those that are gone.
fn align(open: &Open, session: &mut Session) -> Result<(), DbError> {
    open.side.drop_others(session, &open.there, &open.tables)?;
    for (name, table) in open.tables.iter().filter(|(name, _)| open.anew.contains(name)) {
        open.side.make_table(session, name, table)?;
    }
    Ok(())
}

fn finish(open: &Open, totals: &BTreeMap<&str, Sum>, late_rows: u64) -> Result<SavedCopy, DbError> {
    let side = &open.side;
    let mut writer = side.writer()?;
    let there = structure::tables(&mut writer, &side.copy)?;
    for (name, table) in &open.tables {
        let copy = there.get(name);
        if copy.is_none_or(|copy| copy.sha256 != table.sha256) {
            return Err(DbError::FingerprintDiffers {
                what: format!("the copy of {}", side.schema),
                differences: format!("table {name} has another definition"),
            });
        }
        if let Some(counter) = table.counter
            && copy.and_then(|copy| copy.counter) != Some(counter)
        {
            let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {counter}", identifier("table", name)?);
            writer.run(&sql, &format!("setting the counter of {}.{name}", side.copy))?;
        }
    }
    let mut session = side.server.open_schema(&side.schema)?;
    let objects = structure::objects(&mut session, &side.schema)?;
    let facts = side.facts()?;
    let during = "reading the server's time";
    let now = session.rows("SELECT CAST(UTC_TIMESTAMP() AS CHAR)", during)?;
    let tables = totals
        .iter()
        .filter_map(|(name, sum)| {
            let table = TableFingerprint {
                schema_sha256: open.tables.get(*name)?.sha256.clone(),
                rows: sum.rows,
                checksum: sum.hash.to_string(),
            };
            Some(((*name).to_owned(), table))
        })
        .collect();
    Ok(SavedCopy {
        copy: side.copy.clone(),
        gone: open.copying.gone.clone(),
        charset: facts.charset,
        collation: facts.collation,
        identity: open.copying.identity.clone(),
        node: writes::node(&mut session)?,
        fingerprint: fingerprint(tables, &objects),
        ids: writes::ids(&mut session, &side.server, &side.copy)?,
        objects,
        proven_at: now.into_iter().flatten().flatten().collect(),
        late_rows,
        reading: open.reading.clone(),
    })
}

/// A fingerprint of what was found.
pub(super) fn fingerprint(tables: BTreeMap<String, TableFingerprint>, objects: &structure::Objects) -> Fingerprint {
    let digests = |definitions: &BTreeMap<String, structure::Definition>| {
        definitions
            .iter()
            .map(|(name, definition)| {
                let parts = [&definition.create, &definition.sql_mode, &definition.time_zone].map(String::as_str);
                (name.clone(), ffu_model::digest::sha256_hex(parts.join("\0").as_bytes()))
            })
            .collect()
    };
    let mut found = Fingerprint {
        tables,
        views: digests(&objects.views),
        triggers: digests(&objects.triggers),
        routines: digests(&objects.routines),
        events: digests(&objects.events),
        digest: String::new(),
    };
    found.digest = found.digest_of();
    found
}
