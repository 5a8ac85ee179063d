//! From a plan and its journal's events to the report.

use std::collections::BTreeMap;

use ffu_model::event::{Event, EventKind, RunState, StepResult};
use ffu_model::{Finding, Phase, Plan, Severity};
use jiff::Timestamp;

use crate::{Cell, HopRow, InvariantRow, PhaseRow, RunReport};

/// The last word of the journal about one step.
struct Last<'a> {
    begun: Timestamp,
    ended: Option<(&'a EventKind, Timestamp)>,
}

/// Adds a run up.
pub fn build(plan: &Plan, events: &[Event]) -> RunReport {
    let last = last_words(events);
    let mut report = RunReport {
        run: String::new(),
        plan: plan.id.clone(),
        state: state(events),
        from: plan.from.clone(),
        to: plan.to.clone(),
        window_ms: window(plan, &last),
        planned_window_ms: plan.report.window_ms,
        phases: Vec::new(),
        hops: hops(plan, &last),
        projects: hop_projects(plan),
        invariants: invariants(&last),
        results: BTreeMap::new(),
        open: Vec::new(),
        failed: None,
        findings: Vec::new(),
        comparison: crate::estimate::compare(plan, |step| match last.get(step)?.ended? {
            (
                EventKind::Outcome {
                    result, duration_ms, ..
                },
                _,
            ) if result.is_good() => Some(*duration_ms),
            _ => None,
        }),
        rollback: Vec::new(),
    };
    if let Some(EventKind::RunCreated { run, .. }) = events.first().map(|e| &e.kind) {
        report.run = run.clone();
    }
    for phase in Phase::ALL {
        report.phases.extend(phase_row(plan, phase, &last));
    }
    for step in &plan.steps {
        match last.get(step.id.as_str()).and_then(|l| l.ended) {
            Some((
                EventKind::Outcome {
                    result,
                    detail,
                    findings,
                    ..
                },
                _,
            )) => {
                *report.results.entry(name(*result).to_owned()).or_default() += 1;
                if !result.is_good() {
                    report.open.push(step.id.clone());
                    report.failed = Some((step.id.clone(), detail.clone()));
                }
                report
                    .findings
                    .extend(worth_telling(findings).map(|f| (step.id.clone(), f.clone())));
            }
            Some((EventKind::TakenAsDone { .. }, _)) => *report.results.entry("by hand".to_owned()).or_default() += 1,
            _ => report.open.push(step.id.clone()),
        }
    }
    for event in events {
        if let EventKind::Outcome {
            step, result, detail, ..
        } = &event.kind
            && step.starts_with("rollback.")
        {
            report.rollback.push((step.clone(), *result, detail.clone()));
        }
    }
    report
}

pub(crate) fn worth_telling(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.severity >= Severity::Warning)
}

fn last_words(events: &[Event]) -> BTreeMap<&str, Last<'_>> {
    let mut last: BTreeMap<&str, Last<'_>> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Intent { step, .. } => {
                last.insert(
                    step,
                    Last {
                        begun: event.at,
                        ended: None,
                    },
                );
            }
            kind @ (EventKind::Outcome { step, .. } | EventKind::TakenAsDone { step }) => {
                let entry = last.entry(step).or_insert(Last {
                    begun: event.at,
                    ended: None,
                });
                entry.ended = Some((kind, event.at));
            }
            _ => {}
        }
    }
    last
}

fn state(events: &[Event]) -> Option<RunState> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Ended { state, .. } => Some(*state),
        EventKind::Attached { purpose, .. } if purpose == "rollback" => Some(RunState::RollingBack),
        EventKind::Attached { .. } => Some(RunState::Running),
        _ => None,
    })
}

fn name(result: StepResult) -> &'static str {
    match result {
        StepResult::Succeeded => "succeeded",
        StepResult::Warned => "with warnings",
        StepResult::Proven => "proven, not run",
        StepResult::Failed => "failed",
        StepResult::Interrupted => "interrupted",
    }
}

fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

