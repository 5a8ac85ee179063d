//! All figures of a watch for programs, with wall-clock times and names in place.

use std::collections::BTreeMap;

use ffu_model::watch::{Baseline, BudgetUse, Confidence, GroupSummary, OnBreach, Snapshot, Totals};
use jiff::Timestamp;
use serde::Serialize;

use crate::terminal::during;
use crate::{budgets, words};

/// Everything a report is made of. Lengths are in seconds unless a name says otherwise; `totals` are the model's, in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Names this format: a reader checks it first.
    pub format: &'static str,
    /// The run, if one was watched.
    pub run: Option<String>,
    /// When the watch began.
    pub began: Timestamp,
    /// When these figures were added up.
    pub at: Timestamp,
    /// Between the two.
    pub seconds: f64,
    /// Between two probes of a target.
    pub interval_ms: u32,
    /// How the targets were chosen, if they are a sample.
    pub sample: Option<String>,
    /// `go`, `hold` or `stop`.
    pub verdict: &'static str,
    /// The share of probes lost, 0 to 1.
    pub lost_share: f64,
    /// Everything.
    pub totals: Totals,
    /// What was normal.
    pub baseline: Option<Baseline>,
    /// What became of each budget, held or exceeded, in the order of the targets file.
    pub budgets: Vec<BudgetFigures>,
    /// Budgets that were exceeded.
    pub breaches: Vec<BreachFigures>,
    /// Which step cost what.
    pub steps: Vec<StepFigures>,
    /// By group label, with loss over time.
    pub groups: Vec<GroupSummary>,
    /// All targets, worst first.
    pub targets: Vec<TargetFigures>,
    /// What went wrong with the watch itself.
    pub remarks: Vec<String>,
}

/// What became of a budget.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetFigures {
    /// Its name.
    pub budget: String,
    /// Group labels that a target must have; none means every target.
    #[serde(rename = "where")]
    pub filter: BTreeMap<String, String>,
    /// `held`, `exceeded` or `not judged`.
    pub state: &'static str,
    /// Its breaches, by number.
    pub breaches: Vec<u32>,
    /// Whether it is the default budget, which allows the noise of the baseline.
    pub noise_only: bool,
    /// What was allowed; what is null is not limited.
    pub allowed: BudgetLimits,
    /// What was seen.
    pub seen: BudgetSeen,
}

/// What a budget allows.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetLimits {
    /// The longest outage of one target.
    pub longest_gap_seconds: Option<f64>,
    /// All outages of one target added up.
    pub total_loss_seconds: Option<f64>,
    /// The share of targets that may be out at one time, 0 to 1.
    pub targets_out: Option<f64>,
    /// Of the default budget: so many lost probes in a row are beyond noise.
    pub lost_in_a_row_below: Option<u32>,
    /// Whether a workload may restart.
    pub restarts: bool,
}

/// What was seen of that which a budget limits, from the end of the baseline on.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetSeen {
    /// Targets that it is for and that count.
    pub targets: u32,
    /// The longest outage of one target.
    pub longest_gap_seconds: f64,
    /// The largest sum of outages of one target.
    pub total_loss_seconds: f64,
    /// The most targets out at one time.
    pub most_out: u32,
    /// The share of the targets that this is, 0 to 1.
    pub targets_out: f64,
    /// Workloads that restarted.
    pub restarts: u32,
    /// Streams that broke.
    pub broken_streams: u32,
}

/// A budget that was exceeded.
#[derive(Clone, Debug, Serialize)]
pub struct BreachFigures {
    /// Counts from 1.
    pub number: u32,
    /// The budget's name.
    pub budget: String,
    /// Which figure, what it is and what it may be.
    pub says: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was found.
    pub found: Timestamp,
    /// The targets' names, worst first.
    pub targets: Vec<String>,
    /// Steps that ran when it began.
    pub steps: Vec<String>,
    /// Burst or noise.
    pub confidence: Confidence,
    /// What was to happen.
    pub on_breach: OnBreach,
    /// Whether the operator let the run go on.
    pub acknowledged: bool,
}

/// What was lost in a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepFigures {
    /// Its id.
    pub step: String,
    /// Its phase.
    pub phase: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; `None` if it was running.
    pub ended: Option<Timestamp>,
    /// How long it took.
    pub seconds: f64,
    /// Probes lost in it.
    pub lost: u64,
    /// Targets that lost any.
    pub targets: u32,
    /// The longest outage that overlaps it.
    pub longest_gap_seconds: f64,
    /// Burst or noise; `None` if nothing was lost.
    pub confidence: Option<Confidence>,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetFigures {
    /// Its place in the targets file.
    pub target: u32,
    /// Its name.
    pub name: String,
    /// Address and probe.
    pub probed: String,
    /// Its groups.
    pub groups: BTreeMap<String, String>,
    /// Whether it was out at the end.
    pub out: bool,
    /// Whether it never answered and does not count.
    pub set_aside: bool,
    /// Its figures.
    pub totals: Totals,
    /// Its outages, oldest first; the latest 100.
    pub outages: Vec<OutageFigures>,
}

/// One outage.
#[derive(Clone, Debug, Serialize)]
pub struct OutageFigures {
    /// When the first lost probe was sent.
    pub began: Timestamp,
    /// When the first answered probe after it was sent; `None` if it lasted.
    pub ended: Option<Timestamp>,
    /// How long it was, or had been so far.
    pub seconds: f64,
    /// Probes lost in it.
    pub lost: u32,
    /// Some of it was not seen.
    pub partly_blind: bool,
    /// Steps that ran in it.
    pub steps: Vec<String>,
}

