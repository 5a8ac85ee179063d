//! A rehearsal as text, like a run's report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ffu_model::event::StepResult;
use ffu_model::rehearsal::{Rehearsal, RehearsalOutcome};
use ffu_model::{Phase, Plan, Severity};

use crate::{Cell, cell, milliseconds};

/// Steps that are named as the longest.
const LONGEST: usize = 8;

/// The whole report; the plan tells to which hop and project a step belongs.
pub fn render_rehearsal(plan: &Plan, rehearsal: &Rehearsal) -> String {
    let mut text = String::new();
    let how = match rehearsal.outcome {
        RehearsalOutcome::Complete => "complete",
        RehearsalOutcome::Failed => "FAILED",
        RehearsalOutcome::Stopped => "stopped by the operator",
    };
    let plan_id: String = rehearsal.plan.chars().take(12).collect();
    let _ = writeln!(
        text,
        "rehearsal of plan {plan_id}: {} → {} on a copy of {}, {how}",
        rehearsal.from, rehearsal.to, rehearsal.name
    );
    copy(&mut text, rehearsal);
    hops(&mut text, plan, rehearsal);
    phases(&mut text, plan, rehearsal);
    longest(&mut text, plan, rehearsal);
    rows(&mut text, rehearsal);
    findings(&mut text, rehearsal);
    for step in rehearsal.steps.iter().filter(|step| !step.result.is_good()) {
        let mark = if step.result == StepResult::Failed {
            "failed"
        } else {
            "stopped"
        };
        let _ = writeln!(text, "\n{mark}: {}: {}", step.id, step.detail.trim_end());
    }
    not_rehearsed(&mut text, rehearsal);
    if !rehearsal.remarks.is_empty() {
        let _ = writeln!(text, "\nhow it differs from the run it stands for:");
        for remark in &rehearsal.remarks {
            let _ = writeln!(text, "  - {remark}");
        }
    }
    text
}

fn copy(text: &mut String, rehearsal: &Rehearsal) {
    let copy = &rehearsal.copy;
    let sum = |of: fn(&ffu_model::rehearsal::CopiedDatabase) -> u64| copy.databases.iter().map(of).sum::<u64>();
    let limit = copy.limit.map_or("without a limit".to_owned(), |limit| {
        format!("at most {} MiB a second", limit >> 20)
    });
    let snapshots = match copy.snapshots {
        1 => "one snapshot".to_owned(),
        many => format!("{many} snapshots, begun one after the other"),
    };
    let _ = writeln!(
        text,
        "copy: {} databases, {} tables, {} rows, {} MiB of data and indexes, in {} ({limit}; {snapshots})",
        copy.databases.len(),
        sum(|d| d.tables),
        sum(|d| d.rows),
        sum(|d| d.source_bytes) >> 20,
        milliseconds(copy.ms)
    );
    let machine = &rehearsal.machine;
    let _ = writeln!(
        text,
        "on: {} cores, {} MiB of memory, {}; the cloud: {}",
        machine.cores,
        machine.memory_bytes >> 20,
        machine.server,
        machine.cloud_servers.join(", ")
    );
}

fn hops(text: &mut String, plan: &Plan, rehearsal: &Rehearsal) {
    let mut projects: Vec<&str> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), Cell> = BTreeMap::new();
    for step in &plan.steps {
        let (Some(hop), Some(project)) = (&step.hop, &step.project) else {
            continue;
        };
        if !projects.contains(&project.as_str()) {
            projects.push(project);
        }
        let cell = cells.entry((hop.to.as_str(), project)).or_default();
        if rehearsal.not_rehearsed.iter().any(|not| not.id == step.id) {
            continue;
        }
        cell.steps += 1;
        let Some(done) = rehearsal.steps.iter().find(|done| done.id == step.id) else {
            continue;
        };
        cell.ms += done.ms;
        cell.done += usize::from(done.result.is_good());
        cell.failed |= done.result == StepResult::Failed;
        cell.warnings += done.findings.iter().filter(|f| f.severity >= Severity::Warning).count();
    }
    let _ = write!(text, "\n{:<9}", "hop to");
    for project in &projects {
        let _ = write!(text, "{project:>11}");
    }
    let _ = writeln!(text);
    for hop in &plan.hops {
        let _ = write!(text, "{:<9}", hop.to.as_str());
        for project in &projects {
            let shown = cells.get(&(hop.to.as_str(), *project)).map_or("–".to_owned(), cell);
            let _ = write!(text, "{shown:>11}");
        }
        let _ = writeln!(text);
    }
    let _ = writeln!(
        text,
        "times are those of a project's steps added up; projects run side by side; * with warnings, ! failed, … open"
    );
}

