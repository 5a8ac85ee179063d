//! What the live page is sent: a snapshot cut to what a screen can show, with names and words already in it.

use std::collections::BTreeMap;

use ffu_model::watch::{Baseline, Breach, Bucket, GroupSummary, Outage, Snapshot, StepCost, TargetSummary, Totals};
use jiff::Timestamp;
use serde::Serialize;

use crate::terminal::during;
use crate::{spark, words};

/// Targets that are sent at most.
pub(crate) const MOST_TARGETS: usize = 200;
const MOST_GROUPS: usize = 120;
const MOST_BREACHES: usize = 20;
/// Targets of a breach that are named.
const BREACH_TARGETS: usize = 5;
const MOST_STEPS: usize = 400;
const MOST_REMARKS: usize = 20;
const SPARK_COLUMNS: usize = 48;

/// What one event holds.
#[derive(Serialize)]
pub(crate) struct View<'a> {
    at: Timestamp,
    now: u64,
    began: u64,
    run: Option<&'a str>,
    phase: Option<&'a str>,
    verdict: &'static str,
    verdict_says: &'static str,
    interval_ms: u32,
    sample: Option<&'a str>,
    totals: &'a Totals,
    baseline: Option<&'a Baseline>,
    breaches: Vec<BreachView<'a>>,
    remarks: &'a [String],
    timeline: &'a [Bucket],
    steps: Vec<StepView<'a>>,
    groups: Vec<GroupView<'a>>,
    groups_all: usize,
    targets: Vec<Row<'a>>,
    targets_all: usize,
}

#[derive(Serialize)]
struct BreachView<'a> {
    number: u32,
    budget: &'a str,
    says: &'a str,
    since: u64,
    /// The worst few by number and name.
    targets: Vec<(u32, String)>,
    more: usize,
    steps: &'a [String],
    origin: String,
    acknowledged: bool,
    commands: &'static [(&'static str, &'static str)],
}

#[derive(Serialize)]
struct StepView<'a> {
    #[serde(flatten)]
    cost: &'a StepCost,
    origin: Option<String>,
}

#[derive(Serialize)]
struct GroupView<'a> {
    key: &'a str,
    value: &'a str,
    targets: u32,
    out: u32,
    lost: u64,
    longest_gap: u64,
    /// Levels 0 to 7; -1 where nothing was probed.
    spark: Vec<i8>,
}

/// One target in a list.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    target: u32,
    name: &'a str,
    probed: &'a str,
    out: bool,
    set_aside: bool,
    lost: u64,
    outages: u32,
    longest_gap: u64,
    worst_total: u64,
}

impl<'a> Row<'a> {
    fn new(target: &'a TargetSummary) -> Self {
        Row {
            target: target.target,
            name: &target.name,
            probed: &target.probed,
            out: target.out,
            set_aside: target.set_aside,
            lost: target.totals.lost,
            outages: target.totals.outages,
            longest_gap: target.totals.longest_gap,
            worst_total: target.totals.worst_total,
        }
    }
}

