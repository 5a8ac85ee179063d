//! The watch's nouns: what is probed, what became of each probe, what an outage is, what the operator tolerates.
//!
//! Every time here is a [`Nanos`]: nanoseconds of the kernel's boot-time clock (`CLOCK_BOOTTIME`), which no clock step moves.
//! Wall-clock times are for people and come from pairs that the record holds beside them.

mod budget;
mod snapshot;
mod target;

pub use budget::{Baseline, Breach, Budget, BudgetUse, Budgets, Confidence, OnBreach, Origin};
pub use snapshot::{
    Bucket, GroupSummary, Latency, Outage, Snapshot, StepCost, StepMark, TargetSummary, Totals, Verdict, WatchState,
};
pub use target::{Probe, Target, Targets, Vantage, Workload};

use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_BOOTTIME` of the host where `ffu watch` runs.
pub type Nanos = u64;

/// What became of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The target's place in [`Targets::targets`].
    pub target: u32,
    /// Counts a target's probes from 0, also those that could not be sent; without gaps.
    pub seq: u32,
    /// When it was really sent (or would have been), not when it was due.
    pub sent: Nanos,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An answer came within the timeout.
    Answered {
        /// Round-trip time in nanoseconds.
        rtt: u64,
        /// The prober itself stood still while the answer waited: the target is up, the round-trip time means nothing.
        blurred: bool,
    },
    /// No answer within the timeout, or an answer that says no (unreachable, refused, reset).
    Lost,
    /// The prober could not send it (its own stall, no buffer, no permission): says nothing about the target.
    Unsent,
}

/// Something the watch noticed that is not one probe's fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Notice {
    /// The prober of a vantage point stood still: nothing can be said of this time.
    Stalled {
        /// Its name in [`Targets::vantages`].
        vantage: String,
        /// From when.
        from: Nanos,
        /// Until when.
        to: Nanos,
    },
    /// A vantage point is gone (killed, connection lost): nothing can be said until it is back.
    Blind {
        /// Its name.
        vantage: String,
        /// From when: the last thing heard of it.
        from: Nanos,
        /// Until when; `None` while it lasts.
        to: Option<Nanos>,
        /// Why, in words.
        why: String,
    },
    /// A second answer to one probe.
    Duplicate {
        /// The target.
        target: u32,
        /// When it came.
        at: Nanos,
    },
    /// An answer that came after that of a later probe.
    Reordered {
        /// The target.
        target: u32,
        /// When it came.
        at: Nanos,
    },
    /// An established stream broke and had to be made anew.
    StreamBroke {
        /// The target.
        target: u32,
        /// When.
        at: Nanos,
        /// Reset, end of file, timeout: in words.
        why: String,
    },
    /// What a workload says it is: a boot id, a process start time, `launched_at`. A change means that it restarted.
    Identity {
        /// The target.
        target: u32,
        /// Which kind: `boot-id`, `started`; of instances `instance`, `launched-at`, `power-state`, `host`, `vm-state`, `task`, `asked`.
        kind: String,
        /// Its value.
        value: String,
        /// When it was seen.
        at: Nanos,
        /// Why a change is no restart, in words; empty if it is not worth a word. `None`: a change is a restart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        explained: Option<String>,
    },
    /// A target was set aside at the start: it never answered.
    SetAside {
        /// The target.
        target: u32,
    },
    /// The wall clock beside the boot-time clock.
    Clock {
        /// Boot-time clock.
        at: Nanos,
        /// Wall clock at the same instant, nanoseconds since 1970.
        wall: i64,
    },
    /// The operator acknowledged breaches.
    Acknowledged {
        /// This one, and all before it.
        number: u32,
        /// When.
        at: Nanos,
    },
    /// A step of the run began or ended, as the journal says.
    Step(StepMark),
}
