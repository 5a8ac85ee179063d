//! The hops: for each series and project, gates, tables that move, commands, checks and invariants, as lanes side by side.

mod served;

use ffu_catalog::types::{GateEntry, Project};
use ffu_model::Hop;
use ffu_model::cloud::DatabaseKey;
use ffu_model::step::{Action, Phase, Undo};

use crate::commands::steps_of;
use crate::context::Context;
use crate::ends::stops;
use crate::error::PlanError;
use crate::files::extraction_connection;

pub(crate) use served::checks_with_services;

/// All hops, one after the other; within one, projects wait only for what the catalog names.
pub(crate) fn all(context: &mut Context<'_>) -> Result<(), PlanError> {
    let start = context.phase_ends.clone();
    for project in &context.projects {
        context.tails.insert(project.name.clone(), start.clone());
    }
    let path = context.path.clone();
    for (at, hop) in path.iter().enumerate() {
        appear(context, hop);
        let order = lane_order(context, hop)?;
        for project in order {
            lane(context, hop, project)?;
        }
        if at + 1 < path.len() && context.policy.thorough {
            served::served_checks(context, hop)?;
        }
    }
    Ok(())
}

/// Projects that come into being on this hop by an extraction.
fn appear(context: &mut Context<'_>, hop: &Hop) {
    for project in context.catalog.projects_at(&hop.to) {
        let known = context.projects.iter().any(|p| p.name == project.name);
        if !known && project.extraction.iter().any(|entry| entry.entering == hop.to) {
            context.projects.push(project);
            context.projects.sort_by_key(|p| p.order);
        }
    }
}