fn window(plan: &Plan, last: &BTreeMap<&str, Last<'_>>) -> Option<u64> {
    let of = |phase: Phase| plan.steps.iter().filter(move |step| step.phase == phase);
    let begun = of(Phase::Freeze)
        .filter_map(|step| Some(last.get(step.id.as_str())?.begun))
        .min()?;
    let answered = plan.step("deploy.verify").map(|step| step.id.as_str());
    let answered = answered.or_else(|| of(Phase::Deploy).next_back().map(|step| step.id.as_str()))?;
    let (_, ended) = last.get(answered)?.ended?;
    Some(between(begun, ended))
}

fn span<'a>(ids: impl Iterator<Item = &'a str>, last: &BTreeMap<&str, Last<'_>>) -> Option<(u64, usize)> {
    let (mut begun, mut ended, mut done): (Option<Timestamp>, Option<Timestamp>, usize) = (None, None, 0);
    for id in ids {
        let Some(entry) = last.get(id) else { continue };
        begun = Some(begun.map_or(entry.begun, |b| b.min(entry.begun)));
        if let Some((kind, at)) = entry.ended {
            ended = Some(ended.map_or(at, |e| e.max(at)));
            done += usize::from(is_good(kind));
        }
    }
    Some((
        ended.map_or(0, |ended| begun.map_or(0, |begun| between(begun, ended))),
        done,
    ))
    .filter(|_| begun.is_some())
}

fn is_good(kind: &EventKind) -> bool {
    match kind {
        EventKind::Outcome { result, .. } => result.is_good(),
        _ => true,
    }
}

fn phase_row(plan: &Plan, phase: Phase, last: &BTreeMap<&str, Last<'_>>) -> Option<PhaseRow> {
    let ids: Vec<&str> = plan
        .steps
        .iter()
        .filter(|s| s.phase == phase)
        .map(|s| s.id.as_str())
        .collect();
    let (wall_ms, done) = span(ids.iter().copied(), last)?;
    Some(PhaseRow {
        phase,
        wall_ms,
        done,
        steps: ids.len(),
    })
}

/// Projects with steps in the hops, in the plan's order.
pub(crate) fn hop_projects(plan: &Plan) -> Vec<String> {
    let mut projects: Vec<String> = Vec::new();
    for project in plan
        .steps
        .iter()
        .filter(|step| step.hop.is_some())
        .filter_map(|step| step.project.as_ref())
    {
        if !projects.contains(project) {
            projects.push(project.clone());
        }
    }
    projects
}

fn hops(plan: &Plan, last: &BTreeMap<&str, Last<'_>>) -> Vec<HopRow> {
    let mut rows = Vec::new();
    for hop in &plan.hops {
        let steps: Vec<_> = plan
            .steps
            .iter()
            .filter(|step| step.hop.as_ref() == Some(hop))
            .collect();
        let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
        for step in &steps {
            let Some(project) = &step.project else { continue };
            let cell = cells.entry(project.clone()).or_default();
            cell.steps += 1;
            let Some((kind, _)) = last.get(step.id.as_str()).and_then(|l| l.ended) else {
                continue;
            };
            cell.done += usize::from(is_good(kind));
            if let EventKind::Outcome {
                result,
                duration_ms,
                findings,
                ..
            } = kind
            {
                cell.ms += duration_ms;
                cell.failed |= *result == StepResult::Failed;
                cell.warnings += worth_telling(findings).count();
            }
        }
        let wall_ms = span(steps.iter().map(|s| s.id.as_str()), last).map_or(0, |(ms, _)| ms);
        rows.push(HopRow {
            to: hop.to.clone(),
            cells,
            wall_ms,
        });
    }
    rows
}

fn invariants(last: &BTreeMap<&str, Last<'_>>) -> Vec<InvariantRow> {
    let figures = |id: &str| match last.get(id).and_then(|l| l.ended) {
        Some((EventKind::Outcome { figures, result, .. }, _)) => Some((figures, *result)),
        _ => None,
    };
    let Some((before, _)) = figures("freeze.invariants") else {
        return Vec::new();
    };
    let after = figures("deploy.invariants");
    before
        .iter()
        .map(|(id, rows)| InvariantRow {
            id: id.clone(),
            before: *rows,
            after: after.and_then(|(figures, _)| figures.get(id).copied()),
            equal: after.map(|(figures, result)| result.is_good() && figures.get(id) == Some(rows)),
        })
        .collect()
}
