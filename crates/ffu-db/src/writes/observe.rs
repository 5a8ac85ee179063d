//! Asks a server for what `evidence` decides by. Nothing of it needs more than the PROCESS privilege; without it there is no
//! evidence, and every row is read again.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::dictionary::{ids, in_dictionary, list, node, table_of, tell_times_of_now};
use super::evidence::{Moment, Seen};
use crate::error::DbError;
use crate::server::{Rows, Server, Session};

/// The server looks at its transactions anew only if nobody has asked for them for a tenth of a second.
const BETWEEN: Duration = Duration::from_millis(130);
const ATTEMPTS: u32 = 20;

/// This host's own clock, which nobody can set: which start it is, and the seconds since. Empty where it cannot be read.
fn since_boot() -> (String, i64) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().and_then(|text| text.parse().ok());
    match seconds {
        Some(seconds) => (boot.trim().to_owned(), seconds),
        None => (String::new(), 0),
    }
}

/// What an account may not see is no error here: then nothing is known.
pub(crate) fn allowed<T>(result: Result<T, DbError>) -> Result<Option<T>, DbError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(
            DbError::MissingPrivilege { .. }
            | DbError::Statement { .. }
            | DbError::Waited { .. }
            | DbError::ServerFull { .. },
        ) => Ok(None),
        Err(other) => Err(other),
    }
}

fn number<T: std::str::FromStr>(value: Option<&Option<String>>) -> Option<T> {
    value?.as_deref()?.parse().ok()
}

/// A server now, and its tables of one schema by name.
pub(crate) struct Now {
    pub moment: Moment,
    pub tables: BTreeMap<String, Seen>,
}

/// Looks at a server and the tables of a schema; nothing where it does not tell.
pub(crate) fn now(session: &mut Session, server: &Server, schema: &str) -> Result<Option<Now>, DbError> {
    let Some(moment) = moment(session, server)? else {
        return Ok(None);
    };
    let ids = ids(session, server, schema)?;
    let during = format!("asking when tables of {schema} were written");
    let rows = session.prepared(
        "SELECT TABLE_NAME, CAST(UNIX_TIMESTAMP(UPDATE_TIME) AS CHAR), CAST(UNIX_TIMESTAMP(CREATE_TIME) AS CHAR) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' AND ENGINE = 'InnoDB'",
        &[schema],
        &during,
    )?;
    let mut by_table: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (name, id) in ids {
        by_table.entry(table_of(&name)).or_default().insert(name, id);
    }
    let mut tables = BTreeMap::new();
    for row in rows {
        let Some(Some(name)) = row.first() else { continue };
        let seen = Seen {
            written: number(row.get(1)),
            created: number(row.get(2)),
            ids: by_table.remove(&in_dictionary(name)).unwrap_or_default(),
        };
        tables.insert(name.clone(), seen);
    }
    Ok(Some(Now { moment, tables }))
}

fn moment(session: &mut Session, server: &Server) -> Result<Option<Moment>, DbError> {
    let during = "asking the server for its clock";
    let facts = server.facts();
    if facts.flavor == "mariadb" && facts.version_number < (10, 6, 0) {
        // What is known of when it stamps and forgets was not looked at there.
        return Ok(None);
    }
    tell_times_of_now(session, server)?;
    let node = node(session)?;
    let boot = since_boot();
    let values = session.rows("SELECT UNIX_TIMESTAMP(), @@table_definition_cache", during)?;
    let uptime = session.rows("SHOW GLOBAL STATUS LIKE 'Uptime'", during)?;
    let count = format!(
        "SELECT COUNT(*), CAST(MAX(TABLE_ID) AS CHAR) FROM information_schema.{}",
        list(server)
    );
    let Some(count) = allowed(session.rows(&count, during))? else {
        return Ok(None);
    };
    fn first<T: std::str::FromStr>(rows: &Rows, at: usize) -> Option<T> {
        number(rows.first().and_then(|row| row.get(at)))
    }
    let (Some(clock), Some(cache)) = (first::<i64>(&values, 0), first(&values, 1)) else {
        return Ok(None);
    };
    let (Some(uptime), Some(tables)) = (first::<i64>(&uptime, 1), first(&count, 0)) else {
        return Ok(None);
    };
    let Some(highest_id) = first(&count, 1) else {
        return Ok(None);
    };
    Ok(Some(Moment {
        node,
        clock,
        started: clock - uptime,
        boot,
        cache,
        tables,
        highest_id,
        tells_null: facts.flavor != "mysql",
    }))
}

/// For how many seconds the oldest of all transactions has been open; nothing where the server does not tell.
///
/// The list the server gives may be old, or cut off: it is believed when it has this session's own transaction, begun now,
/// and came without a warning. Both times of the difference come from it, in whatever time zone it uses.
pub(crate) fn oldest_transaction(session: &mut Session) -> Result<Option<i64>, DbError> {
    let during = "asking for open transactions";
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT", during)?;
    let mut found = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(BETWEEN);
        }
        let sql = "SELECT CAST(TIMESTAMPDIFF(SECOND, MIN(trx_started), \
                   MAX(IF(trx_mysql_thread_id = CONNECTION_ID(), trx_started, NULL))) AS CHAR) FROM information_schema.INNODB_TRX";
        let Some(rows) = allowed(session.rows(sql, during))? else {
            break;
        };
        let warnings = session.rows("SHOW COUNT(*) WARNINGS", during)?;
        let age = number::<i64>(rows.first().and_then(|row| row.first()));
        if age.is_some() && number::<u64>(warnings.first().and_then(|row| row.first())) == Some(0) {
            found = age;
            break;
        }
    }
    session.run("ROLLBACK", during)?;
    Ok(found)
}
