//! From the journal of a rehearsal to `rehearsal.json`.

use ffu_model::Plan;
use ffu_model::event::{Event, EventKind, StepResult};
use ffu_model::rehearsal::{
    CopyFigures, Machine, NotRehearsed, REHEARSAL_FORMAT, Rehearsal, RehearsalOutcome, RehearsedStep, action_digest,
    cloud_digest,
};
use jiff::Timestamp;

/// What is not in the journal.
pub struct Circumstances {
    /// When the rehearsal was begun.
    pub begun: Timestamp,
    /// On what.
    pub machine: Machine,
    /// The copy.
    pub copy: CopyFigures,
    /// The steps that were left out.
    pub not_rehearsed: Vec<NotRehearsed>,
    /// What differs from the run.
    pub remarks: Vec<String>,
}

/// Adds it up. `plan` is the operator's, not its shadow.
///
/// # Errors
/// If a step of the plan cannot be serialised.
pub fn record(plan: &Plan, events: &[Event], about: Circumstances) -> Result<Rehearsal, serde_json::Error> {
    let mut steps = Vec::new();
    for step in &plan.steps {
        let outcome = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::Outcome {
                step: id,
                result,
                detail,
                duration_ms,
                findings,
                figures,
                ..
            } if *id == step.id => Some((*result, detail, *duration_ms, findings, figures)),
            _ => None,
        });
        if let Some((result, detail, ms, findings, figures)) = outcome {
            steps.push(RehearsedStep {
                id: step.id.clone(),
                action: action_digest(&step.action)?,
                ms,
                result,
                detail: detail.clone(),
                findings: findings.clone(),
                figures: figures.clone(),
            });
        }
    }
    let all = plan.steps.len() == steps.len() + about.not_rehearsed.len();
    let outcome = if steps.iter().any(|step| step.result == StepResult::Failed) {
        RehearsalOutcome::Failed
    } else if all && steps.iter().all(|step| step.result.is_good()) {
        RehearsalOutcome::Complete
    } else {
        RehearsalOutcome::Stopped
    };
    Ok(Rehearsal {
        format: REHEARSAL_FORMAT,
        program: concat!("ffu ", env!("CARGO_PKG_VERSION")).to_owned(),
        plan: plan.id.clone(),
        catalog: plan.catalog.clone(),
        cloud: cloud_digest(&plan.cloud),
        name: plan.cloud.name.clone(),
        from: plan.from.clone(),
        to: plan.to.clone(),
        hops: plan.hops.clone(),
        parallel: plan.policy.parallel,
        begun: about.begun,
        outcome,
        machine: about.machine,
        copy: about.copy,
        wall_ms: wall(events),
        steps,
        not_rehearsed: about.not_rehearsed,
        remarks: about.remarks,
    })
}

fn wall(events: &[Event]) -> u64 {
    let intents = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Intent { .. }));
    let outcomes = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Outcome { .. }));
    match (
        intents.map(|event| event.at).min(),
        outcomes.map(|event| event.at).max(),
    ) {
        (Some(first), Some(last)) => u64::try_from(last.as_millisecond() - first.as_millisecond()).unwrap_or(0),
        _ => 0,
    }
}
