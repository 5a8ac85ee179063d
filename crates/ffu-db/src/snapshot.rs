//! A copy of live databases in a private server, for a rehearsal: read in one transaction an account that can only read,
//! without table locks, at a limited pace. Nothing is ever written to the source.
//!
//! Dump programs cannot be told to keep their session read-only, so the rows are carried by this program itself. A table's
//! metadata lock is let go as soon as the table is read (`ROLLBACK TO SAVEPOINT`, as mysqldump does), so that no service's
//! own DDL has to wait for the whole copy.

mod rows;
mod schema;

use std::collections::BTreeMap;
use std::time::Instant;

use camino::Utf8Path;
use ffu_model::secret::Secret;

use crate::control::{Control, Options};
use crate::error::DbError;
use crate::pace::Pace;
use crate::server::{PrivateServer, Server, Session};
use crate::url::{Access, ConnectionUrl};

/// One schema to copy.
#[derive(Clone, Debug)]
pub struct Source {
    /// How it is reached: with the administrator's account where there is one, so that all schemas of a server are of one
    /// moment.
    pub access: Access,
    /// The name of its copy.
    pub copy: String,
}

/// What became of one schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Base tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of statements that carried them.
    pub bytes: u64,
    /// Milliseconds.
    pub ms: u64,
    /// What could not be part of the snapshot or was left out, in words.
    pub remarks: Vec<String>,
}

/// The copies, in the order of the sources, and how many snapshots they were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// One a source.
    pub copies: Vec<Copied>,
    /// Transactions that were open: one for each account that was used.
    pub transactions: usize,
}

/// Copies the schemas into a private server. `limit` is in bytes a second, over all schemas together.
///
/// # Errors
/// Those of servers; [`DbError::Stopped`]; [`DbError::UnknownSchema`]. What was copied by then stays where it is.
pub fn copy(
    sources: &[Source],
    to: &PrivateServer,
    limit: Option<u64>,
    options: &Options,
) -> Result<Snapshot, DbError> {
    let control = Control::start(options);
    let destination = to.admin()?;
    let pace = Pace::new(limit);
    // All transactions are begun before the first row is read.
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    let mut places = Vec::new();
    for source in sources {
        let url = source.access.strongest_url()?;
        let place = format!("{}\0{}", url.address(), url.user());
        if !sessions.contains_key(&place) {
            sessions.insert(place.clone(), reader(&Server::connect(&url)?)?);
        }
        places.push(place);
    }
    let mut snapshot = Snapshot {
        copies: Vec::new(),
        transactions: sessions.len(),
    };
    for (source, place) in sources.iter().zip(&places) {
        let begun = Instant::now();
        let Some(session) = sessions.get_mut(place) else {
            continue;
        };
        let from = source.access.schema()?;
        let mut copied = schema::copy(session, from, &destination, &source.copy, &pace, &control)?;
        copied.ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        snapshot.copies.push(copied);
    }
    for session in sessions.values_mut() {
        session.run("ROLLBACK", "ending the snapshot")?;
    }
    Ok(snapshot)
}

/// A session that cannot write, with its snapshot taken.
fn reader(server: &Server) -> Result<Session, DbError> {
    let during = "taking a snapshot";
    let mut session = server.open(None)?;
    for statement in [
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION TRANSACTION READ ONLY",
        // The pace may keep the server waiting for longer than its default of a minute.
        "SET SESSION net_write_timeout = 3600",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        "SAVEPOINT ffu_table",
    ] {
        session.run(statement, during)?;
    }
    Ok(session)
}

/// Options that make a private server like the one it stands for, as far as they decide what statements do; each
/// `--name=value`.
///
/// # Errors
/// Those of connecting; a variable that the server does not know is left out.
pub fn settings_like(access: &Access) -> Result<Vec<String>, DbError> {
    const VARIABLES: [&str; 7] = [
        "sql_mode",
        "innodb_strict_mode",
        "innodb_default_row_format",
        "explicit_defaults_for_timestamp",
        "lower_case_table_names",
        "character_set_server",
        "collation_server",
    ];
    let server = access.strongest()?;
    let mut session = server.open(None)?;
    let mut options = Vec::new();
    for name in VARIABLES {
        let sql = format!("SHOW GLOBAL VARIABLES LIKE '{}'", name.replace('_', "\\_"));
        let value = session.rows(&sql, "asking for the server's settings")?;
        if let Some(Some(value)) = value.into_iter().flatten().nth(1) {
            options.push(format!("--{}={value}", name.replace('_', "-")));
        }
    }
    Ok(options)
}