/// A snapshot as the page draws it.
pub(crate) fn view(snapshot: &Snapshot) -> View<'_> {
    // Open breaches are kept before acknowledged ones, late ones before early ones.
    let mut breaches: Vec<&Breach> = snapshot.breaches.iter().collect();
    breaches.sort_by_key(|breach| {
        (
            breach.acknowledged,
            std::cmp::Reverse((breach.on_breach, breach.number)),
        )
    });
    breaches.truncate(MOST_BREACHES);
    let names = words::names(
        snapshot,
        breaches
            .iter()
            .flat_map(|breach| breach.targets.iter().take(BREACH_TARGETS).copied()),
    );
    let late = |n: usize, most: usize| n.saturating_sub(most);
    View {
        at: snapshot.at,
        now: snapshot.now,
        began: snapshot.began,
        run: snapshot.run.as_deref(),
        phase: words::phase(snapshot),
        verdict: words::verdict_word(words::verdict(snapshot)),
        verdict_says: words::verdict_says(words::verdict(snapshot)),
        interval_ms: snapshot.interval_ms,
        sample: snapshot.sample.as_deref(),
        totals: &snapshot.totals,
        baseline: snapshot.baseline.as_ref(),
        breaches: breaches.into_iter().map(|breach| breach_view(breach, &names)).collect(),
        remarks: &snapshot.remarks[late(snapshot.remarks.len(), MOST_REMARKS)..],
        timeline: &snapshot.timeline,
        steps: snapshot.steps[late(snapshot.steps.len(), MOST_STEPS)..]
            .iter()
            .map(step_view)
            .collect(),
        groups: shown_groups(&snapshot.groups).into_iter().map(group_view).collect(),
        groups_all: snapshot.groups.len(),
        targets: snapshot.targets.iter().take(MOST_TARGETS).map(Row::new).collect(),
        targets_all: snapshot.targets.len(),
    }
}

fn breach_view<'a>(breach: &'a Breach, names: &BTreeMap<u32, &str>) -> BreachView<'a> {
    BreachView {
        number: breach.number,
        budget: &breach.budget,
        says: &breach.says,
        since: breach.since,
        targets: breach
            .targets
            .iter()
            .take(BREACH_TARGETS)
            .map(|id| (*id, words::name_of(names, *id)))
            .collect(),
        more: breach.targets.len().saturating_sub(BREACH_TARGETS),
        steps: &breach.steps,
        origin: words::origin(&breach.confidence),
        acknowledged: breach.acknowledged,
        commands: words::commands(breach),
    }
}

fn step_view(cost: &StepCost) -> StepView<'_> {
    StepView {
        cost,
        origin: cost.confidence.as_ref().map(words::origin),
    }
}

/// The same number of values of every key, worst first, so that a key with thousands of values leaves room for the others.
fn shown_groups(groups: &[GroupSummary]) -> Vec<&GroupSummary> {
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups {
        keys.entry(&group.key).or_default();
    }
    let each = MOST_GROUPS / keys.len().max(1);
    let mut shown = Vec::new();
    for group in groups {
        let seen = keys.entry(&group.key).or_default();
        *seen += 1;
        if *seen <= each {
            shown.push(group);
        }
    }
    shown
}

fn group_view(group: &GroupSummary) -> GroupView<'_> {
    let levels = spark::levels(&group.timeline, SPARK_COLUMNS);
    GroupView {
        key: &group.key,
        value: &group.value,
        targets: group.totals.targets,
        out: group.totals.out,
        lost: group.totals.lost,
        longest_gap: group.totals.longest_gap,
        spark: levels
            .into_iter()
            .map(|level| level.and_then(|level| i8::try_from(level).ok()).unwrap_or(-1))
            .collect(),
    }
}

/// What a search answers.
#[derive(Serialize)]
pub(crate) struct Found<'a> {
    found: usize,
    targets: Vec<Row<'a>>,
}

/// The worst targets whose name, address, probe or group holds all words of `query`, whatever the case.
pub(crate) fn search<'a>(snapshot: &'a Snapshot, query: &str) -> Found<'a> {
    let wanted: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let holds = |target: &&TargetSummary| {
        let mut text = format!("{} {}", target.name, target.probed);
        for (key, value) in &target.groups {
            text.push_str(&format!(" {key}:{value}"));
        }
        let text = text.to_lowercase();
        wanted.iter().all(|word| text.contains(word))
    };
    let mut found = 0;
    let mut targets = Vec::new();
    for target in snapshot.targets.iter().filter(holds) {
        found += 1;
        if targets.len() < MOST_TARGETS {
            targets.push(Row::new(target));
        }
    }
    Found { found, targets }
}

