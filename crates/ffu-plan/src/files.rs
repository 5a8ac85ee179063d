//! Which configuration files the target gets, and what is set in them.

use camino::Utf8PathBuf;
use ffu_catalog::types::{CommandEntry, Project, SettingEntry};
use ffu_model::step::{CopiedSection, Overlay, SetOption, StagedFile};
use ffu_model::{ConnectionRef, Series};

use crate::carriage::{self, Carrier};
use crate::context::{Context, staged_path, strip_suffix};

/// One entry for each configuration file of the target.
pub(crate) fn staged(context: &Context<'_>) -> Vec<StagedFile> {
    let etc = context.etc();
    let mut files = Vec::new();
    for project in context.catalog.projects_at(context.target) {
        let Some(cloud_project) = context.cloud.project(&project.name) else {
            files.extend(new_files(context, project, &etc));
            continue;
        };
        let carrier = Carrier::new(context, cloud_project);
        for file in &cloud_project.config_files {
            let way = carrier.way(file);
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
                source: Some(file.path.clone()),
                set,
                migration: way.migration,
                kept: way.kept,
                ..made(&project.name, way.destination)
            });
        }
    }
    // Where a file gets the name of another one, which is not read, that one is replaced.
    let taken: Vec<Utf8PathBuf> = files
        .iter()
        .filter(|file| file.source.as_ref().is_some_and(|source| *source != file.destination))
        .map(|file| file.destination.clone())
        .collect();
    files.retain(|file| file.source.as_ref() != Some(&file.destination) || !taken.contains(&file.destination));
    files
}

/// The file of a project that an extraction on the path creates.
fn new_files(context: &Context<'_>, project: &Project, etc: &Utf8PathBuf) -> Option<StagedFile> {
    let extraction = project
        .extraction
        .iter()
        .find(|entry| context.path.iter().any(|hop| hop.to == entry.entering))?;
    let database = project.database.iter().find(|d| d.role == extraction.to)?;
    Some(StagedFile {
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
        ..made(&project.name, etc.join(&extraction.config))
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
            let set = options_of_commands(context, project, &hop.to);
            if !set.is_empty() {
                files.push(StagedFile {
                    set,
                    ..made(&project.name, command_file(&project.name, &hop.to))
                });
            }
        }
    }
    for project in &context.projects {
        for entry in project.on_the_way.iter().filter(|entry| !entry.options.is_empty()) {
            let set = entry.options.iter().map(|option| SetOption {
                section: option.section.clone(),
                option: option.option.clone(),
                value: option.value.clone(),
                reason: option.reason.clone(),
            });
            files.push(StagedFile {
                set: set.collect(),
                ..made(&project.name, own_file(&project.name, &entry.id))
            });
        }
    }
    files
}

/// A file that nothing is in yet, and that is made of no other.
fn made(project: &str, destination: Utf8PathBuf) -> StagedFile {
    StagedFile {
        project: project.to_owned(),
        source: None,
        destination,
        set: Vec::new(),
        copied_sections: Vec::new(),
        connections: Vec::new(),
        migration: None,
        kept: String::new(),
    }
}

/// Below the staging directory only, too: the options of one command.
fn own_file(project: &str, command: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/for-commands/{project}-{command}.conf"))
}

/// The staged file with the options that a command has for itself, if there is one.
pub(crate) fn own_settings(project: &Project, command: &CommandEntry) -> Vec<Utf8PathBuf> {
    match &command.on_the_way {
        Some(alone) if !alone.options.is_empty() => vec![staged_path(&own_file(&project.name, &alone.id))],
        _ => Vec::new(),
    }
}

/// What a project's commands at a series are told beside the deployment's own configuration.
fn options_of_commands(context: &Context<'_>, project: &Project, series: &Series) -> Vec<SetOption> {
    let own = project
        .command_setting
        .iter()
        .filter(|s| context.catalog.holds(&s.since, &s.until, series))
        .map(set_option);
    own.chain(carriage::policy_for_commands(context, project, series))
        .collect()
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
fn command_file(project: &str, series: &Series) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/for-commands/{project}-{series}.conf"))
}

/// The staged file with options for a project's commands at a series, if there is one.
pub(crate) fn command_settings(context: &Context<'_>, project: &Project, series: &Series) -> Vec<Utf8PathBuf> {
    match options_of_commands(context, project, series).is_empty() {
        true => Vec::new(),
        false => vec![staged_path(&command_file(&project.name, series))],
    }
}