/// A random password for an account of the private server; `dir` is the server's, for the error.
///
/// # Errors
/// [`DbError::PrivateServer`] if the system gives no random numbers.
pub fn new_password(dir: &Utf8Path) -> Result<Secret, DbError> {
    crate::private::random_password(dir)
}

/// The connection by which an account of the private server reaches a schema; the account is made, with all rights on it.
/// The scheme of the URL is that of `like`, because services may have no other driver.
///
/// # Errors
/// Whatever the server says.
pub fn account(
    to: &PrivateServer,
    like: &ConnectionUrl,
    password: &Secret,
    schema: &str,
) -> Result<ConnectionUrl, DbError> {
    let user = if like.user().is_empty() { "service" } else { like.user() };
    let during = format!("giving {user} its rights on {schema}");
    let mut session = to.admin()?.open(None)?;
    let who = format!("{}@'127.0.0.1'", crate::quote::literal(user));
    let password_text = crate::quote::literal(password.expose());
    session.run(
        &format!("CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {password_text}"),
        &during,
    )?;
    let pattern = crate::quote::grant_pattern(schema)?;
    session.run(&format!("GRANT ALL ON {pattern}.* TO {who}"), &during)?;
    Ok(like.moved(user, password, to.port(), schema))
}

/// Lets nobody be reached through the cell mappings of a copied nova API database but the copies: every row gets the
/// connection that `of` gives for its uuid and present connection, or one that leads nowhere; messages go nowhere at all.
///
/// # Errors
/// Whatever the server says.
pub fn rewrite_cells(
    to: &PrivateServer,
    schema: &str,
    of: &mut dyn FnMut(&str, &str) -> Option<Secret>,
) -> Result<u64, DbError> {
    let during = "rewriting cell_mappings of the copy";
    let admin = to.admin()?;
    let mut session = admin.open_schema(schema)?;
    let there = session.column(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'cell_mappings'",
        &[schema],
        during,
    )?;
    if there.is_empty() {
        return Ok(0);
    }
    let rows = session.rows("SELECT uuid, database_connection FROM cell_mappings", during)?;
    let mut rewritten = 0;
    for row in rows {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let (uuid, connection) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        let new = of(&uuid, &connection).unwrap_or_else(|| Secret::new(NOWHERE.to_owned()));
        session.prepared(
            "UPDATE cell_mappings SET database_connection = ?, transport_url = IF(transport_url LIKE 'none:%', transport_url, 'fake:///') WHERE uuid = ?",
            &[new.expose(), &uuid],
            during,
        )?;
        rewritten += 1;
    }
    Ok(rewritten)
}

/// A connection that leads nowhere: nobody may listen on port 1 without being root, and nobody does.
pub const NOWHERE: &str = "mysql+pymysql://nobody:none@127.0.0.1:1/not-rehearsed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::shared_server;

    #[test]
    fn the_session_that_reads_cannot_write() {
        let db = shared_server().database("readonly").unwrap();
        db.run(&["CREATE TABLE t (x INT)"]).unwrap();
        let server = Server::connect(&db.admin_access().strongest_url().unwrap()).unwrap();
        let mut session = reader(&server).unwrap();
        for statement in ["INSERT INTO {}.t VALUES (1)", "DROP TABLE {}.t", "CREATE DATABASE {}_x"] {
            let sql = statement.replace("{}", &db.schema);
            let error = session.run(&sql, "trying to write").unwrap_err();
            assert!(matches!(error, DbError::Statement { code: 1792, .. }), "{sql}: {error}");
        }
        // Not only in that transaction, but in all of the session.
        session.run("ROLLBACK", "").unwrap();
        let error = session
            .run(&format!("INSERT INTO {}.t VALUES (1)", db.schema), "")
            .unwrap_err();
        assert!(matches!(error, DbError::Statement { code: 1792, .. }), "{error}");
        let counted = server.query_count(&db.schema, "SELECT COUNT(*) FROM t", std::time::Duration::from_secs(5));
        assert_eq!(counted.unwrap(), 0);
    }
}
