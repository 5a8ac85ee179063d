//! A database server that was reached, and the small questions it is asked.
//!
//! A `Server` holds no open connection: each use opens its own, so that threads share it and a restarted server is no
//! special case. Values come back as text, which is also how the services see them (PyMySQL uses the text protocol).

use std::time::Duration;

use camino::Utf8Path;
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder, Params, Value};

use crate::error::{DbError, classify};
use crate::url::{Access, ConnectionUrl};

pub use crate::facts::{SchemaFacts, ServerFacts};
pub use crate::private::{PrivateServer, Settings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A server, with the account that is used there.
#[derive(Clone, Debug)]
pub struct Server {
    url: ConnectionUrl,
    facts: ServerFacts,
    connect_timeout: Duration,
}

/// An open connection.
pub(crate) struct Session {
    conn: Conn,
    address: String,
    user: String,
    schema: String,
}

impl Server {
    /// Connects, without using the URL's schema (it need not exist), and looks what kind of server answers.
    ///
    /// # Errors
    /// [`DbError::Unreachable`], [`DbError::AccessDenied`], [`DbError::Unsupported`], [`DbError::Tls`].
    pub fn connect(url: &ConnectionUrl) -> Result<Self, DbError> {
        Self::connect_within(url, CONNECT_TIMEOUT)
    }

    /// [`Server::connect`] with another limit for making a connection.
    ///
    /// # Errors
    /// See [`Server::connect`].
    pub fn connect_within(url: &ConnectionUrl, timeout: Duration) -> Result<Self, DbError> {
        let mut session = open(url, None, timeout)?;
        let facts = crate::facts::server_facts(&mut session)?;
        if !facts.is_supported() {
            return Err(DbError::Unsupported {
                address: url.address(),
                version: format!("{} {}", facts.flavor, facts.version),
            });
        }
        Ok(Server {
            url: url.clone(),
            facts,
            connect_timeout: timeout,
        })
    }

    /// Connects with the account of a MySQL option file's `[client]` section.
    ///
    /// # Errors
    /// [`DbError::OptionFile`], and those of [`Server::connect`].
    pub fn admin(option_file: &Utf8Path) -> Result<Self, DbError> {
        Self::connect(&crate::option_file::read(option_file)?)
    }

    /// `host:port` or `unix:/path`.
    pub fn address(&self) -> String {
        self.url.address()
    }

    /// The connection it was made from.
    pub fn url(&self) -> &ConnectionUrl {
        &self.url
    }

    /// What was found out when connecting.
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// What tells one running server from another, whatever the address it was reached by: the nodes of a Galera cluster
    /// are one.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn identity(&self) -> Result<String, DbError> {
        let during = "asking for the server's identity";
        let mut session = self.open(None)?;
        let cluster = session.rows("SHOW STATUS LIKE 'wsrep_cluster_state_uuid'", during)?;
        let cluster = cluster.into_iter().flatten().nth(1).flatten().unwrap_or_default();
        if cluster.chars().any(|c| c.is_ascii_hexdigit() && c != '0') {
            return Ok(format!("galera {cluster}"));
        }
        let sql = "SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir, @@socket, @@pid_file)";
        Ok(session.rows(sql, during)?.into_iter().flatten().flatten().collect())
    }

    /// Whether two handles reach one and the same running server, whatever the addresses say.
    ///
    /// # Errors
    /// If a server does not answer.
    pub fn is_same_as(&self, other: &Server) -> Result<bool, DbError> {
        Ok(self.identity()? == other.identity()?)
    }

    pub(crate) fn open(&self, schema: Option<&str>) -> Result<Session, DbError> {
        let mut session = open(&self.url, schema, self.connect_timeout)?;
        if self.facts.cluster {
            // A node may lag behind what another one has committed, for a service or a command of the run. With this every
            // statement first waits until all of it is applied here (1 reads, 2 updates and deletes, 4 inserts, 8 SHOW).
            session.run("SET SESSION wsrep_sync_wait = 15", "asking a node not to lag behind")?;
        }
        Ok(session)
    }

    /// A session in a schema, or `None` if the schema does not exist.
    pub(crate) fn open_existing(&self, schema: &str) -> Result<Option<Session>, DbError> {
        match self.open(Some(schema)) {
            Ok(session) => Ok(Some(session)),
            Err(DbError::UnknownSchema { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A session in a schema that must exist.
    pub(crate) fn open_schema(&self, schema: &str) -> Result<Session, DbError> {
        crate::quote::identifier("schema", schema)?;
        self.open(Some(schema))
    }

    /// Whether the schema exists, as far as this account can see.
    ///
    /// # Errors
    /// If the server does not answer or the account may not use the schema.
    pub fn schema_exists(&self, schema: &str) -> Result<bool, DbError> {
        Ok(self.open_existing(schema)?.is_some())
    }

    /// Executes one statement that changes something; for the lab and for tests.
    ///
    /// # Errors
    /// Whatever the server says, put in its class.
    pub fn execute(&self, schema: Option<&str>, sql: &str) -> Result<(), DbError> {
        let mut session = self.open(schema)?;
        session.run(sql, "executing a statement")
    }

    /// Drops a schema if it is there.
    ///
    /// # Errors
    /// [`DbError::MissingPrivilege`] and the like.
    pub fn drop_database(&self, schema: &str) -> Result<(), DbError> {
        let name = crate::quote::identifier("schema", schema)?;
        let mut session = self.open(None)?;
        session.schema = schema.to_owned();
        session.run(
            &format!("DROP DATABASE IF EXISTS {name}"),
            &format!("dropping database {schema}"),
        )
    }
}

impl Access {
    /// The server, with the service's own account.
    ///
    /// # Errors
    /// See [`Server::connect`].
    pub fn server(&self) -> Result<Server, DbError> {
        Server::connect(&self.service)
    }

    /// The connection with the most rights: the administrator's where there is an option file, the service's otherwise.
    ///
    /// # Errors
    /// [`DbError::OptionFile`].
    pub fn strongest_url(&self) -> Result<ConnectionUrl, DbError> {
        let url = match &self.admin {
            Some(file) => crate::option_file::read(file)?,
            None => self.service.clone(),
        };
        Ok(match self.service.schema() {
            Some(schema) => url.with_schema(schema),
            None => url,
        })
    }

    /// The server, with the strongest account.
    ///
    /// # Errors
    /// See [`Server::connect`].
    pub fn strongest(&self) -> Result<Server, DbError> {
        Server::connect(&self.strongest_url()?)
    }
}

fn open(url: &ConnectionUrl, schema: Option<&str>, timeout: Duration) -> Result<Session, DbError> {
    let address = url.address();
    if let Some(option) = url.tls_parameter() {
        return Err(DbError::Tls {
            address,
            option: option.to_owned(),
        });
    }
    let options = OptsBuilder::new()
        .user(Some(url.user()))
        .pass(url.password().map(|p| p.expose()))
        .db_name(schema)
        .prefer_socket(false)
        .tcp_connect_timeout(Some(timeout))
        .tcp_keepalive_time_ms(Some(30_000))
        .stmt_cache_size(0)
        // A fixed session, so that the same data is the same text in every session.
        .init(vec![
            "SET NAMES utf8mb4".to_owned(),
            "SET SESSION sql_mode = '', SESSION time_zone = '+00:00', SESSION group_concat_max_len = 1048576"
                .to_owned(),
        ]);
    let options = match url.socket() {
        Some(socket) => options.socket(Some(socket.as_str())).ip_or_hostname(Some("localhost")),
        None => options.ip_or_hostname(Some(url.host())).tcp_port(url.port()),
    };
    let schema = schema.unwrap_or_default();
    let conn =
        Conn::new(options).map_err(
            |error| match classify(error, &address, url.user(), schema, "connecting") {
                DbError::Lost { address, reason, .. } => DbError::Unreachable { address, reason },
                other => other,
            },
        )?;
    Ok(Session {
        conn,
        address,
        user: url.user().to_owned(),
        schema: schema.to_owned(),
    })
}

impl Session {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    fn classified(&self, error: mysql::Error, during: &str) -> DbError {
        classify(error, &self.address, &self.user, &self.schema, during)
    }

    /// All rows of one statement, as text.
    pub(crate) fn rows(&mut self, sql: &str, during: &str) -> Result<Rows, DbError> {
        let result: Result<Vec<mysql::Row>, _> = self.conn.query(sql);
        let rows = result.map_err(|error| self.classified(error, during))?;
        Ok(rows.into_iter().map(texts).collect())
    }

    /// All rows of one prepared statement: with parameters, and never more than one statement.
    pub(crate) fn prepared(&mut self, sql: &str, params: &[&str], during: &str) -> Result<Rows, DbError> {
        let params = match params {
            [] => Params::Empty,
            some => Params::Positional(some.iter().map(|p| Value::from(*p)).collect()),
        };
        let result: Result<Vec<mysql::Row>, _> = self.conn.exec(sql, params);
        let rows = result.map_err(|error| self.classified(error, during))?;
        Ok(rows.into_iter().map(texts).collect())
    }

    /// Hands on the rows of one statement as they arrive; `false` ends the reading.
    pub(crate) fn each_row(
        &mut self,
        sql: &str,
        during: &str,
        take: &mut dyn FnMut(&mysql::Row) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        let (address, user, schema) = (self.address.clone(), self.user.clone(), self.schema.clone());
        let named = |error| classify(error, &address, &user, &schema, during);
        let rows = self.conn.query_iter(sql).map_err(named)?;
        for row in rows {
            if !take(&row.map_err(named)?)? {
                break;
            }
        }
        Ok(())
    }

    /// A statement without a result.
    pub(crate) fn run(&mut self, sql: &str, during: &str) -> Result<(), DbError> {
        self.conn
            .query_drop(sql)
            .map_err(|error| self.classified(error, during))
    }

    /// The first column of every row; NULLs are left out.
    pub(crate) fn column(&mut self, sql: &str, params: &[&str], during: &str) -> Result<Vec<String>, DbError> {
        let rows = self.prepared(sql, params, during)?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten())
            .collect())
    }
}

fn texts(row: mysql::Row) -> Vec<Option<String>> {
    row.unwrap_raw()
        .into_iter()
        .map(|value| match value {
            None | Some(Value::NULL) => None,
            Some(Value::Bytes(bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Some(Value::Int(number)) => Some(number.to_string()),
            Some(Value::UInt(number)) => Some(number.to_string()),
            Some(Value::Float(number)) => Some(number.to_string()),
            Some(Value::Double(number)) => Some(number.to_string()),
            Some(other) => Some(other.as_sql(true)),
        })
        .collect()
}
