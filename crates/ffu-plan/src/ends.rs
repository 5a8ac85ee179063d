//! The phases around the hops: prepare, freeze, checkpoint before them; deploy, release, finish after them.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use ffu_model::cloud::{DatabaseKey, ServiceManagerKind};
use ffu_model::plan::CheckpointMethod;
use ffu_model::step::{Action, DrainWatch, Phase, Purpose, Undo};
use ffu_model::{CloudService, Severity};

use crate::commands::steps_of;
use crate::context::Context;
use crate::error::PlanError;
use crate::{carriage, costs, files, hops};

pub(crate) fn prepare(context: &mut Context<'_>) -> Result<(), PlanError> {
    let mut ends = Vec::new();
    for hop in context.path.clone() {
        let id = format!("prepare.environment.{}", hop.to);
        let title = format!("Hop environment {} is whole and answers", hop.to);
        let step = context.push(Phase::Prepare, &id, title, Action::VerifyEnvironment { series: hop.to });
        // Checked and warmed, two at once: 13 s each in the demo, 18 to 23 s each on the way from Train to 2026.1.
        step.estimate_ms = 15_000;
        ends.push(id);
    }
    let databases: Vec<DatabaseKey> = context.databases.keys().cloned().collect();
    let title = "Every database answers and may be changed, and there is room for the checkpoint";
    context.push(
        Phase::Prepare,
        "prepare.databases",
        title,
        Action::ProbeDatabases { databases },
    );
    ends.push("prepare.databases".to_owned());
    for gate in &context.catalog.gates {
        let on_path = context
            .path
            .iter()
            .any(|hop| hop.to == gate.entering && context.makes_hop(&gate.project, hop));
        let fits = context
            .starts_at(&gate.project)
            .is_some_and(|series| context.catalog.holds(&gate.since, &gate.until, series));
        if !(gate.in_prepare && on_path && fits && context.concerns(gate)) {
            continue;
        }
        ends.extend(hops::gate(
            context,
            Phase::Prepare,
            "prepare",
            gate,
            &["prepare.databases".to_owned()],
        ));
    }
    let staged = files::staged(context);
    let title = format!("Stage the configuration of {} in the run's directory", context.target);
    let new: Vec<&Utf8PathBuf> = staged
        .iter()
        .filter(|f| f.source.is_none())
        .map(|f| &f.destination)
        .collect();
    for file in new {
        context.report.decisions.push(format!(
            "{file} is new at the target; it is made from the present files"
        ));
    }
    let said = carriage::decisions(context.cloud, &staged, &context.from, context.target);
    context.report.decisions.extend(said);
    let mut staged = staged;
    staged.extend(files::for_commands(context));
    let step = context.push(
        Phase::Prepare,
        "prepare.config",
        title,
        Action::StageConfig { files: staged },
    );
    step.needs = vec!["prepare.databases".to_owned()];
    ends.push("prepare.config".to_owned());
    context.phase_ends = ends;
    copies(context);
    ahead(context);
    Ok(())
}

/// What is measured now and not written before the freeze is not read in the window.
fn ahead(context: &mut Context<'_>) {
    let invariants = context.invariants(&context.from.clone(), None);
    let needs = context.phase_ends.clone();
    let step = context.push(
        Phase::Prepare,
        "prepare.invariants",
        "Measure what must be the same afterwards, while the cloud is up",
        Action::MeasureInvariants { invariants },
    );
    step.needs = needs;
    step.estimate_ms = 500;
    context.phase_ends.push("prepare.invariants".to_owned());
}

/// Copies are begun when all else is done: the shorter the time to the freeze, the less has changed by then.
fn copies(context: &mut Context<'_>) {
    if context.policy.checkpoint == CheckpointMethod::Dump {
        return;
    }
    let costs = costs::of(context.cloud);
    let action = Action::PrepareCheckpoint {
        databases: context.databases.keys().cloned().collect(),
        method: context.policy.checkpoint,
        limit_mib: context.policy.copy_limit_mib,
    };
    let limit = context.policy.copy_limit_mib;
    let needs = context.phase_ends.clone();
    let title = "Copy the databases beside themselves while the cloud is up";
    let step = context.push(Phase::Prepare, "prepare.checkpoint", title, action);
    step.needs = needs;
    step.estimate_ms = costs.early_ms(limit);
    step.timeout_seconds = 3_600 + step.estimate_ms / 100;
    context.phase_ends.push("prepare.checkpoint".to_owned());
}

