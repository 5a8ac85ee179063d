//! How a lab is: its server, what series each database reports, its services.

use ffu_catalog::Catalog;
use ffu_db::{Heads, PrivateServer};
use ffu_hosts::{ServiceManager as _, UnitStatus};
use ffu_model::Series;
use ffu_model::cloud::{DatabaseKey, ServiceRole};
use serde::Serialize;

use crate::dataplane::GuestStatus;
use crate::error::LabError;
use crate::layout::{Lab, LabFile};

/// How a lab is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabStatus {
    /// What `lab.toml` says.
    pub lab: LabFile,
    /// The database server's process, if it runs.
    pub server_pid: Option<u32>,
    /// Why it does not answer although it runs: it is starting, or ending, or ill.
    pub server_problem: Option<String>,
    /// The databases; empty while the server does not answer.
    pub databases: Vec<DatabaseStatus>,
    /// The services.
    pub units: Vec<UnitReport>,
    /// The guests of its data plane; none without one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestStatus>,
}

/// What a database reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatabaseStatus {
    /// Project and role.
    pub database: DatabaseKey,
    /// The schema.
    pub schema: String,
    /// Its version tables.
    pub heads: Heads,
    /// The series with these heads, oldest first.
    pub candidates: Vec<Series>,
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitReport {
    /// The unit.
    pub unit: String,
    /// The service in the catalog.
    pub service: String,
    /// Control plane or agent.
    pub role: ServiceRole,
    /// The series of its packages.
    pub series: Series,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Whether it answers; agents have nothing to answer with.
    pub answers: Option<bool>,
    /// In words.
    pub state: String,
}

/// Project, role and schema of each database of a lab.
const DATABASES: [(&str, &str, &str); 9] = [
    ("keystone", "main", "keystone"),
    ("glance", "main", "glance"),
    ("placement", "main", "placement"),
    ("nova", "api", "nova_api"),
    ("nova", "cell", "nova"),
    ("nova", "cell0", "nova_cell0"),
    ("neutron", "main", "neutron"),
    ("cinder", "main", "cinder"),
    ("heat", "main", "heat"),
];

fn read_databases(server: &PrivateServer, catalog: &Catalog) -> Result<Vec<DatabaseStatus>, LabError> {
    let admin = server.admin()?;
    let mut databases = Vec::new();
    for (project, role, schema) in DATABASES {
        let Some(heads) = admin.heads(schema)? else { continue };
        databases.push(DatabaseStatus {
            database: DatabaseKey::new(project, role),
            schema: schema.to_owned(),
            candidates: catalog.candidates(project, role, &heads),
            heads,
        });
    }
    Ok(databases)
}

impl Lab {
    /// Looks at everything. A server or service that does not run or answer is reported, not an error.
    ///
    /// # Errors
    /// The files of the lab are damaged.
    pub fn status(&self, catalog: &Catalog) -> Result<LabStatus, LabError> {
        let server = match self.server_dir().join("server.json").exists() {
            true => Some(self.server()?),
            false => None,
        };
        let server_pid = server.as_ref().and_then(|server| server.pid());
        let mut databases = Vec::new();
        let mut server_problem = None;
        if let (Some(server), Some(_)) = (&server, server_pid) {
            match read_databases(server, catalog) {
                Ok(found) => databases = found,
                Err(error) => server_problem = Some(error.to_string()),
            }
        }
        Ok(LabStatus {
            lab: self.file().clone(),
            server_pid,
            server_problem,
            databases,
            units: self.units()?,
            guests: self.data_plane()?.map_or_else(Vec::new, |plane| plane.status()),
        })
    }

    /// Every unit of the lab.
    ///
    /// # Errors
    /// A unit file is damaged.
    pub fn units(&self) -> Result<Vec<UnitReport>, LabError> {
        let supervisor = self.services();
        let known = supervisor.units()?;
        known
            .iter()
            .map(|info| {
                let file = supervisor.unit_file(&info.unit)?;
                let (pid, mut state) = match supervisor.status(&info.unit)? {
                    UnitStatus::Running { pid, .. } => (Some(pid), "running".to_owned()),
                    UnitStatus::Stopped => (None, "stopped".to_owned()),
                    UnitStatus::Failed { why } => (None, why),
                    UnitStatus::Unknown { state } => (None, state),
                };
                let mut answers = None;
                if file.probe.is_some() {
                    let probe = supervisor.probe(&info.unit)?;
                    answers = Some(probe.answers);
                    if pid.is_some() {
                        state = format!("{state}, {}", probe.detail);
                    }
                }
                Ok(UnitReport {
                    unit: file.name,
                    service: file.service,
                    role: file.role,
                    series: file.series,
                    pid,
                    answers,
                    state,
                })
            })
            .collect()
    }
}
