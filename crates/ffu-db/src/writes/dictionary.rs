//! Names, ids and places of tables as InnoDB's dictionary has them, and which node of a cluster answers.

use std::collections::BTreeMap;

use crate::error::DbError;
use crate::server::{Server, Session};

fn is_mysql_8(server: &Server) -> bool {
    let facts = server.facts();
    facts.flavor == "mysql" && facts.version_number.0 >= 8
}

/// The information schema of MySQL 8 tells when tables were written as of up to a day ago otherwise.
pub(crate) fn tell_times_of_now(session: &mut Session, server: &Server) -> Result<(), DbError> {
    if is_mysql_8(server) {
        session.run(
            "SET SESSION information_schema_stats_expiry = 0",
            "asking for times of now",
        )?;
    }
    Ok(())
}

/// Where the information schema lists InnoDB's tables and partitions.
pub(super) fn list(server: &Server) -> &'static str {
    if is_mysql_8(server) {
        "INNODB_TABLES"
    } else {
        "INNODB_SYS_TABLES"
    }
}

/// InnoDB's ids of the tables and partitions of a schema, by their names in its dictionary; empty where the account may not
/// see them (PROCESS), or the server keeps the list elsewhere.
pub(crate) fn ids(session: &mut Session, server: &Server, schema: &str) -> Result<BTreeMap<String, u64>, DbError> {
    let prefix = format!("{}/", in_dictionary(schema));
    let sql = format!(
        "SELECT NAME, CAST(TABLE_ID AS CHAR) FROM information_schema.{} WHERE LEFT(NAME, ?) = ?",
        list(server)
    );
    let length = prefix.len().to_string();
    let rows = match session.prepared(
        &sql,
        &[&length, &prefix],
        &format!("reading the ids of tables of {schema}"),
    ) {
        Ok(rows) => rows,
        Err(DbError::MissingPrivilege { .. } | DbError::Statement { .. } | DbError::Waited { .. }) => {
            return Ok(BTreeMap::new());
        }
        Err(other) => return Err(other),
    };
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut values = row.into_iter().flatten();
            let (name, id) = (values.next()?, values.next()?);
            let name = name.strip_prefix(&prefix)?;
            // Hidden tables of full-text indexes have the id of their table in their names.
            (!name.starts_with("FTS_")).then_some(())?;
            Some((name.to_owned(), id.parse().ok()?))
        })
        .collect())
}

/// A name as InnoDB's dictionary and the file system have it.
pub(crate) fn in_dictionary(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c.to_string()
            } else {
                format!("@{:04x}", u32::from(c))
            }
        })
        .collect()
}

/// What tells nodes of a cluster apart.
pub(crate) fn node(session: &mut Session) -> Result<String, DbError> {
    let rows = session.rows(
        "SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir)",
        "asking for the server's host",
    )?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// The table a name in the dictionary belongs to: partitions have theirs appended.
pub(crate) fn table_of(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let end = lower.find("#p#").unwrap_or(name.len());
    name.get(..end).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_dictionary_are_encoded() {
        assert_eq!(in_dictionary("nova-api_1"), "nova@002dapi_1");
    }

    #[test]
    fn partitions_belong_to_their_table() {
        assert_eq!(table_of("t#P#p0"), "t");
        assert_eq!(table_of("t#p#p0#sp#s1"), "t");
        assert_eq!(table_of("alembic_version"), "alembic_version");
    }
}
