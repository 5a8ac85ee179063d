//! The figures in Prometheus' text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use ffu_model::watch::{GroupSummary, Snapshot, Totals, Verdict};

use crate::words;

/// A group key with more values than this would make too many series: it is left out, and that is said.
const MOST_VALUES: usize = 100;
/// Group keys at most.
const MOST_KEYS: usize = 10;

type Figure = (&'static str, &'static str, &'static str, fn(&Totals) -> f64);

/// Name, type, help, value: for everything, and for each group.
const FIGURES: [Figure; 11] = [
    ("targets", "gauge", "Targets that count", |t| t.targets.into()),
    (
        "targets_out",
        "gauge",
        "Targets that do not answer at this moment",
        |t| t.out.into(),
    ),
    ("probes_total", "counter", "Probes whose fate is known", |t| {
        t.probes as f64
    }),
    ("probes_lost_total", "counter", "Probes without answer", |t| {
        t.lost as f64
    }),
    ("probes_unsent_total", "counter", "Probes that could not be sent", |t| {
        t.unsent as f64
    }),
    ("duplicates_total", "counter", "Second answers", |t| t.duplicates as f64),
    (
        "reordered_total",
        "counter",
        "Answers after that of a later probe",
        |t| t.reordered as f64,
    ),
    ("outages_total", "counter", "Outages, begun or over", |t| {
        t.outages.into()
    }),
    (
        "longest_gap_seconds",
        "gauge",
        "The longest outage of one target",
        |t| seconds(t.longest_gap),
    ),
    (
        "broken_streams_total",
        "counter",
        "Established streams that broke",
        |t| t.broken_streams.into(),
    ),
    ("restarts_total", "counter", "Workloads that restarted", |t| {
        t.restarts.into()
    }),
];

/// A snapshot's figures as Prometheus reads them.
pub fn metrics(snapshot: &Snapshot) -> String {
    let mut out = Text(String::with_capacity(8192));
    let totals = &snapshot.totals;
    for (name, kind, help, value) in FIGURES {
        out.head(name, kind, help);
        out.sample(name, &[], value(totals));
    }
    out.head(
        "rtt_seconds",
        "gauge",
        "Round-trip times of all targets since the watch began",
    );
    let latency = &totals.latency;
    for (quantile, value) in [
        ("0.5", latency.p50),
        ("0.95", latency.p95),
        ("0.99", latency.p99),
        ("1", latency.max),
    ] {
        out.sample("rtt_seconds", &[("quantile", quantile)], seconds(value));
    }
    groups(&mut out, snapshot);
    state(&mut out, snapshot);
    out.0
}

fn groups(out: &mut Text, snapshot: &Snapshot) {
    let mut keys: BTreeMap<&str, Vec<&GroupSummary>> = BTreeMap::new();
    for group in &snapshot.groups {
        keys.entry(&group.key).or_default().push(group);
    }
    let fits = |place: usize, groups: &[&GroupSummary]| place < MOST_KEYS && groups.len() <= MOST_VALUES;
    let (shown, left): (Vec<_>, Vec<_>) = keys
        .iter()
        .enumerate()
        .partition(|(place, (_, groups))| fits(*place, groups));
    for (name, kind, help, value) in FIGURES {
        if shown.is_empty() {
            break;
        }
        let name = format!("group_{name}");
        out.head(&name, kind, &format!("{help}, by group label"));
        for (_, (_, groups)) in &shown {
            for group in *groups {
                out.sample(
                    &name,
                    &[("key", &group.key), ("value", &group.value)],
                    value(&group.totals),
                );
            }
        }
    }
    out.head(
        "groups_left_out",
        "gauge",
        "Values of group keys that have too many to be shown",
    );
    out.sample(
        "groups_left_out",
        &[],
        left.iter().map(|(_, (_, groups))| groups.len()).sum::<usize>() as f64,
    );
}

fn state(out: &mut Text, snapshot: &Snapshot) {
    out.head("breaches", "gauge", "Budgets that were exceeded");
    let open = words::open_breaches(snapshot).count();
    for (acknowledged, n) in [("false", open), ("true", snapshot.breaches.len() - open)] {
        out.sample("breaches", &[("acknowledged", acknowledged)], n as f64);
    }
    out.head("verdict", "gauge", "What the engine is to do: 1 for the one that holds");
    let verdict = words::verdict(snapshot);
    for one in [Verdict::Go, Verdict::Hold, Verdict::Stop] {
        out.sample(
            "verdict",
            &[("verdict", words::verdict_word(one))],
            f64::from(u8::from(one == verdict)),
        );
    }
    out.head("steps_running", "gauge", "Steps of the run that are running");
    let running = snapshot.steps.iter().filter(|cost| cost.mark.end.is_none()).count();
    out.sample("steps_running", &[], running as f64);
    out.head("remarks", "gauge", "What went wrong with the watch itself");
    out.sample("remarks", &[], snapshot.remarks.len() as f64);
    out.head(
        "snapshot_timestamp_seconds",
        "gauge",
        "When these figures were added up; an old one means that the watch is gone",
    );
    out.sample(
        "snapshot_timestamp_seconds",
        &[],
        snapshot.at.as_millisecond() as f64 / 1e3,
    );
    out.head("elapsed_seconds", "gauge", "How long the watch has run");
    out.sample(
        "elapsed_seconds",
        &[],
        seconds(snapshot.now.saturating_sub(snapshot.began)),
    );
    out.head("baseline_known", "gauge", "Whether the baseline is complete");
    out.sample("baseline_known", &[], f64::from(u8::from(snapshot.baseline.is_some())));
    let Some(baseline) = &snapshot.baseline else { return };
    let figures = [
        ("baseline_probes", "Probes of the baseline", baseline.probes as f64),
        ("baseline_lost", "Probes lost in the baseline", baseline.lost as f64),
        (
            "baseline_longest_gap_seconds",
            "The longest outage in the baseline",
            seconds(baseline.longest_gap),
        ),
        (
            "baseline_noisy_targets",
            "Targets that lost a probe in the baseline",
            baseline.noisy_targets.into(),
        ),
    ];
    for (name, help, value) in figures {
        out.head(name, "gauge", help);
        out.sample(name, &[], value);
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

struct Text(String);

impl Text {
    fn push(&mut self, text: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{text}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!(
            "# HELP ffu_watch_{name} {help}.\n# TYPE ffu_watch_{name} {kind}\n"
        ));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.push(format_args!("ffu_watch_{name}"));
        for (place, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.push(format_args!("{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' }));
        }
        if !labels.is_empty() {
            self.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn the_figures_are_the_snapshots() {
        let text = metrics(&made::snapshot(450, 40));
        for line in [
            "ffu_watch_targets 40",
            "ffu_watch_targets_out 1",
            "ffu_watch_longest_gap_seconds 5",
            "ffu_watch_verdict{verdict=\"hold\"} 1",
            "ffu_watch_breaches{acknowledged=\"true\"} 1",
            "ffu_watch_baseline_lost 1",
            "ffu_watch_group_targets{key=\"network\",value=\"net-a\"} 16",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn labels_are_escaped_and_bounded() {
        let mut snapshot = made::snapshot(450, 40);
        snapshot.groups[0].value = "a\"b\\c\nd".to_owned();
        for tenant in 0..101 {
            let group = GroupSummary {
                key: "tenant".into(),
                value: tenant.to_string(),
                ..GroupSummary::default()
            };
            snapshot.groups.push(group);
        }
        let text = metrics(&snapshot);
        assert!(text.contains(r#"value="a\"b\\c\nd""#));
        assert!(!text.contains("tenant"));
        assert!(text.contains("ffu_watch_groups_left_out 101\n"));
    }
}
