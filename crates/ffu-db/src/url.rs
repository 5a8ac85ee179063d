//! SQLAlchemy database URLs, as OpenStack services have them in `[database] connection`.
//!
//! Read as SQLAlchemy reads them (lib/sqlalchemy/engine/url.py): user and password percent-decoded, the password may hold
//! `/` and `?`, and, as before SQLAlchemy 1.4, an unescaped `@`.

mod parts;

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_model::secret::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::parts::{decoded, parse_query, placeholder, split_credentials, split_host};

/// The part of a URL where something is wrong is named, its content is not: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No `scheme://`.
    #[error("the connection is not a URL: it needs the form mysql+pymysql://user:password@host/database")]
    NotAUrl,
    /// Another database.
    #[error(
        "{scheme} databases are not supported, only MariaDB and MySQL: OpenStack dropped PostgreSQL in 2025.1 (neutron, ironic) and SQLite is for tests; move the data to MariaDB first"
    )]
    OtherDatabase {
        /// The scheme.
        scheme: String,
    },
    /// A placeholder nobody filled.
    #[error(
        "the connection is a template ({{{name}}}): templates are allowed in nova's cell mappings only, and there only the known names"
    )]
    Template {
        /// The first placeholder.
        name: String,
    },
    /// A part that cannot be read.
    #[error("the {part} of the connection URL {reason}")]
    BadPart {
        /// `host`, `port`, ….
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn bad(part: &'static str, reason: impl Into<String>) -> UrlError {
    UrlError::BadPart {
        part,
        reason: reason.into(),
    }
}

/// A parsed connection URL. `Debug` and `Display` show no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl {
    scheme: String,
    user: String,
    password: Option<Secret>,
    host: String,
    port: Option<u16>,
    schema: Option<String>,
    query: Vec<(String, String)>,
}

