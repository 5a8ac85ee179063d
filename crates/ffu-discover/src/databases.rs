//! From configuration to databases: connections, servers, cells, heads.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_catalog::types::{DatabaseEntry, Project};
use ffu_db::oslo::{ConfigError, config_value};
use ffu_db::resolve::{CELL0_UUID, Cell};
use ffu_db::{ConnectionUrl, DbError, Server, UrlError};
use ffu_model::cloud::DatabaseServer;
use ffu_model::{CloudDatabase, ConfigFile, ConnectionRef, DatabaseKey, Finding, Severity};

use crate::error::{DiscoverError, Obstacle};
use crate::{Options, finding};

/// Collects the databases of all projects.
pub(crate) struct Databases<'a> {
    catalog: &'a Catalog,
    options: &'a Options,
    /// Identity of the server that the administrator's option file leads to.
    admin_identity: Option<String>,
    pub servers: Vec<DatabaseServer>,
    /// Connected servers by account and address; what they are known by; an error is reported once.
    handles: BTreeMap<String, (Server, String)>,
    /// Identity → id.
    identities: BTreeMap<String, String>,
    /// Which database was listed first, by server and schema.
    listed: BTreeMap<(String, String), DatabaseKey>,
    pub findings: Vec<Finding>,
    pub obstacles: Vec<Obstacle>,
}

impl<'a> Databases<'a> {
    /// Looks whether the administrator's account works, where one is named.
    pub fn new(catalog: &'a Catalog, options: &'a Options) -> Result<Self, DiscoverError> {
        let admin = options
            .admin_option_file
            .as_deref()
            .map(|file| Server::admin(file)?.identity());
        Ok(Databases {
            catalog,
            options,
            admin_identity: admin.transpose().map_err(DiscoverError::Admin)?,
            servers: Vec::new(),
            handles: BTreeMap::new(),
            identities: BTreeMap::new(),
            listed: BTreeMap::new(),
            findings: Vec::new(),
            obstacles: Vec::new(),
        })
    }

    /// The databases of a project, in the catalog's order, further cells last.
    pub fn of_project(&mut self, project: &Project, files: &[ConfigFile]) -> Vec<CloudDatabase> {
        let paths: Vec<Utf8PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        let mut found = Vec::new();
        let mut has_cells = None;
        for entry in &project.database {
            match configured(&paths, entry) {
                Ok((file, url)) => {
                    let connection = ConnectionRef::Config {
                        file: file.clone(),
                        section: entry.section.clone(),
                        option: entry.option.clone(),
                    };
                    found.extend(self.look(&project.name, &entry.role, connection, url));
                    if entry.role == "api" && project.database.iter().any(|other| other.role == "cell") {
                        has_cells = Some(file);
                    }
                }
                Err(error) => self.unconfigured(project, entry, &error),
            }
        }
        if let Some(file) = has_cells.filter(|_| {
            found
                .iter()
                .any(|database| database.role == "api" && database.tables > 0)
        }) {
            self.cells(&project.name, &file, &mut found);
        }
        found
    }

    fn unconfigured(&mut self, project: &Project, entry: &DatabaseEntry, error: &DbError) {
        if let DbError::Url(error) = error {
            let place = format!("[{}] {}", entry.section, entry.option);
            self.findings.push(unusable(&project.name, &place, error));
            return;
        }
        // A project whose database exists in some series only may do without it, and so may a nova without [database]:
        // its cells are found through the mappings.
        let optional = entry.since.is_some() || entry.until.is_some() || entry.role == "cell";
        let severity = if optional { Severity::Warning } else { Severity::Blocker };
        let message = format!(
            "{} has no connection for its {} database: {error}",
            project.name, entry.role
        );
        let remedy = "complete the configuration file, then type `ffu discover` again";
        self.findings.push(finding(
            "config-missing",
            severity,
            Some(&project.name),
            message,
            remedy,
        ));
    }

