//! Going back: the migrated tables are renamed out of the way, the copies take their names, and what is there then is
//! compared with what was recorded. Every state in which it may have been interrupted is told from where the tables are.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::structure::{self, Objects};
use super::{SavedCopy, hash, keep, objects};
use crate::checkpoint::manifest::SavedDatabase;
use crate::checkpoint::{DatabaseProof, restore};
use crate::control::Control;
use crate::error::DbError;
use crate::quote::identifier;
use crate::server::{Server, Session};
use crate::url::Access;
use crate::writes;

/// Where the tables are, and what is known of each.
struct Places {
    /// In the database, and ours already.
    back: BTreeSet<String>,
    /// In the database, and the run's.
    migrated: Vec<String>,
    /// Still in the copy.
    waiting: Vec<String>,
    /// In the database as at the checkpoint, row by row: they stay, and their copies are not needed.
    kept: BTreeSet<String>,
    /// Whether ids were compared: they say that no table was built anew.
    by_ids: bool,
    /// Tables the server knows to have been written since the proof.
    written: Vec<String>,
}

fn lost(dir: &Utf8Path, reason: String) -> DbError {
    DbError::BadCheckpoint {
        path: dir.to_owned(),
        reason,
    }
}

/// Ids grouped by the table they are of.
fn grouped(ids: &BTreeMap<String, u64>) -> BTreeMap<String, BTreeMap<&str, u64>> {
    let mut groups: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
    for (name, id) in ids {
        groups.entry(writes::table_of(name)).or_default().insert(name, *id);
    }
    groups
}

fn look(
    dir: &Utf8Path,
    server: &Server,
    session: &mut Session,
    schema: &str,
    saved: &SavedCopy,
) -> Result<Places, DbError> {
    let here = super::table_names(session, schema)?;
    let standby = super::table_names(session, &saved.copy)?;
    let same_node = server.identity()? == saved.identity && writes::node(session)? == saved.node;
    let (ids_here, ids_there) = if same_node && !saved.ids.is_empty() {
        (
            writes::ids(session, server, schema)?,
            writes::ids(session, server, &saved.copy)?,
        )
    } else {
        (BTreeMap::new(), BTreeMap::new())
    };
    let by_ids = !(ids_here.is_empty() && ids_there.is_empty());
    let (recorded, ids_here, ids_there) = (grouped(&saved.ids), grouped(&ids_here), grouped(&ids_there));
    let mut places = Places {
        back: BTreeSet::new(),
        migrated: Vec::new(),
        waiting: Vec::new(),
        kept: BTreeSet::new(),
        by_ids,
        written: Vec::new(),
    };
    for name in saved.fingerprint.tables.keys() {
        let inside = writes::in_dictionary(name);
        let is_ours =
            |found: &BTreeMap<String, BTreeMap<&str, u64>>| !by_ids || found.get(&inside) == recorded.get(&inside);
        if standby.contains(name) {
            if !is_ours(&ids_there) {
                return Err(lost(
                    dir,
                    format!("the copy of table {schema}.{name} was built anew since the checkpoint"),
                ));
            }
            places.waiting.push(name.clone());
        } else if here.contains(name) && is_ours(&ids_here) {
            places.back.insert(name.clone());
        } else {
            return Err(lost(dir, format!("the copy of table {schema}.{name} is gone")));
        }
    }
    places.migrated = here.into_iter().filter(|name| !places.back.contains(name)).collect();
    // With a clock that was set back since, times say nothing: then everything counts as written.
    let times = session.prepared(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (?, ?) AND (UPDATE_TIME > ? OR UTC_TIMESTAMP() < ?)",
        &[schema, &saved.copy, &saved.proven_at, &saved.proven_at],
        "asking when tables were written",
    )?;
    for row in times {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let (place, name) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        if place == saved.copy || places.back.contains(&name) {
            places.written.push(name);
        }
    }
    Ok(places)
}

