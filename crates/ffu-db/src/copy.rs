//! Databases that come into being on a hop: created beside another one, filled with some of its tables. Placement's
//! extraction from nova's API database is the case at hand.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::client::{Call, Dumped};
use crate::control::{Control, Options};
use crate::error::DbError;
use crate::fingerprint::TableFingerprint;
use crate::quote::{grant_pattern, identifier, literal};
use crate::server::{Server, Session};
use crate::url::Access;

/// Present in a database for as long as tables are being copied into it.
const MARKER: &str = "ffu_copy_in_progress";

/// What [`create_database`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// It was not there before.
    pub created: bool,
    /// The administrator's account was needed, and the service's account was given all rights on it.
    pub granted: bool,
}

/// Creates the schema of a connection, with the character set and collation of another schema on that server, and makes
/// sure the service's account may use it. Nothing to do if it is there.
///
/// # Errors
/// [`DbError::MissingPrivilege`] with the statements for an administrator if neither account may create it.
pub fn create_database(access: &Access, like_schema: &str) -> Result<Created, DbError> {
    let schema = access.schema()?;
    let name = identifier("schema", schema)?;
    let service = access.server()?;
    match service.schema_exists(schema) {
        Ok(true) => {
            return Ok(Created {
                created: false,
                granted: false,
            });
        }
        Ok(false) | Err(DbError::NoAccess { .. }) => {}
        Err(other) => return Err(other),
    }
    let like = service
        .schema_facts(like_schema)?
        .ok_or_else(|| DbError::UnknownSchema {
            address: service.address(),
            schema: like_schema.to_owned(),
        })?;
    let create = format!(
        "CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET {} COLLATE {}",
        like.charset, like.collation
    );
    let during = format!("creating database {schema}");
    match service.open(None)?.run(&create, &during) {
        Ok(()) => {
            return Ok(Created {
                created: true,
                granted: false,
            });
        }
        Err(DbError::NoAccess { .. } | DbError::MissingPrivilege { .. }) => {}
        Err(other) => return Err(other),
    }
    let account = service
        .open(None)?
        .column("SELECT CURRENT_USER()", &[], &during)?
        .into_iter()
        .next()
        .unwrap_or_default();
    let (user, host) = account.rsplit_once('@').unwrap_or((account.as_str(), "%"));
    let grant = format!(
        "GRANT ALL ON {}.* TO {}@{}",
        grant_pattern(schema)?,
        literal(user),
        literal(host)
    );
    let Some(option_file) = &access.admin else {
        return Err(DbError::MissingPrivilege {
            address: service.address(),
            user: access.service.user().to_owned(),
            privileges: format!(
                "the right to create database {schema:?} (as an administrator type `{create}; {grant};`)"
            ),
        });
    };
    let admin = Server::admin(option_file)?;
    let existed = admin.schema_exists(schema)?;
    let mut session = admin.open(None)?;
    session.run(&create, &during)?;
    session.run(&grant, &format!("giving {account} its rights on {schema}"))?;
    service.open_schema(schema)?;
    Ok(Created {
        created: !existed,
        granted: true,
    })
}

/// What [`copy_tables`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// Tables that are now there and equal, with their rows.
    pub copied: BTreeMap<String, u64>,
    /// Tables that the source does not have.
    pub skipped: Vec<String>,
    /// Whether nothing had to be done, as an earlier copy was complete.
    pub already: bool,
}

