//! Which configuration files the target gets, and what is set in them.

use camino::{Utf8Path, Utf8PathBuf};
use ffu_catalog::types::SettingEntry;
use ffu_model::ConnectionRef;
use ffu_model::cloud::CloudProject;
use ffu_model::plan::ConfigurationPolicy;
use ffu_model::step::{CopiedSection, FileMigration, Overlay, SetOption, StagedFile};

use crate::context::{Context, strip_suffix};

/// One entry for each configuration file of the target.
pub(crate) fn staged(context: &Context<'_>) -> Vec<StagedFile> {
    let etc = context.etc();
    let mut files = Vec::new();
    for project in context.catalog.projects_at(context.target) {
        let Some(cloud_project) = context.cloud.project(&project.name) else {
            files.extend(new_files(context, project, &etc));
            continue;
        };
        for file in &cloud_project.config_files {
            let relative = project
                .config
                .iter()
                .find(|c| strip_suffix(&file.path, &c.path).is_some());
            let set = project
                .setting
                .iter()
                .filter(|s| relative.is_some_and(|r| r.path == s.file))
                .filter(|s| context.catalog.holds(&s.since, &s.until, context.target))
                .map(set_option)
                .collect();
            files.push(StagedFile {
                project: project.name.clone(),
                source: Some(file.path.clone()),
                destination: file.path.clone(),
                set,
                copied_sections: Vec::new(),
                connections: Vec::new(),
                migration: migration(context, cloud_project, &file.path),
            });
        }
    }
    files
}

/// How an option file is carried; `None` where the policy keeps files, the file has no options, or one of the ends has no
/// catalog of options.
fn migration(context: &Context<'_>, project: &CloudProject, file: &Utf8Path) -> Option<FileMigration> {
    let accept_loss = match context.policy.configuration {
        ConfigurationPolicy::Keep => return None,
        ConfigurationPolicy::AcceptLoss => true,
        ConfigurationPolicy::Migrate => false,
    };
    let has_options = |path: &Utf8Path| {
        let name = path.file_name().unwrap_or_default();
        (name.ends_with(".conf") || name.ends_with(".ini")) && !name.ends_with("paste.ini")
    };
    let options = context.catalog.options(&project.project)?.ok()?;
    let from = project.series.as_ref()?;
    let known = options.position(from).is_some() && options.position(context.target).is_some();
    if !has_options(file) || !known {
        return None;
    }
    let (first, last) = (
        context.catalog.position(from)?,
        context.catalog.position(context.target)?,
    );
    Some(FileMigration {
        service: project.project.clone(),
        path: context
            .catalog
            .series
            .get(first..=last)?
            .iter()
            .map(|entry| entry.id.clone())
            .collect(),
        read_with: project
            .config_files
            .iter()
            .map(|other| other.path.clone())
            .take_while(|other| other != file)
            .filter(|other| has_options(other))
            .collect(),
        accept_loss,
    })
}

/// The file of a project that an extraction on the path creates.
fn new_files(context: &Context<'_>, project: &ffu_catalog::types::Project, etc: &Utf8PathBuf) -> Option<StagedFile> {
    let extraction = project
        .extraction
        .iter()
        .find(|entry| context.path.iter().any(|hop| hop.to == entry.entering))?;
    let database = project.database.iter().find(|d| d.role == extraction.to)?;
    Some(StagedFile {
        project: project.name.clone(),
        source: None,
        destination: etc.join(&extraction.config),
        set: Vec::new(),
        copied_sections: extraction
            .copy_sections
            .iter()
            .map(|copied| CopiedSection {
                file: etc.join(&copied.file),
                section: copied.section.clone(),
            })
            .collect(),
        connections: vec![Overlay {
            section: database.section.clone(),
            option: database.option.clone(),
            connection: extraction_connection(context, &extraction.from, &database.schema)?,
        }],
        migration: None,
    })
}

/// The connection of a database that does not exist yet: that of its origin, with another schema.
pub(crate) fn extraction_connection(context: &Context<'_>, from: &str, schema: &str) -> Option<ConnectionRef> {
    match context.databases.get(&from.parse().ok()?)? {
        ConnectionRef::Config { file, section, option }
        | ConnectionRef::SameServer {
            file, section, option, ..
        } => Some(ConnectionRef::SameServer {
            file: file.clone(),
            section: section.clone(),
            option: option.clone(),
            schema: schema.to_owned(),
        }),
        ConnectionRef::CellMapping { .. } => None,
    }
}

/// Files with options that only commands see, one a project and series of the path.
pub(crate) fn for_commands(context: &Context<'_>) -> Vec<StagedFile> {
    let mut files = Vec::new();
    for hop in &context.path {
        for project in &context.projects {
            let set: Vec<SetOption> = project
                .command_setting
                .iter()
                .filter(|s| context.catalog.holds(&s.since, &s.until, &hop.to))
                .map(set_option)
                .collect();
            if !set.is_empty() {
                files.push(StagedFile {
                    project: project.name.clone(),
                    source: None,
                    destination: command_file(&project.name, &hop.to),
                    set,
                    copied_sections: Vec::new(),
                    connections: Vec::new(),
                    migration: None,
                });
            }
        }
    }
    files
}

fn set_option(setting: &SettingEntry) -> SetOption {
    SetOption {
        section: setting.section.clone(),
        option: setting.option.clone(),
        value: setting.value.clone(),
        reason: setting.reason.clone(),
    }
}

/// Below the staging directory only: such a file is never installed.
fn command_file(project: &str, series: &ffu_model::Series) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/for-commands/{project}-{series}.conf"))
}

/// The staged file with options for a project's commands at a series, if there is one.
pub(crate) fn command_settings(
    context: &Context<'_>,
    project: &ffu_catalog::types::Project,
    series: &ffu_model::Series,
) -> Vec<Utf8PathBuf> {
    let any = project
        .command_setting
        .iter()
        .any(|s| context.catalog.holds(&s.since, &s.until, series));
    if any {
        vec![crate::context::staged_path(&command_file(&project.name, series))]
    } else {
        Vec::new()
    }
}