/// Counts and hashes tables of a schema, and compares them with what was recorded.
fn scan<'a>(
    server: &Server,
    schema: &str,
    saved: &SavedCopy,
    names: impl Iterator<Item = &'a String>,
    control: &Control,
) -> Result<(), DbError> {
    let tables = structure::tables(&mut server.open_schema(schema)?, schema)?;
    let names: Vec<&String> = names.collect();
    let differences = control.each(&names, |name| {
        control.check("comparing every row with the checkpoint")?;
        let Some(was) = saved.fingerprint.tables.get(*name) else {
            return Ok(None);
        };
        let Some(table) = tables.get(*name) else {
            return Ok(Some(format!("table {name} is missing")));
        };
        let sum = hash::sum(&mut server.open_schema(schema)?, schema, name, &table.columns, "")?;
        let same = sum.rows == was.rows && sum.hash.to_string() == was.checksum;
        Ok((!same).then(|| {
            format!(
                "table {name} has {} rows of other content than the {} recorded",
                sum.rows, was.rows
            )
        }))
    })?;
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(DbError::FingerprintDiffers {
        what: format!("database {schema}"),
        differences: restore::shown(&differences),
    })
}

/// Brings a database back by renaming. May be repeated after whatever ended it.
pub(in super::super) fn swap(
    dir: &Utf8Path,
    database: &SavedDatabase,
    saved: &SavedCopy,
    access: &Access,
    full: bool,
    control: &Control,
) -> Result<DatabaseProof, DbError> {
    let schema = database.schema.as_str();
    let server = Server::connect(&access.strongest_url()?.with_schema(schema))?;
    make_schema(&server, schema, saved)?;
    restore::end_sessions(&server, schema)?;
    let mut session = server.open_schema(schema)?;
    let during = format!("bringing {schema} back");
    session.run(
        "SET SESSION foreign_key_checks = 0, SESSION lock_wait_timeout = 120",
        &during,
    )?;
    writes::tell_times_of_now(&mut session, &server)?;
    let mut places = look(dir, &server, &mut session, schema, saved)?;
    let tables = structure::tables(&mut session, schema)?;
    places.kept = keep::unchanged(&server, &mut session, schema, saved, &tables, &places.waiting, control)?;
    places.migrated.retain(|name| !places.kept.contains(name));
    places.waiting.retain(|name| !places.kept.contains(name));
    places.written.retain(|name| !places.kept.contains(name));
    // What the server knows to have been written is read before anything is changed.
    let (waiting, back): (Vec<&String>, Vec<&String>) =
        places.written.iter().partition(|name| places.waiting.contains(name));
    scan(&server, &saved.copy, saved, waiting.into_iter(), control)?;
    scan(&server, schema, saved, back.into_iter(), control)?;
    let now = structure::objects(&mut session, schema)?;
    let moves = !places.migrated.is_empty() || !places.waiting.is_empty();
    objects::drop_others(&mut session, schema, &now, &saved.objects, moves, control)?;
    if moves {
        rename(&mut session, schema, saved, &places, control)?;
    }
    control.check(&during)?;
    let now = structure::objects(&mut session, schema)?;
    objects::create(&server, schema, &now, &saved.objects, control)?;
    let how = prove(&server, schema, saved, &places, full, control)?;
    Ok(DatabaseProof {
        key: database.key.clone(),
        digest: saved.fingerprint.digest.clone(),
        sentence: format!(
            "{schema} is back, {} tables with {} rows: {} were read and had not changed, {} were renamed; definitions are those of the \
             checkpoint, and {how}",
            saved.fingerprint.tables.len(),
            saved.fingerprint.rows(),
            places.kept.len(),
            saved.fingerprint.tables.len() - places.kept.len()
        ),
    })
}

/// The run may even have dropped the database; its defaults may have been altered.
fn make_schema(server: &Server, schema: &str, saved: &SavedCopy) -> Result<(), DbError> {
    let defaults = format!("CHARACTER SET {} COLLATE {}", saved.charset, saved.collation);
    let name = identifier("schema", schema)?;
    let during = format!("making the schema {schema}");
    match server.schema_facts(schema)? {
        None => server
            .open(None)?
            .run(&format!("CREATE DATABASE {name} {defaults}"), &during),
        Some(facts) if facts.charset != saved.charset || facts.collation != saved.collation => server
            .open(None)?
            .run(&format!("ALTER DATABASE {name} {defaults}"), &during),
        Some(_) => Ok(()),
    }
}

