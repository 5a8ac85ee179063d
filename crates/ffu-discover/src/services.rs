//! The services of a deployment: unit files of the own supervisor, or systemd's units by the names the catalog knows.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_hosts::{ServiceManager as _, Supervisor, Systemd};
use ffu_model::cloud::ServiceManagerKind;
use ffu_model::{CloudService, Series};

use crate::error::DiscoverError;

pub(crate) struct Found {
    pub manager: ServiceManagerKind,
    pub services: Vec<CloudService>,
    /// The series whose packages the control plane's unit files name.
    pub series: BTreeSet<Series>,
}

/// Looks for `ROOT/services/*.toml` first, then for systemd.
pub(crate) fn look(root: &Utf8Path, catalog: &Catalog) -> Result<Found, DiscoverError> {
    let directory = root.join("services");
    if directory.is_dir() {
        return supervised(&directory);
    }
    let mut found = Found {
        manager: ServiceManagerKind::Systemd,
        services: Vec::new(),
        series: BTreeSet::new(),
    };
    if !has_systemd() {
        return Ok(found);
    }
    let scratch = tempfile::tempdir().map_err(DiscoverError::Temporary)?;
    let Ok(path) = Utf8PathBuf::from_path_buf(scratch.path().to_owned()) else {
        return Ok(found);
    };
    let units: BTreeSet<String> = Systemd::new(path).units()?.into_iter().map(|unit| unit.unit).collect();
    found.services = by_catalog(catalog, &units);
    Ok(found)
}

fn has_systemd() -> bool {
    // What systemd itself documents as the test for a host that was booted with it (sd_booted(3)).
    Utf8Path::new("/run/systemd/system").is_dir()
}

fn supervised(directory: &Utf8Path) -> Result<Found, DiscoverError> {
    let mut services = Vec::new();
    let mut series = BTreeSet::new();
    for unit in Supervisor::new(directory).units()? {
        let (Some(service), Some(project), Some(role)) = (unit.service, unit.project, unit.role) else {
            continue;
        };
        if role == ffu_model::cloud::ServiceRole::ControlPlane {
            series.extend(unit.series);
        }
        services.push(CloudService {
            unit: unit.unit,
            service,
            project,
            role,
        });
    }
    services.sort_by(|a, b| (&a.project, &a.service, &a.unit).cmp(&(&b.project, &b.service, &b.unit)));
    Ok(Found {
        manager: ServiceManagerKind::Process {
            directory: directory.to_owned(),
        },
        services,
        series,
    })
}

fn by_catalog(catalog: &Catalog, units: &BTreeSet<String>) -> Vec<CloudService> {
    let mut services = Vec::new();
    for project in &catalog.projects {
        for service in &project.service {
            for name in &service.units {
                let unit = format!("{name}.service");
                if units.contains(&unit) && !services.iter().any(|known: &CloudService| known.unit == unit) {
                    services.push(CloudService {
                        unit,
                        service: service.name.clone(),
                        project: project.name.clone(),
                        role: service.role,
                    });
                }
            }
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known_by_any_distributions_name() {
        let catalog = Catalog::embedded().unwrap();
        let units = [
            "openstack-nova-compute.service",
            "nova-conductor.service",
            "ssh.service",
        ];
        let found = by_catalog(&catalog, &units.map(str::to_owned).into());
        let shown: Vec<_> = found.iter().map(|s| (s.unit.as_str(), s.service.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("nova-conductor.service", "nova-conductor"),
                ("openstack-nova-compute.service", "nova-compute")
            ]
        );
        assert_eq!(found[1].role, ffu_model::cloud::ServiceRole::Agent);
    }
}