    fn cells(&mut self, project: &str, config: &Utf8Path, found: &mut Vec<CloudDatabase>) {
        let cells = match ffu_db::resolve::cells(config) {
            Ok(cells) => cells,
            // Not there before `nova-manage api_db sync`; the heads tell what the database is.
            Err(DbError::Statement { code: 1146, .. }) => return,
            Err(error) => {
                let key = DatabaseKey::new(project, "api");
                return self.obstacles.push(Obstacle { key, error });
            }
        };
        for cell in cells {
            let role = cell_role(&cell, found);
            let reference = ConnectionRef::CellMapping {
                file: config.to_owned(),
                uuid: cell.uuid.clone(),
            };
            match cell.connection {
                Err(error) => {
                    let place = format!("cell mapping {:?} ({})", cell.name, cell.uuid);
                    self.findings.push(unusable(project, &place, &error));
                }
                Ok(url) => {
                    let known = self
                        .server(project, &role, &url)
                        .and_then(|(_, id)| self.listed.get(&(id, url.schema().unwrap_or_default().to_owned())));
                    // The cell that the configuration names is listed already.
                    if known.is_none_or(|key| key.project != project) {
                        found.extend(self.look(project, &role, reference, url));
                    }
                }
            }
        }
    }

    /// The server of a connection, and its id.
    fn server(&mut self, project: &str, role: &str, url: &ConnectionUrl) -> Option<(Server, String)> {
        let account = url.with_schema("-").to_url().expose().to_owned();
        if let Some(known) = self.handles.get(&account) {
            return Some(known.clone());
        }
        let address = url.address();
        let connected = Server::connect(url).and_then(|server| Ok((server.identity()?, server)));
        let (identity, server) = match connected {
            Ok(connected) => connected,
            Err(DbError::Unsupported { version, .. }) => {
                let known = self
                    .findings
                    .iter()
                    .any(|f| f.id == "server-unsupported" && f.message.contains(&address));
                if !known {
                    let message = format!(
                        "the database server {address} is {version}; supported are MariaDB from 10.3 and MySQL from 5.7"
                    );
                    let remedy =
                        "upgrade the database server first (MariaDB: one version at a time), then discover again";
                    self.findings
                        .push(finding("server-unsupported", Severity::Blocker, None, message, remedy));
                }
                return None;
            }
            Err(error) => {
                self.obstacles.push(Obstacle {
                    key: DatabaseKey::new(project, role),
                    error,
                });
                return None;
            }
        };
        let id = match self.identities.get(&identity) {
            Some(id) => id.clone(),
            None => {
                let id = format!("db{}", self.servers.len() + 1);
                let is_admins = self.admin_identity.as_ref() == Some(&identity);
                self.identities.insert(identity, id.clone());
                self.servers.push(DatabaseServer {
                    id: id.clone(),
                    address: address.clone(),
                    flavor: server.facts().flavor.clone(),
                    version: server.facts().version.clone(),
                    admin_option_file: self.options.admin_option_file.clone().filter(|_| is_admins),
                });
                if server.facts().read_only {
                    let message = format!("the database server {address} is read-only");
                    let remedy =
                        "point the services at the primary, or make this one writable (`SET GLOBAL read_only = OFF`)";
                    self.findings
                        .push(finding("server-read-only", Severity::Blocker, None, message, remedy));
                }
                id
            }
        };
        self.handles.insert(account, (server.clone(), id.clone()));
        Some((server, id))
    }

