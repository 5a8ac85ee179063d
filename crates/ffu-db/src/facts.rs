//! Facts about a server and its schemas: version, sizes, schema heads, rights.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::DbError;
use crate::quote::identifier;
use crate::server::{Server, Session};

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `mariadb` or `mysql`.
    pub flavor: String,
    /// The server's own version string, without what clients of old need (`5.5.5-`).
    pub version: String,
    /// Major, minor, patch.
    pub version_number: (u32, u32, u32),
    /// Whether it takes no writes: `@@read_only` or `@@innodb_read_only`.
    pub read_only: bool,
    /// The server-wide `sql_mode`.
    pub sql_mode: String,
    /// The data directory, on the server's host.
    pub datadir: String,
    /// 0, 1 or 2.
    pub lower_case_table_names: u32,
    /// Default character set of new schemas.
    pub charset: String,
    /// `max_allowed_packet`, in bytes.
    pub max_allowed_packet: u64,
    /// Whether it is a node of a Galera cluster.
    pub cluster: bool,
}

impl ServerFacts {
    /// MariaDB from 10.3, MySQL from 5.7.
    pub fn is_supported(&self) -> bool {
        let (major, minor, _) = self.version_number;
        (major, minor) >= if self.flavor == "mariadb" { (10, 3) } else { (5, 7) }
    }
}

/// Major, minor and patch of a version string; what cannot be read is 0.
fn version_number(version: &str) -> (u32, u32, u32) {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

pub(crate) fn server_facts(session: &mut Session) -> Result<ServerFacts, DbError> {
    let sql = "SELECT VERSION(), @@version_comment, @@read_only, @@innodb_read_only, @@GLOBAL.sql_mode, @@datadir, \
               @@lower_case_table_names, @@character_set_server, @@max_allowed_packet";
    let mut row = session
        .rows(sql, "asking for the server's version")?
        .into_iter()
        .next()
        .unwrap_or_default();
    row.resize(9, None);
    let mut values = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    let (version, comment) = (next(), next());
    let is_mariadb = format!("{version} {comment}").to_ascii_lowercase().contains("mariadb");
    let version = version
        .strip_prefix("5.5.5-")
        .filter(|_| is_mariadb)
        .map(str::to_owned)
        .unwrap_or(version);
    let cluster = session.rows(
        "SHOW VARIABLES LIKE 'wsrep_on'",
        "asking whether the server is a node of a cluster",
    )?;
    Ok(ServerFacts {
        flavor: if is_mariadb { "mariadb" } else { "mysql" }.to_owned(),
        version_number: version_number(&version),
        version,
        read_only: [next(), next()]
            .iter()
            .any(|value| !matches!(value.as_str(), "0" | "OFF" | "")),
        sql_mode: next(),
        datadir: next(),
        lower_case_table_names: next().parse().unwrap_or(0),
        charset: next(),
        max_allowed_packet: next().parse().unwrap_or(16 << 20),
        cluster: cluster.into_iter().flatten().nth(1).flatten().as_deref() == Some("ON"),
    })
}

/// What is known of a schema without reading its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaFacts {
    /// Default character set.
    pub charset: String,
    /// Default collation.
    pub collation: String,
    /// Number of base tables.
    pub tables: u64,
    /// Data and index bytes, as the server estimates them.
    pub bytes: u64,
    /// Data bytes alone.
    pub data_bytes: u64,
    /// Rows over all tables, as the server estimates them.
    pub rows: u64,
    /// Tables that are not InnoDB: they are not part of a consistent dump.
    pub other_engines: Vec<String>,
}

/// Version tables by name: see [`ffu_model::CloudDatabase::heads`].
pub type Heads = BTreeMap<String, Vec<String>>;

/// Rights that a run needs on a schema.
const NEEDED: [&str; 10] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "LOCK TABLES",
];

impl Server {
    /// Facts of a schema; `None` if it does not exist.
    ///
    /// # Errors
    /// If the server does not answer or the account may not use the schema.
    pub fn schema_facts(&self, schema: &str) -> Result<Option<SchemaFacts>, DbError> {
        let Some(mut session) = self.open_existing(schema)? else {
            return Ok(None);
        };
        let during = format!("measuring database {schema}");
        let defaults = session.rows("SELECT @@character_set_database, @@collation_database", &during)?;
        let mut defaults = defaults.into_iter().flatten().map(Option::unwrap_or_default);
        let (charset, collation) = (defaults.next().unwrap_or_default(), defaults.next().unwrap_or_default());
        let sql = "SELECT CAST(COUNT(*) AS CHAR), CAST(COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) AS CHAR), \
                   CAST(COALESCE(SUM(DATA_LENGTH), 0) AS CHAR), CAST(COALESCE(SUM(TABLE_ROWS), 0) AS CHAR), \
                   GROUP_CONCAT(IF(ENGINE = 'InnoDB', NULL, TABLE_NAME) ORDER BY TABLE_NAME SEPARATOR ',') \
                   FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'";
        let rows = session.prepared(sql, &[schema], &during)?;
        let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
        let mut number = || values.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let (tables, bytes, data_bytes, rows) = (number(), number(), number(), number());
        let other_engines = values.next().unwrap_or_default();
        Ok(Some(SchemaFacts {
            charset,
            collation,
            tables,
            bytes,
            data_bytes,
            rows,
            other_engines: other_engines
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        }))
    }

