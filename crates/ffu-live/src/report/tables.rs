//! The tables of the report: budgets, steps, groups, targets.

use std::collections::BTreeMap;

use ffu_model::watch::{Breach, GroupSummary, Outage, Snapshot, StepCost, TargetSummary};
use maud::{Markup, html as markup};

use super::svg;
use crate::terminal::during;
use crate::{budgets, words};

/// Targets with loss that are listed; the JSON has all of them.
const MOST_TARGETS: usize = 100;
/// Outages that are listed of each.
const MOST_OUTAGES: usize = 10;
/// Groups of one key that are listed.
const MOST_VALUES: usize = 50;

/// What became of each budget.
fn account(snapshot: &Snapshot) -> Markup {
    markup! {
        table {
            thead { tr { th { "budget" } th { "for" } th { "state" } th { "figure" } th { "seen" } th { "allowed" } } }
            tbody {
                @for used in &snapshot.budgets {
                    @for (place, line) in budgets::lines(used).into_iter().enumerate() {
                        tr.lossy[!used.breaches.is_empty()] {
                            @if place == 0 {
                                td.keep { (used.budget.name) }
                                td { (budgets::whom(used)) }
                                td.keep { (budgets::state(used)) }
                            } @else {
                                td {} td {} td {}
                            }
                            td { (line.what) }
                            td.keep { (line.seen) }
                            td { (line.allowed.as_deref().unwrap_or("not limited")) }
                        }
                    }
                }
            }
        }
    }
}

/// What became of each budget; those that were exceeded, and what to type about them.
pub(super) fn breaches(snapshot: &Snapshot) -> Markup {
    let names = words::names(
        snapshot,
        snapshot
            .breaches
            .iter()
            .flat_map(|breach| breach.targets.iter().take(5).copied()),
    );
    markup! {
        section {
            h2 { "Budgets" }
            @if !snapshot.budgets.is_empty() { (account(snapshot)) }
            @if snapshot.breaches.is_empty() {
                p { "No budget was exceeded." }
            } @else {
                table {
                    thead { tr {
                        th { "#" } th { "budget" } th { "what" } th { "since" } th { "targets" } th { "running then" } th { "taken for" } th { "state" }
                    } }
                    tbody { @for breach in &snapshot.breaches { (breach_row(snapshot, breach, &names)) } }
                }
            }
        }
    }
}

fn breach_row(snapshot: &Snapshot, breach: &Breach, names: &BTreeMap<u32, &str>) -> Markup {
    markup! {
        tr {
            td.number { (breach.number) }
            td.keep { (breach.budget) }
            td { (breach.says) }
            td.time { (words::fine_clock(snapshot, breach.since)) }
            td { (words::breach_targets(breach, names, 5)) }
            td { (breach.steps.join(", ")) }
            td.keep { (words::origin(&breach.confidence)) }
            td {
                @if breach.acknowledged { "acknowledged" }
                @else {
                    @for (command, does) in words::commands(breach) { code { (command) } " (" (does) ") " }
                    @if words::commands(breach).is_empty() { "written down" }
                }
            }
        }
    }
}

/// Which step cost what.
pub(super) fn steps(snapshot: &Snapshot) -> Markup {
    markup! {
        section {
            h2 { "Which step cost what" }
            @if snapshot.steps.is_empty() {
                p { "No step was seen." }
            } @else {
                p.note { "A step is charged with all that was lost while it ran, also if others ran beside it." }
                table {
                    thead { tr {
                        th { "phase" } th { "step" } th { "began" } th.number { "took" } th.number { "lost" }
                        th.number { "targets" } th.number { "longest outage" } th { "taken for" }
                    } }
                    tbody { @for cost in &snapshot.steps { (step_row(snapshot, cost)) } }
                }
            }
        }
    }
}

fn step_row(snapshot: &Snapshot, cost: &StepCost) -> Markup {
    let mark = &cost.mark;
    markup! {
        tr.lossy[words::beyond_noise(cost)] {
            td { (mark.phase) }
            td { (mark.step) }
            td.time { (words::clock(snapshot, mark.begin)) }
            td.number {
                (words::length(words::step_length(snapshot, mark)))
                @if mark.end.is_none() { ", running" }
            }
            td.number { (words::count(cost.lost)) }
            @if cost.lost > 0 {
                td.number { (words::count(cost.targets.into())) }
                td.number { (words::length(cost.longest_gap)) }
                td.keep { (cost.confidence.as_ref().map(words::origin).unwrap_or_default()) }
            } @else {
                td.number { "–" } td.number { "–" } td {}
            }
        }
    }
}

