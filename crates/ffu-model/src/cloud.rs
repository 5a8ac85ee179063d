//! What was discovered of a cloud: `cloud.toml`. It holds references to secrets, never a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::series::Series;

/// The format version this program writes and reads.
pub const CLOUD_FORMAT: u32 = 1;

/// A cloud as discovery saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// [`CLOUD_FORMAT`].
    pub format: u32,
    /// A short name for people; the last part of the deployment's root by default.
    pub name: String,
    /// What deployed the cloud: `plain` for plain services.
    pub deployment: String,
    /// The root of the deployment's files.
    pub root: Utf8PathBuf,
    /// How the services of the control plane are started and stopped.
    pub service_manager: ServiceManagerKind,
    /// The database servers.
    #[serde(default)]
    pub servers: Vec<DatabaseServer>,
    /// The projects, in the catalog's order.
    #[serde(default)]
    pub projects: Vec<CloudProject>,
    /// The services that were found, control plane and agents.
    #[serde(default)]
    pub services: Vec<CloudService>,
    /// What was noticed.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// How services are started and stopped on the control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ServiceManagerKind {
    /// systemd units on this host.
    Systemd,
    /// Unit files of `ffu-hosts`' own process supervisor in a directory (the lab).
    Process {
        /// The directory of the unit files.
        directory: Utf8PathBuf,
    },
}

/// A database server, known by the address that services use for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseServer {
    /// `db1`, `db2`, … in the order of first use.
    pub id: String,
    /// `host:port`, or `unix:/path` for a socket.
    pub address: String,
    /// `mariadb` or `mysql`.
    pub flavor: String,
    /// The server's own version string.
    pub version: String,
    /// A MySQL option file whose `[client]` section gives an account that may create and drop databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_option_file: Option<Utf8PathBuf>,
}

/// One project of the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudProject {
    /// The project's name in the catalog.
    pub project: String,
    /// The series its schema is at; absent if mixed or unknown (then there is a finding).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// Its configuration files, in the order the services read them.
    #[serde(default)]
    pub config_files: Vec<ConfigFile>,
    /// Its databases.
    #[serde(default)]
    pub databases: Vec<CloudDatabase>,
}

/// A file of the deployment, with what is needed to notice a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// SHA-256 of its content.
    pub sha256: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "FileKind::is_options")]
    pub kind: FileKind,
}

/// What a configuration file is to the service that reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// Options of oslo.config.
    #[default]
    Options,
    /// Rules of oslo.policy, under a name that some series looks for by itself (`policy.json`, `policy.yaml`).
    Policy,
    /// Rules of oslo.policy, in the file that `[oslo_policy] policy_file` names.
    PolicyNamed,
    /// Rules of oslo.policy, in a directory of `[oslo_policy] policy_dirs`; read after the policy file, by name.
    PolicyDirectory,
    /// A pipeline of PasteDeploy (`api-paste.ini`).
    Paste,
    /// `rootwrap.conf`, or a file of filters that it leads to.
    Rootwrap,
}

impl FileKind {
    /// Whether it holds options.
    pub fn is_options(&self) -> bool {
        *self == FileKind::Options
    }

    /// Whether it holds rules of oslo.policy.
    pub fn is_policy(self) -> bool {
        matches!(
            self,
            FileKind::Policy | FileKind::PolicyNamed | FileKind::PolicyDirectory
        )
    }
}

/// One schema on a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudDatabase {
    /// The role in the catalog: `main`, `api`, `cell` …; cells beyond the configured one are `cell:NAME`, cell0 is `cell0`.
    pub role: String,
    /// [`DatabaseServer::id`].
    pub server: String,
    /// The schema's name on the server.
    pub schema: String,
    /// Where the connection URL is to be read from.
    pub connection: ConnectionRef,
    /// Schema heads: alembic's version table by its name (`alembic_version`), sqlalchemy-migrate's repositories as
    /// `migrate:REPOSITORY_ID`; each with its versions, sorted.
    #[serde(default)]
    pub heads: BTreeMap<String, Vec<String>>,
    /// Every series of the catalog with these heads, in order; empty if none matches.
    #[serde(default)]
    pub candidates: Vec<Series>,
    /// Default character set and collation of the schema.
    pub charset: String,
    /// See `charset`.
    pub collation: String,
    /// Number of base tables.
    pub tables: u64,
    /// Data and index bytes, as the server estimates them.
    pub bytes: u64,
    /// Rows over all tables, as the server estimates them.
    pub rows: u64,
}