    /// The schema heads of a database; `None` if the schema does not exist, empty if it has no version table.
    ///
    /// Every table with `alembic_version` in its name counts (neutron's subprojects have their own), but for nova's shadow
    /// tables, which are copies; and the rows of sqlalchemy-migrate's `migrate_version` as `migrate:REPOSITORY_ID`.
    ///
    /// # Errors
    /// If the server does not answer or the account may not use the schema.
    pub fn heads(&self, schema: &str) -> Result<Option<Heads>, DbError> {
        let Some(mut session) = self.open_existing(schema)? else {
            return Ok(None);
        };
        let during = format!("reading the schema heads of {schema}");
        let tables = session.column(
            "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND COLUMN_NAME = 'version_num' \
             AND TABLE_NAME LIKE '%alembic\\_version%' AND TABLE_NAME NOT LIKE 'shadow\\_%'",
            &[schema],
            &during,
        )?;
        let mut heads = Heads::new();
        for table in tables {
            let quoted = identifier("table", &table)?;
            let mut versions = session.column(&format!("SELECT version_num FROM {quoted}"), &[], &during)?;
            versions.sort();
            heads.insert(table, versions);
        }
        let migrate = session.column(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'migrate_version'",
            &[schema],
            &during,
        )?;
        if !migrate.is_empty() {
            for row in session.rows("SELECT repository_id, version FROM migrate_version", &during)? {
                let mut values = row.into_iter().map(Option::unwrap_or_default);
                let (id, version) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
                heads.entry(format!("migrate:{id}")).or_default().push(version);
            }
        }
        Ok(Some(heads))
    }

    /// The rights among those a run needs (it reads, writes, alters, drops and locks) that this account lacks on a schema.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn missing_privileges(&self, schema: &str) -> Result<Vec<String>, DbError> {
        let mut session = self.open(None)?;
        let during = "reading the account's privileges";
        let sql = "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE IN ({who}) UNION \
                   SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE ? LIKE TABLE_SCHEMA AND GRANTEE IN ({who})";
        let own = "CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";
        let granted = session.column(&sql.replace("{who}", own), &[schema], during)?;
        let missing: Vec<String> = NEEDED
            .iter()
            .filter(|need| !granted.iter().any(|g| g == *need))
            .map(|n| (*n).to_owned())
            .collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        // A role may hold them; what a role gives is only readable as text.
        let grants = session.column("SHOW GRANTS", &[], during)?;
        let covering = grants.iter().any(|grant| {
            grant.starts_with("GRANT ALL PRIVILEGES ON *.*")
                || grant.starts_with(&format!("GRANT ALL PRIVILEGES ON `{schema}`.*"))
        });
        Ok(if covering { Vec::new() } else { missing })
    }

    /// The schema may be written: the server takes writes, and the account has the rights that a run needs.
    ///
    /// # Errors
    /// [`DbError::ReadOnly`], [`DbError::MissingPrivilege`], [`DbError::UnknownSchema`], [`DbError::NoAccess`].
    pub fn require_writable(&self, schema: &str) -> Result<(), DbError> {
        let mut session = self.open_schema(schema)?;
        // Asked anew: it may have changed since the handle was made.
        let facts = server_facts(&mut session)?;
        if facts.read_only {
            let which = "@@read_only or @@innodb_read_only is on".to_owned();
            return Err(DbError::ReadOnly {
                address: self.address(),
                which,
            });
        }
        let missing = self.missing_privileges(schema)?;
        if !missing.is_empty() {
            return Err(DbError::MissingPrivilege {
                address: self.address(),
                user: session.user().to_owned(),
                privileges: format!("{} on database {schema:?}", missing.join(", ")),
            });
        }
        Ok(())
    }

    /// The one unsigned integer that a query of a gate or drain gives, read in a read-only transaction.
    ///
    /// # Errors
    /// [`DbError::QueryRefused`] for anything but one SELECT, [`DbError::NotACount`] for another result,
    /// [`DbError::StatementTimeout`] when `limit` is over.
    pub fn query_count(&self, schema: &str, sql: &str, limit: Duration) -> Result<u64, DbError> {
        let rows = self.query_rows(schema, sql, limit)?;
        let not_a_count = |found: String| DbError::NotACount {
            found,
            query: sql.chars().take(200).collect(),
        };
        match rows.as_slice() {
            [row] => match row.as_slice() {
                [Some(text)] => text
                    .parse()
                    .map_err(|_| not_a_count(format!("{:?}", text.chars().take(40).collect::<String>()))),
                [None] => Err(not_a_count("NULL".to_owned())),
                columns => Err(not_a_count(format!("{} columns", columns.len()))),
            },
            rows => Err(not_a_count(format!("{} rows", rows.len()))),
        }
    }

    /// The rows of one SELECT as text, read in a read-only transaction; for small reports.
    ///
    /// # Errors
    /// [`DbError::QueryRefused`] for anything but one SELECT, [`DbError::StatementTimeout`] when `limit` is over.
    pub fn query_rows(&self, schema: &str, sql: &str, limit: Duration) -> Result<crate::server::Rows, DbError> {
        if let Some(reason) = ffu_model::query::refusal(sql) {
            return Err(DbError::QueryRefused { reason });
        }
        let mut session = self.open_schema(schema)?;
        let seconds = limit.as_secs().max(1);
        let during = "answering a query";
        session.run("SET SESSION TRANSACTION READ ONLY", during)?;
        session.limit_statements(&self.facts().flavor, limit)?;
        session.run("START TRANSACTION READ ONLY", during)?;
        session.prepared(sql, &[], during).map_err(|error| match error {
            DbError::StatementTimeout { address, during, .. } => DbError::StatementTimeout {
                address,
                during,
                seconds,
            },
            other => other,
        })
    }
}