    /// One database, if it is there.
    fn look(
        &mut self,
        project: &str,
        role: &str,
        connection: ConnectionRef,
        url: ConnectionUrl,
    ) -> Option<CloudDatabase> {
        let Some(schema) = url.schema().map(str::to_owned) else {
            let message = format!("the connection of the {role} database names no database ({url})");
            let remedy = "complete the URL in the configuration, then discover again";
            self.findings.push(finding(
                "connection-unusable",
                Severity::Blocker,
                Some(project),
                message,
                remedy,
            ));
            return None;
        };
        let (server, id) = self.server(project, role, &url)?;
        let key = DatabaseKey::new(project, role);
        let looked = server
            .schema_facts(&schema)
            .and_then(|facts| Ok((facts, server.heads(&schema)?)));
        let (facts, heads) = match looked {
            Ok((Some(facts), Some(heads))) => (facts, heads),
            Ok(_) => {
                let message = format!("database {schema} of {key} does not exist on {}", url.address());
                let remedy = format!("correct the connection URL, or create the database with {project}'s own db sync");
                self.findings.push(finding(
                    "database-missing",
                    Severity::Blocker,
                    Some(project),
                    message,
                    remedy,
                ));
                return None;
            }
            Err(error) => {
                self.obstacles.push(Obstacle { key, error });
                return None;
            }
        };
        if let Some(other) = self.listed.get(&(id.clone(), schema.clone())) {
            let message = format!(
                "{key} and {other} are one and the same database, {schema} on {}",
                url.address()
            );
            let remedy = "give each its own database; a run dumps and restores them one by one";
            self.findings.push(finding(
                "database-shared",
                Severity::Blocker,
                Some(project),
                message,
                remedy,
            ));
            return None;
        }
        self.listed.insert((id.clone(), schema.clone()), key.clone());
        if facts.tables == 0 {
            let message = format!("database {schema} of {key} has no tables");
            let remedy = format!("correct the connection URL, or create its tables with {project}'s own db sync");
            self.findings.push(finding(
                "database-empty",
                Severity::Blocker,
                Some(project),
                message,
                remedy,
            ));
        }
        if !facts.other_engines.is_empty() {
            let message = format!(
                "tables of {schema} are not InnoDB ({}): a dump of them is consistent only while nothing writes",
                facts.other_engines.join(", ")
            );
            let remedy = "type `ALTER TABLE … ENGINE=InnoDB` for each";
            self.findings.push(finding(
                "engine-not-transactional",
                Severity::Warning,
                Some(project),
                message,
                remedy,
            ));
        }
        let candidates = self.catalog.candidates(project, role, &heads);
        Some(CloudDatabase {
            role: role.to_owned(),
            server: id,
            schema,
            connection,
            heads,
            candidates,
            charset: facts.charset,
            collation: facts.collation,
            tables: facts.tables,
            bytes: facts.bytes,
            rows: facts.rows,
        })
    }
}

/// The file that sets a connection (the last one that does), and the connection.
fn configured(files: &[Utf8PathBuf], entry: &DatabaseEntry) -> Result<(Utf8PathBuf, ConnectionUrl), DbError> {
    let mut first_error = None;
    for file in files.iter().rev() {
        match config_value(std::slice::from_ref(file), &entry.section, &entry.option) {
            Ok(value) => return Ok((file.clone(), ConnectionUrl::parse(value.expose())?)),
            Err(error @ (ConfigError::SectionMissing { .. } | ConfigError::OptionMissing { .. })) => {
                // The first file is the one that is meant to hold it.
                first_error = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(first_error.map_or_else(
        || {
            ConfigError::FileMissing {
                file: Utf8PathBuf::from(entry.schema.as_str()).with_extension("conf"),
            }
            .into()
        },
        DbError::from,
    ))
}

fn unusable(project: &str, place: &str, error: &UrlError) -> Finding {
    let id = if matches!(error, UrlError::OtherDatabase { .. }) {
        "sqlite-or-postgresql"
    } else {
        "connection-unusable"
    };
    let remedy = "correct the connection, then type `ffu discover` again";
    finding(
        id,
        Severity::Blocker,
        Some(project),
        format!("{place}: {error}"),
        remedy,
    )
}

fn cell_role(cell: &Cell, found: &[CloudDatabase]) -> String {
    if cell.uuid == CELL0_UUID {
        return "cell0".to_owned();
    }
    let usable = !cell.name.is_empty() && cell.name.len() <= 200 && !cell.name.chars().any(char::is_control);
    let role = format!("cell:{}", cell.name);
    if usable && !found.iter().any(|database| database.role == role) {
        role
    } else {
        format!("cell:{}", cell.uuid)
    }
}
