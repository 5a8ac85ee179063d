//! What the phases of a plan share while it is being made.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_catalog::types::{CommandEntry, GateEntry, Project, ServiceEntry};
use ffu_model::cloud::{DatabaseKey, ServiceManagerKind, ServiceRole};
use ffu_model::plan::{PlanningReport, Policy};
use ffu_model::step::{Action, Invariant, Phase, Step, Undo};
use ffu_model::{Cloud, CloudService, ConnectionRef, Hop, Series, Severity};

use crate::error::PlanError;

pub(crate) struct Context<'a> {
    pub cloud: &'a Cloud,
    pub catalog: &'a Catalog,
    pub target: &'a Series,
    pub policy: &'a Policy,
    pub from: Series,
    pub path: Vec<Hop>,
    pub steps: Vec<Step>,
    pub report: PlanningReport,
    /// Where each project's databases are, as far as the plan has got.
    pub databases: BTreeMap<DatabaseKey, ConnectionRef>,
    /// The last steps of each phase that the next one waits for.
    pub phase_ends: Vec<String>,
    /// The last steps of each project in the hops.
    pub tails: BTreeMap<String, Vec<String>>,
    /// Projects that exist in the cloud at this point of the plan.
    pub projects: Vec<&'a Project>,
}

impl<'a> Context<'a> {
    pub fn new(
        cloud: &'a Cloud,
        catalog: &'a Catalog,
        target: &'a Series,
        policy: &'a Policy,
    ) -> Result<Self, PlanError> {
        if cloud.projects.is_empty() {
            return Err(PlanError::Empty);
        }
        let target_at = position(catalog, target)?;
        let mut lowest: Option<(usize, &Series)> = None;
        let mut projects = Vec::new();
        for project in &cloud.projects {
            let entry = catalog
                .project(&project.project)
                .ok_or_else(|| PlanError::UnknownProject {
                    project: project.project.clone(),
                })?;
            let series = project
                .series
                .as_ref()
                .ok_or_else(|| unknown_series(cloud, &project.project))?;
            let at = position(catalog, series)?;
            if at > target_at {
                return Err(PlanError::Ahead {
                    project: project.project.clone(),
                    series: series.to_string(),
                    target: target.to_string(),
                });
            }
            if lowest.is_none_or(|(low, _)| at < low) {
                lowest = Some((at, series));
            }
            projects.push(entry);
        }
        if let Some(finding) = cloud.findings.iter().find(|f| f.severity == Severity::Blocker) {
            return Err(PlanError::Blocked {
                id: finding.id.clone(),
                message: finding.message.clone(),
                remedy: finding.remedy.clone(),
            });
        }
        let from = lowest.map(|(_, series)| series.clone()).ok_or(PlanError::Empty)?;
        let path = catalog.path(&from, target, policy.slurp)?;
        projects.sort_by_key(|project| project.order);
        let databases = cloud
            .databases()
            .map(|(key, database)| (key, database.connection.clone()))
            .collect();
        let mut report = PlanningReport::default();
        report.decisions.push(format!(
            "{} hops: {} → {}; each runs the migrations of its own series{}",
            path.len(),
            from,
            path.iter().map(|hop| hop.to.as_str()).collect::<Vec<_>>().join(" → "),
            if policy.slurp {
                ", taking the skips that upstream tests"
            } else {
                ", no release is skipped"
            },
        ));
        for project in &cloud.projects {
            if let Some(series) = project.series.as_ref().filter(|series| **series != from) {
                report.decisions.push(format!(
                    "{} is at {series}, ahead of the others: it joins the path there (catching the others up first)",
                    project.project
                ));
            }
        }
        Ok(Context {
            cloud,
            catalog,
            target,
            policy,
            from,
            path,
            steps: Vec::new(),
            report,
            databases,
            phase_ends: Vec::new(),
            tails: BTreeMap::new(),
            projects,
        })
    }