impl Server {
    /// The rows of several SELECTs as text, each by itself: no transaction is open between or after them, so that nothing that
    /// changes tables waits for more than one statement, even if this process is stopped.
    ///
    /// # Errors
    /// [`DbError::QueryRefused`] for anything but SELECTs, [`DbError::StatementTimeout`] when `limit` is over for one of them.
    pub fn rows_by_themselves(
        &self,
        schema: &str,
        queries: &[String],
        limit: Duration,
    ) -> Result<crate::server::Rows, DbError> {
        if let Some(reason) = queries.iter().find_map(|sql| ffu_model::query::refusal(sql)) {
            return Err(DbError::QueryRefused { reason });
        }
        let mut session = self.open_schema(schema)?;
        let during = "answering a query";
        session.run("SET SESSION TRANSACTION READ ONLY", during)?;
        session.run("SET SESSION autocommit = 1", during)?;
        session.limit_statements(&self.facts().flavor, limit)?;
        let mut rows = crate::server::Rows::new();
        for sql in queries {
            rows.extend(session.prepared(sql, &[], during)?);
        }
        Ok(rows)
    }
}

impl Session {
    pub(crate) fn limit_statements(&mut self, flavor: &str, limit: Duration) -> Result<(), DbError> {
        let sql = if flavor == "mariadb" {
            format!("SET SESSION max_statement_time = {:.3}", limit.as_secs_f64().max(0.001))
        } else {
            format!("SET SESSION max_execution_time = {}", limit.as_millis().max(1))
        };
        self.run(&sql, "setting a time limit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(flavor: &str, version: &str) -> ServerFacts {
        ServerFacts {
            flavor: flavor.to_owned(),
            version: version.to_owned(),
            version_number: version_number(version),
            read_only: false,
            sql_mode: String::new(),
            datadir: String::new(),
            lower_case_table_names: 0,
            charset: "utf8mb4".to_owned(),
            max_allowed_packet: 1,
            cluster: false,
        }
    }

    #[test]
    fn old_servers_are_not_supported() {
        for (flavor, version, supported) in [
            ("mariadb", "10.11.19-MariaDB-0+deb12u1", true),
            ("mariadb", "10.3.0-MariaDB", true),
            ("mariadb", "10.1.48-MariaDB-0ubuntu0.18.04.1", false),
            ("mariadb", "11.4.2-MariaDB-log", true),
            ("mysql", "8.0.39", true),
            ("mysql", "5.7.44-log", true),
            ("mysql", "5.6.51", false),
            ("mysql", "nonsense", false),
        ] {
            assert_eq!(facts(flavor, version).is_supported(), supported, "{flavor} {version}");
        }
    }
}