pub(crate) fn freeze(context: &mut Context<'_>) -> Result<(), PlanError> {
    let units = context.control_plane();
    let is_front = |entry: &Option<&ffu_catalog::types::ServiceEntry>| entry.is_none_or(|e| e.front);
    let front: Vec<String> = units
        .iter()
        .filter(|(_, e)| is_front(e))
        .map(|(s, _)| s.unit.clone())
        .collect();
    let back: Vec<String> = units
        .iter()
        .filter(|(_, e)| !is_front(e))
        .map(|(s, _)| s.unit.clone())
        .collect();
    if units.is_empty() {
        context
            .report
            .decisions
            .push("no control plane service was found: the operator stops them (the freeze pauses for it)".to_owned());
    }
    let mut needs = context.phase_ends.clone();
    if units.is_empty() {
        let message =
            "Stop every OpenStack control plane service of this cloud; leave agents, OVS/OVN and libvirt running.";
        let step = context.push(
            Phase::Freeze,
            "freeze.pause",
            "The operator stops the control plane",
            Action::Pause {
                message: message.to_owned(),
            },
        );
        step.needs = needs;
        needs = vec!["freeze.pause".to_owned()];
    }
    needs = stop(context, "freeze.apis", "Stop the APIs: no new requests", front, needs);
    let watches = drains(context);
    if !watches.is_empty() {
        let deadline = context.policy.drain_deadline_seconds;
        let title = format!("Wait for operations in flight, {deadline} s at most");
        let step = context.push(Phase::Freeze, "freeze.drain", title, Action::Drain { watches });
        step.needs = needs;
        step.timeout_seconds = deadline;
        needs = vec!["freeze.drain".to_owned()];
    }
    needs = stop(
        context,
        "freeze.services",
        "Stop the rest of the control plane; agents stay up",
        back,
        needs,
    );
    let invariants = context.invariants(&context.from.clone(), None);
    let title = "Count and fingerprint what must be the same afterwards";
    let step = context.push(
        Phase::Freeze,
        "freeze.invariants",
        title,
        Action::CaptureInvariants { invariants },
    );
    step.needs = needs.clone();
    step.estimate_ms = 500;
    needs.push("freeze.invariants".to_owned());
    context.phase_ends = needs;
    let agents = context.cloud.services.len() - context.control_plane().len();
    context.report.decisions.push(format!(
        "{agents} agents are part of the data plane: they are neither stopped nor restarted before the release phase"
    ));
    Ok(())
}

fn stop(context: &mut Context<'_>, id: &str, title: &str, units: Vec<String>, needs: Vec<String>) -> Vec<String> {
    if units.is_empty() {
        return needs;
    }
    let step = context.push(Phase::Freeze, id, title, Action::StopServices { units });
    step.needs = needs;
    step.estimate_ms = 1_000;
    step.undo = Undo::Services;
    vec![id.to_owned()]
}

fn drains(context: &Context<'_>) -> Vec<DrainWatch> {
    let mut watches = Vec::new();
    for project in &context.projects {
        let Some(series) = context.starts_at(&project.name) else {
            continue;
        };
        for entry in project
            .drain
            .iter()
            .filter(|d| context.catalog.holds(&d.since, &d.until, series))
        {
            for database in context.role_keys(&project.name, &entry.database, true) {
                watches.push(DrainWatch {
                    database,
                    what: entry.what.clone(),
                    query: entry.query.clone(),
                });
            }
        }
    }
    watches
}

pub(crate) fn checkpoint(context: &mut Context<'_>) {
    let mut databases: BTreeSet<DatabaseKey> = context.databases.keys().cloned().collect();
    for project in context.catalog.projects_at(context.target) {
        for extraction in &project.extraction {
            if context.cloud.project(&project.name).is_none()
                && context.path.iter().any(|hop| hop.to == extraction.entering)
            {
                databases.insert(DatabaseKey::new(&project.name, &extraction.to));
            }
        }
    }
    let mut paths: BTreeSet<Utf8PathBuf> = BTreeSet::new();
    for project in &context.cloud.projects {
        paths.extend(project.config_files.iter().map(|file| file.path.clone()));
    }
    // A file that the target reads under another name: if it is not there, going back takes it away.
    let renamed = files::staged(context).into_iter().filter(|file| file.source.is_some());
    paths.extend(renamed.map(|file| file.destination));
    if let ServiceManagerKind::Process { directory } = &context.cloud.service_manager {
        paths.extend(
            context
                .cloud
                .services
                .iter()
                .map(|s| directory.join(format!("{}.toml", s.unit))),
        );
    }
    let costs = costs::of(context.cloud);
    let method = context.policy.checkpoint;
    let action = Action::Checkpoint {
        databases: databases.into_iter().collect(),
        files: paths.into_iter().collect(),
        method,
    };
    let needs = context
        .phase_ends
        .iter()
        .filter(|id| *id != "freeze.invariants")
        .cloned()
        .collect();
    let step = context.push(Phase::Checkpoint, "checkpoint", "Make and prove the way back", action);
    step.needs = needs;
    step.timeout_seconds = 600 + costs.bytes / 1_000_000;
    step.estimate_ms = match method {
        CheckpointMethod::Dump => costs.dump_ms(),
        CheckpointMethod::Auto | CheckpointMethod::Copy => costs.compare_ms(),
    };
    let said = costs.decision(method, context.policy.checkpoint_proof, context.policy.copy_limit_mib);
    context.report.decisions.push(said);
    if let Some(key) = &context.policy.dump_key {
        let said = format!(
            "dumps are encrypted for {} with the key in {}, which the run and the way back read: without it they cannot be opened; \
             copies on the server and configuration files are not encrypted",
            key.recipients.join(", "),
            key.file
        );
        context.report.decisions.push(said);
    }
    context.phase_ends = vec!["checkpoint".to_owned(), "freeze.invariants".to_owned()];
}

