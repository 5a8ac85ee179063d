//! A plan's estimates, taken from a rehearsal of the same chain on the same cloud.

use std::collections::BTreeMap;

use ffu_model::plan::Plan;
use ffu_model::rehearsal::{MeasuredEstimates, REHEARSAL_FORMAT, Rehearsal, action_digest, cloud_digest};
use ffu_model::{DatabaseKey, Phase};

use crate::error::PlanError;
use crate::expected;
use crate::schedule;

/// A database that grew or shrank by more than this share (in percent) since is named.
const WORTH_NAMING: u64 = 10;

/// Reads a rehearsal's file; `file` is for the error.
///
/// # Errors
/// [`PlanError::BadRehearsal`].
pub fn read_rehearsal(file: &str, bytes: &[u8]) -> Result<Rehearsal, PlanError> {
    let bad = |reason: String| PlanError::BadRehearsal {
        file: file.to_owned(),
        reason,
    };
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    if version.format != REHEARSAL_FORMAT {
        let reason = format!(
            "format {}, this program reads format {REHEARSAL_FORMAT}",
            version.format
        );
        return Err(bad(reason));
    }
    serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
}

/// Gives the steps that were rehearsed the times they took, and reckons the window anew.
///
/// # Errors
/// [`PlanError::OtherRehearsal`] if it was of another cloud or path.
pub fn estimate_from(plan: &mut Plan, rehearsal: &Rehearsal) -> Result<(), PlanError> {
    if let Some(reason) = other(plan, rehearsal) {
        return Err(PlanError::OtherRehearsal { reason });
    }
    let unserialisable = |error: serde_json::Error| PlanError::NotSerialisable {
        reason: error.to_string(),
    };
    let measured: BTreeMap<(&str, &str), u64> = rehearsal
        .steps
        .iter()
        .filter(|step| step.result.is_good())
        .map(|step| ((step.id.as_str(), step.action.as_str()), step.ms))
        .collect();
    let mut estimates = MeasuredEstimates {
        rehearsed: rehearsal.begun,
        plan: rehearsal.plan.clone(),
        measured_steps: 0,
        window_steps: 0,
        measured_ms: 0,
        estimated_ms: 0,
        remarks: remarks(plan, rehearsal),
    };
    for step in &mut plan.steps {
        let action = action_digest(&step.action).map_err(unserialisable)?;
        let found = measured.get(&(step.id.as_str(), action.as_str())).copied();
        if let Some(ms) = found {
            step.estimate_ms = ms;
        }
        if step.phase.is_in_window() {
            estimates.window_steps += 1;
            estimates.estimated_ms += step.estimate_ms;
            if found.is_some() {
                estimates.measured_steps += 1;
                estimates.measured_ms += step.estimate_ms;
            }
        }
    }
    let order = schedule(&plan.steps, plan.policy.parallel, Phase::is_in_window);
    plan.report.window_ms = order.length_ms;
    plan.report.critical_path = order.critical_path;
    plan.report.measured = Some(estimates);
    expected::forget(&mut plan.report.decisions);
    plan.id = plan.compute_id().map_err(unserialisable)?;
    Ok(())
}

/// Why a rehearsal says nothing about a plan.
fn other(plan: &Plan, rehearsal: &Rehearsal) -> Option<String> {
    let series = |series: &[&ffu_model::Hop]| {
        let names: Vec<&str> = series.iter().map(|hop| hop.to.as_str()).collect();
        names.join(", ")
    };
    if rehearsal.from != plan.from || rehearsal.hops != plan.hops {
        return Some(format!(
            "it went from {} through {}, the plan goes from {} through {}",
            rehearsal.from,
            series(&rehearsal.hops.iter().collect::<Vec<_>>()),
            plan.from,
            series(&plan.hops.iter().collect::<Vec<_>>())
        ));
    }
    (rehearsal.cloud != cloud_digest(&plan.cloud)).then(|| {
        format!(
            "it was of the cloud {}, whose databases or schemas are not those of {}",
            rehearsal.name, plan.cloud.name
        )
    })
}

fn remarks(plan: &Plan, rehearsal: &Rehearsal) -> Vec<String> {
    let mut remarks = Vec::new();
    let then: BTreeMap<&DatabaseKey, u64> = rehearsal
        .copy
        .databases
        .iter()
        .map(|copied| (&copied.database, copied.source_bytes))
        .collect();
    for (key, database) in plan.cloud.databases() {
        let Some(&was) = then.get(&key) else { continue };
        let difference = was.abs_diff(database.bytes);
        // Below a MiB the server's estimates say nothing.
        if difference > 1 << 20 && difference.saturating_mul(100) > was.saturating_mul(WORTH_NAMING) {
            remarks.push(format!(
                "{key} had {} MiB in the rehearsal and has {} MiB now",
                was >> 20,
                database.bytes >> 20
            ));
        }
    }
    let servers: Vec<String> = plan
        .cloud
        .servers
        .iter()
        .map(|server| format!("{} {}", server.flavor, server.version))
        .filter(|server| major(server) != major(&rehearsal.machine.server))
        .collect();
    if !servers.is_empty() {
        remarks.push(format!(
            "rehearsed on {}, the cloud runs {}",
            rehearsal.machine.server,
            servers.join(", ")
        ));
    }
    if rehearsal.parallel != plan.policy.parallel {
        remarks.push(format!(
            "rehearsed with {} steps at once, the plan runs {}",
            rehearsal.parallel, plan.policy.parallel
        ));
    }
    if rehearsal.outcome != ffu_model::rehearsal::RehearsalOutcome::Complete {
        remarks.push("the rehearsal did not come to its end".to_owned());
    }
    remarks
}

/// `mariadb 10.11` of `mariadb 10.11.6-MariaDB-log`.
fn major(server: &str) -> String {
    let mut numbers = server.split('.');
    let (first, second) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    format!("{first}.{second}")
}

#[cfg(test)]
mod tests;
