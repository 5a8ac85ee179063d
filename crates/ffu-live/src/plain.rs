//! The watch without a terminal: one line of state, and lines for what changed since the last one. No colour, no cursor.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use ffu_model::watch::{Breach, Outage, Snapshot, TargetSummary};

use crate::{budgets, words};

/// When more targets than this change at once, they share a line.
const MOST_LINES: usize = 20;
/// Budgets that are told one by one, those that were exceeded first.
const MOST_BUDGETS: usize = 20;

/// The state in one line.
pub fn line(snapshot: &Snapshot) -> String {
    let totals = &snapshot.totals;
    let mut text = format!(
        "{} watch {}: {}, {} out, {} probes, {} lost ({}), {}, longest {}",
        words::clock(snapshot, snapshot.now),
        words::verdict_word(words::verdict(snapshot)),
        words::counted(totals.targets.into(), "target"),
        words::count(totals.out.into()),
        words::count(totals.probes),
        words::count(totals.lost),
        words::share(totals.lost, totals.probes),
        words::counted(totals.outages.into(), "outage"),
        words::length(totals.longest_gap),
    );
    let running: Vec<String> = snapshot
        .steps
        .iter()
        .filter(|cost| cost.mark.end.is_none())
        .map(|cost| words::clean(&cost.mark.step))
        .collect();
    if !running.is_empty() {
        text.push_str(", running: ");
        text.push_str(&running.join(", "));
    }
    text
}

/// What the data plane went through, for the report of a run: totals, breaches, and the steps in which something was lost, the
/// longest outage first, at most `most` of them.
pub fn account(snapshot: &Snapshot, most: usize) -> String {
    let totals = &snapshot.totals;
    let mut text = format!(
        "data plane   {}, {} probes, {} lost ({}), {}, longest {}; {} restarted, {} broke\n",
        words::counted(totals.targets.into(), "target"),
        words::count(totals.probes),
        words::count(totals.lost),
        words::share(totals.lost, totals.probes),
        words::counted(totals.outages.into(), "outage"),
        words::length(totals.longest_gap),
        words::counted(totals.restarts.into(), "workload"),
        words::counted(totals.broken_streams.into(), "stream"),
    );
    let mut costly: Vec<_> = snapshot.steps.iter().filter(|cost| cost.lost > 0).collect();
    costly.sort_by_key(|cost| std::cmp::Reverse((cost.longest_gap, cost.lost)));
    for cost in costly.iter().take(most) {
        let origin = cost.confidence.as_ref().map(words::origin).unwrap_or_default();
        let _ = writeln!(
            text,
            "  {}: {} lost, {}, longest {}; {origin}",
            words::clean(&cost.mark.step),
            words::count(cost.lost),
            words::counted(cost.targets.into(), "target"),
            words::length(cost.longest_gap),
        );
    }
    if costly.len() > most {
        let _ = writeln!(
            text,
            "  and {}",
            words::counted((costly.len() - most) as u64, "other step")
        );
    }
    for line in budgets(snapshot) {
        let _ = writeln!(text, "  {line}");
    }
    let names = words::names(
        snapshot,
        snapshot
            .breaches
            .iter()
            .flat_map(|one| one.targets.iter().take(3).copied()),
    );
    for breach in &snapshot.breaches {
        let _ = writeln!(
            text,
            "  breach {} of {}{}: {}; {}; since {} UTC, during {}",
            breach.number,
            words::clean(&breach.budget),
            if breach.acknowledged { ", acknowledged" } else { "" },
            words::clean(&breach.says),
            words::breach_targets(breach, &names, 3),
            words::clock(snapshot, breach.since),
            if breach.steps.is_empty() {
                "no step".to_owned()
            } else {
                words::clean(&breach.steps.join(", "))
            },
        );
    }
    text
}