    /// The series a project is at before the run; for a project the run creates, none.
    pub fn starts_at(&self, project: &str) -> Option<&'a Series> {
        self.cloud.project(project)?.series.as_ref()
    }

    /// Whether the project's databases have to make this hop.
    pub fn makes_hop(&self, project: &str, hop: &Hop) -> bool {
        let at = |series: &Series| self.catalog.position(series);
        match self.starts_at(project) {
            Some(series) => at(&hop.to) > at(series),
            None => true,
        }
    }

    pub fn push(&mut self, phase: Phase, id: impl Into<String>, title: impl Into<String>, action: Action) -> &mut Step {
        self.steps.push(Step {
            id: id.into(),
            phase,
            title: title.into(),
            project: None,
            hop: None,
            action,
            needs: Vec::new(),
            timeout_seconds: 600,
            estimate_ms: 200,
            undo: Undo::Nothing,
            sources: Vec::new(),
        });
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// The deployment's `/etc`, found from the files that discovery saw.
    pub fn etc(&self) -> Utf8PathBuf {
        for project in &self.projects {
            let Some(found) = self.cloud.project(&project.name) else {
                continue;
            };
            for file in &found.config_files {
                for entry in &project.config {
                    if let Some(prefix) = strip_suffix(&file.path, &entry.path) {
                        return prefix;
                    }
                }
            }
        }
        self.cloud.root.join("etc")
    }

    /// Configuration files for a project's commands: the deployment's own, or the staged one where only the target has one.
    pub fn command_config(&self, project: &Project) -> Vec<Utf8PathBuf> {
        let found: Vec<Utf8PathBuf> = self
            .cloud
            .project(&project.name)
            .into_iter()
            .flat_map(|p| &p.config_files)
            .filter(|file| {
                project
                    .config
                    .iter()
                    .any(|c| c.commands && strip_suffix(&file.path, &c.path).is_some())
            })
            .map(|file| file.path.clone())
            .collect();
        if !found.is_empty() {
            return found;
        }
        project
            .config
            .iter()
            .filter(|c| c.commands && (c.required || project.config.len() == 1))
            .map(|c| staged_path(&self.etc().join(&c.path)))
            .collect()
    }

    /// Databases of a role: `cell` stands for the configured cell and, where asked, the others.
    pub fn role_keys(&self, project: &str, role: &str, every_cell: bool) -> Vec<DatabaseKey> {
        self.databases
            .keys()
            .filter(|key| {
                key.project == project
                    && (key.role == role
                        || (every_cell && role == "cell" && (key.role == "cell0" || key.role.starts_with("cell:"))))
            })
            .cloned()
            .collect()
    }

    /// Units of the control plane with their catalog entry, in stop order.
    pub fn control_plane(&self) -> Vec<(&'a CloudService, Option<&'a ServiceEntry>)> {
        let mut units: Vec<_> = self
            .cloud
            .services
            .iter()
            .filter(|service| service.role == ServiceRole::ControlPlane)
            .map(|service| (service, self.service_entry(&service.service)))
            .collect();
        units.sort_by_key(|(service, entry)| (entry.map_or(u32::MAX, |e| e.stop_order), service.unit.clone()));
        units
    }

    pub fn service_entry(&self, name: &str) -> Option<&'a ServiceEntry> {
        self.catalog
            .projects
            .iter()
            .flat_map(|project| &project.service)
            .find(|service| service.name == name)
    }

    pub fn supervised(&self) -> bool {
        matches!(self.cloud.service_manager, ServiceManagerKind::Process { .. })
    }

    /// Invariants at a series, optionally of one project (the one whose database holds them then).
    pub fn invariants(&self, series: &Series, of: Option<&str>) -> Vec<Invariant> {
        let mut found = Vec::new();
        for project in &self.catalog.projects {
            for entry in &project.invariant {
                // In a cloud that stands half-way the rows may be elsewhere than the series says: where there is a database decides.
                let mut places: Vec<_> = entry.place.iter().collect();
                places.sort_by_key(|p| !self.catalog.holds(&p.since, &p.until, series));
                let Some(place) = places.into_iter().find(|p| {
                    !self.role_keys(&p.project, &p.database, true).is_empty()
                        && (self.catalog.holds(&p.since, &p.until, series)
                            || self.starts_at(&p.project) != Some(&self.from))
                }) else {
                    continue;
                };
                if of.is_some_and(|name| name != place.project) {
                    continue;
                }
                for key in self.role_keys(&place.project, &place.database, true) {
                    let cell = key.role != place.database;
                    found.push(Invariant {
                        id: if cell {
                            format!("{}@{}", entry.id, key.role)
                        } else {
                            entry.id.clone()
                        },
                        database: key,
                        table: entry.table.clone(),
                        filter: entry.filter.clone(),
                        key: entry.key.clone(),
                        except: entry.except.clone(),
                    });
                }
            }
        }
        found
    }

    /// Whether a gate is about this plan: some are about what runs in a series, and only the target runs.
    pub fn concerns(&self, gate: &GateEntry) -> bool {
        !gate.target_only || gate.entering == *self.target
    }

    /// Whether checks that ask services are replaced on a hop by what can be asked without them: where the services are not
    /// started for them, and the target's hop is still to come.
    pub fn checks_on_the_way(&self, hop: &Hop) -> bool {
        let served = self.policy.thorough && self.supervised();
        !served && self.path.last().is_some_and(|last| last.to != hop.to)
    }

    pub fn catalog_commands(&self, project: &'a Project, series: &Series) -> Vec<&'a CommandEntry> {
        self.catalog.commands(project, series)
    }
}

fn position(catalog: &Catalog, series: &Series) -> Result<usize, PlanError> {
    match catalog.position(series) {
        Some(at) => Ok(at),
        None => {
            let known = catalog.resolve(series.as_str())?;
            Ok(catalog.position(&known).unwrap_or_default())
        }
    }
}

fn unknown_series(cloud: &Cloud, project: &str) -> PlanError {
    let reason = cloud
        .findings
        .iter()
        .filter(|finding| finding.project.as_deref() == Some(project))
        .map(|finding| format!("{}: {}", finding.id, finding.message))
        .collect::<Vec<_>>()
        .join("; ");
    PlanError::UnknownSeries {
        project: project.to_owned(),
        reason,
    }
}

/// Where a file is staged: its absolute path below the run's staging directory.
pub(crate) fn staged_path(destination: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{{staged}}/{}", destination.as_str().trim_start_matches('/')))
}

/// `/etc/nova/nova.conf` less `nova/nova.conf` is `/etc`.
pub(crate) fn strip_suffix(path: &Utf8Path, suffix: &str) -> Option<Utf8PathBuf> {
    let suffix = Utf8Path::new(suffix);
    if !path.ends_with(suffix) {
        return None;
    }
    let mut prefix = path.to_owned();
    for _ in suffix.components() {
        prefix.pop();
    }
    Some(prefix)
}
