//! Upgrade checks that ask running services: on a hop, where its services are started for them, and at the target.

use ffu_catalog::types::{CommandEntry, Project};
use ffu_model::step::{Action, Phase, Undo};
use ffu_model::{Hop, Series};

use crate::commands::steps_of;
use crate::context::Context;
use crate::ends::units_of;
use crate::error::PlanError;

/// Checks of an intermediate hop that ask running services: these are started at the hop's series and stopped again.
pub(super) fn served_checks(context: &mut Context<'_>, hop: &Hop) -> Result<(), PlanError> {
    let mut wanted = checks(context, &hop.to);
    wanted.retain(|(project, command)| {
        let owners = command
            .needs_services
            .iter()
            .filter_map(|name| owner(context, name, &hop.to));
        context.makes_hop(&project.name, hop) && owners.into_iter().all(|owner| context.makes_hop(&owner, hop))
    });
    if wanted.is_empty() {
        return Ok(());
    }
    if !context.supervised() {
        let names: Vec<String> = wanted.iter().map(|(p, c)| format!("{} {}", p.name, c.id)).collect();
        let decision = format!(
            "{}: {} asks running services and is left to the target: this deployment's services are not run at \
             intermediate series",
            hop.to,
            names.join(", ")
        );
        context.report.decisions.push(decision);
        return Ok(());
    }
    let mut units: Vec<String> = Vec::new();
    let mut needs: Vec<String> = Vec::new();
    for (project, command) in &wanted {
        needs.extend(context.tails.get(&project.name).cloned().unwrap_or_default());
        for name in &command.needs_services {
            for service in units_of(&context.cloud.services, name) {
                if !units.contains(&service.unit) {
                    units.push(service.unit.clone());
                }
            }
            if let Some(owner) = owner(context, name, &hop.to) {
                needs.extend(context.tails.get(&owner).cloned().unwrap_or_default());
            }
        }
    }
    needs.sort();
    needs.dedup();
    let start = format!("hops.{}.services.start", hop.to);
    let title = format!("Start the services that checks of {} ask", hop.to);
    let action = Action::StartServices {
        units: units.clone(),
        series: hop.to.clone(),
    };
    let step = context.push(Phase::Hops, &start, title, action);
    step.needs = needs;
    step.hop = Some(hop.clone());
    step.undo = Undo::Services;
    step.estimate_ms = 8_000;
    let prefix = format!("hops.{}", hop.to);
    let mut ends = Vec::new();
    for (project, command) in wanted.clone() {
        let start = vec![start.clone()];
        ends.extend(steps_of(
            context,
            Phase::Hops,
            &prefix,
            Some(hop),
            project,
            command,
            &hop.to,
            &start,
        )?);
    }
    let stop = format!("hops.{}.services.stop", hop.to);
    let step = context.push(Phase::Hops, &stop, "Stop them again", Action::StopServices { units });
    step.needs = ends;
    step.hop = Some(hop.clone());
    step.undo = Undo::Services;
    step.estimate_ms = 500;
    for (project, command) in wanted {
        let mut touched = vec![project.name.clone()];
        touched.extend(
            command
                .needs_services
                .iter()
                .filter_map(|name| owner(context, name, &hop.to)),
        );
        for name in touched {
            context.tails.insert(name, vec![stop.clone()]);
        }
    }
    Ok(())
}

/// The same checks at the target, once its own services answer.
pub(crate) fn checks_with_services(context: &mut Context<'_>, needs: &[String]) -> Result<Vec<String>, PlanError> {
    let target = context.target.clone();
    let mut ends = Vec::new();
    for (project, command) in checks(context, &target) {
        ends.extend(steps_of(
            context,
            Phase::Deploy,
            "deploy",
            None,
            project,
            command,
            &target,
            needs,
        )?);
    }
    Ok(ends)
}

fn checks<'a>(context: &Context<'a>, series: &Series) -> Vec<(&'a Project, &'a CommandEntry)> {
    let mut found = Vec::new();
    for project in context.projects.iter().copied() {
        for command in context.catalog_commands(project, series) {
            let installed = !context
                .catalog
                .missing
                .iter()
                .any(|m| m.project == project.name && m.series == *series);
            if installed && !command.needs_services.is_empty() {
                found.push((project, command));
            }
        }
    }
    found
}

/// The project whose databases a service stands on.
fn owner(context: &Context<'_>, service: &str, series: &Series) -> Option<String> {
    context
        .catalog
        .projects
        .iter()
        .find(|project| {
            project
                .service
                .iter()
                .any(|s| s.name == service && context.catalog.holds(&s.since, &s.until, series))
        })
        .map(|project| project.name.clone())
}
