//! One schema: tables with their rows, then views and triggers.

use std::sync::mpsc::sync_channel;

use super::Copied;
use super::rows::Inserts;
use crate::control::Control;
use crate::error::DbError;
use crate::pace::Pace;
use crate::quote::identifier;
use crate::server::{Server, Session};

/// Statements on their way while the next rows are read.
const AHEAD: usize = 4;

pub(super) fn copy(
    source: &mut Session,
    from: &str,
    destination: &Server,
    to: &str,
    pace: &Pace,
    control: &Control<'_>,
) -> Result<Copied, DbError> {
    let during = format!("copying database {from}");
    let defaults = source.prepared(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?",
        &[from],
        &during,
    )?;
    let [Some(charset), Some(collation)] = defaults
        .into_iter()
        .next()
        .unwrap_or_default()
        .try_into()
        .unwrap_or([None, None])
    else {
        return Err(DbError::UnknownSchema {
            address: source.address().to_owned(),
            schema: from.to_owned(),
        });
    };
    let quoted = identifier("schema", to)?;
    destination.open(None)?.run(
        &format!("CREATE DATABASE {quoted} CHARACTER SET {charset} COLLATE {collation}"),
        &during,
    )?;
    let mut session = destination.open_schema(to)?;
    for statement in [
        "SET SESSION foreign_key_checks = 0, SESSION unique_checks = 0, SESSION innodb_strict_mode = 0",
        // Nothing is cut short in silence; a zero stays a zero.
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'",
    ] {
        session.run(statement, &during)?;
    }
    let mut copied = Copied::default();
    let tables = source.prepared(
        "SELECT TABLE_NAME, TABLE_TYPE, COALESCE(ENGINE, '') FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME",
        &[from],
        &during,
    )?;
    let columns = columns(source, from, &during)?;
    for row in &tables {
        let mut values = row.iter().map(|value| value.clone().unwrap_or_default());
        let mut next = || values.next().unwrap_or_default();
        let (name, kind, engine) = (next(), next(), next());
        if kind != "BASE TABLE" {
            continue;
        }
        if engine != "InnoDB" {
            copied.remarks.push(format!(
                "{from}.{name} is {engine}: its rows are not of the snapshot's moment"
            ));
        }
        control.check(&during)?;
        let own: &[String] = columns.get(&name).map(Vec::as_slice).unwrap_or_default();
        let (rows, bytes) = table(source, from, &mut session, &name, own, pace, control)?;
        copied.tables += 1;
        copied.rows += rows;
        copied.bytes += bytes;
    }
    views(source, from, &mut session, to)?;
    triggers(source, from, &mut session)?;
    let others = source.prepared(
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? UNION ALL \
         SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
        &[from, from],
        &during,
    )?;
    if !others.is_empty() {
        copied.remarks.push(format!(
            "{from} has {} routines and events, which no project of OpenStack has; they are not copied",
            others.len()
        ));
    }
    Ok(copied)
}

/// Quoted columns of every table, without those that the server computes.
fn columns(
    source: &mut Session,
    schema: &str,
    during: &str,
) -> Result<std::collections::BTreeMap<String, Vec<String>>, DbError> {
    let rows = source.prepared(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND EXTRA NOT LIKE '% GENERATED%' \
         ORDER BY TABLE_NAME, ORDINAL_POSITION",
        &[schema],
        during,
    )?;
    let mut columns = std::collections::BTreeMap::<String, Vec<String>>::new();
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let (table, column) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        columns.entry(table).or_default().push(identifier("column", &column)?);
    }
    Ok(columns)
}

fn table(
    source: &mut Session,
    schema: &str,
    session: &mut Session,
    name: &str,
    columns: &[String],
    pace: &Pace,
    control: &Control<'_>,
) -> Result<(u64, u64), DbError> {
    let during = format!("copying table {schema}.{name}");
    let (place, quoted) = (
        format!("{}.{}", identifier("schema", schema)?, identifier("table", name)?),
        identifier("table", name)?,
    );
    let create = second(source.rows(&format!("SHOW CREATE TABLE {place}"), &during)?);
    session.run(&create, &during)?;
    let select = format!("SELECT {} FROM {place}", columns.join(","));
    let (sender, receiver) = sync_channel::<(String, u64)>(AHEAD);
    let (read, written) = std::thread::scope(|scope| {
        let words = during.clone();
        let writer = scope.spawn(move || {
            let mut rows = 0;
            session.run("SET SESSION autocommit = 0", &words)?;
            for (statement, count) in receiver {
                session.run(&statement, &words)?;
                rows += count;
            }
            session.run("COMMIT", &words)?;
            session.run("SET SESSION autocommit = 1", &words)?;
            Ok::<u64, DbError>(rows)
        });
        let mut inserts = Inserts::new(&quoted, columns);
        let mut bytes = 0;
        let mut send = |batch: Option<(String, u64)>| {
            let Some((statement, rows)) = batch else {
                return Ok(true);
            };
            let length = statement.len() as u64;
            bytes += length;
            pace.pass(length, control, &during)?;
            // A writer that is gone has failed, and says why itself.
            Ok(sender.send((statement, rows)).is_ok())
        };
        let read = source
            .each_row(&select, &during, &mut |row| send(inserts.add(row)))
            .and_then(|()| send(inserts.take()));
        drop(sender);
        let lost = || DbError::Stopped { during: during.clone() };
        (read.map(|_| bytes), writer.join().unwrap_or_else(|_| Err(lost())))
    });
    // Lets go of the table's metadata lock.
    source.run("ROLLBACK TO SAVEPOINT ffu_table", &during)?;
    let rows = written?;
    Ok((rows, read?))
}

fn second(rows: crate::server::Rows) -> String {
    rows.into_iter()
        .next()
        .and_then(|row| row.into_iter().nth(1))
        .flatten()
        .unwrap_or_default()
}

fn views(source: &mut Session, from: &str, session: &mut Session, to: &str) -> Result<(), DbError> {
    let during = format!("copying the views of {from}");
    let mut views = source.prepared(
        "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME",
        &[from],
        &during,
    )?;
    let (was, is) = (identifier("schema", from)?, identifier("schema", to)?);
    // A view may be made of another one that is made later: as many rounds as there are views.
    let mut last = None;
    for _ in 0..views.len() {
        let mut left = Vec::new();
        for row in std::mem::take(&mut views) {
            let mut values = row.iter().map(|value| value.clone().unwrap_or_default());
            let (name, definition) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
            let definition = definition.replace(&format!("{was}."), &format!("{is}."));
            let sql = format!("CREATE VIEW {} AS {definition}", identifier("view", &name)?);
            if let Err(error) = session.run(&sql, &during) {
                last = Some(error);
                left.push(row);
            }
        }
        views = left;
    }
    match last {
        Some(error) if !views.is_empty() => Err(error),
        _ => Ok(()),
    }
}

fn triggers(source: &mut Session, from: &str, session: &mut Session) -> Result<(), DbError> {
    let during = format!("copying the triggers of {from}");
    let triggers = source.prepared(
        "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE \
         FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, ACTION_ORDER",
        &[from],
        &during,
    )?;
    for row in triggers {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().unwrap_or_default();
        let (name, timing, event, table, statement, mode) = (next(), next(), next(), next(), next(), next());
        session.prepared("SET SESSION sql_mode = ?", &[&mode], &during)?;
        let sql = format!(
            "CREATE TRIGGER {} {timing} {event} ON {} FOR EACH ROW {statement}",
            identifier("trigger", &name)?,
            identifier("table", &table)?
        );
        session.run(&sql, &during)?;
    }
    Ok(())
}