/// What became of each budget, a line each: those that were exceeded first, then those that held.
pub fn budgets(snapshot: &Snapshot) -> Vec<String> {
    let (held, exceeded): (Vec<_>, Vec<_>) = snapshot.budgets.iter().partition(|one| one.breaches.is_empty());
    let mut lines: Vec<String> = (exceeded.into_iter().chain(held))
        .take(MOST_BUDGETS)
        .map(budgets::line)
        .collect();
    let more = snapshot.budgets.len() - lines.len();
    if more > 0 {
        lines.push(format!(
            "and {}, which are in the JSON",
            words::counted(more as u64, "other budget")
        ));
    }
    lines
}

/// What changed since `before`, one line each, oldest first: outages that began or ended, breaches with what to type, remarks.
/// Without `before`, everything so far.
pub fn changes(before: Option<&Snapshot>, now: &Snapshot) -> Vec<String> {
    let mut timed = outages(before, now);
    let names = words::names(
        now,
        now.breaches
            .iter()
            .flat_map(|breach| breach.targets.iter().take(3).copied()),
    );
    for breach in &now.breaches {
        let old = before.and_then(|before| before.breaches.iter().find(|old| old.number == breach.number));
        match old {
            None => timed.push((
                breach.found,
                breach_lines(now, breach, &words::breach_targets(breach, &names, 3)),
            )),
            Some(old) if breach.acknowledged && !old.acknowledged => {
                timed.push((
                    now.now,
                    format!("{} breach {} acknowledged", words::clock(now, now.now), breach.number),
                ));
            }
            Some(_) => {}
        }
    }
    timed.sort_by_key(|(at, _)| *at);
    let remarks = new_remarks(before.map_or(&[], |before| &before.remarks), &now.remarks);
    let remarks = remarks
        .into_iter()
        .map(|remark| format!("{} remark: {}", words::clock(now, now.now), words::clean(remark)));
    timed.into_iter().map(|(_, text)| text).chain(remarks).collect()
}

fn breach_lines(now: &Snapshot, breach: &Breach, targets: &str) -> String {
    let mut text = format!(
        "{} BREACH {} of {}: {}; {} since {}",
        words::clock(now, breach.found),
        breach.number,
        words::clean(&breach.budget),
        words::clean(&breach.says),
        targets,
        words::fine_clock(now, breach.since),
    );
    if !breach.steps.is_empty() {
        text.push_str(&format!("; running: {}", words::clean(&breach.steps.join(", "))));
    }
    for (command, does) in words::commands(breach) {
        text.push_str(&format!("\n  next: {command}   ({does})"));
    }
    text
}

/// Lines about outages with the instant each is about.
fn outages(before: Option<&Snapshot>, now: &Snapshot) -> Vec<(u64, String)> {
    let old: HashMap<u32, &TargetSummary> = before
        .map(|before| before.targets.iter().map(|target| (target.target, target)).collect())
        .unwrap_or_default();
    let mut began = Vec::new();
    let mut ended = Vec::new();
    for target in &now.targets {
        let known: HashMap<u64, bool> = match old.get(&target.target) {
            Some(old) if old.totals.outages == target.totals.outages && old.out == target.out => continue,
            Some(old) => old
                .outages
                .iter()
                .map(|outage| (outage.begin, outage.end.is_some()))
                .collect(),
            None => HashMap::new(),
        };
        for outage in &target.outages {
            match (known.get(&outage.begin), outage.end) {
                (None, None) => began.push((target, outage)),
                (None | Some(false), Some(_)) => ended.push((target, outage)),
                _ => {}
            }
        }
    }
    let mut lines = lines_of(now, "began", &began);
    lines.extend(lines_of(now, "ended", &ended));
    lines
}