/// Projects of a hop such that those that come first by the catalog do come first.
fn lane_order<'a>(context: &Context<'a>, hop: &Hop) -> Result<Vec<&'a Project>, PlanError> {
    let mut waiting: Vec<&Project> = context
        .projects
        .iter()
        .copied()
        .filter(|project| context.makes_hop(&project.name, hop))
        .collect();
    let mut order: Vec<&Project> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|project| {
            firsts(context, project, hop).all(|first| !waiting.iter().any(|other| other.name == first))
        });
        match ready {
            Some(at) => order.push(waiting.remove(at)),
            None => {
                return Err(PlanError::Circle {
                    series: hop.to.to_string(),
                    projects: waiting.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    Ok(order)
}

fn firsts<'a>(context: &Context<'a>, project: &'a Project, hop: &Hop) -> impl Iterator<Item = &'a str> {
    let (catalog, to) = (context.catalog, hop.to.clone());
    project
        .after
        .iter()
        .filter(move |a| catalog.holds(&a.since, &a.until, &to))
        .map(|a| a.project.as_str())
}

fn lane(context: &mut Context<'_>, hop: &Hop, project: &Project) -> Result<(), PlanError> {
    let missing = context
        .catalog
        .missing
        .iter()
        .find(|m| m.project == project.name && m.series == hop.to);
    if let Some(missing) = missing {
        context.report.decisions.push(format!(
            "{} {} of {} cannot be installed ({}): {}; still linear, since {}",
            project.name, missing.version, hop.to, missing.reason, missing.instead, missing.why_linear
        ));
        return Ok(());
    }
    let mut needs: Vec<String> = context
        .tails
        .get(&project.name)
        .cloned()
        .unwrap_or(context.phase_ends.clone());
    for first in firsts(context, project, hop) {
        needs.extend(context.tails.get(first).cloned().unwrap_or_default());
    }
    needs.sort();
    needs.dedup();
    let prefix = format!("hops.{}", hop.to);
    for gate in context
        .catalog
        .gates
        .iter()
        .filter(|g| g.on_hop && g.entering == hop.to && g.project == project.name)
    {
        if !context.concerns(gate) {
            continue;
        }
        let ends = gate_on_hop(context, hop, &prefix, gate, &needs);
        needs = if ends.is_empty() { needs } else { ends };
    }
    needs = extraction(context, hop, project, needs)?;
    for command in context.catalog_commands(project, &hop.to) {
        if !command.needs_services.is_empty() || (command.on_the_way.is_some() && !context.checks_on_the_way(hop)) {
            continue;
        }
        let ends = steps_of(
            context,
            Phase::Hops,
            &prefix,
            Some(hop),
            project,
            command,
            &hop.to,
            &needs,
        )?;
        if let Some(alone) = &command.on_the_way {
            let decision = format!(
                "{} {} is asked on the way without the services it would ask; {} is left to the target",
                command.program,
                command.arguments.join(" "),
                alone.excused_checks.join(", ")
            );
            if !context.report.decisions.contains(&decision) {
                context.report.decisions.push(decision);
            }
        }
        needs = if ends.is_empty() { needs } else { ends };
    }
    let invariants = match context.policy.thorough {
        true => context.invariants(&hop.to, Some(&project.name)),
        false => Vec::new(),
    };
    if !invariants.is_empty() {
        let id = format!("{prefix}.{}.invariants", project.name);
        let title = format!("{}: nothing was lost on the way to {}", project.name, hop.to);
        let action = Action::CompareInvariants {
            baseline: "freeze.invariants".to_owned(),
            invariants,
        };
        let step = context.push(Phase::Hops, &id, title, action);
        step.needs = needs;
        step.project = Some(project.name.clone());
        step.hop = Some(hop.clone());
        needs = vec![id];
    }
    context.tails.insert(project.name.clone(), needs);
    Ok(())
}

fn gate_on_hop(context: &mut Context<'_>, hop: &Hop, prefix: &str, gate: &GateEntry, needs: &[String]) -> Vec<String> {
    let first = context.steps.len();
    let ends = self::gate(context, Phase::Hops, prefix, gate, needs);
    for step in &mut context.steps[first..] {
        step.hop = Some(hop.clone());
    }
    ends
}

/// One step for each database that the gate asks.
pub(crate) fn gate(
    context: &mut Context<'_>,
    phase: Phase,
    prefix: &str,
    gate: &GateEntry,
    needs: &[String],
) -> Vec<String> {
    let mut ends = Vec::new();
    for (at, database) in context
        .role_keys(&gate.project, &gate.database, true)
        .into_iter()
        .enumerate()
    {
        let suffix = if at == 0 { String::new() } else { format!(".{at}") };
        let id = format!("{prefix}.{}.gate.{}{suffix}", gate.project, gate.id);
        let title = format!(
            "Gate {} of {}{} on {database}",
            gate.id,
            gate.entering,
            if stops(gate.severity) { "" } else { " (a warning)" },
        );
        let action = Action::Gate {
            gate: gate.id.clone(),
            database,
            query: gate.query.clone(),
            severity: gate.severity,
            message: gate.message.clone(),
            remedy: gate.remedy.clone(),
        };
        let step = context.push(phase, &id, title, action);
        step.needs = needs.to_vec();
        step.project = Some(gate.project.clone());
        step.sources = vec![gate.source.clone()];
        step.estimate_ms = 50;
        ends.push(id);
    }
    ends
}

fn extraction(
    context: &mut Context<'_>,
    hop: &Hop,
    project: &Project,
    needs: Vec<String>,
) -> Result<Vec<String>, PlanError> {
    let Some(entry) = project.extraction.iter().find(|entry| entry.entering == hop.to) else {
        return Ok(needs);
    };
    let to = DatabaseKey::new(&project.name, &entry.to);
    if context.databases.contains_key(&to) {
        let already = format!(
            "{to} is there already: the extraction of {} was done before",
            project.name
        );
        context.report.decisions.push(already);
        return Ok(needs);
    }
    let missing = || PlanError::MissingDatabase {
        project: project.name.clone(),
        command: "extraction".to_owned(),
        role: entry.from.clone(),
    };
    let from: DatabaseKey = entry.from.parse().map_err(|_| missing())?;
    let database = project
        .database
        .iter()
        .find(|d| d.role == entry.to)
        .ok_or_else(missing)?;
    let connection = extraction_connection(context, &entry.from, &database.schema).ok_or_else(missing)?;
    let mut needs = needs;
    needs.extend(context.tails.get(&from.project).cloned().unwrap_or_default());
    needs.sort();
    needs.dedup();
    let create = format!("hops.{}.{}.create-database", hop.to, project.name);
    let action = Action::CreateDatabase {
        database: to.clone(),
        connection: connection.clone(),
        like: from.clone(),
    };
    let step = context.push(
        Phase::Hops,
        &create,
        format!("Create the {} database", project.name),
        action,
    );
    step.needs = needs;
    step.project = Some(project.name.clone());
    step.hop = Some(hop.clone());
    step.undo = Undo::Checkpoint;
    step.sources = vec![entry.source.clone()];
    let copy = format!("hops.{}.{}.copy-tables", hop.to, project.name);
    let title = format!("Copy {}'s tables out of {from}", project.name);
    let action = Action::CopyTables {
        from,
        to: to.clone(),
        tables: entry.tables.clone(),
        stamp: Some(entry.stamp.clone()),
    };
    let step = context.push(Phase::Hops, &copy, title, action);
    step.needs = vec![create];
    step.project = Some(project.name.clone());
    step.hop = Some(hop.clone());
    step.undo = Undo::Checkpoint;
    step.estimate_ms = 2_000;
    step.sources = vec![entry.source.clone()];
    context.report.decisions.push(format!(
        "{} becomes a project of its own on entering {}: its tables are copied from {} into a new database on the same server, \
         with the same account",
        project.name, hop.to, entry.from
    ));
    context.databases.insert(to, connection);
    Ok(vec![copy])
}