/// A table for each group key.
pub(super) fn groups(snapshot: &Snapshot) -> Markup {
    let mut keys: BTreeMap<&str, Vec<&GroupSummary>> = BTreeMap::new();
    for group in &snapshot.groups {
        keys.entry(&group.key).or_default().push(group);
    }
    markup! {
        @for (key, groups) in &keys {
            section {
                h2 { "By " (key) }
                table {
                    thead { tr {
                        th { (key) } th.number { "targets" } th.number { "lost" } th.number { "of the probes" }
                        th.number { "outages" } th.number { "longest outage" } th { "loss over time" }
                    } }
                    tbody {
                        @for group in groups.iter().take(MOST_VALUES) {
                            @let totals = &group.totals;
                            tr.lossy[totals.lost > 0] {
                                td { (group.value) }
                                td.number { (words::count(totals.targets.into())) }
                                td.number { (words::count(totals.lost)) }
                                td.number { (words::share(totals.lost, totals.probes)) }
                                td.number { (words::count(totals.outages.into())) }
                                td.number { (words::length(totals.longest_gap)) }
                                td { (svg::spark(&group.timeline)) }
                            }
                        }
                    }
                }
                @if groups.len() > MOST_VALUES {
                    p.note { (words::count((groups.len() - MOST_VALUES) as u64)) " more are in the JSON." }
                }
            }
        }
    }
}

/// The targets that lost most, with their outages.
pub(super) fn targets(snapshot: &Snapshot) -> Markup {
    let lossy = |target: &&TargetSummary| target.totals.lost > 0 || target.out || target.totals.restarts > 0;
    let worst: Vec<&TargetSummary> = snapshot.targets.iter().filter(lossy).collect();
    let shown = &worst[..worst.len().min(MOST_TARGETS)];
    markup! {
        section {
            h2 { "Worst targets" }
            @if shown.is_empty() {
                p { "No target lost a probe." }
            } @else {
                p.note {
                    (words::count(worst.len() as u64)) " of " (words::count(snapshot.targets.len() as u64))
                    " targets lost probes or restarted."
                    @if worst.len() > shown.len() { " The worst " (shown.len()) " are here, all of them in the JSON." }
                }
                table {
                    thead { tr {
                        th { "target" } th { "probed" } th.number { "lost" } th.number { "together" } th { "outages" }
                    } }
                    tbody { @for target in shown { (target_row(snapshot, target)) } }
                }
            }
        }
    }
}

fn target_row(snapshot: &Snapshot, target: &TargetSummary) -> Markup {
    let groups: Vec<String> = target
        .groups
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    let older = u64::from(target.totals.outages).saturating_sub(target.outages.len().min(MOST_OUTAGES) as u64);
    markup! {
        tr {
            td { b { (target.name) } @if target.out { " (out)" } br; small { (groups.join(", ")) } }
            td { (target.probed) }
            td.number { (words::count(target.totals.lost)) }
            td.number { (words::length(target.totals.worst_total)) }
            td {
                @for outage in target.outages.iter().rev().take(MOST_OUTAGES) { (outage_line(snapshot, outage)) }
                @if older > 0 { div { (words::count(older)) " older" } }
                @if target.totals.restarts > 0 { div { (words::counted(target.totals.restarts.into(), "restart")) } }
            }
        }
    }
}

fn outage_line(snapshot: &Snapshot, outage: &Outage) -> Markup {
    let length = outage.end.unwrap_or(snapshot.now).saturating_sub(outage.begin);
    let during: Vec<&str> = during(snapshot, outage).take(5).collect();
    markup! {
        div {
            span.time { (words::fine_clock(snapshot, outage.begin)) } " for " b { (words::length(length)) }
            @if outage.end.is_none() { " and on" }
            @if outage.partly_blind { ", partly not seen" }
            @if !during.is_empty() { small { " " (during.join(", ")) } }
        }
    }
}