fn phases(text: &mut String, plan: &Plan, rehearsal: &Rehearsal) {
    let _ = writeln!(text, "\n{:<11}{:>14}{:>14}", "phase", "expected", "took");
    for phase in Phase::ALL {
        let (mut steps, mut expected, mut took) = (0, 0, 0);
        for done in rehearsal.steps.iter().filter(|step| step.result.is_good()) {
            if let Some(step) = plan.step(&done.id).filter(|step| step.phase == phase) {
                steps += 1;
                expected += step.estimate_ms;
                took += done.ms;
            }
        }
        if steps > 0 {
            let (expected, took) = (milliseconds(expected), milliseconds(took));
            let _ = writeln!(text, "{:<11}{expected:>14}{took:>14}   {steps} steps", phase.as_str());
        }
    }
    let _ = writeln!(
        text,
        "{:<11}{:>14}{:>14}   from first to last",
        "wall",
        "",
        milliseconds(rehearsal.wall_ms)
    );
}

fn longest(text: &mut String, plan: &Plan, rehearsal: &Rehearsal) {
    let ran = |result: StepResult| result.is_good() && result != StepResult::Proven;
    let mut steps: Vec<_> = rehearsal.steps.iter().filter(|step| ran(step.result)).collect();
    steps.sort_by(|a, b| b.ms.cmp(&a.ms).then_with(|| a.id.cmp(&b.id)));
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nthe longest steps:");
    for done in steps.iter().take(LONGEST) {
        let expected = plan.step(&done.id).map_or(0, |step| step.estimate_ms);
        let (took, expected) = (milliseconds(done.ms), milliseconds(expected));
        let _ = writeln!(text, "  {took:>12}  {} (the plan expected {expected})", done.id);
    }
}

/// Rows that online migrations and copies moved.
fn rows(text: &mut String, rehearsal: &Rehearsal) {
    let mut lines = Vec::new();
    for step in &rehearsal.steps {
        let moved: u64 = step.figures.values().sum();
        if moved > 0 && (step.id.contains("online") || step.id.ends_with("copy-tables")) {
            lines.push(format!("  {:>12}  {}", moved, step.id));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\nrows moved:\n{}", lines.join("\n"));
    }
}

fn findings(text: &mut String, rehearsal: &Rehearsal) {
    let mut first = true;
    for step in &rehearsal.steps {
        for finding in step.findings.iter().filter(|f| f.severity >= Severity::Warning) {
            if std::mem::take(&mut first) {
                let _ = writeln!(text, "\nfindings of steps:");
            }
            let _ = writeln!(text, "  {}: {finding}", step.id);
        }
    }
}

/// By reason, because many steps share one.
fn not_rehearsed(text: &mut String, rehearsal: &Rehearsal) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for not in &rehearsal.not_rehearsed {
        match reasons.iter_mut().find(|(reason, _)| *reason == not.reason) {
            Some((_, ids)) => ids.push(&not.id),
            None => reasons.push((&not.reason, vec![&not.id])),
        }
    }
    if !reasons.is_empty() {
        let _ = writeln!(text, "\nnot rehearsed:");
        for (reason, ids) in reasons {
            let _ = writeln!(text, "  {reason}: {}", ids.join(", "));
        }
    }
}