/// Copies tables with rows, keys, foreign keys and counters into an empty database, compares every table, and writes the
/// alembic revision they stand for. An own copy that was interrupted is begun anew; a complete one is recognised.
///
/// `private_dir` takes an option file for as long as programs run.
///
/// # Errors
/// [`DbError::NotEmpty`], [`DbError::UnknownTable`] if the source has none of the tables,
/// [`DbError::FingerprintDiffers`], and those of servers and programs.
pub fn copy_tables(
    from: &Access,
    to: &Access,
    tables: &[String],
    stamp: Option<&str>,
    private_dir: &Utf8Path,
    options: &Options,
) -> Result<Copied, DbError> {
    let control = Control::start(options);
    let (source_schema, schema) = (from.schema()?, to.schema()?);
    let (source, destination) = (from.strongest()?, to.strongest()?);
    if source_schema == schema && source.is_same_as(&destination)? {
        return Err(DbError::NotEmpty {
            schema: schema.to_owned(),
            address: destination.address(),
            tables: "it is the source itself".to_owned(),
        });
    }
    for table in tables {
        identifier("table", table)?;
    }
    let present = table_names(&mut source.open_schema(source_schema)?, source_schema)?;
    let (wanted, skipped): (Vec<String>, Vec<String>) =
        tables.iter().cloned().partition(|table| present.contains(table));
    if wanted.is_empty() {
        return Err(DbError::UnknownTable {
            schema: source_schema.to_owned(),
            table: tables.join(", "),
        });
    }
    let mut session = destination.open_schema(schema)?;
    let there = table_names(&mut session, schema)?;
    let during = format!("preparing {schema}");
    if there.iter().any(|name| name == MARKER) {
        session.run("SET SESSION foreign_key_checks = 0", &during)?;
        // The marker goes last: until then the rest is known to be ours.
        for table in there.iter().filter(|name| *name != MARKER) {
            session.run(&format!("DROP TABLE {}", identifier("table", table)?), &during)?;
        }
    } else if !there.is_empty() {
        return complete_copy(
            &source,
            source_schema,
            &mut session,
            schema,
            &wanted,
            skipped,
            stamp,
            &there,
        );
    } else {
        session.run(&format!("CREATE TABLE {MARKER} (id INT PRIMARY KEY)"), &during)?;
    }
    let dump_url = from.strongest_url()?;
    let load_url = to.strongest_url()?;
    let dump = Call {
        url: &dump_url,
        private_dir,
        during: format!("copying tables out of {source_schema}"),
        control: &control,
    };
    let load = Call {
        url: &load_url,
        private_dir,
        during: format!("copying tables into {schema}"),
        control: &control,
    };
    through_pipe(&dump, source_schema, &wanted, &load, schema)?;
    let copied = compare(&source, source_schema, &mut session, schema, &wanted)?;
    if let Some(revision) = stamp {
        // As alembic itself creates it (alembic/runtime/migration.py, `_ensure_version_table`).
        let during = format!("stamping {schema}");
        session.run(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
            &during,
        )?;
        session.prepared(
            "INSERT INTO alembic_version (version_num) VALUES (?)",
            &[revision],
            &during,
        )?;
    }
    session.run(&format!("DROP TABLE {MARKER}"), &during)?;
    Ok(Copied {
        copied,
        skipped,
        already: false,
    })
}

#[allow(clippy::too_many_arguments)] // one use, all of it needed
fn complete_copy(
    source: &Server,
    source_schema: &str,
    session: &mut Session,
    schema: &str,
    wanted: &[String],
    skipped: Vec<String>,
    stamp: Option<&str>,
    there: &[String],
) -> Result<Copied, DbError> {
    let expected: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .chain(stamp.map(|_| "alembic_version"))
        .collect();
    let same_tables = expected.len() == there.len() && expected.iter().all(|table| there.iter().any(|t| t == table));
    if same_tables {
        let stamped = match stamp {
            None => true,
            Some(revision) => {
                session.column("SELECT version_num FROM alembic_version", &[], "reading the stamp")? == [revision]
            }
        };
        if stamped && let Ok(copied) = compare(source, source_schema, session, schema, wanted) {
            return Ok(Copied {
                copied,
                skipped,
                already: true,
            });
        }
    }
    Err(DbError::NotEmpty {
        schema: schema.to_owned(),
        address: session.address().to_owned(),
        tables: there.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
    })
}

fn table_names(session: &mut Session, schema: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME";
    session.column(sql, &[schema], &format!("listing the tables of {schema}"))
}

/// Compares every table on both sides; returns the rows of each.
fn compare(
    source: &Server,
    source_schema: &str,
    session: &mut Session,
    schema: &str,
    tables: &[String],
) -> Result<BTreeMap<String, u64>, DbError> {
    let mut from = source.open_schema(source_schema)?;
    let from_columns = crate::fingerprint::columns(&mut from, source_schema)?;
    let columns = crate::fingerprint::columns(session, schema)?;
    let mut rows = BTreeMap::new();
    let mut differences = Vec::new();
    for table in tables {
        let was: TableFingerprint = crate::fingerprint::table(&mut from, source_schema, table, &from_columns)?;
        let is = crate::fingerprint::table(session, schema, table, &columns)?;
        if was != is {
            differences.push(format!(
                "table {table} has {} rows, its source {}, or another definition or content",
                is.rows, was.rows
            ));
        }
        rows.insert(table.clone(), is.rows);
    }
    if differences.is_empty() {
        return Ok(rows);
    }
    Err(DbError::FingerprintDiffers {
        what: format!("the copy in {schema}"),
        differences: differences.join("; "),
    })
}

/// Dump and load side by side, with a pipe between them.
fn through_pipe(dump: &Call, from: &str, tables: &[String], load: &Call, to: &str) -> Result<(), DbError> {
    let (mut reader, mut writer) = std::io::pipe().map_err(|e| DbError::io("cannot make", "a pipe", e))?;
    let (dumped, loaded) = std::thread::scope(|scope| {
        let dumping = scope.spawn(move || dump.dump(from, Dumped::Tables(tables), &mut writer));
        let loaded = load.load(to, &mut reader);
        // With its reader gone a dump that still runs ends on its own.
        drop(reader);
        let lost = || DbError::Stopped {
            during: dump.during.clone(),
        };
        (dumping.join().unwrap_or_else(|_| Err(lost())), loaded)
    });
    // If loading failed, the dump failed for want of a reader; the load's words are the ones that matter.
    loaded.and(dumped)
}
