//! The phases of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The phases of a run, in their only order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Control plane up: environments, databases and gates are checked, configuration is staged.
    Prepare,
    /// Control plane stopped; agents left alone; in-flight operations drained.
    Freeze,
    /// The way back is made and verified.
    Checkpoint,
    /// Schema, online data migrations, checks and invariants, hop by hop.
    Hops,
    /// Target configuration and services.
    Deploy,
    /// Data-plane nodes; its first step is the point of no return. Runs on `ffu accept`.
    Release,
    /// Unpin, last online migrations, checkpoints dropped. Runs on `ffu accept`.
    Finish,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 7] = [
        Phase::Prepare,
        Phase::Freeze,
        Phase::Checkpoint,
        Phase::Hops,
        Phase::Deploy,
        Phase::Release,
        Phase::Finish,
    ];

    /// Its name in plans and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Freeze => "freeze",
            Phase::Checkpoint => "checkpoint",
            Phase::Hops => "hops",
            Phase::Deploy => "deploy",
            Phase::Release => "release",
            Phase::Finish => "finish",
        }
    }

    /// Whether the control plane is down in it: from the first API stopped to the target answering.
    pub fn is_in_window(self) -> bool {
        (Phase::Freeze..=Phase::Deploy).contains(&self)
    }

    /// Whether the phase belongs to `ffu accept`, after the operator's judgement.
    pub fn is_after_acceptance(self) -> bool {
        self >= Phase::Release
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