fn lines_of(now: &Snapshot, what: &str, outages: &[(&TargetSummary, &Outage)]) -> Vec<(u64, String)> {
    if outages.len() <= MOST_LINES {
        return outages
            .iter()
            .map(|(target, outage)| outage_line(now, what, target, outage))
            .collect();
    }
    let longest = outages.iter().max_by_key(|(_, outage)| length(now, outage));
    let at = outages
        .iter()
        .map(|(_, outage)| outage.end.unwrap_or(outage.begin))
        .min()
        .unwrap_or(now.now);
    let longest = longest.map_or_else(String::new, |(target, outage)| {
        format!(
            "; longest: {} {}",
            words::clean(&target.name),
            words::length(length(now, outage))
        )
    });
    let text = format!(
        "{} outages {what}: {}{longest}",
        words::fine_clock(now, at),
        words::count(outages.len() as u64)
    );
    vec![(at, text)]
}

fn length(now: &Snapshot, outage: &Outage) -> u64 {
    outage.end.unwrap_or(now.now).saturating_sub(outage.begin)
}

fn outage_line(now: &Snapshot, what: &str, target: &TargetSummary, outage: &Outage) -> (u64, String) {
    let (name, probed) = (words::clean(&target.name), words::clean(&target.probed));
    let Some(end) = outage.end else {
        let text = format!(
            "{} outage {what}: {name} ({probed})",
            words::fine_clock(now, outage.begin)
        );
        return (outage.begin, text);
    };
    let blind = if outage.partly_blind { ", partly not seen" } else { "" };
    let text = format!(
        "{} outage {what}: {name} ({probed}) after {}, {} lost{blind}",
        words::fine_clock(now, end),
        words::length(length(now, outage)),
        words::counted(outage.lost.into(), "probe"),
    );
    (end, text)
}

/// The remarks that are new, wherever they stand.
fn new_remarks<'a>(old: &[String], now: &'a [String]) -> Vec<&'a String> {
    let old: HashSet<&String> = old.iter().collect();
    now.iter().filter(|remark| !old.contains(remark)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn a_run_reads_as_lines() {
        let mut text = Vec::new();
        let mut before = None;
        for second in [10, 122, 123, 331, 332, 334, 338, 445, 447, 506] {
            let now = made::snapshot(second, 200);
            text.push(line(&now));
            text.extend(changes(before.as_ref(), &now));
            before = Some(now);
        }
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn a_report_says_which_step_cost_what() {
        let text = account(&made::snapshot(450, 200), 2);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn nothing_new_is_no_line() {
        let now = made::snapshot(450, 200);
        assert_eq!(changes(Some(&now), &now), Vec::<String>::new());
    }

    #[test]
    fn many_outages_at_once_are_one_line() {
        let mut now = made::snapshot(335, 3000);
        for target in &mut now.targets {
            if target.outages.is_empty() {
                target.totals.outages = 1;
                target.outages = vec![Outage {
                    target: target.target,
                    begin: now.now - 400_000_000,
                    end: None,
                    up_before: None,
                    lost: 4,
                    partly_blind: false,
                }];
            }
        }
        let text = changes(Some(&made::snapshot(334, 3000)), &now);
        assert!(
            text.iter()
                .any(|line| line.contains("outages began: 2,986; longest: vm-")),
            "{text:?}"
        );
        assert!(text.len() < 10);
    }

    #[test]
    fn remarks_are_told_once_even_if_old_ones_are_dropped() {
        let of = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(new_remarks(&of(&["a", "b"]), &of(&["a", "b", "c"])), ["c"]);
        assert_eq!(new_remarks(&of(&["a", "b"]), &of(&["b", "c"])), ["c"]);
        assert_eq!(new_remarks(&of(&["a"]), &of(&["x"])), ["x"]);
        assert_eq!(new_remarks(&of(&[]), &of(&["a", "a"])), ["a", "a"]);
        assert_eq!(new_remarks(&of(&["a", "c"]), &of(&["a", "b", "c"])), ["b"]);
    }

    #[test]
    fn a_line_cannot_be_forged_by_a_name() {
        let mut now = made::snapshot(450, 40);
        now.targets[0].name = "vm\n13:00:00 watch go\x1b[1A".to_owned();
        let text = changes(None, &now).join("\n");
        assert!(!text.contains('\x1b') && text.contains("vm\u{fffd}13:00:00"), "{text}");
    }
}