/// Where a connection URL is read from at the moment of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum ConnectionRef {
    /// An option of a configuration file.
    Config {
        /// The file that holds it.
        file: Utf8PathBuf,
        /// Its section.
        section: String,
        /// Its option.
        option: String,
    },
    /// `cell_mappings.database_connection` of nova's API database.
    CellMapping {
        /// The configuration file with `[api_database] connection`.
        file: Utf8PathBuf,
        /// The cell's uuid.
        uuid: String,
    },
    /// The connection of another reference with another schema name: a database that does not exist yet.
    SameServer {
        /// The file that holds the URL to start from.
        file: Utf8PathBuf,
        /// Its section.
        section: String,
        /// Its option.
        option: String,
        /// The schema to use instead.
        schema: String,
    },
}

/// A service that runs, or should.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudService {
    /// The unit's name for the service manager.
    pub unit: String,
    /// The service's name in the catalog (`keystone-api`, `nova-compute`).
    pub service: String,
    /// Its project.
    pub project: String,
    /// Control plane services are stopped in the freeze, agents never.
    pub role: ServiceRole,
}

/// What the freeze does with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceRole {
    /// Stopped in the freeze, started again at the target.
    ControlPlane,
    /// Part of the data plane: left alone.
    Agent,
}

/// `project/role`: names a database of a cloud in plans and journals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseKey {
    /// The project.
    pub project: String,
    /// The role, see [`CloudDatabase::role`].
    pub role: String,
}

impl DatabaseKey {
    /// `project/role`.
    pub fn new(project: &str, role: &str) -> Self {
        DatabaseKey {
            project: project.to_owned(),
            role: role.to_owned(),
        }
    }
}

impl fmt::Display for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.role)
    }
}

/// A text that is not `project/role`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} does not name a database: it has the form project/role, such as nova/api")]
pub struct BadDatabaseKey(String);

impl FromStr for DatabaseKey {
    type Err = BadDatabaseKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((project, role))
                if is_name(project) && !role.is_empty() && role.len() <= 255 && !role.contains('\0') =>
            {
                Ok(DatabaseKey::new(project, role))
            }
            _ => Err(BadDatabaseKey(text.chars().take(60).collect())),
        }
    }
}

impl TryFrom<String> for DatabaseKey {
    type Error = BadDatabaseKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DatabaseKey> for String {
    fn from(key: DatabaseKey) -> String {
        key.to_string()
    }
}

/// Whether a text is a safe name: lower-case letters, digits, `-` and `_`, beginning with a letter or digit, at most 64.
///
/// Names of projects, services, steps, gates and checkpoints obey it; they end up in file names.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

impl Cloud {
    /// The project of that name.
    pub fn project(&self, name: &str) -> Option<&CloudProject> {
        self.projects.iter().find(|p| p.project == name)
    }

    /// The database of that key.
    pub fn database(&self, key: &DatabaseKey) -> Option<&CloudDatabase> {
        self.project(&key.project)?
            .databases
            .iter()
            .find(|d| d.role == key.role)
    }

    /// Every database with its key, in file order.
    pub fn databases(&self) -> impl Iterator<Item = (DatabaseKey, &CloudDatabase)> {
        self.projects.iter().flat_map(|p| {
            p.databases
                .iter()
                .map(move |d| (DatabaseKey::new(&p.project, &d.role), d))
        })
    }

    /// The server of that id.
    pub fn server(&self, id: &str) -> Option<&DatabaseServer> {
        self.servers.iter().find(|s| s.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_what_they_print() {
        let key: DatabaseKey = "nova/cell:az 2".parse().unwrap();
        assert_eq!(key, DatabaseKey::new("nova", "cell:az 2"));
        assert_eq!(key.to_string().parse::<DatabaseKey>().unwrap(), key);
        for bad in ["nova", "/main", "nova/", "../x/main", "No/va"] {
            assert!(bad.parse::<DatabaseKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_stay_inside_their_directory() {
        assert!(is_name("nova-api_2"));
        for bad in ["", "..", "a/b", "-x", "A", "a\0", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