pub(crate) fn deploy(context: &mut Context<'_>) -> Result<(), PlanError> {
    let mut ends: Vec<String> = context.tails.values().flatten().cloned().collect();
    ends.sort();
    ends.dedup();
    let files = files::staged(context);
    let title = format!("Put the configuration of {} in place", context.target);
    let action = Action::InstallConfig {
        staged: "prepare.config".to_owned(),
        files,
    };
    let step = context.push(Phase::Deploy, "deploy.config", title, action);
    step.needs = ends;
    step.undo = Undo::Checkpoint;
    let mut needs = vec!["deploy.config".to_owned()];
    let units: Vec<String> = context
        .control_plane()
        .into_iter()
        .rev()
        .map(|(s, _)| s.unit.clone())
        .collect();
    if context.supervised() {
        let target = context.target.clone();
        let title = format!("Start the control plane of {target}");
        let action = Action::StartServices {
            units: units.clone(),
            series: target,
        };
        let step = context.push(Phase::Deploy, "deploy.services", title, action);
        step.needs = needs;
        step.estimate_ms = 8_000;
        step.undo = Undo::Services;
        needs = vec!["deploy.services".to_owned()];
    } else {
        let message = format!(
            "Deploy {} with your deployment tool: packages and services of the control plane only, no agent, no compute. The \
             databases are migrated and the configuration is in place.",
            context.target
        );
        let step = context.push(
            Phase::Deploy,
            "deploy.pause",
            "The operator deploys the target's control plane",
            Action::Pause { message },
        );
        step.needs = needs;
        step.undo = Undo::Services;
        needs = vec!["deploy.pause".to_owned()];
        context.report.decisions.push(
            "the target's packages are not installed by this plan: it pauses for the deployment tool in the deploy phase".to_owned(),
        );
    }
    if !units.is_empty() {
        let title = format!("The services of {} answer", context.target);
        let step = context.push(Phase::Deploy, "deploy.verify", title, Action::VerifyServices { units });
        step.needs = needs;
        step.estimate_ms = 1_000;
        needs = vec!["deploy.verify".to_owned()];
    }
    let mut ends = needs.clone();
    ends.extend(hops::checks_with_services(context, &needs)?);
    let invariants = context.invariants(&context.target.clone(), None);
    let action = Action::CompareInvariants {
        baseline: "freeze.invariants".to_owned(),
        invariants,
    };
    let step = context.push(
        Phase::Deploy,
        "deploy.invariants",
        "The whole cloud is what it was",
        action,
    );
    step.needs = needs;
    step.estimate_ms = 500;
    ends.push("deploy.invariants".to_owned());
    context.phase_ends = ends;
    Ok(())
}

pub(crate) fn release(context: &mut Context<'_>) {
    let databases: Vec<DatabaseKey> = context
        .role_keys("nova", "cell", true)
        .into_iter()
        .filter(|key| key.role != "cell0")
        .collect();
    let needs = context.phase_ends.clone();
    let title = "Point of no return: agents and computes follow with your deployment tool";
    let step = context.push(
        Phase::Release,
        "release.agents",
        title,
        Action::ReviewAgents { databases },
    );
    step.needs = needs;
    step.undo = Undo::Irreversible;
    step.estimate_ms = 100;
    context.phase_ends = vec!["release.agents".to_owned()];
    context.report.irreversible.push(
        "release.agents: `ffu accept` ends the offer to go back; until then `ffu rollback` brings databases, configuration and \
         services back to the checkpoint"
            .to_owned(),
    );
}

pub(crate) fn finish(context: &mut Context<'_>) -> Result<(), PlanError> {
    let needs = context.phase_ends.clone();
    let target = context.target.clone();
    let mut ends = Vec::new();
    for project in context.projects.clone() {
        for command in context.catalog_commands(project, &target) {
            if command.purpose == Purpose::OnlineData {
                ends.extend(steps_of(
                    context,
                    Phase::Finish,
                    "finish",
                    None,
                    project,
                    command,
                    &target,
                    &needs,
                )?);
            }
        }
    }
    let needs = if ends.is_empty() { needs } else { ends };
    let action = Action::DropCheckpoint {
        checkpoint: "checkpoint".to_owned(),
    };
    let step = context.push(Phase::Finish, "finish.checkpoint", "Delete the checkpoint", action);
    step.needs = needs;
    step.undo = Undo::Irreversible;
    context
        .report
        .irreversible
        .push("finish.checkpoint: the dumps and copies are deleted".to_owned());
    Ok(())
}

/// Units that serve a catalog service, in the cloud's order.
pub(crate) fn units_of<'a>(services: &'a [CloudService], name: &str) -> Vec<&'a CloudService> {
    services.iter().filter(|service| service.service == name).collect()
}

/// Whether a gate's offenders stop the run.
pub(crate) fn stops(severity: Severity) -> bool {
    severity == Severity::Blocker
}
