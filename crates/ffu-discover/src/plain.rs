//! Plain services: configuration under `ROOT/etc/PROJECT`, or `ROOT/PROJECT` where the root is an `/etc` itself.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use ffu_catalog::Catalog;
use ffu_catalog::types::Project;
use ffu_model::cloud::{CLOUD_FORMAT, FileKind};
use ffu_model::digest::sha256_hex;
use ffu_model::{Cloud, CloudProject, ConfigFile, Finding, Severity};

use crate::databases::Databases;
use crate::error::DiscoverError;
use crate::{Options, beside, diagnosis, finding, series, services};

/// Looks at a deployment of plain services below `root`.
///
/// What is wrong with the cloud is in the findings of the result: `config-missing`, `sqlite-or-postgresql`,
/// `connection-unusable`, `server-unsupported`, `server-read-only`, `database-missing`, `database-empty`,
/// `database-shared`, `engine-not-transactional`, `several-servers`, `unknown-schema-heads`, `half-migrated`,
/// `legacy-remainder-skipped`, `mixed-series`, `series-ambiguous`, `series-disagrees`,
/// `admin-elsewhere`, `config-not-carried`.
///
/// # Errors
/// [`DiscoverError`]: no deployment there, databases that do not answer or may not be read (all of them at once).
pub fn discover_plain(root: &Utf8Path, catalog: &Catalog, options: &Options) -> Result<Cloud, DiscoverError> {
    let etc = etc_of(root)?;
    let found_services = services::look(root, catalog)?;
    let mut databases = Databases::new(catalog, options)?;
    let mut projects = Vec::new();
    let mut config_findings = Vec::new();
    for project in &catalog.projects {
        let has_service = found_services
            .services
            .iter()
            .any(|service| service.project == project.name);
        let config_files = configuration(&etc, project, has_service, &mut config_findings);
        if config_files.is_empty() {
            continue;
        }
        let options: Vec<ConfigFile> = config_files.clone();
        let mut config_files = config_files;
        let mut beside_findings = Vec::new();
        beside::add(&etc, &project.name, &mut config_files, &mut beside_findings);
        let found = databases.of_project(project, &options);
        // A project whose only database is optional and not there (placement before its extraction) is not one yet.
        let optional = project.database.iter().all(|entry| entry.since.is_some());
        if found.is_empty() && optional && !databases.findings.iter().any(|f| is_blocker_of(f, &project.name)) {
            continue;
        }
        config_findings.append(&mut beside_findings);
        projects.push(CloudProject {
            project: project.name.clone(),
            series: None,
            config_files,
            databases: found,
        });
    }
    if !databases.obstacles.is_empty() {
        return Err(DiscoverError::Databases {
            obstacles: databases.obstacles,
        });
    }
    if projects.is_empty() && config_findings.is_empty() {
        let looked_for: Vec<&str> = catalog
            .projects
            .iter()
            .flat_map(|p| &p.config)
            .filter(|c| c.required)
            .map(|c| c.path.as_str())
            .collect();
        return Err(DiscoverError::NothingFound {
            etc,
            looked_for: looked_for.join(", "),
        });
    }
    let mut findings = config_findings;
    findings.append(&mut databases.findings);
    for project in &projects {
        findings.extend(
            project
                .databases
                .iter()
                .filter_map(|d| diagnosis::diagnose(catalog, &project.project, d)),
        );
    }
    findings.extend(series::decide(catalog, options, &found_services.series, &mut projects)?);
    if databases.servers.len() > 1 {
        let addresses: Vec<&str> = databases.servers.iter().map(|server| server.address.as_str()).collect();
        let message = format!(
            "the databases are on {} servers: {}",
            addresses.len(),
            addresses.join(", ")
        );
        let remedy = "each needs room, rights and a maintenance window of its own";
        findings.push(finding("several-servers", Severity::Info, None, message, remedy));
    }
    if let Some(file) = &options.admin_option_file
        && !databases.servers.is_empty()
        && databases
            .servers
            .iter()
            .all(|server| server.admin_option_file.is_none())
    {
        let message =
            format!("the account of {file} is one of a server that none of the services uses: it is left out");
        let remedy = "name an option file whose host or socket leads to the services' server";
        findings.push(finding("admin-elsewhere", Severity::Warning, None, message, remedy));
    }
    Ok(Cloud {
        format: CLOUD_FORMAT,
        name: root.file_name().unwrap_or("cloud").to_owned(),
        deployment: "plain".to_owned(),
        root: root.to_owned(),
        service_manager: found_services.manager,
        servers: databases.servers,
        projects,
        services: found_services.services,
        findings,
    })
}

fn is_blocker_of(finding: &Finding, project: &str) -> bool {
    finding.severity == Severity::Blocker && finding.project.as_deref() == Some(project)
}

fn etc_of(root: &Utf8Path) -> Result<Utf8PathBuf, DiscoverError> {
    let bad = |reason: &str| DiscoverError::BadRoot {
        root: root.to_owned(),
        reason: reason.to_owned(),
    };
    let odd = root.components().any(|part| matches!(part, Utf8Component::ParentDir));
    if !root.is_absolute() || odd || root.as_str().contains('\0') {
        return Err(bad("it must be an absolute path without `..`"));
    }
    match std::fs::metadata(root) {
        Err(error) => Err(bad(&error.to_string())),
        Ok(metadata) if !metadata.is_dir() => Err(bad("it is not a directory")),
        Ok(_) => {
            let etc = root.join("etc");
            Ok(if etc.is_dir() { etc } else { root.to_owned() })
        }
    }
}

/// The configuration files of a project that are there; a project without any is not part of this cloud, unless it has a
/// directory or a service.
fn configuration(etc: &Utf8Path, project: &Project, has_service: bool, findings: &mut Vec<Finding>) -> Vec<ConfigFile> {
    let mut files = Vec::new();
    let deployed = has_service
        || project
            .config
            .iter()
            .any(|entry| etc.join(&entry.path).parent().is_some_and(Utf8Path::is_dir));
    for entry in &project.config {
        let path = etc.join(&entry.path);
        match ffu_db::oslo::read(&path) {
            Ok(text) => files.push(ConfigFile {
                path,
                sha256: sha256_hex(text.as_bytes()),
                kind: FileKind::Options,
            }),
            Err(ffu_db::oslo::ConfigError::FileMissing { .. }) if !(entry.required && deployed) => {}
            Err(error) => {
                let remedy = "bring the file back or make it readable, then type `ffu discover` again";
                let message = error.to_string();
                findings.push(finding(
                    "config-missing",
                    Severity::Blocker,
                    Some(&project.name),
                    message,
                    remedy,
                ));
            }
        }
    }
    files
}
