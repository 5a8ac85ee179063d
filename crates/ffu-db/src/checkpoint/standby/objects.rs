//! Views, triggers, routines and events taken away and made again: a table with a trigger cannot be renamed into another
//! schema, and views cannot at all.

use std::collections::BTreeMap;

use super::structure::{Definition, Objects};
use crate::control::Control;
use crate::error::DbError;
use crate::quote::{identifier, literal};
use crate::server::{Server, Session};

/// A trigger that names its table's schema cannot be made in another one.
const WRONG_SCHEMA: u16 = 1435;
const NO_SUCH_TABLE: u16 = 1146;

fn kinds(objects: &Objects) -> [(&'static str, &BTreeMap<String, Definition>); 4] {
    // Views last: they may use functions.
    [
        ("ROUTINE", &objects.routines),
        ("TRIGGER", &objects.triggers),
        ("EVENT", &objects.events),
        ("VIEW", &objects.views),
    ]
}

/// Drops what is in `now` and not the same in `keep`; triggers always, if asked.
pub(super) fn drop_others(
    session: &mut Session,
    schema: &str,
    now: &Objects,
    keep: &Objects,
    all_triggers: bool,
    control: &Control,
) -> Result<(), DbError> {
    let schema = identifier("schema", schema)?;
    for ((kind, present), (_, wanted)) in kinds(now).into_iter().zip(kinds(keep)) {
        for (name, definition) in present {
            if wanted.get(name) == Some(definition) && !(kind == "TRIGGER" && all_triggers) {
                continue;
            }
            control.check("dropping views and triggers of the run")?;
            let (kind, name) = match name.split_once(' ') {
                Some((routine, name)) if kind == "ROUTINE" => (routine, name),
                _ => (kind, name.as_str()),
            };
            session.run(
                &format!("DROP {kind} IF EXISTS {schema}.{}", identifier("table", name)?),
                &format!("dropping {} {name}", kind.to_lowercase()),
            )?;
        }
    }
    Ok(())
}

/// Makes what is in `wanted` and not in `now`.
pub(super) fn create(
    server: &Server,
    schema: &str,
    now: &Objects,
    wanted: &Objects,
    control: &Control,
) -> Result<(), DbError> {
    for ((kind, present), (_, all)) in kinds(now).into_iter().zip(kinds(wanted)) {
        let mut left: Vec<(&String, &Definition)> =
            all.iter().filter(|(name, _)| !present.contains_key(*name)).collect();
        // A view may need another one that comes later.
        while !left.is_empty() {
            let before = left.len();
            let mut missing = None;
            let mut again = Vec::new();
            for (name, definition) in left {
                control.check("making views and triggers again")?;
                match create_one(server, schema, kind, name, definition) {
                    Ok(()) => {}
                    Err(
                        error @ DbError::Statement {
                            code: NO_SUCH_TABLE, ..
                        },
                    ) => {
                        missing = Some(error);
                        again.push((name, definition));
                    }
                    Err(other) => return Err(other),
                }
            }
            left = again;
            if let Some(error) = missing
                && left.len() == before
            {
                return Err(error);
            }
        }
    }
    Ok(())
}

fn create_one(server: &Server, schema: &str, kind: &str, name: &str, definition: &Definition) -> Result<(), DbError> {
    let during = format!("making {} {name} again", kind.to_lowercase());
    // Its own session: what it was made in is set only for it.
    let mut session = server.open_schema(schema)?;
    for (variable, value) in [
        ("character_set_client", &definition.charset),
        ("collation_connection", &definition.collation),
        ("time_zone", &definition.time_zone),
    ] {
        if !value.is_empty() {
            session.run(&format!("SET SESSION {variable} = {}", literal(value)), &during)?;
        }
    }
    session.run(
        &format!("SET SESSION sql_mode = {}", literal(&definition.sql_mode)),
        &during,
    )?;
    session.run(&definition.create, &during)
}

/// Whether everything could be made again by this account: made in the empty copy, and dropped there.
pub(super) fn rehearse(server: &Server, copy: &str, objects: &Objects, control: &Control) -> Result<(), DbError> {
    let nothing = Objects::default();
    let made = match create(server, copy, &nothing, objects, control) {
        Err(DbError::Statement { code: WRONG_SCHEMA, .. }) => Ok(()),
        other => other,
    };
    clear(server, copy, control)?;
    made
}

/// Drops all that is no table.
pub(super) fn clear(server: &Server, schema: &str, control: &Control) -> Result<(), DbError> {
    let mut session = server.open_schema(schema)?;
    let now = super::structure::objects(&mut session, schema)?;
    drop_others(&mut session, schema, &now, &Objects::default(), true, control)
}