/// A closer look at one target.
#[derive(Serialize)]
pub(crate) struct Closer<'a> {
    at: Timestamp,
    now: u64,
    began: u64,
    #[serde(flatten)]
    summary: &'a TargetSummary,
    /// For each outage the steps that ran in it.
    during: Vec<Vec<&'a str>>,
}

/// A closer look at the target with this number, if there is one.
pub(crate) fn closer(snapshot: &Snapshot, number: u32) -> Option<Closer<'_>> {
    let summary = snapshot.targets.iter().find(|target| target.target == number)?;
    let steps = |outage: &Outage| during(snapshot, outage).take(20).collect();
    Some(Closer {
        at: snapshot.at,
        now: snapshot.now,
        began: snapshot.began,
        during: summary.outages.iter().map(steps).collect(),
        summary,
    })
}

/// A snapshot for programs: the model's own shape, with the worst targets and their latest outages only.
pub(crate) fn trimmed(snapshot: &Snapshot) -> Snapshot {
    let trim = |target: &TargetSummary| TargetSummary {
        name: target.name.clone(),
        probed: target.probed.clone(),
        groups: target.groups.clone(),
        totals: target.totals.clone(),
        outages: target.outages[target.outages.len().saturating_sub(10)..].to_vec(),
        ..*target
    };
    Snapshot {
        at: snapshot.at,
        now: snapshot.now,
        began: snapshot.began,
        run: snapshot.run.clone(),
        interval_ms: snapshot.interval_ms,
        sample: snapshot.sample.clone(),
        totals: snapshot.totals.clone(),
        groups: shown_groups(&snapshot.groups).into_iter().cloned().collect(),
        targets: snapshot.targets.iter().take(MOST_TARGETS).map(trim).collect(),
        timeline: snapshot.timeline.clone(),
        steps: snapshot.steps.clone(),
        baseline: snapshot.baseline.clone(),
        breaches: snapshot.breaches.clone(),
        budgets: snapshot.budgets.clone(),
        remarks: snapshot.remarks.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn an_event_stays_small_with_ten_thousand_targets() {
        let snapshot = made::snapshot(450, 10_000);
        let json = serde_json::to_string(&view(&snapshot)).unwrap();
        assert!(json.len() < 120_000, "{} bytes", json.len());
        let sent: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(sent["targets"].as_array().unwrap().len(), MOST_TARGETS);
        assert_eq!(sent["targets_all"], 10_000);
        assert_eq!(sent["targets"][0]["name"], "vm-a-0005");
        assert!(trimmed(&snapshot).targets.len() == MOST_TARGETS);
    }

    #[test]
    fn a_search_takes_all_words_from_anywhere() {
        let snapshot = made::snapshot(450, 10_000);
        let found = search(&snapshot, "VM-b network:net-b vnic_type:direct");
        assert_eq!(found.found, 0);
        let found = search(&snapshot, "vm-C az:az-2");
        assert!(found.found > MOST_TARGETS && found.targets.len() == MOST_TARGETS);
        assert_eq!(search(&snapshot, "vm-c-0020").targets[0].lost, 42);
    }

    #[test]
    fn a_closer_look_says_which_steps_ran() {
        let snapshot = made::snapshot(450, 40);
        let look = serde_json::to_value(closer(&snapshot, 5).unwrap()).unwrap();
        assert_eq!(look["during"][0][0], "release.compute-03.openvswitch-agent");
        assert!(closer(&snapshot, 40).is_none());
    }

    #[test]
    fn no_key_crowds_out_the_others() {
        let mut groups: Vec<GroupSummary> = Vec::new();
        for (key, values) in [("az", 3), ("tenant", 5000)] {
            let group = |value: u32| GroupSummary {
                key: key.into(),
                value: value.to_string(),
                ..Default::default()
            };
            groups.extend((0..values).map(group));
        }
        let shown = shown_groups(&groups);
        assert_eq!(shown.len(), 3 + 60);
    }
}
