//! A rehearsal as text, like a run's report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ffu_model::Plan;
use ffu_model::event::StepResult;
use ffu_model::rehearsal::{Rehearsal, RehearsalOutcome, RehearsedStep};

use crate::build::{hop_projects, worth_telling};
use crate::estimate::compare;
use crate::text::{hop_table, milliseconds};
use crate::{Cell, HopRow};

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
    let left_out: BTreeSet<&str> = rehearsal.not_rehearsed.iter().map(|not| not.id.as_str()).collect();
    let done: BTreeMap<&str, &RehearsedStep> = rehearsal.steps.iter().map(|step| (step.id.as_str(), step)).collect();
    let mut rows = Vec::new();
    for hop in &plan.hops {
        let mut cells: BTreeMap<String, Cell> = BTreeMap::new();
        for step in plan.steps.iter().filter(|step| step.hop.as_ref() == Some(hop)) {
            let Some(project) = &step.project else { continue };
            let cell = cells.entry(project.clone()).or_default();
            if left_out.contains(step.id.as_str()) {
                continue;
            }
            cell.steps += 1;
            let Some(done) = done.get(step.id.as_str()) else {
                continue;
            };
            cell.ms += done.ms;
            cell.done += usize::from(done.result.is_good());
            cell.failed |= done.result == StepResult::Failed;
            cell.warnings += worth_telling(&done.findings).count();
        }
        rows.push(HopRow {
            to: hop.to.clone(),
            cells,
            wall_ms: 0,
        });
    }
    hop_table(text, &hop_projects(plan), &rows, false);
}

fn phases(text: &mut String, plan: &Plan, rehearsal: &Rehearsal) {
    let _ = writeln!(text, "\n{:<11}{:>14}{:>14}", "phase", "expected", "took");
    let good = rehearsal.steps.iter().filter(|step| step.result.is_good());
    let took: BTreeMap<&str, u64> = good.map(|step| (step.id.as_str(), step.ms)).collect();
    for row in compare(plan, |step| took.get(step).copied()).phases {
        let (expected, took) = (milliseconds(row.estimate_ms), milliseconds(row.actual_ms));
        let _ = writeln!(
            text,
            "{:<11}{expected:>14}{took:>14}   {} steps",
            row.phase.as_str(),
            row.steps
        );
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
        for finding in worth_telling(&step.findings) {
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
