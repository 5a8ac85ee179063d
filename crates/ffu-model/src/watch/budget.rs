//! What the operator tolerates, what was normal before, and what exceeded it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Nanos;

/// All budgets of a watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// What happens on a breach of a budget that does not say it itself.
    #[serde(default)]
    pub on_breach: OnBreach,
    /// Seconds of the baseline before the freeze.
    #[serde(default = "Budgets::default_baseline_s")]
    pub baseline_s: u32,
    /// The budgets; if there is none, zero loss beyond the baseline's noise is meant for everything.
    #[serde(default)]
    pub budget: Vec<Budget>,
}

impl Default for Budgets {
    /// What a file without `[budgets]` means.
    fn default() -> Self {
        Budgets {
            on_breach: OnBreach::default(),
            baseline_s: Budgets::default_baseline_s(),
            budget: Vec::new(),
        }
    }
}

impl Budgets {
    fn default_baseline_s() -> u32 {
        30
    }
}

/// One budget: for all targets that match, what may be lost. A figure that is not given is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name, in messages.
    pub name: String,
    /// Group labels that a target must have; none means every target.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub filter: BTreeMap<String, String>,
    /// The longest outage of one target, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_gap_ms: Option<u64>,
    /// All outages of one target added up, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_loss_ms: Option<u64>,
    /// The share of targets (0 to 1) that may be out at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets_out: Option<f64>,
    /// Whether a workload may restart.
    #[serde(default)]
    pub restarts_allowed: bool,
    /// What happens on a breach, if not what the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_breach: Option<OnBreach>,
}

/// What was seen of that which a budget limits, from the end of the baseline on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// What was allowed.
    pub budget: Budget,
    /// It is the default budget: what it allows is the noise of the baseline.
    pub noise_only: bool,
    /// Of the default budget, when the baseline is complete: so many lost probes in a row are beyond noise.
    pub rare_length: Option<u32>,
    /// Targets that it is for and that count.
    pub targets: u32,
    /// The longest outage of one target, also one that lasts, nanoseconds.
    pub longest_gap: Nanos,
    /// The largest sum of outages of one target, acknowledged or not, nanoseconds.
    pub worst_total: Nanos,
    /// The most targets out at one time.
    pub most_out: u32,
    /// Workloads that restarted.
    pub restarts: u32,
    /// Streams that broke.
    pub broken_streams: u32,
    /// Its breaches, by number; none: it held.
    pub breaches: Vec<u32>,
    /// Whether the baseline was complete: before that nothing is judged.
    pub judged: bool,
}

/// What happens on a breach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBreach {
    /// It is written down.
    Continue,
    /// The engine is held before its next step until the operator says `ffu watch acknowledge`.
    #[default]
    Pause,
    /// The run stops after the running steps.
    Stop,
}

/// What was normal before the freeze.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// From when.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
    /// Probes whose fate is known.
    pub probes: u64,
    /// Of these lost.
    pub lost: u64,
    /// The longest run of lost probes in a row, in nanoseconds.
    pub longest_gap: u64,
    /// Targets that lost at least one.
    pub noisy_targets: u32,
}

/// How sure the watch is that a loss is the upgrade's and not background noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confidence {
    /// What it is taken for.
    pub origin: Origin,
    /// The probability that the baseline's noise would make a loss at least as bad in the same time (0 to 1).
    pub chance: f64,
}

/// What a loss is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Beyond what the baseline explains.
    Burst,
    /// As the baseline has it.
    Noise,
    /// The baseline is too short to say.
    Unknown,
}

/// A budget was exceeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// Counts from 1.
    pub number: u32,
    /// The budget's name.
    pub budget: String,
    /// Which figure, what it is and what it may be, in words.
    pub says: String,
    /// Since when targets were out.
    pub since: Nanos,
    /// When the breach was found.
    pub found: Nanos,
    /// The targets, worst first.
    pub targets: Vec<u32>,
    /// Steps that ran when it began.
    pub steps: Vec<String>,
    /// Burst or noise.
    pub confidence: Confidence,
    /// What is to happen.
    pub on_breach: OnBreach,
    /// Whether the operator has said that the run may go on.
    pub acknowledged: bool,
}
