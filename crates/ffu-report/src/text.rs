//! The report as text: at most 100 columns for up to seven projects, no colour, so that it can be pasted anywhere.

use std::fmt::Write as _;

use ffu_model::event::StepResult;

use crate::{Cell, HopRow, RunReport};

/// `1.234 s`, `12.3 s`, `3 min 04 s`.
pub fn milliseconds(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        10_000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// The whole report.
pub fn render(report: &RunReport) -> String {
    let mut text = String::new();
    let state = report.state.map_or("not begun".to_owned(), |state| state.to_string());
    let _ = writeln!(text, "run {}: {} → {}, {state}", report.run, report.from, report.to);
    hop_table(&mut text, &report.projects, &report.hops, true);
    phases(&mut text, report);
    estimates(&mut text, report);
    invariants(&mut text, report);
    findings(&mut text, report);
    if let Some((step, detail)) = &report.failed {
        let _ = writeln!(
            text,
            "\nnot done: {step}: {}",
            detail.lines().next().unwrap_or_default()
        );
    }
    for (at, (action, result, detail)) in report.rollback.iter().enumerate() {
        let mark = if *result == StepResult::Failed { "FAILED" } else { "ok" };
        let _ = writeln!(
            text,
            "{}{action:<20} {mark:<6} {detail}",
            if at == 0 { "\n" } else { "" }
        );
    }
    text
}

/// Hops by projects; `wall` adds the time of each hop.
pub(crate) fn hop_table(text: &mut String, projects: &[String], hops: &[HopRow], wall: bool) {
    let _ = write!(text, "\n{:<9}", "hop to");
    for project in projects {
        let _ = write!(text, "{project:>11}");
    }
    let _ = writeln!(text, "{}", if wall { format!("{:>13}", "wall") } else { String::new() });
    for row in hops {
        let _ = write!(text, "{:<9}", row.to.as_str());
        for project in projects {
            let _ = write!(text, "{:>11}", row.cells.get(project).map_or("–".to_owned(), cell));
        }
        let time = if wall {
            format!("{:>13}", milliseconds(row.wall_ms))
        } else {
            String::new()
        };
        let _ = writeln!(text, "{time}");
    }
    let _ = writeln!(
        text,
        "times are those of a project's steps added up; projects run side by side; * with warnings, ! failed, … open"
    );
}

fn cell(cell: &Cell) -> String {
    let mark = match cell {
        Cell { failed: true, .. } => "!",
        Cell { done, steps, .. } if done < steps => "…",
        Cell { warnings: 1.., .. } => "*",
        _ => "",
    };
    format!("{}.{} s{mark}", cell.ms / 1000, cell.ms % 1000 / 100)
}

fn phases(text: &mut String, report: &RunReport) {
    let _ = writeln!(text);
    for row in &report.phases {
        let _ = writeln!(
            text,
            "{:<11} {:>12}   {} of {} steps",
            row.phase.as_str(),
            milliseconds(row.wall_ms),
            row.done,
            row.steps
        );
    }
    let planned = milliseconds(report.planned_window_ms);
    if let Some(window) = report.window_ms {
        let _ = writeln!(
            text,
            "window      {:>12}   from the first API stopped to the target answering (the plan expected {planned})",
            milliseconds(window)
        );
    }
}

fn estimates(text: &mut String, report: &RunReport) {
    let comparison = &report.comparison;
    if comparison.phases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<11}{:>14}{:>14}   by {}",
        "work", "expected", "took", comparison.basis
    );
    for row in &comparison.phases {
        let (expected, took) = (milliseconds(row.estimate_ms), milliseconds(row.actual_ms));
        let _ = writeln!(text, "{:<11}{expected:>14}{took:>14}", row.phase.as_str());
    }
    for (at, step) in comparison.furthest.iter().enumerate() {
        let head = if at == 0 { "furthest off:" } else { "" };
        let (expected, took) = (milliseconds(step.estimate_ms), milliseconds(step.actual_ms));
        let _ = writeln!(text, "{head:<13} {}: expected {expected}, took {took}", step.step);
    }
}

fn invariants(text: &mut String, report: &RunReport) {
    if report.invariants.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:<34}{:>10}{:>10}", "invariant (rows)", "before", "after");
    for row in &report.invariants {
        let after = row.after.map_or("–".to_owned(), |rows| rows.to_string());
        let mark = match row.equal {
            Some(true) => "  equal",
            Some(false) => "  DIFFERS",
            None => "",
        };
        let _ = writeln!(text, "{:<34}{:>10}{after:>10}{mark}", row.id, row.before);
    }
}

fn findings(text: &mut String, report: &RunReport) {
    if report.findings.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nfindings of steps:");
    for (step, finding) in &report.findings {
        let _ = writeln!(text, "  {step}: {finding}");
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_short_and_exact_enough() {
        assert_eq!(milliseconds(0), "0.00 s");
        assert_eq!(milliseconds(9_876), "9.87 s");
        assert_eq!(milliseconds(12_345), "12.3 s");
        assert_eq!(milliseconds(184_000), "3 min 04 s");
    }
}