/// What stays as it is in user, password and query values: RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ConnectionUrl {
    /// Reads a URL such as `mysql+pymysql://user:p%40ss@host:3306/db?charset=utf8&unix_socket=/x`.
    ///
    /// # Errors
    /// [`UrlError`] for anything else; it never repeats the URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(bad("text", "has control characters or line breaks"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::NotAUrl)?;
        if scheme.starts_with('{') {
            let name = scheme.trim_matches(['{', '}']).chars().take(40).collect();
            return Err(UrlError::Template { name });
        }
        let scheme = scheme.to_ascii_lowercase();
        let named = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '_';
        if scheme.is_empty() || scheme.len() > 64 || !scheme.chars().all(named) {
            return Err(UrlError::NotAUrl);
        }
        let dialect = scheme.split('+').next().unwrap_or_default();
        let rest = match (dialect, rest.strip_prefix("//")) {
            ("mysql" | "mariadb", Some(rest)) => rest,
            ("postgresql" | "postgres" | "sqlite" | "oracle" | "mssql" | "db2" | "ibm_db_sa", _) => {
                return Err(UrlError::OtherDatabase { scheme });
            }
            (_, None) => return Err(UrlError::NotAUrl),
            (_, Some(_)) => return Err(UrlError::OtherDatabase { scheme }),
        };
        let (credentials, place) = split_credentials(rest);
        let (user, password) = match credentials {
            None => (String::new(), None),
            Some(text) => match text.split_once(':') {
                None => (decoded("user", text)?, None),
                Some((user, password)) => (
                    decoded("user", user)?,
                    Some(Secret::new(decoded("password", password)?)),
                ),
            },
        };
        // A brace that belongs to a name is written %7B.
        let raw_user = credentials.map_or("", |text| text.split(':').next().unwrap_or_default());
        let raw_host = place.split(['/', '?']).next().unwrap_or_default();
        if let Some(name) = placeholder(raw_user).or_else(|| placeholder(raw_host)) {
            return Err(UrlError::Template { name });
        }
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let (authority, schema) = match place.split_once('/') {
            Some((authority, schema)) => (authority, Some(schema)),
            None => (place, None),
        };
        let (host, port) = split_host(authority)?;
        let query = parse_query(query)?;
        let schema = match schema {
            None | Some("") => None,
            Some(name) => {
                if let Some(name) = placeholder(name) {
                    return Err(UrlError::Template { name });
                }
                if name.chars().count() > 64 || name.contains('/') {
                    return Err(bad(
                        "database name",
                        "is longer than 64 characters or has a slash in it",
                    ));
                }
                Some(name.to_owned())
            }
        };
        let url = ConnectionUrl {
            scheme,
            user,
            password,
            host,
            port,
            schema,
            query,
        };
        if let Some(socket) = url.parameter("unix_socket")
            && !socket.starts_with('/')
        {
            return Err(bad("unix_socket", "is not an absolute path"));
        }
        Ok(url)
    }

    /// For servers reached otherwise: an option file, a private server.
    pub(crate) fn from_parts(
        user: &str,
        password: Option<Secret>,
        host: &str,
        port: Option<u16>,
        socket: Option<&Utf8Path>,
    ) -> Self {
        ConnectionUrl {
            scheme: "mysql+pymysql".to_owned(),
            user: user.to_owned(),
            password,
            host: host.to_owned(),
            port,
            schema: None,
            query: socket
                .map(|s| ("unix_socket".to_owned(), s.to_string()))
                .into_iter()
                .collect(),
        }
    }

    /// The user; may be empty.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The host; `localhost` where the URL names none.
    pub fn host(&self) -> &str {
        if self.host.is_empty() { "localhost" } else { &self.host }
    }

    /// The port, 3306 where the URL names none.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(3306)
    }

    /// The socket, where the URL names one; it goes before host and port, as in PyMySQL.
    pub fn socket(&self) -> Option<&Utf8Path> {
        self.parameter("unix_socket").map(Utf8Path::new)
    }

    /// The schema.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// A parameter after the `?`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first parameter that asks for TLS, if one does.
    pub fn tls_parameter(&self) -> Option<&str> {
        const TLS: [&str; 7] = [
            "ssl_ca",
            "ssl_capath",
            "ssl_cert",
            "ssl_key",
            "ssl",
            "ssl_verify_cert",
            "ssl_verify_identity",
        ];
        self.query
            .iter()
            .find(|(key, value)| {
                TLS.contains(&key.as_str()) && !matches!(value.to_ascii_lowercase().as_str(), "" | "false" | "0")
            })
            .map(|(key, _)| key.as_str())
    }

    /// `host:port` or `unix:/path`: how a cloud file names the server.
    pub fn address(&self) -> String {
        match self.socket() {
            Some(socket) => format!("unix:{socket}"),
            None if self.host().contains(':') => format!("[{}]:{}", self.host(), self.port()),
            None => format!("{}:{}", self.host(), self.port()),
        }
    }

    /// The same connection to another schema.
    pub fn with_schema(&self, schema: &str) -> Self {
        let mut other = self.clone();
        other.schema = Some(schema.to_owned());
        other
    }

    /// The same kind of connection (driver and its parameters, but for those that say where) to an account on another port
    /// of this host.
    pub(crate) fn moved(&self, user: &str, password: &Secret, port: u16, schema: &str) -> Self {
        const PLACE: [&str; 3] = ["unix_socket", "read_default_file", "read_default_group"];
        let plain = |key: &str| !PLACE.contains(&key) && !key.starts_with("ssl");
        ConnectionUrl {
            scheme: self.scheme.clone(),
            user: user.to_owned(),
            password: Some(password.clone()),
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            schema: Some(schema.to_owned()),
            query: self.query.iter().filter(|(key, _)| plain(key)).cloned().collect(),
        }
    }

    /// The URL for display, with `***` for the password.
    pub fn without_password(&self) -> String {
        self.text("***")
    }

    /// The whole URL, in a form that SQLAlchemy reads back to the same parts.
    pub fn to_url(&self) -> Secret {
        let password = self
            .password
            .as_ref()
            .map(|p| utf8_percent_encode(p.expose(), ESCAPED).to_string());
        Secret::new(self.text(password.as_deref().unwrap_or_default()))
    }

    /// What must be masked in the output of programs that are given this connection.
    pub fn secrets(&self) -> Vec<Secret> {
        let Some(password) = &self.password else {
            return Vec::new();
        };
        let encoded = utf8_percent_encode(password.expose(), ESCAPED).to_string();
        vec![password.clone(), Secret::new(encoded)]
    }

    fn text(&self, password: &str) -> String {
        let mut text = format!("{}://", self.scheme);
        if !self.user.is_empty() || self.password.is_some() {
            text.push_str(&utf8_percent_encode(&self.user, ESCAPED).to_string());
            if self.password.is_some() {
                text.push(':');
                text.push_str(password);
            }
            text.push('@');
        }
        if self.host.contains(':') {
            text.push_str(&format!("[{}]", self.host));
        } else {
            text.push_str(&self.host);
        }
        if let Some(port) = self.port {
            text.push_str(&format!(":{port}"));
        }
        if self.schema.is_some() || !self.query.is_empty() {
            text.push('/');
            text.push_str(self.schema.as_deref().unwrap_or_default());
        }
        for (index, (key, value)) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(&utf8_percent_encode(key, ESCAPED).to_string());
            text.push('=');
            text.push_str(&utf8_percent_encode(value, ESCAPED).to_string());
        }
        text
    }

    /// Fills a template of a cell mapping from this URL, the service's own `[database] connection`: `{scheme}`,
    /// `{username}`, `{password}`, `{hostname}`, `{port}`, `{path}`, `{query}` (nova/objects/cell_mapping.py, `_format_url`).
    ///
    /// # Errors
    /// [`UrlError::Template`] for a placeholder nova does not know.
    pub fn fill_template(&self, template: &str) -> Result<Secret, UrlError> {
        let encode = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let whole = self.text("");
        let query = whole
            .split_once('?')
            .map(|(_, query)| query.to_owned())
            .unwrap_or_default();
        let values = BTreeMap::from([
            ("scheme", self.scheme.clone()),
            ("username", encode(&self.user)),
            (
                "password",
                self.password.as_ref().map(|p| encode(p.expose())).unwrap_or_default(),
            ),
            ("hostname", self.host.clone()),
            ("port", self.port.map(|p| p.to_string()).unwrap_or_default()),
            ("path", self.schema.clone().unwrap_or_default()),
            ("query", query),
            ("fragment", String::new()),
        ]);
        let mut filled = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, tail) = rest.split_at(at);
            filled.push_str(before);
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                filled.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let shown = |text: &str| UrlError::Template {
                name: text.chars().take(40).collect(),
            };
            let (name, after) = tail
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or_else(|| shown("unbalanced braces"))?;
            filled.push_str(values.get(name).ok_or_else(|| shown(name))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(Secret::new(filled))
    }
}

impl fmt::Display for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_password())
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionUrl({})", self.without_password())
    }
}

/// An account for a database: the service's own, and where there is one the administrator's.
#[derive(Clone, Debug)]
pub struct Access {
    /// The service's connection, schema included.
    pub service: ConnectionUrl,
    /// A MySQL option file with an account that may create databases and read everything.
    pub admin: Option<Utf8PathBuf>,
}

impl Access {
    /// The schema of the service's connection.
    ///
    /// # Errors
    /// [`UrlError::BadPart`] if the URL names none.
    pub fn schema(&self) -> Result<&str, UrlError> {
        self.service.schema().ok_or_else(|| bad("database name", "is missing"))
    }
}
