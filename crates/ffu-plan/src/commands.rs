//! A command of the catalog as steps of the plan: one for the project, one for each further cell, and what it must reach.

use std::collections::BTreeMap;

use ffu_catalog::types::{CommandEntry, Project};
use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{
    Action, CommandAction, ExpectedHeads, Leftover, NoOp, Overlay, PendingCount, Phase, Purpose, Undo,
};
use ffu_model::{Hop, Series};

use crate::context::Context;
use crate::ends::units_of;
use crate::error::PlanError;
use crate::files;

/// The steps of one catalog command: one for the project, and one for each further cell.
#[allow(clippy::too_many_arguments)] // each is a different thing; a struct would be used once
pub(crate) fn steps_of(
    context: &mut Context<'_>,
    phase: Phase,
    prefix: &str,
    hop: Option<&Hop>,
    project: &Project,
    command: &CommandEntry,
    series: &Series,
    needs: &[String],
) -> Result<Vec<String>, PlanError> {
    let expect_heads = expected(context, project, command, series)?;
    let units: Vec<String> = command
        .needs_services
        .iter()
        .flat_map(|name| units_of(&context.cloud.services, name))
        .map(|service| service.unit.clone())
        .collect();
    let base = CommandAction {
        series: series.clone(),
        project: project.name.clone(),
        command: command.id.clone(),
        purpose: command.purpose,
        program: command.program.clone(),
        arguments: command.arguments.clone(),
        config_files: [
            context.command_config(project),
            files::command_settings(context, project, series),
            files::own_settings(project, command),
        ]
        .concat(),
        config_style: command.config_style,
        config_variable: command.config_variable.clone(),
        overlay: None,
        exit_codes: context.catalog.exits(command, series),
        failure_texts: command.failure_texts.clone(),
        known_exceptions: command.known_exceptions.clone(),
        excused_checks: match &command.on_the_way {
            Some(alone) => alone.excused_checks.clone(),
            None => Vec::new(),
        },
        leftovers: command
            .leftovers
            .iter()
            .map(|left| Leftover {
                migration: left.migration.clone(),
                at_most: left.at_most,
                reason: left.reason.clone(),
            })
            .collect(),
        expect_heads,
        no_op: no_op(context, project, command, series)?,
        repeatable: command.repeatable,
        needs_services: units,
    };
    let mut ends = Vec::new();
    let main = format!("{prefix}.{}.{}", project.name, command.id);
    add_command(context, phase, hop, command, &main, base.clone(), needs, "");
    ends.push(main.clone());
    if command.per_cell {
        let cells = context.role_keys(&project.name, "cell", true);
        for (at, key) in cells
            .into_iter()
            .filter(|key| key.role.starts_with("cell:"))
            .enumerate()
        {
            let Some(connection) = context.databases.get(&key).cloned() else {
                continue;
            };
            let mut action = base.clone();
            if let Some(arguments) = &command.cell_arguments {
                action.arguments = arguments.clone();
            }
            for heads in &mut action.expect_heads {
                heads.database = key.clone();
            }
            if let Some(NoOp::Heads(heads)) = &mut action.no_op {
                heads.dedup_by(|a, b| a.name == b.name);
                heads.iter_mut().for_each(|heads| heads.database = key.clone());
            }
            action.overlay = Some(Overlay {
                section: "database".to_owned(),
                option: "connection".to_owned(),
                connection,
            });
            let id = format!("{main}.cell{}", at + 2);
            let of_cell = format!(" (cell {})", key.role.trim_start_matches("cell:"));
            add_command(context, phase, hop, command, &id, action, needs, &of_cell);
            ends.push(id);
        }
    }
    Ok(ends)
}

#[allow(clippy::too_many_arguments)] // see above
fn add_command(
    context: &mut Context<'_>,
    phase: Phase,
    hop: Option<&Hop>,
    command: &CommandEntry,
    id: &str,
    action: CommandAction,
    needs: &[String],
    suffix: &str,
) {
    let (series, project) = (action.series.clone(), action.project.clone());
    let title = format!(
        "{} {} of {series}{suffix}",
        command.program,
        command.arguments.join(" ")
    );
    let step = context.push(phase, id, title, Action::Command(Box::new(action)));
    step.project = Some(project);
    step.hop = hop.cloned();
    step.needs = needs.to_vec();
    step.timeout_seconds = command.timeout_seconds;
    step.estimate_ms = command.estimate_ms;
    step.sources = vec![command.source.clone()];
    step.undo = match (phase, command.purpose) {
        (_, Purpose::UpgradeCheck) => Undo::Nothing,
        (Phase::Finish, _) => Undo::Irreversible,
        _ => Undo::Checkpoint,
    };
}

/// Heads that the command must have reached: those of the roles for which it is the project's last schema command.
fn expected(
    context: &Context<'_>,
    project: &Project,
    command: &CommandEntry,
    series: &Series,
) -> Result<Vec<ExpectedHeads>, PlanError> {
    if command.purpose != Purpose::Schema {
        return Ok(Vec::new());
    }
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in context.catalog.commands(project, series) {
        if entry.purpose == Purpose::Schema {
            last.extend(entry.databases.iter().map(|role| (role.as_str(), entry.id.as_str())));
        }
    }
    let reached = command
        .databases
        .iter()
        .filter(|role| last.get(role.as_str()) == Some(&command.id.as_str()));
    heads_of(context, project, command, series, reached)
}

/// What proves that the command changes nothing.
fn no_op(
    context: &Context<'_>,
    project: &Project,
    command: &CommandEntry,
    series: &Series,
) -> Result<Option<NoOp>, PlanError> {
    if command.idle_at_heads {
        let heads = heads_of(context, project, command, series, command.databases.iter())?;
        return Ok(Some(NoOp::Heads(heads)));
    }
    let counts: Vec<PendingCount> = command
        .pending
        .iter()
        .flat_map(|pending| {
            let keys = context.role_keys(&project.name, &pending.database, true);
            keys.into_iter().map(|database| PendingCount {
                what: pending.what.clone(),
                database,
                query: pending.query.clone(),
            })
        })
        .collect();
    Ok((!counts.is_empty()).then_some(NoOp::Counts(counts)))
}

/// The heads of a series in the databases of some roles of a command, further cells left out.
fn heads_of<'r>(
    context: &Context<'_>,
    project: &Project,
    command: &CommandEntry,
    series: &Series,
    roles: impl Iterator<Item = &'r String>,
) -> Result<Vec<ExpectedHeads>, PlanError> {
    let mut heads = Vec::new();
    for role in roles {
        let keys: Vec<DatabaseKey> = context
            .role_keys(&project.name, role, true)
            .into_iter()
            .filter(|key| !key.role.starts_with("cell:"))
            .collect();
        if keys.is_empty() {
            return Err(PlanError::MissingDatabase {
                project: project.name.clone(),
                command: command.id.clone(),
                role: role.clone(),
            });
        }
        let found = context
            .catalog
            .heads(&project.name, role, series)
            .ok_or_else(|| PlanError::MissingHeads {
                project: project.name.clone(),
                series: series.to_string(),
            })?;
        for key in keys {
            for (name, versions) in &found {
                heads.push(ExpectedHeads {
                    database: key.clone(),
                    name: name.clone(),
                    versions: versions.clone(),
                });
            }
        }
    }
    Ok(heads)
}
