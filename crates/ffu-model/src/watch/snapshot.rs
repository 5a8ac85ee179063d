//! What a watch has seen so far, added up: what views, reports and the engine read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Baseline, Breach, BudgetUse, Confidence, Nanos, OnBreach};

/// One outage of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// The target.
    pub target: u32,
    /// When the first lost probe was sent.
    pub begin: Nanos,
    /// When the first answered probe after it was sent; `None` while it lasts.
    pub end: Option<Nanos>,
    /// When the last answered probe before it was sent: the outage began after this.
    pub up_before: Option<Nanos>,
    /// Probes lost in it.
    pub lost: u32,
    /// Some of it was not seen (prober stalled or blind): begin or end may be wrong by that time.
    pub partly_blind: bool,
}

/// Round-trip times in nanoseconds; 0 if there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half were faster.
    pub p50: u64,
    /// 95 % were faster.
    pub p95: u64,
    /// 99 % were faster.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

/// Counts and times over targets and time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Targets that count (not those set aside).
    pub targets: u32,
    /// Of these out at this moment.
    pub out: u32,
    /// Probes whose fate is known.
    pub probes: u64,
    /// Of these lost.
    pub lost: u64,
    /// Probes that could not be sent.
    pub unsent: u64,
    /// Second answers.
    pub duplicates: u64,
    /// Answers that came after that of a later probe.
    pub reordered: u64,
    /// Outages, begun or over.
    pub outages: u32,
    /// The longest outage of one target, nanoseconds.
    pub longest_gap: u64,
    /// The largest sum of outages of one target, nanoseconds.
    pub worst_total: u64,
    /// Streams that broke.
    pub broken_streams: u32,
    /// Workloads that restarted.
    pub restarts: u32,
    /// Round-trip times.
    pub latency: Latency,
}

/// One target, added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetSummary {
    /// The target's place in the file.
    pub target: u32,
    /// Its name.
    pub name: String,
    /// Address and probe, in words.
    pub probed: String,
    /// Its groups.
    pub groups: BTreeMap<String, String>,
    /// Whether it is out now.
    pub out: bool,
    /// Whether it never answered and does not count.
    pub set_aside: bool,
    /// Its figures.
    pub totals: Totals,
    /// Its outages, the latest at most 100.
    pub outages: Vec<Outage>,
}

/// All targets with one group label, added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// `network`, `az`, `vnic_type`, …
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its figures.
    pub totals: Totals,
    /// Lost probes over time, as [`Snapshot::timeline`].
    pub timeline: Vec<Bucket>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// It begins.
    pub from: Nanos,
    /// Probes whose fate is known.
    pub probes: u64,
    /// Of these lost.
    pub lost: u64,
    /// The most targets out at one time.
    pub out: u32,
}

/// A step of the run, on the watch's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMark {
    /// The step's id.
    pub step: String,
    /// Its phase, as the journal or plan says.
    pub phase: String,
    /// When it began.
    pub begin: Nanos,
    /// When it ended; `None` while it runs.
    pub end: Option<Nanos>,
}

/// What was lost while a step ran. Steps that ran at the same time are charged each with all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// The step.
    pub mark: StepMark,
    /// Probes lost that were sent while it ran.
    pub lost: u64,
    /// Targets that lost any.
    pub targets: u32,
    /// The longest outage that overlaps it, in nanoseconds.
    pub longest_gap: u64,
    /// Burst or noise; `None` if nothing was lost.
    pub confidence: Option<Confidence>,
}

/// What a watch has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Wall clock of the snapshot.
    pub at: Timestamp,
    /// The same instant on the boot-time clock.
    pub now: Nanos,
    /// When the watch began.
    pub began: Nanos,
    /// The run it watches, if one.
    pub run: Option<String>,
    /// Milliseconds between two probes.
    pub interval_ms: u32,
    /// How the targets were chosen, if they are a sample.
    pub sample: Option<String>,
    /// Everything.
    pub totals: Totals,
    /// By group label, worst first within a key.
    pub groups: Vec<GroupSummary>,
    /// Targets, worst first; views cut it.
    pub targets: Vec<TargetSummary>,
    /// Loss over time, oldest first, at most 600 stretches of equal length.
    pub timeline: Vec<Bucket>,
    /// Steps so far with what was lost in each.
    pub steps: Vec<StepCost>,
    /// What was normal; `None` before it is known.
    pub baseline: Option<Baseline>,
    /// Budgets that were exceeded.
    pub breaches: Vec<Breach>,
    /// What became of each budget, held or exceeded, in the order of the targets file.
    #[serde(default)]
    pub budgets: Vec<BudgetUse>,
    /// What went wrong with the watch itself, in words, latest last: stalls, blind vantage points, targets set aside.
    pub remarks: Vec<String>,
}

/// What the watch tells the engine, in a small file that is replaced whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchState {
    /// The watch's process id.
    pub pid: u32,
    /// When it was written: one that is old means that the watch is gone.
    pub at: Nanos,
    /// Whether the baseline is complete.
    pub baseline_done: bool,
    /// What the engine is to do.
    pub verdict: Verdict,
    /// Probes lost so far, for a step's stamp.
    pub lost: u64,
    /// Breaches that are not acknowledged.
    pub breaches: Vec<Breach>,
}

/// What the engine is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Go on.
    #[default]
    Go,
    /// Begin no step until the operator acknowledges.
    Hold,
    /// Stop after the running steps.
    Stop,
}

impl From<OnBreach> for Verdict {
    fn from(on_breach: OnBreach) -> Self {
        match on_breach {
            OnBreach::Continue => Verdict::Go,
            OnBreach::Pause => Verdict::Hold,
            OnBreach::Stop => Verdict::Stop,
        }
    }
}