fn rename(
    session: &mut Session,
    schema: &str,
    saved: &SavedCopy,
    places: &Places,
    control: &Control,
) -> Result<(), DbError> {
    let during = format!("renaming the tables of {schema}");
    let (here, copy, gone) = (
        identifier("schema", schema)?,
        identifier("schema", &saved.copy)?,
        identifier("schema", &saved.gone)?,
    );
    control.check(&during)?;
    session.run(&format!("CREATE DATABASE IF NOT EXISTS {gone}"), &during)?;
    // What an earlier attempt put there and the run made again since is the run's, as all of it.
    let rubbish = super::table_names(session, &saved.gone)?;
    for name in rubbish.iter().filter(|name| places.migrated.contains(name)) {
        control.check(&during)?;
        session.run(&format!("DROP TABLE {gone}.{}", identifier("table", name)?), &during)?;
    }
    let mut moves = Vec::new();
    for name in &places.migrated {
        let name = identifier("table", name)?;
        moves.push(format!("{here}.{name} TO {gone}.{name}"));
    }
    for name in &places.waiting {
        let name = identifier("table", name)?;
        moves.push(format!("{copy}.{name} TO {here}.{name}"));
    }
    control.check(&during)?;
    session.run(&format!("RENAME TABLE {}", moves.join(", ")), &during)
}

/// Compares what is there now; says how the rows are known to be the same.
fn prove(
    server: &Server,
    schema: &str,
    saved: &SavedCopy,
    before: &Places,
    full: bool,
    control: &Control,
) -> Result<String, DbError> {
    let mut session = server.open_schema(schema)?;
    let tables = structure::tables(&mut session, schema)?;
    let found: Objects = structure::objects(&mut session, schema)?;
    let mut differences = Vec::new();
    let known = &saved.fingerprint.tables;
    for name in tables.keys().filter(|name| !known.contains_key(*name)) {
        differences.push(format!("table {name} is new"));
    }
    for (name, was) in known {
        match tables.get(name) {
            None => differences.push(format!("table {name} is missing")),
            Some(table) if table.sha256 != was.schema_sha256 => {
                differences.push(format!("table {name} has another definition"));
            }
            Some(_) => {}
        }
    }
    if found != saved.objects {
        let shown = super::window::fingerprint(BTreeMap::new(), &found);
        let wanted = super::window::fingerprint(BTreeMap::new(), &saved.objects);
        differences.extend(wanted.diff(&shown));
    }
    if before.by_ids {
        let mut ids = writes::ids(&mut session, server, schema)?;
        let kept: BTreeSet<String> = before.kept.iter().map(|name| writes::in_dictionary(name)).collect();
        ids.retain(|name, _| !kept.contains(&writes::table_of(name)));
        let mut recorded = saved.ids.clone();
        recorded.retain(|name, _| !kept.contains(&writes::table_of(name)));
        if ids != recorded {
            differences.push("its tables are not physically those of the checkpoint".to_owned());
        }
    }
    if !differences.is_empty() {
        return Err(DbError::FingerprintDiffers {
            what: format!("database {schema}"),
            differences: restore::shown(&differences),
        });
    }
    if full || !before.by_ids {
        scan(
            server,
            schema,
            saved,
            known.keys().filter(|name| !before.kept.contains(*name)),
            control,
        )?;
        return Ok("every row was read: counts and hashes are equal".to_owned());
    }
    Ok(if before.written.is_empty() {
        "those renamed are physically those that were proven then (InnoDB ids)".to_owned()
    } else {
        format!(
            "those renamed are physically those that were proven then (InnoDB ids); read again as written since: {}",
            before.written.join(", ")
        )
    })
}