/// All figures of a snapshot.
pub fn figures(snapshot: &Snapshot) -> Figures {
    let totals = &snapshot.totals;
    Figures {
        format: "ffu-watch-figures/1",
        run: snapshot.run.clone(),
        began: words::wall(snapshot, snapshot.began),
        at: snapshot.at,
        seconds: seconds(snapshot.now.saturating_sub(snapshot.began)),
        interval_ms: snapshot.interval_ms,
        sample: snapshot.sample.clone(),
        verdict: words::verdict_word(words::verdict(snapshot)),
        lost_share: if totals.probes == 0 {
            0.0
        } else {
            totals.lost as f64 / totals.probes as f64
        },
        totals: totals.clone(),
        baseline: snapshot.baseline.clone(),
        budgets: snapshot.budgets.iter().map(budget).collect(),
        breaches: breaches(snapshot),
        steps: steps(snapshot),
        groups: snapshot.groups.clone(),
        targets: targets(snapshot),
        remarks: snapshot.remarks.clone(),
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn budget(used: &BudgetUse) -> BudgetFigures {
    let limits = &used.budget;
    let ms = |limit: Option<u64>| limit.map(|ms| ms as f64 / 1e3);
    BudgetFigures {
        budget: limits.name.clone(),
        filter: limits.filter.clone(),
        state: budgets::state(used),
        breaches: used.breaches.clone(),
        noise_only: used.noise_only,
        allowed: BudgetLimits {
            longest_gap_seconds: ms(limits.longest_gap_ms),
            total_loss_seconds: ms(limits.total_loss_ms),
            targets_out: limits.targets_out,
            lost_in_a_row_below: used.rare_length.filter(|_| used.noise_only),
            restarts: limits.restarts_allowed,
        },
        seen: BudgetSeen {
            targets: used.targets,
            longest_gap_seconds: seconds(used.longest_gap),
            total_loss_seconds: seconds(used.worst_total),
            most_out: used.most_out,
            targets_out: budgets::share_out(used),
            restarts: used.restarts,
            broken_streams: used.broken_streams,
        },
    }
}

fn breaches(snapshot: &Snapshot) -> Vec<BreachFigures> {
    let names = words::names(
        snapshot,
        snapshot
            .breaches
            .iter()
            .flat_map(|breach| breach.targets.iter().copied()),
    );
    let name = |id: &u32| {
        names
            .get(id)
            .map_or_else(|| format!("target {id}"), |name| (*name).to_owned())
    };
    let figures = snapshot.breaches.iter().map(|breach| BreachFigures {
        number: breach.number,
        budget: breach.budget.clone(),
        says: breach.says.clone(),
        since: words::wall(snapshot, breach.since),
        found: words::wall(snapshot, breach.found),
        targets: breach.targets.iter().map(name).collect(),
        steps: breach.steps.clone(),
        confidence: breach.confidence,
        on_breach: breach.on_breach,
        acknowledged: breach.acknowledged,
    });
    figures.collect()
}

fn steps(snapshot: &Snapshot) -> Vec<StepFigures> {
    let figures = snapshot.steps.iter().map(|cost| StepFigures {
        step: cost.mark.step.clone(),
        phase: cost.mark.phase.clone(),
        began: words::wall(snapshot, cost.mark.begin),
        ended: cost.mark.end.map(|end| words::wall(snapshot, end)),
        seconds: seconds(words::step_length(snapshot, &cost.mark)),
        lost: cost.lost,
        targets: cost.targets,
        longest_gap_seconds: seconds(cost.longest_gap),
        confidence: cost.confidence,
    });
    figures.collect()
}

fn targets(snapshot: &Snapshot) -> Vec<TargetFigures> {
    let outage = |outage: &ffu_model::watch::Outage| OutageFigures {
        began: words::wall(snapshot, outage.begin),
        ended: outage.end.map(|end| words::wall(snapshot, end)),
        seconds: seconds(outage.end.unwrap_or(snapshot.now).saturating_sub(outage.begin)),
        lost: outage.lost,
        partly_blind: outage.partly_blind,
        steps: during(snapshot, outage).map(str::to_owned).collect(),
    };
    let figures = snapshot.targets.iter().map(|target| TargetFigures {
        target: target.target,
        name: target.name.clone(),
        probed: target.probed.clone(),
        groups: target.groups.clone(),
        out: target.out,
        set_aside: target.set_aside,
        totals: target.totals.clone(),
        outages: target.outages.iter().map(outage).collect(),
    });
    figures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    #[test]
    fn names_times_and_steps_are_in_place() {
        let json = serde_json::to_value(figures(&made::snapshot(450, 40))).unwrap();
        assert_eq!(json["verdict"], "hold");
        assert_eq!(json["budgets"][0]["state"], "exceeded");
        assert_eq!(json["budgets"][1]["state"], "held");
        assert_eq!(json["budgets"][1]["allowed"]["longest_gap_seconds"], 10.0);
        assert_eq!(json["budgets"][1]["seen"]["longest_gap_seconds"], 5.0);
        assert_eq!(json["breaches"][1]["targets"][0], "vm-a-0005");
        assert_eq!(json["targets"][0]["outages"][0]["began"], "2026-11-28T13:07:25Z");
        assert_eq!(json["targets"][0]["outages"][0]["seconds"], 5.0);
        assert_eq!(
            json["targets"][0]["outages"][0]["steps"][0],
            "release.compute-03.openvswitch-agent"
        );
        assert_eq!(json["targets"].as_array().unwrap().len(), 40);
        let empty = serde_json::to_value(figures(&Snapshot::default())).unwrap();
        assert_eq!(empty["lost_share"], 0.0);
    }
}
